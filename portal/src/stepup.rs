//! One more proof beside a live cookie: what a service asks for and the log-in did not show, or
//! showed too long ago. Counted and held back like a log-in; the cookie gets another value.

use agent_api::AuditKind;

use crate::{
    audit::draft,
    clock::Stopwatch,
    codes::CodeRefused,
    directory::Password,
    limits::SourceKey,
    live::{LiveCookie, More},
    login::{Refusal, Second, Shown, Trace, Typed},
    otp::Code,
    portal::{Failure, Portal},
    proof::Held,
};

/// How it ended.
#[derive(Debug)]
pub(crate) enum Raised {
    /// The cookie's new value, for the browser.
    Up(Box<(String, LiveCookie)>),
    Refused(Shown),
    /// The log-in ended meanwhile.
    Ended,
}

impl Portal {
    /// Looks at what was typed for a cookie's own person, whatever name stands in the form.
    pub(crate) async fn raise(
        &self,
        cookie: &LiveCookie,
        typed: &Typed<'_>,
    ) -> Result<Raised, Failure> {
        let watch = Stopwatch::started();
        let mut trace = Trace::default();
        let judged = match self.judge_more(cookie, typed, &mut trace).await {
            Ok(judged) => judged,
            Err(failure) => Err(self.down(typed, &trace, &failure).await),
        };
        let outcome = judged
            .as_ref()
            .map_or_else(|r| r.reason, |_| "one-more-proof");
        let mut record = draft(AuditKind::Login, outcome);
        record.user = Some(cookie.user_name().to_owned());
        record.source = Some(typed.from.ip());
        record.token = trace.token;
        record.reason = trace.note;
        record.request_id = Some(typed.request_id.to_owned());
        record.factor = match &judged {
            Ok(Some((_, raised))) => Some(raised.factors().to_string()),
            _ => None,
        };
        self.audit.write(record).await?;
        self.note_attempt(cookie, typed.from, outcome).await?;
        Ok(match judged {
            Ok(Some(raised)) => Raised::Up(Box::new(raised)),
            Ok(None) => Raised::Ended,
            Err(refusal) => {
                self.pace.hold(watch).await;
                Raised::Refused(refusal.shown)
            }
        })
    }

    /// None: the log-in ended meanwhile.
    async fn judge_more(
        &self,
        cookie: &LiveCookie,
        typed: &Typed<'_>,
        trace: &mut Trace,
    ) -> Result<Result<Option<(String, LiveCookie)>, Refusal>, Failure> {
        if let Err(refusal) = self.admit_source(typed.from) {
            return Ok(Err(refusal));
        }
        let name = match self.admit_name(cookie.user_name()).await? {
            Ok(name) => name,
            Err(refusal) => return Ok(Err(refusal)),
        };
        trace.counted.push(name.lower());
        let Some(account) = self.account_of(cookie).await? else {
            return Ok(Ok(None));
        };
        // Something held first: a wrong code costs no bind.
        let held = match self.held(cookie, typed).await? {
            Ok(held) => held,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(held) = &held {
            trace.token = Some(held.token().to_owned());
            trace.note = Some(held.note().to_owned());
        }
        let password = match typed.password {
            "" => None,
            typed => match Password::parse(typed) {
                Some(password) => match self.password(account, &password, trace).await? {
                    Ok(passed) => Some(passed),
                    Err(refusal) => return Ok(Err(refusal)),
                },
                None => return Ok(Err(Refusal::generic("bad-password-shape"))),
            },
        };
        if held.is_none() && password.is_none() {
            return Ok(Err(Refusal::generic("nothing-shown")));
        }
        let by_held = held.is_some();
        let shown = held.map(More::Held).into_iter();
        let mut raised: Option<(String, LiveCookie)> = None;
        for more in shown.chain(password.map(More::Password)) {
            let present = raised.as_ref().map_or(cookie, |(_, raised)| raised);
            raised = present.raise(&self.store, more, self.now()).await?;
            if raised.is_none() {
                return Ok(Ok(None));
            }
        }
        match by_held {
            true => self.forgive(&name, cookie.user_name()).await?,
            false => self.uncount(trace).await?,
        }
        Ok(Ok(raised))
    }

    /// None: nothing of the kind was typed.
    async fn held(
        &self,
        cookie: &LiveCookie,
        typed: &Typed<'_>,
    ) -> Result<Result<Option<Held>, Refusal>, Failure> {
        Ok(match typed.second {
            Second::Code(code) if code.trim().is_empty() => Ok(None),
            Second::Code(code) => {
                let (code, now) = (Code::parse(code), self.now());
                let checked = self.codes.check(cookie.user_id(), code.as_ref(), now);
                match checked.await? {
                    Ok(passed) => Ok(Some(passed.into())),
                    Err(CodeRefused::Used) => Err(Refusal {
                        shown: Shown::Used,
                        reason: "used-code",
                    }),
                    Err(_) => Err(Refusal::generic("wrong-code")),
                }
            }
            Second::Passkey { challenge, reply } => {
                let from = SourceKey::of(typed.from.ip());
                match self.check_passkey((challenge, reply), from).await? {
                    Some(passed) if passed.user_id() == cookie.user_id() => Ok(Some(passed.into())),
                    _ => Err(Refusal::generic("wrong-passkey")),
                }
            }
            Second::Recovery(_) => Err(Refusal::generic("recovery-code-not-for-this")),
        })
    }
}
