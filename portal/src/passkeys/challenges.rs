//! Challenges that wait for their reply: each is taken once, ends after two minutes, and belongs to
//! the source it was given to. Bounded, for each source and altogether; where a bound is met the
//! newcomer is refused, so that nobody loses a challenge to somebody else's.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
};

use crate::{limits::SourceKey, random};

/// How long a browser may take, in seconds.
const LIFE: i64 = 120;
/// Under way at the same time: of everybody, some tens of megabytes, and of an office behind one
/// address.
const OF_ALL: usize = 65_536;
const OF_ONE_SOURCE: usize = 32;

struct Waiting<T> {
    id: String,
    expires: i64,
    state: T,
}

impl<T> Waiting<T> {
    /// Not when the clock was set back meanwhile, either.
    fn lives(&self, now: i64) -> bool {
        self.expires > now && self.expires <= now + LIFE
    }
}

struct Table<T> {
    sources: HashMap<SourceKey, VecDeque<Waiting<T>>>,
    /// Challenges of all sources.
    count: usize,
    /// The second in which all of it was looked through last.
    swept: i64,
}

/// Keeps what belongs to each challenge.
pub(super) struct Challenges<T>(Mutex<Table<T>>);

/// As many are under way as may be: try again in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyUnderWay;

impl<T> Default for Challenges<T> {
    fn default() -> Self {
        Self(Mutex::new(Table {
            sources: HashMap::new(),
            count: 0,
            swept: i64::MIN,
        }))
    }
}

impl<T> fmt::Debug for Challenges<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges(…)")
    }
}

impl<T> Table<T> {
    /// Forgets what is over, of one source. Challenges are in the order of their ends.
    fn tidy(&mut self, from: SourceKey, now: i64) {
        let Some(waiting) = self.sources.get_mut(&from) else {
            return;
        };
        while waiting.front().is_some_and(|one| !one.lives(now)) {
            waiting.pop_front();
            self.count -= 1;
        }
        if waiting.is_empty() {
            self.sources.remove(&from);
        }
    }

    /// Forgets what is over of everybody; not more than once a second, so that refusing stays cheap.
    fn sweep(&mut self, now: i64) {
        if self.swept == now {
            return;
        }
        self.swept = now;
        let mut left = 0;
        self.sources.retain(|_, waiting| {
            waiting.retain(|one| one.lives(now));
            left += waiting.len();
            !waiting.is_empty()
        });
        self.count = left;
        self.sources.shrink_to(self.sources.len() * 2);
    }
}

impl<T> Challenges<T> {
    /// Keeps a challenge's state; gives the id to ask for it with.
    pub(super) fn keep(
        &self,
        from: SourceKey,
        state: T,
        now: i64,
    ) -> Result<String, TooManyUnderWay> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.tidy(from, now);
        if all.count >= OF_ALL {
            all.sweep(now);
        }
        let own = all.sources.get(&from).map_or(0, VecDeque::len);
        if all.count >= OF_ALL || own >= OF_ONE_SOURCE {
            return Err(TooManyUnderWay);
        }
        let id = random::handle();
        all.count += 1;
        all.sources.entry(from).or_default().push_back(Waiting {
            id: id.clone(),
            expires: now + LIFE,
            state,
        });
        Ok(id)
    }

    /// Takes it. None: no such challenge from there, taken before, or too late.
    pub(super) fn take(&self, from: SourceKey, id: &str, now: i64) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.sources.get_mut(&from)?;
        let at = waiting.iter().position(|one| one.id == id)?;
        let one = waiting.remove(at)?;
        if waiting.is_empty() {
            all.sources.remove(&from);
        }
        all.count -= 1;
        one.lives(now).then_some(one.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: usize) -> SourceKey {
        let high = u64::try_from(n).unwrap();
        SourceKey::of(
            std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(high) << 64) | 1)
                .into(),
        )
    }

    fn full() -> Challenges<usize> {
        let all = Challenges::default();
        for n in 0..OF_ALL {
            all.keep(network(n + 1), n, 0).unwrap();
        }
        all
    }

    #[test]
    fn a_flood_from_very_many_networks_pushes_nobody_s_challenge_out() {
        let all = Challenges::default();
        let mine = network(0);
        let id = all.keep(mine, usize::MAX, 0).unwrap();
        let mut refused = 0;
        for n in 1..OF_ALL * 2 {
            refused += usize::from(all.keep(network(n), n, 1).is_err());
        }
        assert_eq!(refused, OF_ALL, "newcomers are what gives way");
        assert_eq!(all.take(mine, &id, LIFE - 1), Some(usize::MAX));
        assert_eq!(all.take(mine, &id, LIFE - 1), None, "once");
        assert!(all.keep(mine, 1, 2).is_ok(), "the place that came free");
    }

    #[test]
    fn what_is_over_makes_room_again() {
        let all = full();
        assert_eq!(all.keep(network(0), 1, LIFE - 1), Err(TooManyUnderWay));
        assert!(all.keep(network(0), 1, LIFE).is_ok());
        assert_eq!(all.0.lock().unwrap().sources.len(), 1);
    }

    #[test]
    fn addresses_of_one_network_share_one_small_bucket() {
        let all = Challenges::default();
        let from = |text: &str| SourceKey::of(text.parse().unwrap());
        let first = all.keep(from("2001:db8:1:2::1"), 0, 0).unwrap();
        for n in 1..OF_ONE_SOURCE {
            let address = format!("2001:db8:1:2::{n:x}");
            assert!(all.keep(from(&address), n, 0).is_ok());
        }
        let beyond = from("2001:db8:1:2:ffff::");
        assert_eq!(all.keep(beyond, 9, 0), Err(TooManyUnderWay));
        assert!(
            all.keep(from("2001:db8:1:3::1"), 9, 0).is_ok(),
            "the neighbour"
        );
        assert_eq!(all.take(beyond, &first, 1), Some(0), "the oldest lives");
        assert!(all.keep(beyond, 9, 1).is_ok());
    }

    #[test]
    fn nobody_else_s_challenge_is_taken() {
        let all = Challenges::default();
        let id = all.keep(network(1), 7, 0).unwrap();
        assert_eq!(all.take(network(2), &id, 0), None);
        assert_eq!(all.take(network(1), &id, LIFE), None, "too late");
        assert_eq!(all.0.lock().unwrap().count, 0);
    }
}
