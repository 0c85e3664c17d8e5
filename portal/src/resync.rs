//! Two codes in a row bring a token back into step. The way is that of a log-in: limits → codes →
//! password, and refusals look and take the same.

use agent_api::AuditKind;

use crate::{
    clock::Stopwatch,
    directory::Password,
    login::{Refusal, Second, Shown, Stopped, Trace, Typed},
    otp::Code,
    portal::{Failure, Portal},
};

impl Portal {
    /// The first code stands in `typed`, the one after it in `next`.
    pub(crate) async fn resync(
        &self,
        typed: &Typed<'_>,
        next: &str,
    ) -> Result<Result<(), Shown>, Failure> {
        let watch = Stopwatch::started();
        let mut trace = Trace::default();
        let judged = self.judge_pair(typed, next, &mut trace).await;
        self.conclude(
            (typed, watch, trace),
            judged,
            (AuditKind::Token, "resynchronised"),
        )
        .await
    }

    async fn judge_pair(
        &self,
        typed: &Typed<'_>,
        next: &str,
        trace: &mut Trace,
    ) -> Result<Result<(), Refusal>, Failure> {
        if let Err(refusal) = self.admit_source(typed.from) {
            return Ok(Err(refusal));
        }
        let (name, account) = match self.admit_person(typed.username, trace).await? {
            Ok(found) => found,
            Err(Stopped::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Stopped::Nobody) => return Ok(Err(Refusal::generic("unknown-user"))),
        };
        let first = match typed.second {
            Second::Code(code) => Code::parse(code),
            Second::Passkey { .. } | Second::Recovery(_) => None,
        };
        let (Some(first), Some(next)) = (first, Code::parse(next)) else {
            return Ok(Err(Refusal::generic("wrong-code")));
        };
        // Looked at first, so that wrong ones cost no bind; taken last, so that nobody moves a token
        // without the password.
        let found = self
            .codes
            .find_pair(&account.id, (&first, &next), self.now())
            .await?;
        let Some(token) = found else {
            return Ok(Err(Refusal::generic("wrong-code")));
        };
        let Some(password) = Password::parse(typed.password) else {
            return Ok(Err(Refusal::generic("bad-password-shape")));
        };
        let passed = match self.password(account, &password, trace).await? {
            Ok(passed) => passed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let taken = self
            .codes
            .resync_one(&token, (&first, &next), self.now())
            .await?;
        if !taken {
            return Ok(Err(Refusal::generic("used-code")));
        }
        trace.token = Some(token.id);
        self.forgive(&name, &passed.account().name).await?;
        Ok(Ok(()))
    }
}
