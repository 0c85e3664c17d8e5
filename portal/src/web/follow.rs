//! `POST /access/move`: the button, with or without a code, by which access follows a browser to
//! another address. What may follow is decided elsewhere.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use http::header;

use super::{
    access::{again, opened_words},
    cookies,
    failed::failed,
    form::Form,
    visit::Visit,
};
use crate::{
    follow::Moved,
    portal::{Failure, Portal},
};

pub(super) async fn follow(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    match moved(&portal, &visit, &form).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

async fn moved(portal: &Portal, visit: &Visit, form: &Form) -> Result<Response, Failure> {
    let (cookie, to) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(to)) => (cookie, to),
        (Err(away), _) | (_, Err(away)) => return Ok(away.into_response()),
    };
    if cookie.is_from(to) {
        return Ok(Redirect::to("/access").into_response());
    }
    let code = form.text("code");
    let words = match portal.follow(cookie, to, code, &visit.id).await? {
        Moved::Here(here) => {
            let words = match opened_words("moved", &here.opened) {
                words if words.is_empty() => "moved:".to_owned(),
                words => words,
            };
            let ip = to.ip();
            portal.notices.got_in(cookie, ip, visit.language).await;
            let id = here.cookie.leave_notice(&portal.store, &words).await?;
            let cookie = [(header::SET_COOKIE, cookies::set_login(&here.value))];
            let to = Redirect::to(&format!("/access?n={id}"));
            return Ok((AppendHeaders(cookie), to).into_response());
        }
        Moved::Ended => return Ok(again(portal, visit, cookie, "/?say=address").await),
        Moved::WrongCode => "move-code:".to_owned(),
        Moved::Wait(seconds) => format!("move-wait:{seconds}"),
    };
    let id = cookie.leave_notice(&portal.store, &words).await?;
    Ok(Redirect::to(&format!("/access?n={id}")).into_response())
}
