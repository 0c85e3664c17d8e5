//! Refusals as HTTP, and bodies that are refused with a reason.

use agent_api::{Problem, ProblemCode};
use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use crate::engine::problem;

/// A refusal on its way out.
pub(super) struct Reply(pub(super) Problem);

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            ProblemCode::BadRequest => StatusCode::BAD_REQUEST,
            ProblemCode::Forbidden | ProblemCode::BeyondCap => StatusCode::FORBIDDEN,
            ProblemCode::NotFound => StatusCode::NOT_FOUND,
            ProblemCode::CutsYou | ProblemCode::Conflict => StatusCode::CONFLICT,
            ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemCode::Full => StatusCode::INSUFFICIENT_STORAGE,
            ProblemCode::Lockdown => StatusCode::LOCKED,
            ProblemCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self.0)).into_response()
    }
}

/// A JSON body, whatever content type the caller claims: `curl -d` sends a form's.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Reply;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Reply> {
        let json = axum::http::HeaderValue::from_static("application/json");
        request
            .headers_mut()
            .insert(axum::http::header::CONTENT_TYPE, json);
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::BytesRejection(error))
                if error.status() == StatusCode::PAYLOAD_TOO_LARGE =>
            {
                let text = format!(
                    "a request body is {} bytes at most, a configuration {}",
                    super::BODY_MAX,
                    super::CONFIG_MAX
                );
                Err(Reply(problem(ProblemCode::TooLarge, text)))
            }
            Err(error) => {
                let text = format!("{}; see /v1/openapi.json", error.body_text());
                Err(Reply(problem(ProblemCode::BadRequest, text)))
            }
        }
    }
}

/// The query string.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => {
                let text = format!("{}; see /v1/openapi.json", error.body_text());
                Err(Reply(problem(ProblemCode::BadRequest, text)))
            }
        }
    }
}

pub(super) async fn no_such_path(request: Request) -> Reply {
    let text = format!("there is no {}; see /v1/openapi.json", request.uri().path());
    Reply(problem(ProblemCode::NotFound, text))
}

pub(super) async fn no_such_method(request: Request) -> Reply {
    let text = format!(
        "{} does not take {}; see /v1/openapi.json",
        request.uri().path(),
        request.method()
    );
    Reply(problem(ProblemCode::BadRequest, text))
}
