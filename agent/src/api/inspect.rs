//! Asking the running filter.

use agent_api::{ExplainRequest, Explained, Impact, Problem, Talkers};
use axum::{Extension, Json, extract::State, http::StatusCode};

use super::{
    Shared,
    handlers::{Answer, operator},
    reply::{Body, Reply},
};
use crate::engine::Caller;

/// Why a packet passes or drops, said by the running program; nothing is counted.
#[utoipa::path(post, path = "/v1/explain", request_body = ExplainRequest,
    responses((status = 200, body = Explained), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn explain(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ExplainRequest>,
) -> Answer<Explained> {
    operator(&caller)?;
    Ok(Json(shared.engine.explain(&request).await?))
}

/// Who is dropped most, by samples.
#[utoipa::path(get, path = "/v1/drops",
    responses((status = 200, body = Talkers), (status = 403, body = Problem)))]
pub(super) async fn talkers(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<Talkers> {
    operator(&caller)?;
    Ok(Json(shared.drops.talkers()))
}

/// What observe mode let pass and enforce would not.
#[utoipa::path(get, path = "/v1/impact",
    responses((status = 200, body = Impact), (status = 403, body = Problem)))]
pub(super) async fn impact(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<Impact> {
    operator(&caller)?;
    Ok(Json(shared.engine.impact()?))
}

/// Forgets what observe mode let pass so far.
#[utoipa::path(post, path = "/v1/impact/clear",
    responses((status = 204), (status = 403, body = Problem)))]
pub(super) async fn clear_impact(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Reply> {
    operator(&caller)?;
    shared.engine.clear_impact()?;
    Ok(StatusCode::NO_CONTENT)
}
