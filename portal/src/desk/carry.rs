//! Carrying a case out, once, after everything about it was looked at. What stops somebody comes
//! first, and is done even where the rest cannot be.

use agent_api::AuditKind;

use super::{
    By, Came, CaseKind, Issue, Made, NotGiven, Refused, Tools, Whom, cases::may_log_in, give, issue,
};
use crate::{
    directory::Account,
    lockout::{Depth, LockOut},
    notices::{Kind, Person},
    portal::Failure,
    store::{CaseRow, StoreError},
    text::DeskWords,
};

/// What was done: the audit's word, and a ticket.
type Outcome = Result<(&'static str, Option<Made>), Refused>;

const NOT_CLOSED: &str = "grants-not-closed";

impl Tools<'_> {
    /// Suspends what the person logs in with, ends cookies, tickets and recovery codes, closes what
    /// is open. False: the agent did not answer.
    pub(super) async fn stop(&self, by: &By<'_>, case: &str, whom: &Whom) -> Result<bool, Failure> {
        let replaces = self.latest_token(whom).await?;
        let reason = format!("desk {case} by {}: lost phone", by.name());
        let order = LockOut {
            id: whom.id.as_deref(),
            name: &whom.name,
            depth: Depth::Suspend,
            outcome: "desk-stopped",
            reason: &reason,
            request_id: by.request_id(),
        };
        let ended = order.carry_out(self.means).await?;
        let store = self.means.store;
        store
            .note_stopped(case, replaces.as_deref(), self.now())
            .await?;
        let id = whom.id.as_deref();
        self.tell(id, &whom.name, whom.account(), told(CaseKind::Lost))
            .await?;
        if let Err(failure) = &ended.grants {
            tracing::error!(%failure, user = whom.name, "grants stay open after a loss");
        }
        Ok(ended.grants.is_ok())
    }

    /// The token that was used last: most likely the lost one, which another takes the place of.
    async fn latest_token(&self, whom: &Whom) -> Result<Option<String>, Failure> {
        let Some(id) = &whom.id else { return Ok(None) };
        let active = self.means.store.active_tokens(id).await?;
        let latest = active
            .into_iter()
            .max_by_key(|token| token.last_used.unwrap_or(token.created));
        Ok(latest.map(|token| token.id))
    }

    /// `shut`: what was to be closed so far is closed.
    pub(super) async fn carry_out(
        &self,
        by: &By<'_>,
        id: &str,
        shut: bool,
    ) -> Result<Result<Came, Refused>, Failure> {
        let store = self.means.store;
        let Some(row) = store.take_case(id, self.now()).await? else {
            return Ok(Err(Refused::Over));
        };
        let done = match CaseKind::of_word(&row.kind) {
            Some(kind) => self.act(by, kind, &row).await,
            None => Err(StoreError::Value(format!("case {:?}", row.kind)).into()),
        };
        let (outcome, ticket) = match done {
            Ok(Ok(done)) => done,
            Ok(Err(refused)) => {
                store.finish_case(id, "not-possible", None).await?;
                return Ok(Err(refused));
            }
            Err(failure) => {
                store.finish_case(id, "failed", None).await?;
                return Err(failure);
            }
        };
        let outcome = if shut { outcome } else { NOT_CLOSED };
        let issued = ticket.as_ref().map(|made| made.id.as_str());
        store.finish_case(id, outcome, issued).await?;
        Ok(Ok(Came::Done {
            case: row.id,
            ticket,
            outcome,
        }))
    }

    async fn act(&self, by: &By<'_>, kind: CaseKind, row: &CaseRow) -> Result<Outcome, Failure> {
        if kind == CaseKind::Lockout {
            return self.lock_out(by, row).await;
        }
        // As the directory knows them now; another one may have the name since.
        let whom = self.whom(&row.user_name).await?;
        let whom = whom.filter(|whom| whom.id == row.user_id);
        let Some((whom, account)) = whom.as_ref().and_then(|whom| Some((whom, whom.account()?)))
        else {
            return Ok(Err(Refused::Nobody));
        };
        let outcome = match kind {
            CaseKind::Lost | CaseKind::Enrol => {
                if !may_log_in(whom) {
                    return Ok(Err(Refused::NotActive));
                }
                return Ok(Ok(("ticket", Some(self.ticket(by, row, account).await?))));
            }
            CaseKind::Unlock => self.unlock(by, row, account).await?,
            CaseKind::Resume => self.resume(by, row, account).await?,
            CaseKind::Hardware => self.assign(by, row, account).await?,
            CaseKind::Codes => self.void_codes(by, row, account).await?,
            CaseKind::Lockout => Err(Refused::Over),
        };
        if outcome.is_ok() {
            self.tell(Some(&account.id), &account.name, Some(account), told(kind))
                .await?;
        }
        Ok(outcome.map(|word| (word, None)))
    }

    async fn ticket(&self, by: &By<'_>, row: &CaseRow, account: &Account) -> Result<Made, Failure> {
        let note = format!(
            "{} by {}: {}: {}",
            row.id,
            by.name(),
            row.evidence,
            row.note
        );
        let asked = Issue {
            account,
            seconds: self.config.limits.ticket.seconds(),
            note: &note,
            replaces: row.subject.as_deref(),
            owner: None,
            by: by.name(),
            request_id: by.request_id(),
        };
        Ok(issue(self.means, self.notices, asked).await?)
    }

    async fn unlock(
        &self,
        by: &By<'_>,
        row: &CaseRow,
        account: &Account,
    ) -> Result<Result<&'static str, Refused>, Failure> {
        let key = self.codes.pseudonym(&account.name.to_lowercase());
        let word = match self.means.store.forgive(&key).await? {
            true => "unlocked",
            false => "nothing-to-do",
        };
        let record = by.record(AuditKind::User, word, &account.name, &row.id);
        self.means.audit.write(record).await?;
        Ok(Ok(word))
    }

    async fn resume(
        &self,
        by: &By<'_>,
        row: &CaseRow,
        account: &Account,
    ) -> Result<Result<&'static str, Refused>, Failure> {
        let token = row.subject.as_deref().unwrap_or_default();
        if !self.means.store.resume_for_desk(token, &account.id).await? {
            return Ok(Err(Refused::Subject));
        }
        let mut record = by.record(AuditKind::Token, "resumed", &account.name, &row.id);
        record.token = Some(token.to_owned());
        self.means.audit.write(record).await?;
        Ok(Ok("resumed"))
    }

    async fn assign(
        &self,
        by: &By<'_>,
        row: &CaseRow,
        account: &Account,
    ) -> Result<Result<&'static str, Refused>, Failure> {
        let serial = row.subject.as_deref().unwrap_or_default();
        let parts = (self.means.store, self.codes, self.config);
        let id = match give(parts, account, serial, self.now()).await? {
            Ok(id) => id,
            Err(NotGiven::Full) => return Ok(Err(Refused::Full)),
            Err(NotGiven::NotInStock | NotGiven::Taken) => return Ok(Err(Refused::Subject)),
        };
        let why = format!("{} serial {serial}", row.id);
        let mut record = by.record(AuditKind::Token, "assigned", &account.name, &why);
        record.token = Some(id);
        self.means.audit.write(record).await?;
        Ok(Ok("assigned"))
    }

    async fn void_codes(
        &self,
        by: &By<'_>,
        row: &CaseRow,
        account: &Account,
    ) -> Result<Result<&'static str, Refused>, Failure> {
        let word = match self.means.store.void_recovery_codes(&account.id).await? {
            true => "recovery-codes-void",
            false => "nothing-to-do",
        };
        let record = by.record(AuditKind::Token, word, &account.name, &row.id);
        self.means.audit.write(record).await?;
        Ok(Ok(word))
    }

    /// Also of somebody the directory does not know any more, or while it is silent.
    async fn lock_out(&self, by: &By<'_>, row: &CaseRow) -> Result<Outcome, Failure> {
        let reason = format!(
            "desk {} by {}: {}: {}",
            row.id,
            by.name(),
            row.evidence,
            row.note
        );
        let id = row.user_id.as_deref();
        let order = LockOut {
            id,
            name: &row.user_name,
            depth: Depth::Revoke,
            outcome: "ok",
            reason: &reason,
            request_id: by.request_id(),
        };
        let ended = order.carry_out(self.means).await?;
        let person = Person {
            id,
            name: &row.user_name,
            mail: None,
        };
        self.notices.tell(person, Kind::LockedOut, &[]).await;
        self.tell(id, &row.user_name, None, told(CaseKind::Lockout))
            .await?;
        Ok(Ok(match ended.grants {
            Ok(_) => ("locked-out", None),
            Err(_) => (NOT_CLOSED, None),
        }))
    }
}

/// What the person is told.
fn told(kind: CaseKind) -> fn(&DeskWords) -> &str {
    match kind {
        CaseKind::Lost => |words| &words.told_lost,
        CaseKind::Enrol => |words| &words.told_enrol,
        CaseKind::Unlock => |words| &words.told_unlock,
        CaseKind::Resume => |words| &words.told_resume,
        CaseKind::Lockout => |words| &words.told_lockout,
        CaseKind::Hardware => |words| &words.told_hardware,
        CaseKind::Codes => |words| &words.told_codes,
    }
}
