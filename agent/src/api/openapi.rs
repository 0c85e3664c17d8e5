//! The description of the socket, made from the handlers.

use axum::Json;
use utoipa::OpenApi;

use super::{config, events, handlers, inspect};

/// Collects every path; a test compares it with the router.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "sekisho agent",
        description = "Spoken over the agent's Unix socket. The peer's uid decides what it may do. Every reply that is not 2xx is a Problem.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(
        handlers::status,
        handlers::services,
        handlers::list,
        handlers::grant,
        handlers::close,
        handlers::denies,
        handlers::deny,
        handlers::lift,
        handlers::counters,
        handlers::metrics,
        inspect::talkers,
        events::drops,
        inspect::explain,
        inspect::impact,
        inspect::clear_impact,
        handlers::mode,
        handlers::lockdown,
        handlers::reload,
        config::check,
        config::apply,
        config::confirm,
        config::rollback,
        handlers::detach,
        handlers::audit,
        handlers::audit_write,
        handlers::audit_verify,
        events::events,
    )
)]
struct Document;

/// The OpenAPI document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
