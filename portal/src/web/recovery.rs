//! `POST /devices/recovery`: a new set of recovery codes, shown this once, to be printed.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use zeroize::Zeroizing;

use super::{
    access::again,
    devices::{self, Asks, back, changer},
    enrolment,
    failed::{Kind, failed},
    page::{Notice, RecoveryPage, render},
    visit::Visit,
};
use crate::{config::Opens, enrol::Origin, limits::SourceKey, portal::Portal};

pub(super) async fn make(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let cookie = match changer(&portal, &visit, Asks::RecentFull).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    if portal.config.recovery.opens == Opens::Nothing {
        return Kind::NotFound.into_response();
    }
    // A code makes an authenticator from anywhere: who may make none here makes no codes, either.
    if let Some(why) = enrolment::unfit(&portal, &visit, Origin::OwnPage) {
        let notice = Some(Notice::bad(why));
        return devices::page(&portal, &visit, cookie, StatusCode::FORBIDDEN, notice).await;
    }
    let person = (cookie.user_id(), cookie.user_name());
    // Each set is ten slow hashes, which others wait for.
    let from = match visit.from() {
        Ok(from) => from,
        Err(away) => return away.into_response(),
    };
    if portal.rates.count(SourceKey::of(from.ip())).is_err() {
        return back(&portal, &visit, cookie, "not-possible").await;
    }
    match portal.new_recovery_codes(person, Some(cookie.hash())).await {
        Ok(None) => again(&portal, &visit, cookie, "/?say=again").await,
        Ok(Some(codes)) => page(
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
