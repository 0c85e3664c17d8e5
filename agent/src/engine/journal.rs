//! Writing audit records, one chain for all, and folding floods of refusals.

use std::collections::BTreeMap;

use agent_api::{AuditDraft, AuditKind, AuditRecord, Problem, ProblemCode, Role};
use jiff::Timestamp;

use super::{AGENT_ACTOR, Caller, Engine, ProblemBox, Turn, problem};
use crate::ledger::{Entry, Head, Writing};

/// Refusals written one by one before folding begins.
const BURST: u64 = 100;
/// Refusals written one by one for each second after that.
const PER_SECOND: u64 = 2;
/// How long like refusals are gathered before their number is written.
const FOLD_MS: i64 = 10_000;
/// Different outcomes that are counted apart; the rest are counted together.
const KEYS_MAX: usize = 64;
/// Longest text of a field; longer ones are cut. A record stays a few hundred bytes.
const TEXT_MAX: usize = 512;

/// What to do with a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Write,
    Fold,
}

/// Nobody can fill the disk by being refused: beyond a budget, refusals of a kind are counted and
/// written as one record. Memory is bounded by the number of kinds and outcomes.
#[derive(Debug, Default)]
pub struct Flood {
    budget_left: Option<u64>,
    refilled_ms: i64,
    folded: BTreeMap<(String, String), (u64, i64)>,
}

impl Flood {
    /// Takes one refusal of this kind and outcome.
    pub fn take(&mut self, kind: &str, outcome: &str, now_ms: i64) -> Verdict {
        let left = self.budget_left.get_or_insert(BURST);
        let seconds = u64::try_from((now_ms - self.refilled_ms) / 1_000).unwrap_or(0);
        if seconds > 0 {
            *left = left
                .saturating_add(seconds.saturating_mul(PER_SECOND))
                .min(BURST);
            self.refilled_ms = now_ms;
        }
        if *left > 0 {
            *left -= 1;
            return Verdict::Write;
        }
        let mut key = (kind.to_owned(), outcome.to_owned());
        if self.folded.len() >= KEYS_MAX && !self.folded.contains_key(&key) {
            "other".clone_into(&mut key.1);
        }
        self.folded.entry(key).or_insert((0, now_ms)).0 += 1;
        Verdict::Fold
    }

    /// Folded refusals whose time is up: (kind, outcome, how many).
    pub fn due(&mut self, now_ms: i64) -> Vec<(String, String, u64)> {
        let due = |since: i64| now_ms - since >= FOLD_MS || now_ms < since;
        let ready: Vec<_> = self
            .folded
            .iter()
            .filter(|(_, (_, since))| due(*since))
            .map(|((kind, outcome), (count, _))| (kind.clone(), outcome.clone(), *count))
            .collect();
        self.folded.retain(|_, (_, since)| !due(*since));
        ready
    }
}

impl Engine {
    /// Appends records in the caller's transaction and commits it; tells the listeners afterwards.
    pub(super) async fn commit(
        &self,
        _turn: &mut Turn,
        writing: Writing,
        at: Timestamp,
        entries: Vec<Entry>,
    ) -> Result<(), ProblemBox> {
        self.append(writing, at, entries).await
    }

    /// The same for what needs no turn.
    pub(super) async fn append(
        &self,
        mut writing: Writing,
        at: Timestamp,
        entries: Vec<Entry>,
    ) -> Result<(), ProblemBox> {
        // Only who has the writing connection gets here, so nobody waits for this lock.
        let mut chain = self.head.lock().await;
        // Unknown until the commit is acknowledged: a failed acknowledgement can hide a commit.
        let mut head = match chain.take() {
            Some(head) => head,
            None => Head::read(&mut writing).await?,
        };
        let records = head.append(&mut writing, at, entries).await?;
        writing.commit().await?;
        *chain = Some(head);
        drop(chain);
        for record in records {
            self.tell(record);
        }
        Ok(())
    }

    fn tell(&self, record: AuditRecord) {
        // Nobody listening is no error.
        let _ = self.events.send(record);
    }

    /// Writes one record by itself.
    pub async fn note(&self, entry: Entry) -> Result<(), ProblemBox> {
        let at = self.now().wall;
        let mut turn = self.turn().await;
        let writing = self.ledger.write().await?;
        self.commit(&mut turn, writing, at, vec![entry]).await
    }

    /// Writes a refusal, or counts it when there are too many.
    pub async fn note_refusal(&self, entry: Entry) -> Result<(), ProblemBox> {
        self.take_note(entry, true).await
    }

    /// Writes one record of the many that come one by one: who waits for the disk waits together.
    async fn take_note(&self, entry: Entry, folds: bool) -> Result<(), ProblemBox> {
        let at = self.now().wall;
        let kind = kind_name(entry.kind);
        let mut turn = self.turn().await;
        if folds && turn.flood.take(&kind, &entry.outcome, at.as_millisecond()) == Verdict::Fold {
            return Ok(());
        }
        let writing = self.ledger.write_unsettled().await?;
        self.commit(&mut turn, writing, at, vec![entry]).await?;
        drop(turn);
        Ok(self.ledger.settled().await?)
    }

    /// Writes the counts of folded refusals whose time is up.
    pub async fn flush_folded(&self) -> Result<(), ProblemBox> {
        let at = self.now().wall;
        let mut turn = self.turn().await;
        let due = turn.flood.due(at.as_millisecond());
        if due.is_empty() {
            return Ok(());
        }
        let entry = |(kind, outcome, count): (String, String, u64)| Entry {
            kind: serde_json::from_value(serde_json::Value::String(kind)).ok(),
            actor: AGENT_ACTOR.into(),
            reason: Some(format!(
                "{count} like events in {} s, folded",
                FOLD_MS / 1_000
            )),
            outcome,
            count,
            ..Entry::default()
        };
        let writing = self.ledger.write().await?;
        self.commit(&mut turn, writing, at, due.into_iter().map(entry).collect())
            .await
    }

    /// Takes an event of the portal (or of its admin verbs, which run as an operator).
    pub async fn write_draft(&self, caller: &Caller, draft: AuditDraft) -> Result<(), Problem> {
        use AuditKind::{Key, Lockout, Login, Logoff, Ticket, Token, User};
        if !matches!(
            draft.kind,
            Login | Logoff | Token | Ticket | Lockout | Key | User
        ) {
            let message = "this kind of event is written by the agent itself, nobody else";
            return Err(problem(ProblemCode::Forbidden, message));
        }
        let folds = caller.role == Role::Portal && strangers_can_cause(&draft);
        let cut = |text: Option<String>| text.map(cut);
        let actor = match caller.role {
            Role::Portal => caller.name(),
            Role::Operator => format!("{} (portal)", caller.name()),
        };
        let entry = Entry {
            kind: Some(draft.kind),
            actor,
            outcome: self::cut(draft.outcome),
            user: cut(draft.user),
            source: draft.source.map(Into::into),
            service: None,
            factor: cut(draft.factor),
            token: cut(draft.token),
            reason: cut(draft.reason),
            request_id: cut(draft.request_id),
            count: 1,
        };
        let written = self.take_note(entry, folds).await;
        written.map_err(|error| error.0)
    }
}

/// Whether anybody at all can cause such a record, as often as they like: attempts that failed. What
/// people prove, what a desk or an operator does, and what ends somebody's access is never folded
/// away behind a flood of those.
fn strangers_can_cause(draft: &AuditDraft) -> bool {
    let outcome = draft.outcome.as_str();
    match draft.kind {
        AuditKind::Login => !matches!(
            outcome,
            "ok" | "enrol" | "one-more-proof" | "moved" | "joined"
        ),
        AuditKind::Ticket => !matches!(outcome, "issued" | "used" | "void" | "lost" | "recovered"),
        // Two codes that brought no token back into step.
        AuditKind::Token => draft.source.is_some() && draft.token.is_none(),
        _ => false,
    }
}

/// The word of a kind in the API.
fn kind_name(kind: Option<AuditKind>) -> String {
    match kind.map(serde_json::to_value) {
        Some(Ok(serde_json::Value::String(name))) => name,
        _ => "refuse".into(),
    }
}

/// A text without control characters and not too long.
pub(super) fn cut(text: String) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(TEXT_MAX)
        .collect()
}
