//! The way back for somebody whose authenticator is not at hand: password and recovery code, by
//! which a lost one is stopped at once and another one set up. Opens nothing by itself.

use agent_api::{AuditKind, CloseRequest};

use crate::{
    clock::Stopwatch,
    config::{Opens, Unfit},
    enrol::{Offer, Origin, Plan},
    login::{Refusal, Shown, Stopped, Trace, Typed},
    portal::{Failure, Portal},
    proof::PasswordPassed,
    store::{TokenRow, TokenState},
};

/// What happened to the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Somebody else may have it: everything it opened closes.
    Stolen,
    /// It is broken or was replaced: only another one is needed.
    Gone,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Found {
    /// The new authenticator, to be shown. None: there are too many already, or it is not the place
    /// or the time for one.
    pub(crate) offer: Option<Offer>,
    pub(crate) unfit: Option<Unfit>,
    /// Stopped tokens.
    pub(crate) suspended: u64,
    /// Closed grants; None: the agent did not answer, and they stay open until their end.
    pub(crate) closed: Option<u64>,
    /// Recovery codes left.
    pub(crate) left: i64,
}

impl Portal {
    /// Limits → recovery code → password → state → the code is used up, and then what was asked for.
    pub(crate) async fn lose(
        &self,
        typed: &Typed<'_>,
        code: &str,
        lost: Lost,
    ) -> Result<Result<Found, Shown>, Failure> {
        let watch = Stopwatch::started();
        let mut trace = Trace::default();
        let judged = self.judge_loss(typed, code, lost, &mut trace).await;
        self.conclude(
            (typed, watch, trace),
            judged,
            (AuditKind::Ticket, lost.word()),
        )
        .await
    }

    async fn judge_loss(
        &self,
        typed: &Typed<'_>,
        code: &str,
        lost: Lost,
        trace: &mut Trace,
    ) -> Result<Result<Found, Refusal>, Failure> {
        if let Err(refusal) = self.admit_source(typed.from) {
            return Ok(Err(refusal));
        }
        // What was stolen is stopped from wherever and whenever; only setting up another one waits.
        let unfit = self
            .may_enrol(Origin::Recovery, Some(typed.from.ip()))
            .err();
        if let (Lost::Gone, Some(unfit)) = (lost, unfit) {
            return Ok(Err(unfit.into()));
        }
        let (name, account) = match self.admit_person(typed.username, trace).await? {
            Ok(found) => found,
            Err(Stopped::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Stopped::Nobody) => {
                // As long as for somebody who exists.
                self.recovery_fits("", code).await?;
                return Ok(Err(Refusal::generic("unknown-user")));
            }
        };
        if self.config.recovery.opens == Opens::Nothing {
            return Ok(Err(Refusal::generic("no-recovery-codes-here")));
        }
        let before = self.store.tokens_of(&account.id).await?;
        if lost == Lost::Gone && !self.has_room(&before, stopped_one(&before)) {
            return Ok(Err(Refusal::generic("too-many-tokens")));
        }
        let (passed, used) = match self.recover(account, typed.password, code, trace).await? {
            Ok(both) => both,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.forgive(&name, &passed.account().name).await?;
        let (suspended, closed) = match lost {
            Lost::Stolen => self.stop(&passed, typed.request_id).await?,
            Lost::Gone => (0, Some(0)),
        };
        // There is always room for another one in the place of a lost one.
        let mine = self.store.tokens_of(&passed.account().id).await?;
        let full = !self.has_room(&mine, None);
        let replaces = stopped_one(&mine).filter(|_| full);
        let plan = Plan {
            replaces,
            owner: None,
        };
        let offer = match unfit {
            Some(_) => None,
            None => self
                .offer(passed.account(), Origin::Recovery, plan)
                .await?
                .ok(),
        };
        Ok(Ok(Found {
            offer,
            unfit,
            suspended,
            closed,
            left: used.left(),
        }))
    }

    /// Suspends everything a person logs in with, ends their cookies, and closes what is open.
    async fn stop(
        &self,
        passed: &PasswordPassed,
        request_id: &str,
    ) -> Result<(u64, Option<u64>), Failure> {
        let account = passed.account();
        let suspended = self.store.suspend_tokens_of(&account.id).await?;
        let request = CloseRequest {
            user: Some(account.name.clone()),
            reason: Some("the person's authenticator is lost".into()),
            request_id: Some(request_id.to_owned()),
            ..CloseRequest::default()
        };
        let closed = match self.grants.close(&request).await {
            Ok(closed) => Some(closed.count),
            Err(failure) => {
                tracing::error!(user = account.name, %failure, "grants stay open after a loss");
                None
            }
        };
        Ok((suspended, closed))
    }
}

impl Lost {
    fn word(self) -> &'static str {
        match self {
            Self::Stolen => "lost",
            Self::Gone => "recovered",
        }
    }
}

/// An authenticator that its owner has stopped: another one may take its place.
fn stopped_one(tokens: &[TokenRow]) -> Option<&str> {
    let mut stopped = tokens
        .iter()
        .filter(|token| token.is(TokenState::Suspended) && token.own_suspension());
    stopped.next().map(|token| token.id.as_str())
}
