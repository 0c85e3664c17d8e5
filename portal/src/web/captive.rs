//! `GET /captive`: for how long the asking address is open, as RFC 8908 writes it, for scripts and
//! for what phones show when they join a network. Tells everybody of their own address only.

use std::sync::{Arc, LazyLock};

use agent_api::GrantQuery;
use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::visit::Visit;
use crate::{client_addr::ClientAddr, grants::GrantsError, portal::Portal};

/// Questions to the agent at once. Nobody has to prove anything here, so the page must not be able
/// to keep the agent busy.
static QUESTIONS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(4));
const RETRY_SECONDS: &str = "5";

/// The document, by the keys of RFC 8908 §5.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Captive {
    captive: bool,
    user_portal_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_remaining: Option<u64>,
    can_extend_session: bool,
}

/// The answer: 503 while nobody knows, never a guess.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let from = match visit.from() {
        Ok(from) => from,
        Err(away) => return away.into_response(),
    };
    match remaining(&portal, from).await {
        Some(Ok(seconds)) => {
            let document = Captive {
                captive: seconds.is_none(),
                user_portal_url: portal.config.portal.url(),
                seconds_remaining: seconds,
                can_extend_session: seconds.is_some(),
            };
            let kind = [(header::CONTENT_TYPE, "application/captive+json")];
            (kind, axum::Json(document)).into_response()
        }
        Some(Err(failure)) => {
            tracing::warn!(request = %visit.id, %failure, "what is open here cannot be told");
            later("agent\n")
        }
        None => later("busy\n"),
    }
}

fn later(part: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::RETRY_AFTER, RETRY_SECONDS),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, part).into_response()
}

/// Seconds until the last service shuts for this address; None in it: nothing is open. None
/// outside: too many ask.
async fn remaining(portal: &Portal, from: ClientAddr) -> Option<Result<Option<u64>, GrantsError>> {
    let _permit = QUESTIONS.try_acquire().ok()?;
    let query = GrantQuery {
        source: Some(from.ip().into()),
        ..GrantQuery::default()
    };
    let page = portal.grants.grants(&query).await;
    Some(page.map(|page| {
        page.grants
            .iter()
            .filter(|grant| grant.in_kernel)
            .map(|grant| grant.remaining_seconds)
            .filter(|seconds| *seconds > 0)
            .max()
    }))
}
