//! Whose device it is, as forms ask for it and lists show it: `POST /devices/owner`, for a person's
//! own devices. It opens nothing, so any log-in will do.

use std::sync::Arc;

use agent_api::AuditKind;
use axum::{extract::State, response::Response};

use super::{
    devices::{Asks, back, changer},
    failed::failed,
    form::Form,
    visit::Visit,
};
use crate::{
    audit::draft,
    enrol::Device,
    live::LiveCookie,
    portal::{Failure, Portal},
    store::Owner,
    text::Words,
};

/// What a form says of a new device.
pub(super) fn device(form: &Form) -> Device<'_> {
    Device {
        name: form.text("name"),
        owner: Owner::of_word(form.text("owner")),
    }
}

/// What a form says of a device that is there. None: it is none of the three answers.
pub(super) fn answer(form: &Form) -> Option<Option<Owner>> {
    let word = form.all("owner").next()?;
    let owner = Owner::of_word(word);
    (word.is_empty() || owner.is_some()).then_some(owner)
}

/// For the person whose it is.
pub(super) fn name(owner: Owner, words: &Words) -> &str {
    match owner {
        Owner::Private => &words.owner.private,
        Owner::Company => &words.owner.company,
    }
}

/// For everybody else.
pub(super) fn name_of_theirs(owner: Owner, words: &Words) -> &str {
    match owner {
        Owner::Private => &words.owner.theirs,
        Owner::Company => &words.owner.company,
    }
}

/// `POST /devices/owner`.
pub(super) async fn say(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let cookie = match changer(&portal, &visit, Asks::AnyLogIn).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    match said(&portal, &visit, cookie, &form).await {
        Ok(true) => back(&portal, &visit, cookie, "owner-said").await,
        Ok(false) => back(&portal, &visit, cookie, "not-possible").await,
        Err(failure) => failed(&visit, &failure),
    }
}

/// False: not this person's token, or revoked.
async fn said(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    form: &Form,
) -> Result<bool, Failure> {
    let id = form.text("token");
    let Some(owner) = answer(form) else {
        return Ok(false);
    };
    let token = portal.store.token(id).await?;
    let own = token.is_some_and(|token| token.user_id == cookie.user_id());
    if !own || !portal.store.set_owner(id, owner).await? {
        return Ok(false);
    }
    let mut record = draft(AuditKind::Token, "owner-said");
    record.user = Some(cookie.user_name().to_owned());
    record.source = visit.client.ok().map(|from| from.ip());
    record.token = Some(id.to_owned());
    record.reason = Some(format!("by the person: {}", Owner::told(owner)));
    record.request_id = Some(visit.id.clone());
    portal.audit.write(record).await?;
    Ok(true)
}
