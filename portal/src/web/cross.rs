//! Showing that the same browser has an address of the other family: `/cross` gives a ticket to
//! take to the portal's other name, `/cross/arrive` there gives a receipt for it, `/cross/return`
//! takes the receipt with the cookie. A script is answered in JSON, everybody else with pages whose
//! buttons do the same. Only the portal's own names may send a browser to the last two.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    access::{notices, opened_words},
    failed::failed,
    form::Form,
    page::{CrossPage, Tone, render},
    visit::Visit,
};
use crate::{
    crossing::Back,
    family::Family,
    portal::{Failure, Portal},
    text::fill,
};

/// Pages of a crossing say where they come from, and nothing more: the other name looks at it.
const SAY_ORIGIN: (HeaderName, HeaderValue) = (
    header::REFERRER_POLICY,
    HeaderValue::from_static("strict-origin"),
);

/// What another of the portal's names may send a browser to.
pub(super) fn from_other_names() -> Router<Arc<Portal>> {
    Router::new()
        .route("/cross/arrive", post(arrive))
        .route("/cross/return", post(come_back))
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .is_some_and(|value| value == "application/json")
}

/// `POST /cross`: from here, with the cookie.
pub(super) async fn leave(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
) -> Response {
    let (cookie, from) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(from)) => (cookie, from),
        (Err(away), _) | (_, Err(away)) => return away.into_response(),
    };
    let start = match portal.start_crossing(cookie, from).await {
        Ok(Some(start)) => start,
        Ok(None) => return super::failed::Kind::NotFound.into_response(),
        Err(failure) => return failed(&visit, &failure),
    };
    let to = format!("{}/cross/arrive", start.to.as_str());
    if wants_json(&headers) {
        return axum::Json(json!({ "to": to, "ticket": start.ticket })).into_response();
    }
    let page = visit.page(&portal, "/access");
    let words = &page.t.cross;
    let named = |text: &str| fill(text, &[("family", start.family.name())]);
    let page = CrossPage {
        title: named(&words.go_title),
        text: named(&words.go_text),
        action: Some(to),
        field: ("ticket", start.ticket),
        button: words.go.clone(),
        page,
    };
    ([SAY_ORIGIN], render(&visit, StatusCode::OK, &page)).into_response()
}

/// `POST /cross/arrive`: at the other name, without a cookie.
async fn arrive(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    form: Form,
) -> Response {
    let from = match visit.from() {
        Ok(from) => from,
        Err(away) => return away.into_response(),
    };
    let receipt = match portal.arrive(form.text("ticket"), from).await {
        Ok(receipt) => receipt,
        Err(failure) => return failed(&visit, &failure),
    };
    let origin = headers.get(header::ORIGIN).filter(|origin| {
        let ours = portal.config.origins();
        ours.iter().any(|ours| *origin == ours.as_str())
    });
    if wants_json(&headers) {
        let document = match receipt {
            Some(receipt) => json!({ "receipt": receipt }),
            None => json!({ "refused": true }),
        };
        let vary = (header::VARY, HeaderValue::from_static("origin"));
        let allow = origin.map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        let headers: HeaderMap = std::iter::once(vary).chain(allow).collect();
        return (headers, axum::Json(document)).into_response();
    }
    let back = origin.and_then(|origin| origin.to_str().ok());
    let back = back.map_or_else(|| portal.config.portal.url(), str::to_owned);
    let mut page = visit.page(&portal, "/");
    page.user = None;
    let words = &page.t.cross;
    let (family, address) = (Family::of(from.ip()).name(), from.ip().to_string());
    let named = |text: &str| fill(text, &[("family", family), ("address", &address)]);
    let text = match receipt {
        Some(_) => &words.seen,
        None => &words.stale,
    };
    let page = CrossPage {
        title: named(&words.seen_title),
        text: named(text),
        action: Some(format!("{back}/cross/return")),
        field: ("receipt", receipt.unwrap_or_default()),
        button: words.back.clone(),
        page,
    };
    ([SAY_ORIGIN], render(&visit, StatusCode::OK, &page)).into_response()
}

/// `POST /cross/return`: back where the cookie is. Browsers do not send it along when they come
/// from another site, so that without it one more button, from this very site, asks for it.
async fn come_back(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    form: Form,
) -> Response {
    if visit.cookie.is_none() && !form.has("asked") {
        return ask_again(&portal, &visit, form.text("receipt"));
    }
    match back(&portal, &visit, &headers, &form).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

fn ask_again(portal: &Portal, visit: &Visit, receipt: &str) -> Response {
    let page = visit.page(portal, "/access");
    let words = &page.t.cross;
    let (text, button) = match receipt.is_empty() {
        true => (&words.stale, &words.back),
        false => (&words.confirm, &words.confirm_button),
    };
    let page = CrossPage {
        title: words.confirm_title.clone(),
        text: text.clone(),
        action: None,
        field: ("receipt", receipt.to_owned()),
        button: button.clone(),
        page,
    };
    render(visit, StatusCode::OK, &page)
}

async fn back(
    portal: &Portal,
    visit: &Visit,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Response, Failure> {
    let (cookie, from) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(from)) => (cookie, from),
        (Err(away), _) | (_, Err(away)) => return Ok(away.into_response()),
    };
    let receipt = form.text("receipt");
    let said = match portal.come_back(cookie, from, receipt, &visit.id).await? {
        Back::Joined(family, opened) => {
            let joined = format!("joined-{}", family.word());
            match opened_words(&joined, &opened) {
                words if words.is_empty() => format!("{joined}:"),
                words => words,
            }
        }
        Back::Stale => "cross-stale:".to_owned(),
        Back::Moved => "cross-moved:".to_owned(),
        Back::Ended => return Ok(Redirect::to("/?say=again").into_response()),
    };
    if wants_json(headers) {
        let notices = notices(&said, portal.texts.of(visit.language));
        let good = notices.iter().all(|notice| notice.tone != Tone::Bad);
        let texts: Vec<&str> = notices.iter().map(|n| n.text.as_str()).collect();
        let document = json!({ "good": good, "said": texts.join(" ") });
        return Ok(axum::Json(document).into_response());
    }
    let id = cookie.leave_notice(&portal.store, &said).await?;
    Ok(Redirect::to(&format!("/access?n={id}")).into_response())
}
