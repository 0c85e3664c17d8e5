//! `/lost`: for somebody whose authenticator is not at hand. Shows what the recovery code allows.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};

use super::{
    enrolment,
    failed::{failed, topic},
    form::Form,
    login,
    page::{LostPage, MessagePage, Notice, render},
    ticket::enrol_page,
    typed::{name_again, remembered, typed},
    visit::Visit,
};
use crate::{
    config::Opens,
    enrol::Device,
    login::{Outcome, Second},
    lost::{Found, Lost},
    portal::Portal,
    text::fill,
};

/// `GET /lost`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    page(&portal, &visit, StatusCode::OK, remembered(&visit), None)
}

fn page(
    portal: &Portal,
    visit: &Visit,
    status: StatusCode,
    username: String,
    notice: Option<Notice>,
) -> Response {
    let mut page = visit.page(portal, "/lost");
    page.user = None;
    page.notices.extend(notice);
    let page = LostPage {
        username,
        codes: portal.config.recovery.opens != Opens::Nothing,
        unlock: portal.config.recovery.opens == Opens::Unlock,
        page,
    };
    render(visit, status, &page)
}

/// `POST /lost`.
pub(super) async fn lose(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    form: Form,
) -> Response {
    let code = form.text("recovery");
    let typed = match typed(&visit, &form, Second::Recovery(code)) {
        Ok(typed) => typed,
        Err(away) => return away.into_response(),
    };
    let lost = match form.text("what") {
        "lost" => Lost::Stolen,
        "gone" => Lost::Gone,
        "unlock" => {
            let shown = match portal.log_in(&typed).await {
                Outcome::In(proof) => {
                    return login::enter(&portal, &visit, &headers, &form, proof).await;
                }
                Outcome::Refused(shown) => shown,
                // A recovery code never enrols by password alone.
                Outcome::Enrol(_) => crate::login::Shown::Generic,
            };
            return refused(&portal, &visit, &form, shown);
        }
        _ => return super::failed::Kind::Bad.into_response(),
    };
    match portal.lose(&typed, code, lost).await {
        Ok(Ok(found)) => done(&portal, &visit, lost, found),
        Ok(Err(shown)) => refused(&portal, &visit, &form, shown),
        Err(failure) => failed(&visit, &failure),
    }
}

fn refused(portal: &Portal, visit: &Visit, form: &Form, shown: crate::login::Shown) -> Response {
    let words = portal.texts.of(visit.language);
    let (status, text) = enrolment::refusal(portal, visit, shown, &words.lost.refused);
    let see = match shown {
        crate::login::Shown::Generic => "lost",
        other => topic(other),
    };
    let notice = Notice::bad(text).see(see);
    page(portal, visit, status, name_again(form), Some(notice))
}

/// Another authenticator is set up on the next page; what was stopped is said there.
fn done(portal: &Portal, visit: &Visit, lost: Lost, found: Found) -> Response {
    let words = portal.texts.of(visit.language);
    let text = match (lost, found.closed) {
        (Lost::Gone, _) => String::new(),
        (Lost::Stolen, Some(closed)) => {
            let values = [
                ("tokens", found.suspended.to_string()),
                ("grants", closed.to_string()),
            ];
            let values = values
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            fill(&words.lost.stopped, &values)
        }
        (Lost::Stolen, None) => words.lost.stopped_partly.clone(),
    };
    let left = fill(&words.lost.left, &[("left", &found.left.to_string())]);
    let next = match (&found.offer, found.unfit) {
        (Some(_), _) => words.lost.go_on.as_str(),
        (None, Some(_)) => &words.lost.elsewhere,
        (None, None) => "",
    };
    let said = [text.as_str(), next, &left].map(str::trim);
    let said: Vec<&str> = said.into_iter().filter(|part| !part.is_empty()).collect();
    let text = said.join(" ");
    match found.offer {
        Some(offer) => enrol_page(
            portal,
            visit,
            "/ticket/confirm",
            offer,
            Device::default(),
            Some(Notice::info(text)),
        ),
        None => {
            let mut page = visit.page(portal, "/");
            page.notices.push(Notice::info(text));
            let unfit = match found.unfit {
                Some(unfit) => enrolment::sentence(portal, visit, unfit),
                None => words.devices.too_many.clone(),
            };
            let message = MessagePage {
                title: &words.lost.title,
                text: &unfit,
                link: None,
                page,
            };
            render(visit, StatusCode::OK, &message)
        }
    }
}
