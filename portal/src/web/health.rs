//! `GET /health`: `ok`, or the name of the part that fails and nothing more; after `ok` a line with
//! what somebody should look at though people can log in. The parts are asked at most every two
//! seconds, so that the page cannot be used to load them.

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
    match (look.failing, look.warning) {
        (None, None) => (plain, "ok\n").into_response(),
        (None, Some(warning)) => (plain, format!("ok\nwarning: {warning}\n")).into_response(),
        (Some(part), _) => {
            (StatusCode::SERVICE_UNAVAILABLE, plain, format!("{part}\n")).into_response()
        }
    }
}
