//! `/resync`: for a hardware token whose button was pressed too often, or whose clock went wrong.
//! Two codes that follow each other, with the password; opens nothing.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::{
    failed::{failed, refusal, topic},
    form::Form,
    page::{MessagePage, Notice, ResyncPage, render},
    typed::{name_again, remembered, typed},
    visit::Visit,
};
use crate::{
    login::{Second, Shown},
    portal::Portal,
};

/// `GET /resync`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    page(&portal, &visit, StatusCode::OK, remembered(&visit), None)
}

fn page(
    portal: &Portal,
    visit: &Visit,
    status: StatusCode,
    username: String,
    notice: Option<Notice>,
) -> Response {
    let mut page = visit.page(portal, "/resync");
    page.user = None;
    page.notices.extend(notice);
    render(visit, status, &ResyncPage { page, username })
}

/// `POST /resync`.
pub(super) async fn resync(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    let typed = match typed(&visit, &form, Second::Code(form.text("code"))) {
        Ok(typed) => typed,
        Err(away) => return away.into_response(),
    };
    let words = portal.texts.of(visit.language);
    match portal.resync(&typed, form.text("next")).await {
        Ok(Ok(())) => {
            let message = MessagePage {
                title: &words.resync.title,
                text: &words.resync.done,
                link: Some(("/", words.enrol.go.as_str())),
                page: visit.page(&portal, "/"),
            };
            render(&visit, StatusCode::OK, &message)
        }
        Ok(Err(shown)) => {
            let (status, text) = refusal(shown, &words.resync.refused, words);
            let see = match shown {
                Shown::Generic => "token",
                other => topic(other),
            };
            let notice = Notice::bad(text).see(see);
            page(&portal, &visit, status, name_again(&form), Some(notice))
        }
        Err(failure) => failed(&visit, &failure),
    }
}
