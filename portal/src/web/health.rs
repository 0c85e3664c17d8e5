//! `GET /health`: `ok`, or the name of the part that fails; after it, a line each with what somebody
//! should look at though people can log in, and with the notices that wait. The parts are asked at
//! most every two seconds, so that the page cannot be used to load them.

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
    let look = portal.health.look(&portal).await;
    let warning = look.warning.map(|warning| format!("warning: {warning}\n"));
    let mails = look
        .mails
        .map(|(count, age)| format!("mail: {count} waiting, the oldest for {age} s\n"));
    let more: String = [warning, mails].into_iter().flatten().collect();
    match look.failing {
        None => (plain, format!("ok\n{more}")).into_response(),
        Some(part) => {
            let body = format!("{part}\n{more}");
            (StatusCode::SERVICE_UNAVAILABLE, plain, body).into_response()
        }
    }
}
