//! Tickets: redeemed by their user with the directory password, once, by a posted form. The way is
//! that of a log-in: limits → ticket → password → state, and refusals look and take the same.

use agent_api::AuditKind;
use zeroize::Zeroizing;

use crate::{
    clock::Stopwatch,
    directory::Password,
    enrol::{Offer, Origin, Plan, TooMany},
    login::{Refusal, Shown, Stopped, Trace, Typed},
    portal::{Failure, Portal},
    random,
};

impl Portal {
    /// Redeems a ticket: limits → place and time → ticket → password → state → the ticket is taken. A
    /// wrong ticket never costs a bind, and all refusals of a person look and take the same.
    pub(crate) async fn redeem(
        &self,
        typed: &Typed<'_>,
        ticket: &str,
    ) -> Result<Result<Offer, Shown>, Failure> {
        let watch = Stopwatch::started();
        let mut trace = Trace::default();
        let judged = self.judge_ticket(typed, ticket, &mut trace).await;
        self.conclude((typed, watch, trace), judged, (AuditKind::Ticket, "used"))
            .await
    }

    async fn judge_ticket(
        &self,
        typed: &Typed<'_>,
        ticket: &str,
        trace: &mut Trace,
    ) -> Result<Result<Offer, Refusal>, Failure> {
        if let Err(refusal) = self.admit_source(typed.from) {
            return Ok(Err(refusal));
        }
        // It depends on nobody's name, so it may be said to anybody; the ticket stays as it is.
        if let Err(unfit) = self.may_enrol(Origin::Ticket, Some(typed.from.ip())) {
            return Ok(Err(unfit.into()));
        }
        let (name, account) = match self.admit_person(typed.username, trace).await? {
            Ok(found) => found,
            Err(Stopped::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Stopped::Nobody) => return Ok(Err(Refusal::generic("unknown-user"))),
        };
        let now = self.now().as_second();
        let digest = random::digest(&ticket_letters(ticket));
        let Some(open) = self.store.open_ticket(&digest, &account.id, now).await? else {
            return Ok(Err(Refusal::generic("no-such-ticket")));
        };
        let Some(password) = Password::parse(typed.password) else {
            return Ok(Err(Refusal::generic("bad-password-shape")));
        };
        let passed = match self.password(account, &password, trace).await? {
            Ok(passed) => passed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Looked at before the ticket is used up for nothing.
        let tokens = self.store.tokens_of(&passed.account().id).await?;
        if !self.has_room(&tokens, open.replaces.as_deref()) {
            return Ok(Err(Refusal::generic("too-many-tokens")));
        }
        let id = passed.account().id.as_str();
        let Some(row) = self.store.take_ticket(&digest, id, now).await? else {
            return Ok(Err(Refusal::generic("no-such-ticket")));
        };
        trace.note = Some(format!(
            "{}, vouched by {}: {}",
            row.id, row.issued_by, row.note
        ));
        let own = passed.account().name.clone();
        self.forgive(&name, &own).await?;
        self.store.lift_bar(id).await?;
        let plan = Plan {
            replaces: row.replaces.as_deref(),
            owner: row.owner(),
        };
        match self.offer(passed.account(), Origin::Ticket, plan).await? {
            Ok(offer) => Ok(Ok(offer)),
            Err(TooMany) => Ok(Err(Refusal::generic("too-many-tokens"))),
        }
    }
}

/// A ticket code as stored: upper-case letters and digits only.
pub(crate) fn ticket_letters(typed: &str) -> Zeroizing<String> {
    let letters = typed.chars().take(256).filter(char::is_ascii_alphanumeric);
    Zeroizing::new(letters.map(|c| c.to_ascii_uppercase()).collect())
}
