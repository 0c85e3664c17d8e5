//! One function for each path: read the request, ask the engine, answer.

use agent_api::{
    Applied, AuditChain, AuditDraft, AuditKind, AuditPage, AuditQuery, CloseRequest, Closed,
    Counters, Deny, DenyRequest, Grant, GrantPage, GrantQuery, GrantRequest, Lockdown, ModeRequest,
    Problem, ProblemCode, Role, Service, Status,
};
use axum::{Extension, Json, extract::State, http::StatusCode};
use ipnet::IpNet;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Shared,
    reply::{Body, Query, Reply},
};
use crate::{
    clock::Stopwatch,
    engine::{Caller, ProblemBox, problem},
    kernel::detach_all,
    ledger::Entry,
    metrics,
};

pub(super) type Answer<T> = Result<Json<T>, Reply>;

/// Only for operators.
pub(super) fn operator(caller: &Caller) -> Result<(), Reply> {
    match caller.role {
        Role::Operator => Ok(()),
        Role::Portal => {
            let text =
                "the portal may grant, close what it opened, and read; this is for operators";
            Err(Reply(problem(ProblemCode::Forbidden, text)))
        }
    }
}

/// How the agent is.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<Status> {
    Ok(Json(shared.engine.status(&caller).await?))
}

/// The services in force.
#[utoipa::path(get, path = "/v1/services", responses((status = 200, body = Vec<Service>)))]
pub(super) async fn services(State(shared): State<Shared>) -> Json<Vec<Service>> {
    Json(shared.engine.services())
}

/// Open grants.
#[utoipa::path(get, path = "/v1/grants", params(GrantQuery),
    responses((status = 200, body = GrantPage), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(query): Query<GrantQuery>,
) -> Answer<GrantPage> {
    Ok(Json(shared.engine.list(query).await?))
}

/// Opens or extends a grant; the reply is what the kernel map holds.
#[utoipa::path(post, path = "/v1/grants", request_body = GrantRequest,
    responses((status = 200, body = Grant), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 423, body = Problem), (status = 503, body = Problem),
        (status = 507, body = Problem)))]
pub(super) async fn grant(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<GrantRequest>,
) -> Answer<Grant> {
    Ok(Json(shared.engine.open(&caller, request).await?))
}

/// Closes holders; when the reply arrives the kernel map is changed.
#[utoipa::path(post, path = "/v1/grants/close", request_body = CloseRequest,
    responses((status = 200, body = Closed), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn close(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<CloseRequest>,
) -> Answer<Closed> {
    let arrived = Stopwatch::start();
    Ok(Json(shared.engine.close(&caller, request, arrived).await?))
}

/// Deny prefixes in force.
#[utoipa::path(get, path = "/v1/denies", responses((status = 200, body = Vec<Deny>)))]
pub(super) async fn denies(State(shared): State<Shared>) -> Answer<Vec<Deny>> {
    Ok(Json(shared.engine.denies().await?))
}

/// Denies a prefix for a while.
#[utoipa::path(post, path = "/v1/denies", request_body = DenyRequest,
    responses((status = 200, body = Deny), (status = 400, body = Problem),
        (status = 403, body = Problem)))]
pub(super) async fn deny(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<DenyRequest>,
) -> Answer<Deny> {
    Ok(Json(shared.engine.deny(&caller, request).await?))
}

/// Which denial to lift.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftRequest {
    #[schema(value_type = String)]
    prefix: IpNet,
}

/// Lifts a denial.
#[utoipa::path(post, path = "/v1/denies/lift", request_body = LiftRequest,
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn lift(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<LiftRequest>,
) -> Result<StatusCode, Reply> {
    operator(&caller)?;
    shared.engine.lift(&caller, request.prefix).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Packets by reason.
#[utoipa::path(get, path = "/v1/counters", responses((status = 200, body = Counters)))]
pub(super) async fn counters(State(shared): State<Shared>) -> Answer<Counters> {
    Ok(Json(shared.engine.counters()?))
}

/// The same and the status, for Prometheus.
#[utoipa::path(get, path = "/v1/metrics", responses((status = 200, body = String)))]
pub(super) async fn metrics(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<([(&'static str, &'static str); 1], String), Reply> {
    let status = shared.engine.status(&caller).await?;
    let text = metrics::text(&status, &shared.engine.counters()?);
    Ok(([("content-type", metrics::CONTENT_TYPE)], text))
}

/// Enforce or observe.
#[utoipa::path(put, path = "/v1/mode", request_body = ModeRequest,
    responses((status = 200, body = ModeRequest), (status = 403, body = Problem)))]
pub(super) async fn mode(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ModeRequest>,
) -> Answer<ModeRequest> {
    operator(&caller)?;
    shared.engine.set_mode(&caller, request.mode).await?;
    Ok(Json(request))
}

/// While on, no grant admits a packet.
#[utoipa::path(put, path = "/v1/lockdown", request_body = Lockdown,
    responses((status = 200, body = Lockdown), (status = 403, body = Problem)))]
pub(super) async fn lockdown(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<Lockdown>,
) -> Answer<Lockdown> {
    operator(&caller)?;
    shared.engine.set_lockdown(&caller, request.on).await?;
    Ok(Json(request))
}

/// Reads the configuration again and puts its services in force, all at once.
#[utoipa::path(post, path = "/v1/reload",
    responses((status = 200, body = Applied), (status = 400, body = Problem)))]
pub(super) async fn reload(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<Applied> {
    operator(&caller)?;
    Ok(Json(shared.engine.reload(&caller).await?))
}

/// Takes the filter off every interface and stops the agent. Traffic is no longer filtered.
#[utoipa::path(post, path = "/v1/detach",
    responses((status = 200, body = Vec<String>), (status = 403, body = Problem)))]
pub(super) async fn detach(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<Vec<String>> {
    operator(&caller)?;
    let entry = Entry::ok(AuditKind::Detach, &caller.name());
    shared
        .engine
        .note(entry)
        .await
        .map_err(|error| Reply(error.0))?;
    if let Some(keeper) = &shared.keeper {
        keeper.let_go();
    }
    let interfaces = match &shared.pins {
        Some(pins) => detach_all(pins).map_err(|error| Reply(ProblemBox::from(error).0))?,
        None => Vec::new(),
    };
    shared.detached.send_replace(true);
    Ok(Json(interfaces))
}

/// Records of the audit, oldest first.
#[utoipa::path(get, path = "/v1/audit", params(AuditQuery),
    responses((status = 200, body = AuditPage), (status = 403, body = Problem)))]
pub(super) async fn audit(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<AuditQuery>,
) -> Answer<AuditPage> {
    operator(&caller)?;
    let records = shared.engine.ledger().audit(&query).await;
    let records = records.map_err(|error| Reply(ProblemBox::from(error).0))?;
    Ok(Json(AuditPage { records }))
}

/// Writes an event of the portal.
#[utoipa::path(post, path = "/v1/audit", request_body = AuditDraft,
    responses((status = 204), (status = 403, body = Problem)))]
pub(super) async fn audit_write(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Body(draft): Body<AuditDraft>,
) -> Result<StatusCode, Reply> {
    shared.engine.write_draft(&caller, draft).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads the whole chain.
#[utoipa::path(get, path = "/v1/audit/verify",
    responses((status = 200, body = AuditChain), (status = 403, body = Problem)))]
pub(super) async fn audit_verify(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answer<AuditChain> {
    operator(&caller)?;
    let chain = shared.engine.ledger().verify().await;
    Ok(Json(
        chain.map_err(|error| Reply(ProblemBox::from(error).0))?,
    ))
}
