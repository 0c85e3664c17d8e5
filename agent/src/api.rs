//! The agent's socket: HTTP/JSON under `/v1`, for the CLI, the portal and `curl --unix-socket`.
//!
//! The peer's uid, reported by the kernel, decides the role; nothing in a request can change it.
//! A request whose peer has no role gets no further than that.

mod config;
mod events;
mod handlers;
mod inspect;
mod openapi;
mod peer;
mod reply;

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post, put},
};
use tokio::{net::UnixListener, sync::watch};

use crate::{
    drops::Drops,
    engine::Engine,
    kernel::{Keeper, Pins},
};

pub use openapi::document;
pub use peer::Peer;

/// Largest body of a request, in bytes. The longest real one is a few hundred.
const BODY_MAX: usize = 64 * 1024;
/// Largest body that holds a configuration, in bytes.
const CONFIG_MAX: usize = 8 << 20;

/// What handlers share.
#[derive(Clone)]
pub struct Shared {
    pub engine: Arc<Engine>,
    pub pins: Option<Pins>,
    pub drops: Arc<Drops>,
    /// Holds the links; None in tests.
    pub keeper: Option<Keeper>,
    /// Turns true when the agent must stop because the filter was taken away.
    pub detached: watch::Sender<bool>,
}

/// The whole socket as a table.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(handlers::status))
        .route("/v1/services", get(handlers::services))
        .route("/v1/grants", get(handlers::list).post(handlers::grant))
        .route("/v1/grants/close", post(handlers::close))
        .route("/v1/denies", get(handlers::denies).post(handlers::deny))
        .route("/v1/denies/lift", post(handlers::lift))
        .route("/v1/counters", get(handlers::counters))
        .route("/v1/metrics", get(handlers::metrics))
        .route("/v1/drops", get(inspect::talkers))
        .route("/v1/drops/events", get(events::drops))
        .route("/v1/explain", post(inspect::explain))
        .route("/v1/impact", get(inspect::impact))
        .route("/v1/impact/clear", post(inspect::clear_impact))
        .route("/v1/mode", put(handlers::mode))
        .route("/v1/lockdown", put(handlers::lockdown))
        .route("/v1/reload", post(handlers::reload))
        .route(
            "/v1/config/check",
            post(config::check).layer(DefaultBodyLimit::max(CONFIG_MAX)),
        )
        .route(
            "/v1/config/apply",
            post(config::apply).layer(DefaultBodyLimit::max(CONFIG_MAX)),
        )
        .route("/v1/config/confirm", post(config::confirm))
        .route("/v1/config/rollback", post(config::rollback))
        .route("/v1/detach", post(handlers::detach))
        .route(
            "/v1/audit",
            get(handlers::audit).post(handlers::audit_write),
        )
        .route("/v1/audit/verify", get(handlers::audit_verify))
        .route("/v1/events", get(events::events))
        .route("/v1/openapi.json", get(openapi::openapi))
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::no_such_method)
        .layer(middleware::from_fn_with_state(shared.clone(), peer::admit))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another agent already listens at {0}: one machine has one agent; stop it or give this one another socket", .path.display())]
    Taken { path: PathBuf },
    #[error("cannot listen at {0}: {source}; the directory must exist and belong to the agent", .path.display())]
    Bind { path: PathBuf, source: io::Error },
}

/// Binds the socket for root and one group. A file left behind by an agent that died is replaced;
/// one that somebody listens at is not.
pub fn listen(path: &Path, group: Option<u32>) -> Result<UnixListener, SocketError> {
    let bind = |source| SocketError::Bind {
        path: path.to_owned(),
        source,
    };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(SocketError::Taken {
            path: path.to_owned(),
        });
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(bind)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(bind(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(bind)?;
    std::os::unix::fs::chown(path, None, group).map_err(bind)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(bind)?;
    Ok(listener)
}

/// Serves until `stop` turns true; requests under way are finished.
pub async fn serve(listener: UnixListener, router: Router, mut stop: watch::Receiver<bool>) {
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stopped = async move {
        // An error means that the sender is gone, which also means stop.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, service)
        .with_graceful_shutdown(stopped)
        .await
    {
        tracing::error!(%error, "the socket failed");
    }
}

#[cfg(test)]
mod tests;
