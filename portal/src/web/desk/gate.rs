//! The desk's door: who is there, or the answer for whoever may not be.

use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;

use crate::{
    desk::{Officer, Shut},
    portal::Portal,
    web::{
        failed::{Kind, failed},
        page::{MessagePage, render},
        visit::Visit,
    },
};

/// The officer, or what to answer.
pub(super) async fn officer(portal: &Portal, visit: &Visit) -> Result<Officer, Response> {
    let cookie = visit.person().map_err(|away| away.into_response())?;
    let from = visit.from().map_err(|away| away.into_response())?;
    match portal.officer(cookie, from).await {
        Ok(Ok(officer)) => Ok(officer),
        Ok(Err(Shut::NoSuchPage)) => Err(Kind::NotFound.into_response()),
        Ok(Err(Shut::Network)) => Err(other_network(portal, visit)),
        // There the page says what to do about it.
        Ok(Err(Shut::Address)) => Err(Redirect::to("/access").into_response()),
        Ok(Err(Shut::Prove)) => Err(Redirect::to("/desk/prove").into_response()),
        Err(failure) => Err(failed(visit, &failure)),
    }
}

fn other_network(portal: &Portal, visit: &Visit) -> Response {
    let words = &portal.texts.of(visit.language).desk;
    let page = visit.page(portal, "/desk");
    let message = MessagePage {
        title: &words.network_title,
        text: &words.network,
        link: None,
        page,
    };
    render(visit, StatusCode::FORBIDDEN, &message)
}

/// The value of a field in the address; nothing if it is absent or odd.
pub(super) fn asked(uri: &http::Uri, name: &str) -> String {
    let query = uri.query().unwrap_or("").as_bytes();
    form_urlencoded::parse(query)
        .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        .filter(|value| value.len() <= 256)
        .unwrap_or_default()
}
