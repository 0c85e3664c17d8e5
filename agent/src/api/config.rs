//! Trying another configuration.

use agent_api::{ConfigApplied, ConfigRequest, ConfigSettled, Difference, Problem};
use axum::{Extension, Json, extract::State};

use super::{
    Shared,
    handlers::{Answer, operator},
    reply::Body,
};
use crate::engine::Caller;

/// What applying a configuration would change; nothing is.
#[utoipa::path(post, path = "/v1/config/check", request_body = ConfigRequest,
    responses((status = 200, body = Difference), (status = 400, body = Problem),
        (status = 403, body = Problem)))]
pub(super) async fn check(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ConfigRequest>,
) -> Answer<Difference> {
    operator(&caller)?;
    Ok(Json(shared.engine.check_config(&caller, &request).await?))
}

/// Puts a configuration in force, all at once, for good or until it is not confirmed in time.
#[utoipa::path(post, path = "/v1/config/apply", request_body = ConfigRequest,
    responses((status = 200, body = ConfigApplied), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn apply(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ConfigRequest>,
) -> Answer<ConfigApplied> {
    operator(&caller)?;
    Ok(Json(shared.engine.apply_config(&caller, &request).await?))
}

/// Keeps what is on trial and writes it to the agent's configuration file.
#[utoipa::path(post, path = "/v1/config/confirm",
    responses((status = 200, body = ConfigSettled), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn confirm(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<ConfigSettled> {
    operator(&caller)?;
    Ok(Json(shared.engine.confirm_config(&caller).await?))
}

/// Undoes what is on trial.
#[utoipa::path(post, path = "/v1/config/rollback",
    responses((status = 200, body = ConfigSettled), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn rollback(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<ConfigSettled> {
    operator(&caller)?;
    Ok(Json(shared.engine.roll_config_back(&caller).await?))
}
