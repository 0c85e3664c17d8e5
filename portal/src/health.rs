//! Whether the parts work: database, agent, directory, clock. The clock counts as failing while it
//! stands before a time that this portal has already seen.

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::{
    leavers::Watched,
    portal::Portal,
    store::{Store, StoreError},
};

/// How long an answer is kept, in seconds.
const KEPT: i64 = 2;
/// A clock may be stepped back this far without a word: NTP does it.
const SLACK: i64 = 5;
const LAST_SEEN: &str = "last-seen";

/// The last answer, and when.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<(i64, Look)>>);

/// How the parts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The first failing part; without it nobody can log in.
    pub(crate) failing: Option<&'static str>,
    pub(crate) warning: Option<&'static str>,
    /// How many notices wait, and for how many seconds the oldest does. A mail server that is down
    /// keeps nobody out, so it makes nothing fail.
    pub(crate) mails: Option<(i64, i64)>,
}

impl Health {
    /// The state of now, or of a moment ago.
    pub(crate) async fn look(&self, portal: &Portal) -> Look {
        let now = portal.now().as_second();
        let mut last = self.0.lock().await;
        if let Some((at, look)) = *last
            && (0..KEPT).contains(&(now - at))
        {
            return look;
        }
        let queue = portal.store.mail_queue().await.ok();
        let look = Look {
            failing: failing(portal).await,
            warning: warning(portal).await,
            mails: queue.and_then(|(count, oldest)| Some((count, now - oldest?))),
        };
        *last = Some((now, look));
        look
    }
}

/// What does not keep anybody from logging in, but somebody should look at.
async fn warning(portal: &Portal) -> Option<&'static str> {
    let watched = Watched::read(&portal.store).await.ok()?;
    let watch = portal.config.directory.watch();
    watched.condition(portal.now().as_second(), watch).word()
}

async fn failing(portal: &Portal) -> Option<&'static str> {
    if portal.clock_is_off().is_some() {
        return Some("clock");
    }
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
