//! Making a passkey on the devices page: the browser asks for the challenge by script, makes the
//! passkey, and posts it like any other form.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde_json::json;

use super::{
    access::again,
    devices::{Asks, back, changer},
    enrolment,
    failed::{Kind, failed},
    form::Form,
    owner::device,
    prove::under_way,
    visit::Visit,
};
use crate::{enrol::Origin, limits::SourceKey, passkeys::Made, portal::Portal};

/// `POST /devices/passkey/start`. Place and time are looked at here; the reply has two minutes.
pub(super) async fn start(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let cookie = match changer(&portal, &visit, Asks::RecentFull).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    let from = match visit.from() {
        Ok(from) => SourceKey::of(from.ip()),
        Err(away) => return away.into_response(),
    };
    if let Some(say) = enrolment::unfit(&portal, &visit, Origin::OwnPage) {
        return (StatusCode::FORBIDDEN, Json(json!({ "say": say }))).into_response();
    }
    let offered = async {
        match portal.account_of(cookie).await? {
            Some(account) => portal.offer_passkey(&account, from).await,
            None => Ok(None),
        }
    };
    match offered.await {
        Ok(Some(Ok((id, asked)))) => {
            Json(json!({ "challenge": id, "options": asked })).into_response()
        }
        Ok(Some(Err(too_many))) => under_way(&portal, &visit, too_many),
        Ok(None) => Kind::NotFound.into_response(),
        Err(failure) => failed(&visit, &failure),
    }
}

/// `POST /devices/passkey`.
pub(super) async fn make(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let cookie = match changer(&portal, &visit, Asks::RecentFull).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    let from = match visit.from() {
        Ok(from) => SourceKey::of(from.ip()),
        Err(away) => return away.into_response(),
    };
    match portal.account_of(cookie).await {
        Ok(Some(_)) => {}
        Ok(None) => return again(&portal, &visit, cookie, "/?say=again").await,
        Err(failure) => return failed(&visit, &failure),
    }
    let reply = (form.text("challenge"), form.text("passkey"));
    let made = portal
        .make_passkey(cookie, reply, device(&form), from)
        .await;
    match made {
        Ok(Made::Done) => back(&portal, &visit, cookie, "passkey-made").await,
        Ok(Made::TooMany) => back(&portal, &visit, cookie, "too-many").await,
        Ok(Made::NotFitting) => back(&portal, &visit, cookie, "passkey-not-made").await,
        Err(failure) => failed(&visit, &failure),
    }
}
