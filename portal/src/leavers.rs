//! The watch for leavers: looks everybody up who has something live here, and ends what belongs to
//! people who are disabled, expired, gone, or out of the group. It ends nothing on an error, and
//! nothing when very many seem to have left at once.

mod act;
mod guard;
mod holders;
mod look;
mod report;
mod state;

pub(crate) use report::Report;
pub(crate) use state::{Condition, Watched};

use std::sync::Arc;

use tokio::time::MissedTickBehavior;

use crate::{
    audit::Audit,
    clock::{Clock, Stopwatch},
    config::Watch,
    directory::{Directory, DirectoryError},
    grants::Grants,
    lockout::Means,
    portal::Portal,
    store::{Store, StoreError},
};

/// What a round may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// End what has to end, unless there is too much of it.
    Guarded,
    /// End it, however much it is: somebody looked.
    Forced,
    /// Only say what would end.
    DryRun,
}

/// Why there was no round. Nothing ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Skipped {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a round works with.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    pub(crate) store: Store,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) grants: Arc<dyn Grants>,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
    pub(crate) watch: Watch,
}

impl Sweep {
    pub(crate) fn of(portal: &Portal) -> Self {
        Self {
            store: portal.store.clone(),
            directory: portal.directory.clone(),
            grants: portal.grants.clone(),
            audit: portal.audit.clone(),
            clock: portal.clock.clone(),
            watch: portal.config.directory.watch().clone(),
        }
    }

    fn means(&self) -> Means<'_> {
        Means {
            store: &self.store,
            grants: self.grants.as_ref(),
            audit: &self.audit,
            now: self.clock.now(),
        }
    }

    /// One round, and what became of it.
    pub(crate) async fn round(&self, mode: Mode) -> Result<Report, Skipped> {
        let watch = Stopwatch::started();
        let found = self.look().await?;
        let mut report = Report::of(&found, guard::judge(&found, &self.watch));
        match mode {
            Mode::DryRun => {}
            Mode::Forced => self.end(&found, &mut report, guard::NONE).await?,
            Mode::Guarded => {
                let held = report.held;
                self.end(&found, &mut report, held).await?;
            }
        }
        report.took_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }

    /// One round of the watch: done, noted for `directory status` and the health page, and said.
    pub(crate) async fn watched_round(&self) -> Result<(), StoreError> {
        let result = self.round(Mode::Guarded).await;
        let before = Watched::read(&self.store).await?;
        let now = self.clock.now().as_second();
        let after = before.after(&result, now);
        after.write(&self.store).await?;
        match (&result, after.condition(now, &self.watch)) {
            (Ok(report), Condition::Held { people }) => {
                tracing::error!(
                    people,
                    looked_at = report.people,
                    "very many people seem to have left at once, so nothing was ended: look at the \
                     directory, then run `sekisho-portal directory sweep --dry-run`, and with \
                     --force if they really left"
                );
                if before.held.is_none() {
                    self.record_held(report).await?;
                }
            }
            (Err(failure), _) => {
                let age_seconds = after.age(now);
                tracing::warn!(
                    %failure,
                    age_seconds,
                    "nobody was looked up in the directory; nothing ended"
                );
            }
            (Ok(report), _) if report.unclear > 0 => {
                tracing::warn!(
                    people = report.unclear,
                    "the directory gives no clear answer about some people; they stay as they are"
                );
            }
            (Ok(_), _) => {}
        }
        Ok(())
    }
}

/// Round after round, as long as the portal runs.
pub(crate) async fn watch(portal: Arc<Portal>) {
    let sweep = Sweep::of(&portal);
    let mut ticks = tokio::time::interval(sweep.watch.every.duration());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if let Err(failure) = Watched::begin(&sweep.store, portal.now().as_second()).await {
        tracing::error!(%failure, "the watch for leavers cannot note that it began");
    }
    loop {
        ticks.tick().await;
        if let Err(failure) = sweep.watched_round().await {
            tracing::error!(%failure, "the watch for leavers cannot note what it did");
        }
    }
}

#[cfg(test)]
mod tests;
