//! Trying another configuration: what would change, who would lose access, and the way back.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Source;

/// The connection that an operator works over: it must not be cut by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    #[schema(value_type = String)]
    pub client: IpAddr,
    #[schema(value_type = String)]
    pub server: IpAddr,
    /// TCP port of the server.
    pub port: u16,
}

/// Body of `POST /v1/config/check` and `/v1/config/apply`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// The whole configuration, as it would stand in the file.
    pub text: String,
    /// What messages call it; a file name.
    pub name: String,
    /// How the operator is connected, when over the network.
    #[serde(default)]
    pub connection: Option<Connection>,
    /// Apply although it cuts that connection.
    #[serde(default)]
    pub force: bool,
    /// Roll back after so many seconds (5 to 86,400) unless confirmed. None: for good, at once.
    #[serde(default)]
    pub confirm_within_seconds: Option<u64>,
}

/// Reply of `POST /v1/config/check`: what applying would do. Nothing was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<ServiceChange>,
    /// Settings beside the services that change at once, in sentences.
    pub settings: Vec<String>,
    /// Holders whose grants would end, because their service goes away or becomes public.
    pub would_close: u64,
    /// Who they are; at most the first 100.
    pub closing: Vec<LostAccess>,
    /// Settings that differ but need a restart to take effect.
    pub needs_restart: Vec<String>,
    /// Why the caller's own connection would be cut; then only force applies it.
    pub cuts: Option<String>,
    /// What else is worth knowing before.
    pub notes: Vec<String>,
}

/// A service that is there before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceChange {
    pub service: String,
    /// In words: `- target 192.0.2.10 tcp/80`, `max 8h -> 1h`.
    pub changes: Vec<String>,
    /// Holders of open grants for it, which stay open for what is left of it.
    pub holders: u64,
}

/// A holder whose grant would end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LostAccess {
    pub service: String,
    #[schema(value_type = String)]
    pub source: Source,
    pub user: String,
}

/// Reply of `POST /v1/config/apply`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigApplied {
    pub difference: Difference,
    /// Holders whose grants ended.
    pub closed: u64,
    /// When it is undone unless it is confirmed. None: it is there for good.
    pub trial: Option<Trial>,
    /// The file that holds it now; None while it is on trial.
    pub written: Option<String>,
}

/// A configuration in force that awaits its confirm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    pub rolls_back: Timestamp,
    pub remaining_seconds: u64,
    /// `uid N` of who applied it.
    pub by: String,
}

/// Reply of `POST /v1/config/confirm` and `/v1/config/rollback`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigSettled {
    /// The configuration file of the agent.
    pub file: String,
    /// Whether that file was written.
    pub written: bool,
    /// What was done, in sentences.
    pub notes: Vec<String>,
}
