//! `/not-me`: the page behind a mail's link. A GET changes nothing; links that do not work any more
//! all get one and the same page, and no page says whose link it was.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use super::{
    failed::failed,
    form::Form,
    page::{MessagePage, NotMePage, render},
    visit::Visit,
};
use crate::{not_me::NotMe, portal::Portal};

/// `?link=…`.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    link: String,
}

/// `GET /not-me`.
pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
    visit: Visit,
) -> Response {
    match portal.link_works(&asked.link).await {
        Ok(true) => {
            let mut page = visit.page(&portal, "/");
            page.user = None;
            let link = asked.link;
            render(&visit, StatusCode::OK, &NotMePage { page, link })
        }
        Ok(false) => said(&portal, &visit, NotMe::Over),
        Err(failure) => failed(&visit, &failure),
    }
}

/// `POST /not-me`.
pub(super) async fn confirm(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    let from = visit.client.ok();
    match portal.not_me(form.text("link"), from, &visit.id).await {
        Ok(how) => said(&portal, &visit, how),
        Err(failure) => failed(&visit, &failure),
    }
}

fn said(portal: &Portal, visit: &Visit, how: NotMe) -> Response {
    let words = &portal.texts.of(visit.language).not_me;
    let (status, title, text) = match how {
        NotMe::Done => (StatusCode::OK, &words.done_title, &words.done),
        NotMe::GrantsStay => (StatusCode::OK, &words.done_title, &words.grants_stay),
        NotMe::Over => (StatusCode::GONE, &words.over_title, &words.over),
    };
    let mut page = visit.page(portal, "/");
    page.user = None;
    let message = MessagePage {
        title,
        text,
        link: None,
        page,
    };
    render(visit, status, &message)
}
