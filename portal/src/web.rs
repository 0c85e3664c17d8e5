//! The pages. Every state change is a POST, every personal page is `no-store`, every response
//! carries the same security headers; handlers decide nothing that a check elsewhere decides.

mod access;
mod captive;
mod cookies;
mod cross;
mod desk;
mod devices;
mod enrolment;
mod failed;
mod follow;
mod form;
mod headers;
mod health;
mod help;
mod login;
mod lost;
mod not_me;
mod owner;
mod page;
mod passkeys;
mod prove;
mod recovery;
mod resync;
mod signins;
mod since;
mod statics;
mod ticket;
mod times;
mod typed;
mod visit;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::{config::Origin, portal::Portal};

/// The portal as a service. Each request needs a `Peer` among its extensions.
pub(crate) fn router(portal: Arc<Portal>) -> Router {
    let policy = headers::Policies::of(&portal.config);
    let names = portal.config.origins();
    let pages = match names.is_empty() {
        true => pages().layer(csrf(&[])),
        false => pages()
            .route("/cross", post(cross::leave))
            .layer(csrf(&[]))
            .merge(cross::from_other_names().layer(csrf(&names))),
    };
    pages
        .fallback(async || failed::Kind::NotFound)
        .method_not_allowed_fallback(async || failed::Kind::Method)
        .layer(middleware::from_fn(to_the_end))
        .layer(middleware::from_fn_with_state(
            portal.clone(),
            failed::dress,
        ))
        .layer(middleware::from_fn_with_state(policy, headers::secure))
        .with_state(portal)
}

/// What was begun is carried through, with its record and what follows from it, even when the
/// browser goes away meanwhile: a link that is used up must have closed what it was for.
async fn to_the_end(request: Request, next: Next) -> Response {
    if request.method() != http::Method::POST {
        return next.run(request).await;
    }
    let work = tokio::spawn(next.run(request));
    work.await
        .unwrap_or_else(|_| failed::Kind::Down.into_response())
}

/// Refuses what another site makes a browser send, but for the portal's own other names.
fn csrf(names: &[Origin]) -> CsrfLayer<fn(ProtectionError) -> Response> {
    // The layer stands outside the handlers; `failed::dress` makes a page of this.
    let refuse: fn(ProtectionError) -> Response = |_| failed::Kind::CrossSite.into_response();
    let layer = CsrfLayer::new().with_rejection_response(refuse);
    names.iter().fold(layer, |layer, name| {
        // A name that the layer cannot read is not let in.
        let with = layer.clone().add_trusted_origin(name.as_str());
        with.unwrap_or(layer)
    })
}

fn pages() -> Router<Arc<Portal>> {
    Router::new()
        .route("/", get(login::show))
        .route("/login", post(login::log_in))
        .route("/logoff", post(login::log_off))
        .route("/access", get(access::show))
        .route("/access/open", post(access::open))
        .route("/access/extend", post(access::extend))
        .route("/access/close", post(access::close))
        .route("/access/move", post(follow::follow))
        .route("/devices", get(devices::show))
        .route("/devices/enrol", post(devices::enrol))
        .route("/devices/confirm", post(devices::confirm))
        .route("/devices/suspend", post(devices::suspend))
        .route("/devices/resume", post(devices::resume))
        .route("/devices/revoke", post(devices::revoke))
        .route("/devices/test", post(devices::test))
        .route("/ticket", get(ticket::show).post(ticket::redeem))
        .route("/ticket/confirm", post(ticket::confirm))
        .route("/logins", get(signins::show))
        .route("/help", get(help::show))
        .route("/language", post(login::language))
        .route("/health", get(health::health))
        .route("/captive", get(captive::show))
        .route("/static/{name}", get(statics::file))
        .route("/access/prove", post(prove::prove))
        .route("/passkey", post(prove::challenge))
        .route("/devices/passkey/start", post(passkeys::start))
        .route("/devices/passkey", post(passkeys::make))
        .route("/devices/replace", post(devices::replace))
        .route("/devices/recovery", post(recovery::make))
        .route("/lost", get(lost::show).post(lost::lose))
        .route("/resync", get(resync::show).post(resync::resync))
        .route("/not-me", get(not_me::show).post(not_me::confirm))
        .route("/devices/owner", post(owner::say))
        .merge(desk::routes())
}

#[cfg(test)]
mod tests;
