//! Who is on the other end of the socket.

use agent_api::{AuditKind, ProblemCode, Role};
use axum::{
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    middleware::Next,
    response::{IntoResponse as _, Response},
    serve::IncomingStream,
};
use tokio::net::UnixListener;

use super::{Shared, reply::Reply};
use crate::{
    config::Config,
    engine::{Caller, problem},
    ledger::Entry,
};

/// The uid of the process that connected (SO_PEERCRED, unix(7)); None if the kernel would not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(
            stream
                .io()
                .peer_cred()
                .ok()
                .map(|credentials| credentials.uid()),
        )
    }
}

/// None: this uid has no business here.
fn role(config: &Config, uid: u32) -> Option<Role> {
    if uid == 0 || config.operators.contains(&uid) {
        return Some(Role::Operator);
    }
    config
        .portal
        .as_ref()
        .filter(|portal| portal.uid == uid)
        .map(|_| Role::Portal)
}

/// Gives the request its caller, or refuses it.
pub(super) async fn admit(
    State(shared): State<Shared>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let config = shared.engine.state();
    let role = uid.and_then(|uid| role(&config.config, uid));
    let (Some(uid), Some(role)) = (uid, role) else {
        let who = uid.map_or("an unknown uid".into(), |uid| format!("uid {uid}"));
        let text = format!(
            "{who} may not speak to the agent; run as root, as a user listed under agent.operators, or as portal.user"
        );
        let entry = Entry {
            kind: Some(AuditKind::Refuse),
            actor: who,
            outcome: "forbidden".into(),
            reason: Some(format!("{} {}", request.method(), request.uri().path())),
            ..Entry::default()
        };
        let engine = std::sync::Arc::clone(&shared.engine);
        let noted = to_the_end(async move { engine.note_refusal(entry).await }).await;
        if let Some(Err(error)) = noted {
            tracing::error!(%error, "a refusal could not be written to the audit");
        }
        return Reply(problem(ProblemCode::Forbidden, text)).into_response();
    };
    request.extensions_mut().insert(Caller { role, uid });
    match to_the_end(next.run(request)).await {
        Some(response) => response,
        None => {
            let text = "the request failed inside the agent; see its log";
            Reply(problem(ProblemCode::Unavailable, text)).into_response()
        }
    }
}

/// Runs work that must not stop half-way because the caller hangs up: a request's future is dropped
/// with its connection, a task of its own is not. None: it panicked.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::spawn(work).await.ok()
}
