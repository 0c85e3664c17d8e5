//! `POST /access/prove`: one more proof, for a service that asks for it, which opens with it; and
//! `POST /passkey`, the challenge a browser needs before it can show a passkey.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use http::{StatusCode, header};
use serde_json::json;

use super::{
    access::{again, ask_agent},
    cookies,
    failed::{failed, refusal, topic},
    form::Form,
    login::second,
    page::Notice,
    visit::Visit,
};
use crate::{
    limits::SourceKey,
    login::{Shown, Typed},
    passkeys::TooManyUnderWay,
    portal::{Failure, Portal},
    stepup::Raised,
};

pub(super) async fn prove(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    match proven(&portal, &visit, &form).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

async fn proven(portal: &Portal, visit: &Visit, form: &Form) -> Result<Response, Failure> {
    let (cookie, from) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(from)) => (cookie, from),
        (Err(away), _) | (_, Err(away)) => return Ok(away.into_response()),
    };
    if !cookie.is_from(from) || cookie.is_moved() {
        return Ok(again(portal, visit, cookie, "/?say=address").await);
    }
    let typed = Typed {
        username: cookie.user_name(),
        password: form.text("password"),
        second: second(form),
        from,
        request_id: &visit.id,
    };
    let words = match portal.raise(cookie, &typed).await? {
        Raised::Up(raised) => {
            let (value, raised) = *raised;
            let opened = ask_agent(portal, visit, &raised, from, form, "opened").await?;
            let cookie = [(header::SET_COOKIE, cookies::set_login(&value))];
            return Ok((AppendHeaders(cookie), opened).into_response());
        }
        Raised::Ended => return Ok(again(portal, visit, cookie, "/?say=again").await),
        Raised::Refused(Shown::Wait(seconds)) => format!("move-wait:{seconds}"),
        Raised::Refused(shown) => format!("proof-{}:", shown.word()),
    };
    let id = cookie.leave_notice(&portal.store, &words).await?;
    Ok(Redirect::to(&format!("/access?n={id}")).into_response())
}

/// The sentence for a kept word of a refused proof.
pub(super) fn notice(shown: &str, words: &crate::text::Words) -> Option<Notice> {
    let shown = Shown::of_word(shown)?;
    let (_, text) = refusal(shown, &words.prove.refused, words);
    Some(Notice::bad(text).see(topic(shown)))
}

/// `POST /passkey`.
pub(super) async fn challenge(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let from = match visit.from() {
        Ok(from) => from,
        Err(away) => return away.into_response(),
    };
    let Some(passkeys) = &portal.passkeys else {
        return super::failed::Kind::NotFound.into_response();
    };
    match passkeys.challenge(SourceKey::of(from.ip()), portal.now().as_second()) {
        Ok(Ok((id, asked))) => Json(json!({ "challenge": id, "options": asked })).into_response(),
        Ok(Err(too_many)) => under_way(&portal, &visit, too_many),
        Err(failure) => failed(&visit, &failure),
    }
}

/// What the script says where the browser would show its own window.
pub(super) fn under_way(portal: &Portal, visit: &Visit, _: TooManyUnderWay) -> Response {
    tracing::warn!(request = %visit.id, "no further passkey challenge: too many are under way");
    let say = &portal.texts.of(visit.language).passkey_busy.say;
    (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "say": say }))).into_response()
}
