//! A configuration in force that awaits its confirm. What was before is kept in the ledger, so
//! that an agent that comes back still finds the way back.
//!
//! The file of the agent is written by the confirm and not before. Who edits that very file and
//! applies it finds it put back by a rollback, with the tried text beside it.

use std::{path::Path, sync::Arc};

use agent_api::{AuditKind, ConfigSettled, ProblemCode, Trial};
use serde::{Deserialize, Serialize};

use super::kept;
use crate::{
    clock::Moment,
    config::{Config, Staged, sibling},
    engine::{AGENT_ACTOR, Caller, Engine, ProblemBox, Turn, problem},
    ledger::{Entry, Ledger, LedgerError, put_setting},
};

/// Name of the setting; empty: no trial.
const SETTING: &str = "trial";
/// Written by the ledger: which boot its boot times belong to.
const BOOT_ID: &str = "boot_id";
/// Shorter nobody can type; longer is no trial.
const SECONDS: std::ops::RangeInclusive<u64> = 5..=86_400;
const NS: u64 = 1_000_000_000;

/// A trial as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The text to return to.
    previous: String,
    /// The text on trial.
    next: String,
    boot_id: String,
    /// CLOCK_BOOTTIME of that boot.
    deadline_boot_ns: u64,
    by: String,
}

impl Pending {
    fn is_due(&self, now: Moment) -> bool {
        now.boot_ns >= self.deadline_boot_ns
    }
}

/// The configuration to start with: what is on trial, if its time is not up. Past it, or after a
/// reboot, it is what was before, and the trial is returned as one that is due.
pub(crate) async fn resumed(
    ledger: &Ledger,
    file: Config,
    path: &Path,
    now: Moment,
) -> Result<(Config, Option<Arc<Pending>>), LedgerError> {
    let text = ledger.setting(SETTING).await?.unwrap_or_default();
    if text.is_empty() {
        return Ok((file, None));
    }
    let Ok(mut trial) = serde_json::from_str::<Pending>(&text) else {
        tracing::error!(
            "the ledger's note of a configuration on trial cannot be read; the file counts"
        );
        return Ok((file, None));
    };
    let boot = ledger.setting(BOOT_ID).await?.unwrap_or_default();
    if boot == trial.boot_id && !trial.is_due(now) {
        match Config::parse(path, &trial.next) {
            Ok(next) => return Ok((kept(&file, next), Some(Arc::new(trial)))),
            Err(error) => {
                tracing::error!(%error, "the configuration on trial cannot be used any more")
            }
        }
    }
    trial.deadline_boot_ns = 0;
    let config = match Config::parse(path, &trial.previous) {
        // Otherwise the file was changed on purpose since.
        Ok(previous) if *file.text == *trial.next => kept(&file, previous),
        _ => file,
    };
    Ok((config, Some(Arc::new(trial))))
}

impl Engine {
    /// The trial for status and replies.
    pub(in crate::engine) fn trial(&self) -> Option<Trial> {
        let (trial, now) = (self.state().trial.clone()?, self.now());
        Some(Trial {
            rolls_back: now.wall_of(trial.deadline_boot_ns),
            remaining_seconds: trial.deadline_boot_ns.saturating_sub(now.boot_ns) / NS,
            by: trial.by.clone(),
        })
    }

    pub(super) fn trial_is_due(&self) -> bool {
        let trial = self.state().trial.clone();
        trial.is_some_and(|trial| trial.is_due(self.now()))
    }

    pub(super) fn refuse_during_trial(&self) -> Result<(), ProblemBox> {
        let Some(trial) = self.trial() else {
            return Ok(());
        };
        let text = format!(
            "a configuration applied by {} is on trial and rolls back in {} s: `sekisho confirm` or `sekisho rollback` first",
            trial.by, trial.remaining_seconds
        );
        Err(problem(ProblemCode::Conflict, text).into())
    }

    pub(super) async fn new_trial(
        &self,
        caller: &Caller,
        next: &Config,
        seconds: u64,
    ) -> Result<Pending, ProblemBox> {
        if !SECONDS.contains(&seconds) {
            let text = format!(
                "a trial lasts {} to {} seconds, not {seconds}",
                SECONDS.start(),
                SECONDS.end()
            );
            return Err(problem(ProblemCode::BadRequest, text).into());
        }
        Ok(Pending {
            previous: self.state().config.text.to_string(),
            next: next.text.to_string(),
            boot_id: self.ledger.setting(BOOT_ID).await?.unwrap_or_default(),
            deadline_boot_ns: self
                .now()
                .boot_ns
                .saturating_add(seconds.saturating_mul(NS)),
            by: caller.name(),
        })
    }

    /// Writes what happened, together with the trial there is from now on.
    pub(super) async fn record(
        &self,
        turn: &mut Turn,
        trial: Option<&Pending>,
        entry: Entry,
    ) -> Result<(), ProblemBox> {
        let text = match trial.map(serde_json::to_string) {
            None => String::new(),
            Some(Ok(text)) => text,
            Some(Err(error)) => {
                return Err(problem(ProblemCode::Unavailable, error.to_string()).into());
            }
        };
        let mut writing = self.ledger.write().await?;
        put_setting(&mut writing, SETTING, &text).await?;
        self.commit(turn, writing, self.now().wall, vec![entry])
            .await
    }

    /// After a trial that could not be put in force.
    pub(super) async fn forget_trial(&self) {
        let work = async {
            let mut writing = self.ledger.write().await?;
            put_setting(&mut writing, SETTING, "").await?;
            writing.commit().await?;
            Ok::<(), LedgerError>(())
        };
        if let Err(error) = work.await {
            tracing::error!(%error, "a trial that failed could not be forgotten: the next start would take it up");
        }
    }

    fn the_trial(&self) -> Result<Arc<Pending>, ProblemBox> {
        self.state().trial.clone().ok_or_else(|| {
            let text = "no configuration is on trial: only `sekisho apply FILE --confirm-within` begins one, and it may have ended meanwhile; see `sekisho audit`";
            problem(ProblemCode::Conflict, text).into()
        })
    }

    pub(super) async fn confirm(
        &self,
        turn: &mut Turn,
        caller: &Caller,
    ) -> Result<ConfigSettled, ProblemBox> {
        let trial = self.the_trial()?;
        if self.trial_is_due() {
            let text = "too late: the time is up and it is being rolled back; apply it again";
            return Err(problem(ProblemCode::Conflict, text).into());
        }
        Staged::prepare(&self.config_path, &trial.next)
            .and_then(Staged::put)
            .map_err(|error| self.unwritable(&error))?;
        let entry = Entry {
            reason: Some(format!("applied by {}", trial.by)),
            ..Entry::ok(AuditKind::Confirm, &caller.name())
        };
        self.record(turn, None, entry).await?;
        self.replace_state(|state| state.trial = None);
        Ok(ConfigSettled {
            file: self.config_path.display().to_string(),
            written: true,
            notes: vec!["what was on trial stays in force".into()],
        })
    }

    /// The kernel first: who is locked out by a trial must not wait for a disk that is full. Until
    /// the record is written the trial stays due, and this is done again.
    pub(super) async fn undo(
        &self,
        turn: &mut Turn,
        actor: &str,
        why: &str,
    ) -> Result<ConfigSettled, ProblemBox> {
        let trial = self.the_trial()?;
        let previous = Config::parse(&self.config_path, &trial.previous)
            .or_else(|_| Config::load(&self.config_path))
            .map_err(|error| problem(ProblemCode::Unavailable, error.to_string()))?;
        // Every service of the text before has its number already.
        let ids = self.state().ids.clone();
        self.put_config(self.prepare_with(previous, ids)?)?;
        let closed = self.close_unknown_services(turn).await;
        let mut settled = self.settle(turn, &trial, actor, why).await?;
        let closed = closed?;
        if closed > 0 {
            settled.notes.push(format!(
                "{closed} holders of services that are gone again were closed"
            ));
        }
        Ok(settled)
    }

    /// At start: the configuration before is in force again, and that is recorded.
    pub(super) async fn settle_overdue(&self, turn: &mut Turn) -> Result<(), ProblemBox> {
        let Some(trial) = self.state().trial.clone().filter(|_| self.trial_is_due()) else {
            return Ok(());
        };
        let why = "its time was up, or the machine rebooted, while no agent ran";
        let settled = self.settle(turn, &trial, AGENT_ACTOR, why).await?;
        tracing::warn!(
            notes = settled.notes.join("; "),
            "a configuration on trial was not confirmed and is rolled back"
        );
        Ok(())
    }

    async fn settle(
        &self,
        turn: &mut Turn,
        trial: &Pending,
        actor: &str,
        why: &str,
    ) -> Result<ConfigSettled, ProblemBox> {
        let (written, note) = self.put_file_back(trial);
        let entry = Entry {
            reason: Some(format!("{why}; applied by {}; {note}", trial.by)),
            ..Entry::ok(AuditKind::Rollback, actor)
        };
        self.record(turn, None, entry).await?;
        self.replace_state(|state| state.trial = None);
        Ok(ConfigSettled {
            file: self.config_path.display().to_string(),
            written,
            notes: vec![
                "the configuration before is in force again".into(),
                note,
                "grants that the trial closed stay closed".into(),
            ],
        })
    }

    /// The file must not bring at the next restart what was just rolled back.
    fn put_file_back(&self, trial: &Pending) -> (bool, String) {
        let path = &self.config_path;
        let name = path.display();
        match std::fs::read_to_string(path) {
            Ok(text) if text == trial.next && text != trial.previous => {
                let tried = sibling(path, ".rolled-back");
                let done = Staged::prepare(path, &trial.previous).and_then(|staged| {
                    std::fs::write(&tried, &trial.next)?;
                    staged.put()
                });
                match done {
                    Ok(()) => (
                        true,
                        format!(
                            "{name} held the tried text and holds the one before again; the tried one is {}",
                            tried.display()
                        ),
                    ),
                    Err(error) => {
                        tracing::error!(%error, "{name} holds what was rolled back and cannot be written");
                        (
                            false,
                            format!(
                                "{name} holds the tried text and cannot be written ({error}): correct it, or the next restart brings it back"
                            ),
                        )
                    }
                }
            }
            Ok(text) if text != trial.previous => (
                false,
                format!("{name} was edited meanwhile and is left as it is"),
            ),
            _ => (false, format!("{name} is as it was")),
        }
    }
}
