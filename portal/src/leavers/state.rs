//! What the watch knows of its own rounds: kept in the database, so that verbs can say it, and
//! judged by the time.

use serde::{Deserialize, Serialize};

use super::{Report, Skipped};
use crate::{
    config::Watch,
    store::{Store, StoreError},
};

const FACT: &str = "leavers";
/// Rounds that may be missed before it is said, and a margin in seconds.
const ROUNDS: i64 = 3;
const MARGIN: i64 = 30;

/// The rounds so far. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watched {
    /// When the portal began to watch.
    pub(crate) began: Option<i64>,
    /// When the last round ended that looked at everybody.
    pub(crate) at: Option<i64>,
    pub(crate) last: Option<Report>,
    /// Why the rounds since then came to nothing.
    pub(crate) failing: Option<String>,
    /// How many people are held back.
    pub(crate) held: Option<usize>,
}

/// How the watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Fine,
    /// Nobody was looked up for so many seconds.
    Stale {
        seconds: i64,
    },
    Held {
        people: usize,
    },
}

impl Condition {
    /// For the health page. None: nothing to say.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Fine => None,
            Self::Stale { .. } => Some("leavers-not-looked-up"),
            Self::Held { .. } => Some("leavers-held"),
        }
    }
}

impl Watched {
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let text = store.fact(FACT).await?.unwrap_or_default();
        // What another version wrote means that nothing is known.
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    pub(super) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).map_err(|e| StoreError::Value(e.to_string()))?;
        store.set_fact(FACT, &text).await
    }

    /// A portal that was down for long has not failed to look.
    pub(super) async fn begin(store: &Store, now: i64) -> Result<(), StoreError> {
        let began = Some(now);
        let before = Self::read(store).await?;
        Self { began, ..before }.write(store).await
    }

    /// How it stands after one more round.
    pub(super) fn after(&self, round: &Result<Report, Skipped>, now: i64) -> Self {
        match round {
            Ok(report) => Self {
                began: self.began,
                at: Some(now),
                last: Some(report.clone()),
                failing: None,
                held: Some(report.held_back).filter(|people| *people > 0),
            },
            Err(failure) => Self {
                failing: Some(failure.to_string()),
                ..self.clone()
            },
        }
    }

    /// Seconds since everybody was looked up, or since the portal began to.
    pub(crate) fn age(&self, now: i64) -> i64 {
        let since = self.at.max(self.began).unwrap_or(now);
        (now - since).max(0)
    }

    pub(crate) fn condition(&self, now: i64, watch: &Watch) -> Condition {
        let seconds = self.age(now);
        if seconds > watch.every.seconds() * ROUNDS + MARGIN {
            return Condition::Stale { seconds };
        }
        match self.held {
            Some(people) => Condition::Held { people },
            None => Condition::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::DirectoryError;

    fn down() -> Result<Report, Skipped> {
        Err(DirectoryError("no server".into()).into())
    }

    #[test]
    fn a_watch_that_cannot_look_grows_old_and_says_so() {
        let watch = Watch::default();
        let fresh = Watched {
            began: Some(1_000),
            ..Watched::default()
        };
        assert_eq!(fresh.condition(1_000, &watch), Condition::Fine);
        let looked = fresh.after(&Ok(Report::default()), 1_060);
        let failing = looked.after(&down(), 1_120).after(&down(), 1_180);
        assert_eq!(failing.age(1_180), 120);
        assert_eq!(failing.condition(1_270, &watch), Condition::Fine);
        let stale = Condition::Stale { seconds: 211 };
        assert_eq!(failing.condition(1_271, &watch), stale);
        assert_eq!(stale.word(), Some("leavers-not-looked-up"));
        let again = failing.after(&Ok(Report::default()), 1_300);
        assert_eq!((again.failing.as_deref(), again.age(1_300)), (None, 0));
        assert_eq!(again.condition(1_300, &watch), Condition::Fine);
        assert_eq!(again.age(900), 0, "a clock that was set back");
    }

    #[test]
    fn what_is_held_stays_held_until_a_round_says_otherwise() {
        let watch = Watch::default();
        let report = Report {
            held_back: 12,
            ..Report::default()
        };
        let held = Watched::default().after(&Ok(report), 1_000);
        assert_eq!(
            held.condition(1_000, &watch),
            Condition::Held { people: 12 }
        );
        let down = held.after(&down(), 1_060);
        assert_eq!(
            down.condition(1_060, &watch),
            Condition::Held { people: 12 }
        );
        let over = down.after(&Ok(Report::default()), 1_120);
        assert_eq!(over.condition(1_120, &watch), Condition::Fine);
    }
}
