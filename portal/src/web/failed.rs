//! Answers that are no page of their own: not found, too large, from another site, something down.
//! One layer makes a page of them in the visitor's language.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;

use super::{
    page::{MessagePage, render},
    visit::Visit,
};
use crate::{
    login::Shown,
    portal::{Failure, Portal},
    text::Words,
};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NotFound,
    Method,
    TooLarge,
    Bad,
    CrossSite,
    NoAddress,
    Down,
    AgentDown,
    DirectoryDown,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Bad | Self::NoAddress => StatusCode::BAD_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Down | Self::AgentDown | Self::DirectoryDown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Where the help page says more.
    fn topic(self) -> Option<&'static str> {
        match self {
            Self::Down | Self::AgentDown | Self::DirectoryDown => Some("down"),
            Self::NoAddress => Some("address"),
            _ => None,
        }
    }

    fn words(self, words: &Words) -> (&str, &str) {
        let (message, login) = (&words.message, &words.login);
        match self {
            Self::NotFound | Self::Method => (&message.not_found_title, &message.not_found),
            Self::TooLarge => (&message.too_large_title, &message.too_large),
            Self::Bad => (&message.bad_title, &message.bad),
            Self::CrossSite => (&message.cross_title, &message.cross),
            Self::NoAddress => (&message.down_title, &login.address),
            Self::Down => (&message.down_title, &login.store_down),
            Self::AgentDown => (&message.down_title, &login.agent_down),
            Self::DirectoryDown => (&message.down_title, &login.directory_down),
        }
    }
}

/// Marked, to be dressed by [`dress`].
impl IntoResponse for Kind {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Logs a failure, where it is handled, and says what kind it is.
pub(super) fn failed(visit: &Visit, failure: &Failure) -> Response {
    tracing::error!(request = %visit.id, %failure, "a request failed");
    match failure {
        Failure::Grants(_) => Kind::AgentDown,
        Failure::Directory(_) => Kind::DirectoryDown,
        _ => Kind::Down,
    }
    .into_response()
}

/// Makes a page of a marked answer.
pub(super) async fn dress(
    State(portal): State<Arc<Portal>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let visit = Visit::of_parts(&portal, &parts);
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(kind) = response.extensions().get::<Kind>().copied() else {
        return response;
    };
    let visit = visit.with_banner(&portal).await;
    let mut page = visit.page(&portal, "/");
    page.topic = kind.topic();
    let (title, text) = kind.words(page.t);
    render(
        &visit,
        kind.status(),
        &MessagePage {
            title,
            text,
            link: None,
            page,
        },
    )
}

/// Where the help page says more about a refusal.
pub(super) fn topic(shown: Shown) -> &'static str {
    match shown {
        Shown::Generic => "refused",
        Shown::Used => "used",
        Shown::MustChange => "password",
        Shown::Locked | Shown::Wait(_) => "waiting",
        Shown::DirectoryDown | Shown::AgentDown | Shown::StoreDown | Shown::ClockWrong => "down",
        Shown::Unfit(_) => "ticket",
    }
}

/// Status and words of a refused log-in or ticket. `generic`: the words for everything that
/// depends on who somebody is.
pub(super) fn refusal(shown: Shown, generic: &str, words: &Words) -> (StatusCode, String) {
    let login = &words.login;
    match shown {
        Shown::Generic => (StatusCode::UNAUTHORIZED, generic.to_owned()),
        Shown::Used => (StatusCode::UNAUTHORIZED, words.prove.used.clone()),
        Shown::MustChange => (StatusCode::UNAUTHORIZED, login.must_change.clone()),
        Shown::Locked => (StatusCode::TOO_MANY_REQUESTS, login.locked.clone()),
        Shown::Wait(seconds) => {
            let wait = super::times::length(seconds.max(1), words);
            (
                StatusCode::TOO_MANY_REQUESTS,
                crate::text::fill(&login.wait, &[("wait", &wait)]),
            )
        }
        Shown::DirectoryDown => (
            StatusCode::SERVICE_UNAVAILABLE,
            login.directory_down.clone(),
        ),
        Shown::AgentDown => (StatusCode::SERVICE_UNAVAILABLE, login.agent_down.clone()),
        Shown::ClockWrong => (StatusCode::SERVICE_UNAVAILABLE, words.clock.wrong.clone()),
        Shown::StoreDown => (StatusCode::SERVICE_UNAVAILABLE, login.store_down.clone()),
        // The pages that lead to it say where and when, too.
        Shown::Unfit(unfit) => (StatusCode::FORBIDDEN, super::enrolment::short(unfit, words)),
    }
}
