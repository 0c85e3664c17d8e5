//! The one shape of every refusal and failure on the socket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Stable codes, so that a caller can act without reading the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The request could not be read or says something that cannot be (HTTP 400).
    BadRequest,
    /// The caller's uid may not do this (403).
    Forbidden,
    /// Beyond what the caller may ask: length, source, service kind (403).
    BeyondCap,
    /// No such service, grant or path (404).
    NotFound,
    /// The body is larger than the socket takes (413).
    TooLarge,
    /// The table of grants is full (507).
    Full,
    /// It would cut the connection that the caller works over; force does it all the same (409).
    CutsYou,
    /// Something else is under way or nothing is, so this cannot be done now (409).
    Conflict,
    /// Lockdown is on, nothing opens (423).
    Lockdown,
    /// Ledger or kernel failed; nothing was opened (503).
    Unavailable,
}

/// Body of every reply that is not 2xx.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub code: ProblemCode,
    /// What happened, where, and what to do.
    pub message: String,
}
