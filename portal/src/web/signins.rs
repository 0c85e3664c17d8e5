//! Recent log-ins of the person, so that they notice one that was not theirs.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::{
    failed::failed,
    page::{SigninRow, SigninsPage, render},
    times::Moment,
    visit::Visit,
};
use crate::{
    live::LiveCookie,
    portal::{Failure, Portal},
};

const SHOWN: i64 = 20;

/// `GET /logins`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let cookie = match visit.person() {
        Ok(cookie) => cookie,
        Err(away) => return away.into_response(),
    };
    match page(&portal, &visit, cookie).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

async fn page(portal: &Portal, visit: &Visit, cookie: &LiveCookie) -> Result<Response, Failure> {
    let words = &portal.texts.of(visit.language).logins;
    let tokens = portal.store.tokens_of(cookie.user_id()).await?;
    let attempts = portal.store.attempts(cookie.user_id(), SHOWN).await?;
    let rows = attempts
        .into_iter()
        .map(|attempt| {
            let (good, result) = match attempt.outcome.as_str() {
                "ok" | "enrol" => (true, &words.ok),
                "moved" => (true, &words.moved),
                "joined" => (true, &words.joined),
                _ => (false, &words.refused),
            };
            let name = attempt.token.and_then(|id| {
                tokens
                    .iter()
                    .find(|token| token.id == id)
                    .map(|token| token.name.clone())
            });
            SigninRow {
                at: Moment::of_second(attempt.at, portal.now(), &portal.zone, visit.language),
                source: attempt.source,
                result,
                good,
                device: name.unwrap_or_else(|| "–".to_owned()),
            }
        })
        .collect();
    let page = visit.page(portal, "/logins");
    Ok(render(visit, StatusCode::OK, &SigninsPage { page, rows }))
}
