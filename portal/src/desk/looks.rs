//! How many people one member of the desk may look up within an hour. The desk is few, so everybody
//! of it is remembered for that hour.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

const WINDOW: i64 = 3600;

/// Counts look-ups.
#[derive(Debug)]
pub(crate) struct LookUps {
    per_hour: u32,
    /// By officer: when their hour began, and how many since.
    counted: Mutex<HashMap<String, (i64, u32)>>,
}

impl LookUps {
    pub(crate) fn new(per_hour: u32) -> Self {
        Self {
            per_hour,
            counted: Mutex::default(),
        }
    }

    /// Counts one. False: too many within this hour.
    pub(crate) fn count(&self, officer: &str, now: i64) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.retain(|_, (begin, _)| now - *begin < WINDOW);
        let (_, count) = counted.entry(officer.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= self.per_hour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_within_an_hour_is_refused_to_that_officer_only() {
        let looks = LookUps::new(2);
        assert!(looks.count("a", 0) && looks.count("a", 10));
        assert!(!looks.count("a", 3599));
        assert!(looks.count("b", 3599));
        assert!(looks.count("a", 3600), "another hour");
    }
}
