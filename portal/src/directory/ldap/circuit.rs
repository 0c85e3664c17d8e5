//! Remembers which servers did not answer, so that not every log-in waits for the same dead one.
//! After a rest one attempt goes there again, and only one.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a server that failed is left alone.
const REST: Duration = Duration::from_secs(5);

/// What is known of the servers, by their place in the configuration.
#[derive(Debug)]
pub(super) struct Circuit(Mutex<Vec<Option<Duration>>>);

impl Circuit {
    pub(super) fn new(servers: usize) -> Self {
        Self(Mutex::new(vec![None; servers]))
    }

    /// Notes that a server failed at `now`, which any clock that never goes back may tell.
    pub(super) fn failed(&self, server: usize, now: Duration) {
        self.with(server, |since| *since = Some(now));
    }

    pub(super) fn answered(&self, server: usize) {
        self.with(server, |since| *since = None);
    }

    /// True: it failed and nobody has reached it since.
    pub(super) fn is_dead(&self, server: usize) -> bool {
        self.with(server, |since| since.is_some()).unwrap_or(false)
    }

    /// Ok: go there. Err: how long it is left alone still. Whoever comes first after the rest goes,
    /// the others wait for what becomes of that.
    pub(super) fn may_try(&self, server: usize, now: Duration) -> Result<(), Duration> {
        let left = self.with(server, |since| {
            let failed = (*since)?;
            let left = REST.saturating_sub(now.saturating_sub(failed));
            if left.is_zero() {
                *since = Some(now);
                return None;
            }
            Some(left)
        });
        left.flatten().map_or(Ok(()), Err)
    }

    fn with<T>(&self, server: usize, work: impl FnOnce(&mut Option<Duration>) -> T) -> Option<T> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get_mut(server).map(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_server_that_failed_is_left_alone_and_then_tried_by_one() {
        let circuit = Circuit::new(2);
        assert_eq!(circuit.may_try(0, at(100)), Ok(()));
        circuit.failed(0, at(100));
        assert!(circuit.is_dead(0) && !circuit.is_dead(1));
        assert_eq!(circuit.may_try(0, at(102)), Err(at(3)));
        assert_eq!(circuit.may_try(1, at(102)), Ok(()));
        assert_eq!(circuit.may_try(0, at(105)), Ok(()), "the rest is over");
        assert_eq!(circuit.may_try(0, at(105)), Err(at(5)), "one is enough");
        circuit.answered(0);
        assert!(!circuit.is_dead(0));
        assert_eq!(circuit.may_try(0, at(105)), Ok(()));
    }

    #[test]
    fn a_clock_that_stands_or_jumps_far_shuts_nobody_out_for_ever() {
        let circuit = Circuit::new(1);
        circuit.failed(0, at(100));
        assert_eq!(circuit.may_try(0, at(100)), Err(at(5)));
        assert_eq!(circuit.may_try(0, at(90)), Err(at(5)));
        assert_eq!(circuit.may_try(0, Duration::MAX), Ok(()));
        assert_eq!(circuit.may_try(7, at(0)), Ok(()), "no such server");
    }
}
