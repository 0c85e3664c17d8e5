//! Counts for the pictures, in memory until the next round of the jobs writes them: a log-in waits for no
//! number, and a crash loses seconds of them. The audit is elsewhere and loses nothing.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, PoisonError},
};

use crate::store::{Count, Counted, Store, StoreError};

const HOUR: i64 = 3600;
/// Numbers are kept for 400 days.
const KEPT: i64 = 400 * 24 * HOUR;
/// Different numbers that wait at most. There are some forty results, and some two hundred lengths.
const MOST: usize = 4096;

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<(i64, Counted, String), i64>>);

impl Counters {
    /// `name`: one of few, never what somebody typed.
    pub(crate) fn note(&self, kind: Counted, name: &str, now: i64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (now.div_euclid(HOUR) * HOUR, kind, name.to_owned());
        if waiting.len() < MOST || waiting.contains_key(&key) {
            *waiting.entry(key).or_default() += 1;
        }
    }

    /// Writes what waits.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let waiting = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return Ok(());
        }
        let counts: Vec<(Counted, Count)> = waiting
            .into_iter()
            .map(|((hour, kind, name), n)| (kind, Count { hour, name, n }))
            .collect();
        store.add_counts(&counts).await
    }

    /// Writes what waits and forgets what is old.
    pub(crate) async fn tidy(&self, store: &Store, now: i64) -> Result<(), StoreError> {
        self.flush(store).await?;
        store.drop_old_counts(now - KEPT).await
    }
}

/// Seconds as they are counted: one by one in the first minute, then in steps that grow.
pub(crate) fn bucket(seconds: i64) -> i64 {
    let step = match seconds {
        ..60 => 1,
        60..300 => 5,
        _ => 60,
    };
    seconds.max(0) / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_in_steps_that_grow() {
        let of = [-1, 0, 59, 60, 64, 65, 299, 300, 359, 360].map(bucket);
        assert_eq!(of, [0, 0, 59, 60, 60, 65, 295, 300, 300, 360]);
    }
}
