//! How often somebody may try: per source and for everybody together in bounded memory here, per
//! user in the database by the numbers of [`Backoff`]. Refuses; never forgets a user's failures.

mod shield;
mod spray;

pub(crate) use shield::{Shield, meet};
pub(crate) use spray::Spray;

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use agent_api::Source;
use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use ipnet::{IpNet, Ipv6Net};
use lru::LruCache;

use crate::{clock::Clock, config};

type Bucket = RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Nanos>>;

/// What counts as one source: an address, or an IPv6 /64 which one subscriber fills alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceKey(Source);

impl SourceKey {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(Source::around(address).unwrap_or_else(|| address.into()))
    }

    /// All addresses that count as it.
    pub(crate) fn prefix(self) -> IpNet {
        match self.0 {
            Source::Address(address) => IpNet::from(address),
            Source::Prefix(network) => Ipv6Net::new_assert(network, 64).into(),
        }
    }
}

/// The numbers of a user's waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) free: i64,
    pub(crate) first: i64,
    pub(crate) longest: i64,
    pub(crate) in_a_row: i64,
}

impl Backoff {
    pub(crate) fn new(limits: &config::Limits) -> Self {
        Self {
            free: i64::from(limits.free_failures.value()),
            first: limits.first_wait.seconds(),
            longest: limits.longest_wait.seconds(),
            in_a_row: i64::from(limits.failures_in_a_row.value()),
        }
    }

    /// Seconds to wait after that many failures in a row: nothing, then `first`, doubling.
    pub(crate) fn wait_after(&self, failures: i64) -> i64 {
        let Ok(doublings) = u32::try_from(failures - self.free) else {
            return 0;
        };
        let factor = 1_i64.checked_shl(doublings.min(32)).unwrap_or(i64::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// True: an operator must look first.
    pub(crate) fn is_exhausted(&self, failures: i64) -> bool {
        failures >= self.in_a_row
    }
}

/// An attempt too many, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    /// Of this source.
    OfSource(Duration),
    /// Of everybody together.
    OfAll(Duration),
}

impl TooMany {
    pub(crate) fn wait(self) -> Duration {
        match self {
            Self::OfSource(wait) | Self::OfAll(wait) => wait,
        }
    }
}

/// Attempts per source and altogether.
pub(crate) struct Rates {
    clock: Clock,
    minute: Quota,
    hour: Quota,
    all: Bucket,
    sources: Mutex<LruCache<SourceKey, [Bucket; 2]>>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rates")
    }
}

impl Rates {
    pub(crate) fn new(limits: &config::Limits, clock: Clock) -> Self {
        let at_once = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = |n: u32, period: Duration| {
            // Only a zero length gives None, and the bounds rule it out.
            Quota::with_period(period / at_once(n).get())
                .unwrap_or(Quota::per_hour(NonZeroU32::MIN))
                .allow_burst(at_once(n))
        };
        let minute = Duration::from_secs(60);
        let remembered = usize::try_from(limits.sources_remembered.value()).unwrap_or(1_000);
        Self {
            minute: quota(limits.source_per_minute.value(), minute),
            hour: quota(limits.source_per_hour.value(), 60 * minute),
            all: Bucket::direct_with_clock(
                quota(limits.global_per_minute.value(), minute),
                clock.clone(),
            ),
            sources: Mutex::new(LruCache::new(
                NonZeroUsize::new(remembered).unwrap_or(NonZeroUsize::MIN),
            )),
            clock,
        }
    }

    /// Counts an attempt.
    pub(crate) fn count(&self, source: SourceKey) -> Result<(), TooMany> {
        let now = self.clock.now_nanos();
        let wait = |refused: governor::NotUntil<Nanos>| refused.wait_time_from(now);
        {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let buckets = sources.get_or_insert_mut(source, || {
                [self.minute, self.hour]
                    .map(|quota| Bucket::direct_with_clock(quota, self.clock.clone()))
            });
            for bucket in buckets {
                bucket
                    .check()
                    .map_err(|refused| TooMany::OfSource(wait(refused)))?;
            }
        }
        self.all
            .check()
            .map_err(|refused| TooMany::OfAll(wait(refused)))
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.sources.lock().unwrap().len()
    }
}

impl Clock {
    fn now_nanos(&self) -> Nanos {
        governor::clock::Clock::now(self)
    }
}

#[cfg(test)]
mod flood;
#[cfg(test)]
mod tests;
