//! The way in: limits → code with claim of its step → password → account state. A wrong code never
//! costs a bind, all refusals look and take the same, and the true reason goes to the audit only.

mod judge;

use agent_api::AuditKind;

use crate::{
    audit::draft,
    client_addr::ClientAddr,
    clock::Stopwatch,
    config::Unfit,
    directory::Account,
    grants::GrantsError,
    limits::SourceKey,
    portal::{Failure, Portal},
    proof::{FactorsPassed, PasswordPassed},
    store::{Attempt, Counted},
};

/// What was typed, and from where.
pub(crate) struct Typed<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) second: Second<'a>,
    pub(crate) from: ClientAddr,
    pub(crate) request_id: &'a str,
}

/// What is shown beside the password, or in its place.
#[derive(Clone, Copy)]
pub(crate) enum Second<'a> {
    Code(&'a str),
    /// A browser's reply to one of our challenges.
    Passkey {
        challenge: &'a str,
        reply: &'a str,
    },
    Recovery(&'a str),
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    In(FactorsPassed),
    /// The password was right, the person never had a token, and the policy lets them enrol now.
    Enrol(PasswordPassed),
    Refused(Shown),
}

/// What a refused person is shown. `Generic` covers everything that depends on who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Generic,
    /// A code that was right and was taken before. Only to somebody who is in already: at the log-in
    /// it would tell who has seen a code that the rest is right, or cost the directory a bind for
    /// every such code.
    Used,
    /// Seconds.
    Wait(i64),
    Locked,
    MustChange,
    DirectoryDown,
    AgentDown,
    StoreDown,
    ClockWrong,
    /// No authenticator can be set up from there or at this time.
    Unfit(Unfit),
}

impl Shown {
    const WORDS: [(Self, &'static str); 8] = [
        (Self::Generic, "wrong"),
        (Self::Used, "used"),
        (Self::Locked, "locked"),
        (Self::MustChange, "must-change"),
        (Self::DirectoryDown, "directory"),
        (Self::AgentDown, "agent"),
        (Self::StoreDown, "store"),
        (Self::ClockWrong, "clock"),
    ];

    /// To be kept over a redirect; a wait is kept with its seconds.
    pub(crate) fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(shown, _)| *shown == self);
        found.map_or("wrong", |(_, word)| word)
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(_, own)| *own == word);
        found.map(|(shown, _)| *shown)
    }
}

/// A refusal: what is shown, and the audit's word.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) shown: Shown,
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) fn generic(reason: &'static str) -> Self {
        Self {
            shown: Shown::Generic,
            reason,
        }
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self {
            shown: Shown::Unfit(unfit),
            reason: unfit.reason(),
        }
    }
}

/// Why a person was not looked at.
#[derive(Debug)]
pub(crate) enum Stopped {
    Refused(Refusal),
    Nobody,
}

/// What became known on the way, for the audit.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) account: Option<Account>,
    pub(crate) token: Option<String>,
    pub(crate) note: Option<String>,
    /// The directory was asked about the password.
    pub(crate) full: bool,
    /// Names, in lower case, under which the attempt counts as a failure until it succeeds.
    pub(crate) counted: Vec<String>,
}

impl Portal {
    /// Judges an attempt, records it, and holds refusals back for as long as they all take.
    pub(crate) async fn log_in(&self, typed: &Typed<'_>) -> Outcome {
        let watch = Stopwatch::started();
        let mut trace = Trace::default();
        let judged = match self.judge(typed, &mut trace).await {
            Ok(judged) => judged,
            Err(failure) => Err(self.down(typed, &trace, &failure).await),
        };
        if trace.full {
            self.pace.note(watch.elapsed());
        }
        let recorded = self.record(typed, &trace, &judged).await;
        let outcome = match (judged, recorded) {
            (Ok(passed), Ok(())) => return passed,
            (Err(refusal), _) => Outcome::Refused(refusal.shown),
            (Ok(_), Err(failure)) => {
                tracing::error!(%failure, request = typed.request_id, "no record, no way in");
                Outcome::Refused(Shown::StoreDown)
            }
        };
        self.pace.hold(watch).await;
        outcome
    }

    /// Something is down: says what, in the log and to the person, and takes the count back.
    pub(crate) async fn down(
        &self,
        typed: &Typed<'_>,
        trace: &Trace,
        failure: &Failure,
    ) -> Refusal {
        tracing::warn!(%failure, request = typed.request_id, "a log-in could not be judged");
        // When the database is what is down, the count stays.
        let _ = self.uncount(trace).await;
        match failure {
            Failure::Directory(_) => Refusal {
                shown: Shown::DirectoryDown,
                reason: "directory-down",
            },
            Failure::Grants(GrantsError::Down(_) | GrantsError::Refused(_)) => Refusal {
                shown: Shown::AgentDown,
                reason: "agent-down",
            },
            _ => Refusal {
                shown: Shown::StoreDown,
                reason: "portal-down",
            },
        }
    }

    /// What follows a judged attempt that is no log-in: its record, of a kind and with a word for
    /// success, and the time that all refusals take.
    pub(crate) async fn conclude<T>(
        &self,
        (typed, watch, trace): (&Typed<'_>, Stopwatch, Trace),
        judged: Result<Result<T, Refusal>, Failure>,
        (kind, word): (AuditKind, &str),
    ) -> Result<Result<T, Shown>, Failure> {
        let judged = match judged {
            Ok(judged) => judged,
            Err(failure) => Err(self.down(typed, &trace, &failure).await),
        };
        if trace.full {
            self.pace.note(watch.elapsed());
        }
        let mut record = draft(kind, judged.as_ref().map_or_else(|r| r.reason, |_| word));
        record.user = Some(self.recorded_name(&trace, typed).await);
        record.source = Some(typed.from.ip());
        record.token = trace.token;
        record.reason = trace.note;
        record.request_id = Some(typed.request_id.to_owned());
        self.audit.write(record).await?;
        if judged.is_err() {
            self.pace.hold(watch).await;
        }
        Ok(judged.map_err(|refusal| refusal.shown))
    }

    async fn record(
        &self,
        typed: &Typed<'_>,
        trace: &Trace,
        judged: &Result<Outcome, Refusal>,
    ) -> Result<(), Failure> {
        let outcome = match judged {
            Ok(Outcome::In(_)) => "ok",
            Ok(Outcome::Enrol(_)) => "enrol",
            Ok(Outcome::Refused(_)) => "refused",
            Err(refusal) => refusal.reason,
        };
        let now = self.now().as_second();
        self.desk.counters.note(Counted::Login, outcome, now);
        let mut record = draft(AuditKind::Login, outcome);
        record.user = Some(self.recorded_name(trace, typed).await);
        record.source = Some(typed.from.ip());
        record.token = trace.token.clone();
        record.reason = trace.note.clone();
        record.request_id = Some(typed.request_id.to_owned());
        record.factor = match judged {
            Ok(Outcome::In(proof)) => Some(proof.factors().to_string()),
            Ok(Outcome::Enrol(_)) => Some("pwd".into()),
            _ => None,
        };
        self.audit.write(record).await?;
        if let Some(account) = &trace.account {
            let attempt = Attempt {
                at: self.now().as_second(),
                source: typed.from.ip().to_string(),
                outcome: outcome.to_owned(),
                token: trace.token.clone(),
            };
            self.store.add_attempt(&account.id, &attempt).await?;
        }
        if judged.is_err() {
            self.note_spray(typed, trace).await?;
        }
        Ok(())
    }

    async fn note_spray(&self, typed: &Typed<'_>, trace: &Trace) -> Result<(), Failure> {
        let user = typed.username.trim().to_lowercase();
        for kind in self
            .spray
            .note(SourceKey::of(typed.from.ip()), &user, self.now())
        {
            let mut record = draft(AuditKind::Login, kind.code());
            record.source = Some(typed.from.ip());
            record.user = Some(self.recorded_name(trace, typed).await);
            record.request_id = Some(typed.request_id.to_owned());
            record.reason = Some("within ten minutes".into());
            tracing::warn!(source = %typed.from.ip(), what = kind.code(), "spraying noticed");
            self.audit.write(record).await?;
        }
        Ok(())
    }
}
