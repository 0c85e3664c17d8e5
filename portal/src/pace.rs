//! How long a refusal takes, whatever the reason: at least the floor, at least as long as a slow
//! password check took lately, plus a random bit. So time does not tell which check failed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    clock::{Clock, Stopwatch},
    config::Limits,
};

const JITTER_MS: u64 = 85;
/// A stuck directory must not make every later refusal take a minute.
const SLOWEST_MS: u64 = 3_000;

/// Remembers how long full checks take.
#[derive(Debug)]
pub(crate) struct Pace {
    floor_ms: u64,
    slow_ms: AtomicU64,
    clock: Clock,
}

impl Pace {
    pub(crate) fn new(limits: &Limits, clock: Clock) -> Self {
        Self {
            floor_ms: u64::from(limits.refusal_ms.value()),
            slow_ms: AtomicU64::new(0),
            clock,
        }
    }

    /// Notes how long an attempt took that went through all checks. Falls slowly, rises at once.
    pub(crate) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_millis())
            .unwrap_or(SLOWEST_MS)
            .min(SLOWEST_MS);
        let _ = self
            .slow_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |slow| {
                Some(took.max(slow.saturating_sub(slow / 16)))
            });
    }

    /// Waits until a refusal may be answered.
    pub(crate) async fn hold(&self, since: Stopwatch) {
        let least = self.floor_ms.max(self.slow_ms.load(Ordering::Relaxed));
        let total = Duration::from_millis(least + rand::random_range(0..=JITTER_MS));
        self.clock
            .sleep(total.saturating_sub(since.elapsed()))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_full_check_is_remembered_and_forgotten_slowly() {
        let pace = Pace::new(&Limits::default(), Clock::system());
        pace.note(Duration::from_millis(800));
        pace.note(Duration::from_millis(100));
        let slow = pace.slow_ms.load(Ordering::Relaxed);
        assert!((700..800).contains(&slow), "{slow}");
        pace.note(Duration::from_secs(60));
        assert_eq!(pace.slow_ms.load(Ordering::Relaxed), SLOWEST_MS);
    }

    #[tokio::test]
    async fn no_refusal_is_faster_than_a_quarter_of_a_second() {
        let pace = Pace::new(&Limits::default(), Clock::system());
        let watch = Stopwatch::started();
        pace.hold(watch).await;
        assert!(
            watch.elapsed() >= Duration::from_millis(250),
            "{:?}",
            watch.elapsed()
        );
    }
}
