//! `POST /devices/recovery`: a new set of recovery codes, shown this once, to be printed.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use zeroize::Zeroizing;

use super::{
    devices::{Asks, changer},
    failed::{Kind, failed},
    page::{Notice, RecoveryPage, render},
    visit::Visit,
};
use crate::{config::Opens, portal::Portal};

pub(super) async fn make(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let cookie = match changer(&portal, &visit, Asks::RecentFull).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    if portal.config.recovery.opens == Opens::Nothing {
        return Kind::NotFound.into_response();
    }
    let person = (cookie.user_id(), cookie.user_name());
    match portal.new_recovery_codes(person).await {
        Ok(codes) => page(
            &portal,
            &visit,
            cookie.user_name(),
            codes,
            ("/devices", None),
        ),
        Err(failure) => failed(&visit, &failure),
    }
}

/// The page to print.
pub(super) fn page(
    portal: &Portal,
    visit: &Visit,
    user: &str,
    codes: Vec<Zeroizing<String>>,
    (next, notice): (&'static str, Option<Notice>),
) -> Response {
    let mut page = visit.page(portal, next);
    page.notices.extend(notice);
    let now = portal.now().to_zoned(portal.zone.clone());
    let page = RecoveryPage {
        owner: user.to_owned(),
        made: now.strftime("%F %R").to_string(),
        url: portal.config.portal.url(),
        codes,
        next,
        page,
    };
    render(visit, StatusCode::OK, &page)
}
