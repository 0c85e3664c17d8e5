//! `GET /health`: `ok`, or the name of the part that fails; while notices wait, how many and for how
//! long. The parts are asked at most every two seconds, so that the page cannot be used to load them.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};

use crate::portal::Portal;

/// The answer, for monitors.
pub(super) async fn health(State(portal): State<Arc<Portal>>) -> Response {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let seen = portal.health.look(&portal).await;
    let mails = seen.mails.map_or_else(String::new, |(count, age)| {
        format!("mail: {count} waiting, the oldest for {age} s\n")
    });
    match seen.failing {
        None => (plain, format!("ok\n{mails}")).into_response(),
        Some(part) => {
            let body = format!("{part}\n{mails}");
            (StatusCode::SERVICE_UNAVAILABLE, plain, body).into_response()
        }
    }
}
