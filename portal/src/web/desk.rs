//! The help desk's pages under `/desk`. Each asks anew who is there; what they may do is decided by
//! the cases, not here.

mod case;
mod figures;
mod gate;
mod home;
mod lines;
mod owner;
mod person;
mod prove;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::portal::Portal;

pub(super) fn routes() -> Router<Arc<Portal>> {
    Router::new()
        .route("/desk", get(home::show))
        .route("/desk/find", post(home::find))
        .route("/desk/person", get(person::show))
        .route("/desk/open", post(case::open))
        .route("/desk/case", get(case::show))
        .route("/desk/approve", post(case::approve))
        .route("/desk/refuse", post(case::refuse))
        .route("/desk/take", post(case::take))
        .route("/desk/figures", get(figures::show))
        .route("/desk/figures.csv", get(figures::csv))
        .route("/desk/prove", get(prove::show).post(prove::prove))
        .route("/desk/owner", post(owner::say))
}
