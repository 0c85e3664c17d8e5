//! `/desk/prove`: one more code or passkey where the desk's proof is too old. Counted and held back
//! like a log-in; opens nothing.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use http::{StatusCode, header};

use crate::{
    desk::Shut,
    login::Typed,
    portal::{Failure, Portal},
    stepup::Raised,
    web::{
        cookies,
        failed::{Kind, failed, refusal},
        form::Form,
        login::second,
        page::{Notice, desk::ProvePage, render},
        visit::Visit,
    },
};

/// `GET /desk/prove`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    match is_of_the_desk(&portal, &visit).await {
        Ok(()) => page(&portal, &visit, StatusCode::OK, None),
        Err(answer) => answer,
    }
}

/// Err: there is no such page for them.
async fn is_of_the_desk(portal: &Portal, visit: &Visit) -> Result<(), Response> {
    let cookie = visit.person().map_err(|away| away.into_response())?;
    let from = visit.from().map_err(|away| away.into_response())?;
    match portal.officer(cookie, from).await {
        Ok(Err(Shut::NoSuchPage)) => Err(Kind::NotFound.into_response()),
        Ok(_) => Ok(()),
        Err(failure) => Err(failed(visit, &failure)),
    }
}

fn page(portal: &Portal, visit: &Visit, status: StatusCode, notice: Option<Notice>) -> Response {
    let mut page = visit.page(portal, "/desk");
    page.notices.extend(notice);
    let passkeys = portal.passkeys.is_some();
    render(visit, status, &ProvePage { page, passkeys })
}

/// `POST /desk/prove`.
pub(super) async fn prove(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    match proven(&portal, &visit, &form).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

async fn proven(portal: &Portal, visit: &Visit, form: &Form) -> Result<Response, Failure> {
    if let Err(answer) = is_of_the_desk(portal, visit).await {
        return Ok(answer);
    }
    let (cookie, from) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(from)) => (cookie, from),
        (Err(away), _) | (_, Err(away)) => return Ok(away.into_response()),
    };
    if !cookie.is_from(from) || cookie.is_moved() {
        return Ok(Redirect::to("/access").into_response());
    }
    let typed = Typed {
        username: cookie.user_name(),
        password: form.text("password"),
        second: second(form),
        from,
        request_id: &visit.id,
    };
    Ok(match portal.raise(cookie, &typed).await? {
        Raised::Up(raised) => {
            let (value, _) = *raised;
            let cookie = [(header::SET_COOKIE, cookies::set_login(&value))];
            (AppendHeaders(cookie), Redirect::to("/desk")).into_response()
        }
        Raised::Ended => Redirect::to("/?say=again").into_response(),
        Raised::Refused(shown) => {
            let words = portal.texts.of(visit.language);
            let (status, text) = refusal(shown, &words.prove.refused, words);
            page(portal, visit, status, Some(Notice::bad(text)))
        }
    })
}
