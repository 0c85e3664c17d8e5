//! How an attempt is judged, step by step, and what each step needs.

use super::{Outcome, Refusal, Second, Shown, Stopped, Trace, Typed};
use crate::{
    access,
    codes::CodeRefused,
    config::{FactorKind, Opens},
    directory::{Account, Password, UserName},
    enrol::Origin,
    limits::SourceKey,
    notices::Kind,
    otp::Code,
    portal::{Failure, Portal},
    proof::{Evidence, FactorsPassed, Held, PasswordPassed, PasswordRefused},
    recovery::RecoveryPassed,
    store::{TokenRow, TokenState},
};

impl Portal {
    pub(super) async fn judge(
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
                if let (Second::Recovery(code), Opens::Unlock) =
                    (typed.second, self.config.recovery.opens)
                {
                    // As long as for somebody who exists.
                    self.recovery_fits("", code).await?;
                }
                return Ok(Err(Refusal::generic("unknown-user")));
            }
        };
        let evidence = match typed.second {
            Second::Code(code) => match self.excepted(&account, typed, code, trace).await? {
                Some(excepted) => excepted,
                None => {
                    let (code, now) = (Code::parse(code), self.now());
                    match self.codes.check(&account.id, code.as_ref(), now).await? {
                        Ok(passed) => self.beside(account, typed, passed.into(), trace).await?,
                        Err(CodeRefused::NoToken) => {
                            let password = Password::parse(typed.password);
                            return self
                                .first_login(&name, account, password.as_ref(), typed, trace)
                                .await;
                        }
                        Err(CodeRefused::Wrong) => Err(Refusal::generic("wrong-code")),
                        Err(CodeRefused::Used) => Err(Refusal::generic("used-code")),
                    }
                }
            },
            Second::Passkey { .. } => match passkey {
                // Somebody else's passkey costs no bind, and locks nobody's account.
                Some(passed) if passed.user_id() == account.id => {
                    self.beside(account, typed, passed.into(), trace).await?
                }
                _ => Err(Refusal::generic("wrong-passkey")),
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
                // A password alone forgives no guessed codes; it only does not count itself.
                match proof.factors().has_held() {
                    true => self.forgive(&name, proof.user()).await?,
                    false => self.uncount(trace).await?,
                }
                Ok(Outcome::In(proof))
            }
            Ok(None) => Err(Refusal::generic("account-not-active")),
            Err(refusal) => Err(refusal),
        })
    }

    /// The password without a code, where an exception says so. None: none does, or there is a code.
    async fn excepted(
        &self,
        account: &Account,
        typed: &Typed<'_>,
        code: &str,
        trace: &mut Trace,
    ) -> Result<Option<Result<Evidence, Refusal>>, Failure> {
        if !code.is_empty() || typed.password.is_empty() {
            return Ok(None);
        }
        let found = self.exception_for(account, typed.from.ip()).await?;
        let (Some(exception), Some(password)) = (found, Password::parse(typed.password)) else {
            return Ok(None);
        };
        trace.token = Some(exception.id().to_owned());
        trace.note = Some("by an exception".into());
        let passed = self.password(account.clone(), &password, trace).await?;
        Ok(Some(
            passed.map(|right| Evidence::Excepted(right, exception)),
        ))
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
        trace.counted.push(name.lower());
        // Asked first: while the agent is down no code is used up and no password sent.
        self.grants.services().await?;
        let Some(account) = self.directory.find(&name).await? else {
            return Ok(Err(Stopped::Nobody));
        };
        trace.account = Some(account.clone());
        Ok(match self.admit_also(&name, &account).await? {
            Ok(()) => {
                trace.counted.push(account.name.to_lowercase());
                Ok((name, account))
            }
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
        // What an operator stopped is not gone around.
        let tokens = self.store.tokens_of(&account.id).await?;
        let stopped = |token: &TokenRow| token.is(TokenState::Suspended) && !token.own_suspension();
        if tokens.iter().any(stopped) {
            return Ok(Err(Refusal::generic("suspended-by-operator")));
        }
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
                let how = format!("recovery code, {} left", used.left());
                let person = right.account().into();
                let values = [("how", how.as_str())];
                self.notices.tell(person, Kind::RecoveryUsed, &values).await;
                trace.note = Some(how);
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
        typed: &Typed<'_>,
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
        let fits = self.may_enrol(Origin::FirstLogin, Some(typed.from.ip()));
        Ok(match self.password(account, password, trace).await? {
            Ok(passed) => {
                self.forgive(name, &passed.account().name).await?;
                // Only now: before, it would tell who has no token yet.
                if let Err(unfit) = fits {
                    return Ok(Err(unfit.into()));
                }
                trace.note = Some("enrols at first log-in".into());
                Ok(Outcome::Enrol(passed))
            }
            // Not even "must change": nothing but the password was shown yet.
            Err(refusal) => Err(Refusal::generic(refusal.reason)),
        })
    }
}
