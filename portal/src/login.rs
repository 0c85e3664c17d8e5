//! The way in: limits → code with claim of its step → password → account state. A wrong code never
//! costs a bind, all refusals look and take the same, and the true reason goes to the audit only.

use agent_api::AuditKind;

use crate::{
    access,
    audit::draft,
    client_addr::ClientAddr,
    clock::Stopwatch,
    codes::CodeRefused,
    directory::{Account, Password, UserName},
    grants::GrantsError,
    limits::SourceKey,
    portal::{Failure, Portal},
    proof::{Evidence, FactorsPassed, PasswordPassed, PasswordRefused},
    store::Attempt,
    totp::Code,
};

/// What was typed, and from where.
pub(crate) struct Typed<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) code: &'a str,
    pub(crate) from: ClientAddr,
    pub(crate) request_id: &'a str,
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
    /// Seconds.
    Wait(i64),
    Locked,
    MustChange,
    DirectoryDown,
    AgentDown,
    StoreDown,
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

/// What became known on the way, for the audit.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) account: Option<Account>,
    pub(crate) token: Option<String>,
    pub(crate) note: Option<String>,
    /// The directory was asked about the password.
    pub(crate) full: bool,
}

impl Portal {
    /// Judges an attempt, records it, and holds refusals back for as long as they all take.
    pub(crate) async fn log_in(&self, typed: &Typed<'_>) -> Outcome {
        let watch = Stopwatch::started();
        let mut trace = Trace::default();
        let judged = match self.judge(typed, &mut trace).await {
            Ok(judged) => judged,
            Err(failure) => Err(self.down(typed, &failure).await),
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

    async fn judge(
        &self,
        typed: &Typed<'_>,
        trace: &mut Trace,
    ) -> Result<Result<Outcome, Refusal>, Failure> {
        let name = match self.admit(typed).await? {
            Ok(name) => name,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Asked first: while the agent is down no code is used up and no password sent.
        self.grants.services().await?;
        let now = self.now();
        let password = Password::parse(typed.password);
        let code = Code::parse(typed.code);
        let Some(account) = self.directory.find(&name).await? else {
            if self.config.portal.enrol_at_first_login
                && let Some(password) = &password
            {
                self.directory.pretend(password).await?;
            }
            return Ok(Err(Refusal::generic("unknown-user")));
        };
        trace.account = Some(account.clone());
        if let Err(refusal) = self.admit_also(&name, &account).await? {
            return Ok(Err(refusal));
        }
        let passed = match self.codes.check(&account.id, code.as_ref(), now).await? {
            Ok(passed) => passed,
            Err(CodeRefused::NoToken) => {
                return self
                    .first_login(&name, account, password.as_ref(), trace)
                    .await;
            }
            Err(CodeRefused::Wrong) => return Ok(Err(Refusal::generic("wrong-code"))),
            Err(CodeRefused::Used) => return Ok(Err(Refusal::generic("used-code"))),
        };
        trace.token = Some(passed.token().to_owned());
        trace.note = Some(format!("step {:+}", passed.offset()));
        let evidence = match password {
            Some(password) => match self.password(account, &password, trace).await? {
                Ok(right) => Evidence::PasswordAndCode(right, passed),
                Err(refusal) => return Ok(Err(refusal)),
            },
            None if typed.password.is_empty()
                && access::code_alone_is_used(&self.config.access) =>
            {
                Evidence::CodeAlone(account, passed)
            }
            None => return Ok(Err(Refusal::generic("bad-password-shape"))),
        };
        Ok(match FactorsPassed::new(evidence) {
            Some(proof) => {
                self.forgive(&name, proof.user()).await?;
                Ok(Outcome::In(proof))
            }
            None => Err(Refusal::generic("account-not-active")),
        })
    }

    pub(crate) async fn password(
        &self,
        account: Account,
        password: &Password,
        trace: &mut Trace,
    ) -> Result<Result<PasswordPassed, Refusal>, Failure> {
        trace.full = true;
        let directory = self.directory.as_ref();
        Ok(PasswordPassed::check(directory, account, password)
            .await?
            .map_err(|refused| match refused {
                PasswordRefused::Wrong(why) => Refusal::generic(why),
                PasswordRefused::State(state) => {
                    trace.note = Some(state.name().to_owned());
                    Refusal::generic("account-not-active")
                }
                PasswordRefused::MustChange => Refusal {
                    shown: Shown::MustChange,
                    reason: "password-must-change",
                },
            }))
    }

    /// Enrolment with the password alone: only where the policy says so, only for somebody who
    /// never had a token, and not after a lock-out.
    async fn first_login(
        &self,
        name: &UserName,
        account: Account,
        password: Option<&Password>,
        trace: &mut Trace,
    ) -> Result<Result<Outcome, Refusal>, Failure> {
        let allowed = self.config.portal.enrol_at_first_login
            && self
                .store
                .tokens_of(&account.id)
                .await?
                .iter()
                .all(|token| token.never_counted())
            && !self.store.is_barred(&account.id).await?;
        let (Some(password), true) = (password, allowed) else {
            return Ok(Err(Refusal::generic("no-token")));
        };
        Ok(match self.password(account, password, trace).await? {
            Ok(passed) => {
                self.forgive(name, &passed.account().name).await?;
                trace.note = Some("enrols at first log-in".into());
                Ok(Outcome::Enrol(passed))
            }
            // Not even "must change": nothing but the password was shown yet.
            Err(refusal) => Err(Refusal::generic(refusal.reason)),
        })
    }

    /// Something is down: says what, in the log and to the person, and takes the count back.
    pub(crate) async fn down(&self, typed: &Typed<'_>, failure: &Failure) -> Refusal {
        tracing::warn!(%failure, request = typed.request_id, "a log-in could not be judged");
        if let Some(name) = UserName::parse(typed.username) {
            let _ = self
                .store
                .uncount_attempt(&self.wait_key(&name.lower()))
                .await;
        }
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
