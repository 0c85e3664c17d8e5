//! A posted form: at most 64 KiB and 64 fields. What is larger is read to its end and refused with
//! a page, so that the browser shows the page and not a broken connection.

use std::{fmt, time::Duration};

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse as _, Response},
};
use http::header;
use http_body_util::BodyExt as _;
use zeroize::Zeroizing;

use super::failed::Kind;

const BODY_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 64;
/// How much of a form that is too large is still read, and for how long.
const DRAIN_MAX: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(15);

/// Fields by name, in order; its `Debug` shows no values.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Form {
    /// The first value of a field, or nothing typed.
    pub(super) fn text(&self, name: &'static str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &'static str) -> bool {
        self.all(name).next().is_some()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok());
        let is_form = kind.is_none_or(|kind| {
            let essence = kind.split(';').next().unwrap_or("").trim();
            essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        let read = tokio::time::timeout(PATIENCE, body(request)).await;
        let body = read
            .map_err(|_| Kind::Bad.into_response())?
            .map_err(Kind::into_response)?;
        if !is_form {
            return Err(Kind::Bad.into_response());
        }
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(&body) {
            if fields.len() == FIELDS_MAX {
                return Err(Kind::TooLarge.into_response());
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(fields))
    }
}

async fn body(request: Request) -> Result<Zeroizing<Vec<u8>>, Kind> {
    let mut body = request.into_body();
    let mut kept = Zeroizing::new(Vec::new());
    let mut read = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Kind::Bad)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        read = read.saturating_add(data.len());
        if read <= BODY_MAX {
            kept.extend_from_slice(data);
        } else if read > DRAIN_MAX {
            break;
        }
    }
    if read > BODY_MAX {
        Err(Kind::TooLarge)
    } else {
        Ok(kept)
    }
}
