//! The way in: limits → code with claim of its step → password → account state. A wrong code never
//! costs a bind, all refusals look and take the same, and the true reason goes to the audit only.

use agent_api::AuditKind;

use crate::{
    access,
    audit::draft,
    client_addr::ClientAddr,
    clock::Stopwatch,
    codes::CodeRefused,
    config::{FactorKind, Opens},
    directory::{Account, Password, UserName},
    grants::GrantsError,
    limits::SourceKey,
    otp::Code,
    portal::{Failure, Portal},
    proof::{Evidence, FactorsPassed, Held, PasswordPassed, PasswordRefused},
    recovery::RecoveryPassed,
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
    /// Seconds.
    Wait(i64),
    Locked,
    MustChange,
    DirectoryDown,
    AgentDown,
    StoreDown,
}

impl Shown {
    const WORDS: [(Self, &'static str); 6] = [
        (Self::Generic, "wrong"),
        (Self::Locked, "locked"),
        (Self::MustChange, "must-change"),
        (Self::DirectoryDown, "directory"),
        (Self::AgentDown, "agent"),
        (Self::StoreDown, "store"),
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
        if let Err(refusal) = self.admit_source(typed.from) {
            return Ok(Err(refusal));
        }
        let passkey = match typed.second {
            Second::Passkey { challenge, reply } => {
                let from = SourceKey::of(typed.from.ip());
                self.check_passkey((challenge, reply), from).await?
            }
            Second::Code(_) | Second::Recovery(_) => None,
        };
        let username = match &passkey {
            // A passkey knows whose it is.
            Some(passed) if typed.username.trim().is_empty() => passed.user_name(),
            _ => typed.username,
        };
        let (name, account) = match self.admit_person(username, trace).await? {
            Ok(found) => found,
            Err(Stopped::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Stopped::Nobody) => {
                if self.config.portal.enrol_at_first_login
                    && let Some(password) = Password::parse(typed.password)
                {
                    self.directory.pretend(&password).await?;
                }
                return Ok(Err(Refusal::generic("unknown-user")));
            }
        };
        let evidence = match typed.second {
            Second::Code(code) => {
                let (code, now) = (Code::parse(code), self.now());
                match self.codes.check(&account.id, code.as_ref(), now).await? {
                    Ok(passed) => self.beside(account, typed, passed.into(), trace).await?,
                    Err(CodeRefused::NoToken) => {
                        let password = Password::parse(typed.password);
                        return self
                            .first_login(&name, account, password.as_ref(), trace)
                            .await;
                    }
                    Err(CodeRefused::Wrong) => Err(Refusal::generic("wrong-code")),
                    Err(CodeRefused::Used) => Err(Refusal::generic("used-code")),
                }
            }
            Second::Passkey { .. } => match passkey {
                Some(passed) => self.beside(account, typed, passed.into(), trace).await?,
                None => Err(Refusal::generic("wrong-passkey")),
            },
            Second::Recovery(_) if self.config.recovery.opens != Opens::Unlock => {
                Err(Refusal::generic("recovery-code-not-for-this"))
            }
            Second::Recovery(code) => self
                .recover(account, typed.password, code, trace)
                .await?
                .map(|(password, code)| Evidence::PasswordAnd(password, code.into())),
        };
        Ok(match evidence.map(FactorsPassed::new) {
            Ok(Some(proof)) => {
                self.forgive(&name, proof.user()).await?;
                Ok(Outcome::In(proof))
            }
            Ok(None) => Err(Refusal::generic("account-not-active")),
            Err(refusal) => Err(refusal),
        })
    }

    /// The person a name belongs to, when the limits allow another attempt.
    pub(crate) async fn admit_person(
        &self,
        username: &str,
        trace: &mut Trace,
    ) -> Result<Result<(UserName, Account), Stopped>, Failure> {
        let name = match self.admit_name(username).await? {
            Ok(name) => name,
            Err(refusal) => return Ok(Err(Stopped::Refused(refusal))),
        };
        // Asked first: while the agent is down no code is used up and no password sent.
        self.grants.services().await?;
        let Some(account) = self.directory.find(&name).await? else {
            return Ok(Err(Stopped::Nobody));
        };
        trace.account = Some(account.clone());
        Ok(match self.admit_also(&name, &account).await? {
            Ok(()) => Ok((name, account)),
            Err(refusal) => Err(Stopped::Refused(refusal)),
        })
    }

    /// The password beside something held, or nothing where that is enough by itself.
    async fn beside(
        &self,
        account: Account,
        typed: &Typed<'_>,
        held: Held,
        trace: &mut Trace,
    ) -> Result<Result<Evidence, Refusal>, Failure> {
        trace.token = Some(held.token().to_owned());
        trace.note = Some(held.note().to_owned());
        let alone = match held.kind() {
            // It asked for a second factor itself.
            FactorKind::Passkey => true,
            kind => access::alone_is_used(&self.config.access, kind),
        };
        Ok(match Password::parse(typed.password) {
            Some(password) => self
                .password(account, &password, trace)
                .await?
                .map(|right| Evidence::PasswordAnd(right, held)),
            None if typed.password.is_empty() && alone => Ok(Evidence::Alone(account, held)),
            None => Err(Refusal::generic("bad-password-shape")),
        })
    }

    /// Password and recovery code of one person. The code is looked at first, so that a wrong one
    /// costs no bind, and used up last, so that a wrong password costs no code.
    pub(crate) async fn recover(
        &self,
        account: Account,
        password: &str,
        code: &str,
        trace: &mut Trace,
    ) -> Result<Result<(PasswordPassed, RecoveryPassed), Refusal>, Failure> {
        let Some(fits) = self.recovery_fits(&account.id, code).await? else {
            return Ok(Err(Refusal::generic("wrong-recovery-code")));
        };
        let Some(password) = Password::parse(password) else {
            return Ok(Err(Refusal::generic("bad-password-shape")));
        };
        let right = match self.password(account, &password, trace).await? {
            Ok(right) => right,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(match self.use_recovery_code(fits).await? {
            Some(used) => {
                trace.token = Some(used.set().to_owned());
                trace.note = Some(format!("recovery code, {} left", used.left()));
                Ok((right, used))
            }
            None => Err(Refusal::generic("used-recovery-code")),
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
