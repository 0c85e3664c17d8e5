//! `POST /desk/owner`: the help desk notes whose device a token is on. It changes nothing that
//! opens, so it is no case; it is recorded all the same.

use std::sync::Arc;

use agent_api::AuditKind;
use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::{case::status, gate::officer, person};
use crate::{
    desk::{Officer, Refused, Role, Whom},
    portal::{Failure, Portal},
    store::Owner,
    web::{
        failed::{Kind, failed},
        form::Form,
        owner::answer,
        page::Notice,
        visit::Visit,
    },
};

pub(super) async fn say(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    let answered = answered(&portal, &visit, &officer, &form).await;
    answered.unwrap_or_else(|failure| failed(&visit, &failure))
}

async fn answered(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    form: &Form,
) -> Result<Response, Failure> {
    let Some(whom) = portal.tools().whom(form.text("user")).await? else {
        return Ok(Kind::NotFound.into_response());
    };
    // A change and a look: nobody changes more people than they may look at.
    if !person::may_look(portal, officer) {
        return Ok(person::too_many(portal, visit));
    }
    let words = portal.texts.of(visit.language);
    let (status, notice) = match said(portal, visit, officer, &whom, form).await? {
        Ok(()) => (StatusCode::OK, Notice::good(&words.owner.saved)),
        Err(refused) => (status(refused), Notice::bad(refused.sentence(&words.desk))),
    };
    person::again(portal, visit, officer, &whom, status, notice).await
}

async fn said(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    whom: &Whom,
    form: &Form,
) -> Result<Result<(), Refused>, Failure> {
    if !officer.is(Role::Helpdesk) {
        return Ok(Err(Refused::Role));
    }
    if whom.id.as_deref() == Some(officer.id()) {
        return Ok(Err(Refused::Yourself));
    }
    let id = form.text("token");
    let Some(owner) = answer(form) else {
        return Ok(Err(Refused::Subject));
    };
    let token = portal.store.token(id).await?;
    let theirs = token.is_some_and(|token| Some(token.user_id) == whom.id);
    if !theirs || !portal.store.set_owner(id, owner).await? {
        return Ok(Err(Refused::Subject));
    }
    let by = officer.by(&visit.id);
    let mut record = by.record(
        AuditKind::Token,
        "owner-said",
        &whom.name,
        Owner::told(owner),
    );
    record.token = Some(id.to_owned());
    portal.audit.write(record).await?;
    Ok(Ok(()))
}
