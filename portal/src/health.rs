//! Whether the parts work: database, agent, directory, clock. The clock counts as failing while it
//! stands before a time that this portal has already seen.

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::{
    portal::Portal,
    store::{Store, StoreError},
};

/// How long an answer is kept, in seconds.
const KEPT: i64 = 2;
/// A clock may be stepped back this far without a word: NTP does it.
const SLACK: i64 = 5;
const LAST_SEEN: &str = "last-seen";

/// What was seen of the parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The first failing part.
    pub(crate) failing: Option<&'static str>,
    /// Notices that wait, and for how many seconds the oldest does. A mail server that is down
    /// keeps nobody out, so it makes nothing fail.
    pub(crate) mails: Option<(i64, i64)>,
}

/// The last answer, and when.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<(i64, Seen)>>);

impl Health {
    /// The parts as they are, or were a moment ago.
    pub(crate) async fn look(&self, portal: &Portal) -> Seen {
        let now = portal.now().as_second();
        let mut last = self.0.lock().await;
        if let Some((at, seen)) = *last
            && (0..KEPT).contains(&(now - at))
        {
            return seen;
        }
        let failing = failing(portal).await;
        let queue = portal.store.mail_queue().await.ok();
        let mails = queue.and_then(|(count, oldest)| Some((count, now - oldest?)));
        let seen = Seen { failing, mails };
        *last = Some((now, seen));
        seen
    }
}

async fn failing(portal: &Portal) -> Option<&'static str> {
    match check_clock(&portal.store, portal.now()).await {
        Ok(None) => {}
        Ok(Some(_)) => return Some("clock"),
        Err(failure) => {
            tracing::error!(%failure, "health: the database fails");
            return Some("database");
        }
    }
    if let Err(failure) = portal.grants.status().await {
        tracing::warn!(%failure, "health: the agent fails");
        return Some("agent");
    }
    if let Err(failure) = portal.directory.check().await {
        tracing::warn!(%failure, "health: the directory fails");
        return Some("directory");
    }
    None
}

/// How many seconds the clock stands before the latest time this portal has seen; None: fine. A
/// time that was seen moves forward only, so the answer stays until the clock has caught up.
pub(crate) async fn check_clock(store: &Store, now: Timestamp) -> Result<Option<i64>, StoreError> {
    let now = now.as_second();
    let seen: Option<i64> = store
        .fact(LAST_SEEN)
        .await?
        .and_then(|text| text.parse().ok());
    match seen {
        Some(seen) if seen - now > SLACK => Ok(Some(seen - now)),
        Some(seen) if now - seen < 60 => Ok(None),
        _ => {
            store.set_fact(LAST_SEEN, &now.to_string()).await?;
            Ok(None)
        }
    }
}
