//! The audit: who did what, when, from where, why. Append-only and hash-chained.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Source;

/// What happened. One word each, stable: dashboards and scripts match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// The agent started or took over a running filter.
    Start,
    /// The agent stopped; the filter stays in force.
    Stop,
    /// The filter was removed from its interfaces on purpose.
    Detach,
    /// A grant was opened or extended.
    Grant,
    /// A holder was closed by a person or the portal.
    Close,
    /// A holder's deadline passed.
    Expire,
    /// A request to the agent was refused.
    Refuse,
    /// Enforce or observe mode was set.
    Mode,
    /// Lockdown was switched.
    Lockdown,
    /// The services or settings changed.
    Config,
    /// A configuration on trial was confirmed.
    Confirm,
    /// A configuration on trial was undone, by a person or because nobody confirmed it.
    Rollback,
    /// An interface lost the filter, got it back, or cannot get it (`outcome` says which).
    Attach,
    /// A deny prefix was added or lifted.
    Deny,
    /// Ledger and kernel map disagreed and were made to agree.
    Reconcile,
    /// Portal: a log-in attempt (`outcome` says how it ended).
    Login,
    /// Portal: a person logged off.
    Logoff,
    /// Portal: a token was enrolled, suspended, resumed, revoked, reissued or imported.
    Token,
    /// Portal: an enrolment ticket was issued, used or refused.
    Ticket,
    /// Portal: a person was locked out completely.
    Lockout,
    /// Portal: the key that encrypts stored secrets was rotated.
    Key,
    /// Portal: a local user was added, changed or removed.
    User,
}

/// What the portal sends to `POST /v1/audit`. The agent adds number, time, actor and chain.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditDraft {
    /// One of the portal's kinds; the agent's own kinds are refused.
    pub kind: AuditKind,
    /// `ok`, or the stable code of the refusal, e.g. `wrong-code`.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// RFC 8176 words for what was proven, e.g. `pwd otp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// Name or id of the token concerned. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One record, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// 1, 2, 3, … without gaps.
    pub seq: u64,
    /// UTC.
    pub at: Timestamp,
    pub kind: AuditKind,
    /// `agent`, `portal`, or `uid N` of the operator.
    pub actor: String,
    pub outcome: String,
    pub user: Option<String>,
    #[schema(value_type = Option<String>)]
    pub source: Option<Source>,
    pub service: Option<String>,
    pub factor: Option<String>,
    pub token: Option<String>,
    pub reason: Option<String>,
    pub request_id: Option<String>,
    /// How many like events this record stands for (a flood is folded).
    pub count: u64,
    /// SHA-256 over the previous record's hash and this record, lower-case hexadecimal.
    pub hash: String,
}

/// Query of `GET /v1/audit`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Records at or after this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Records with a number above this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most this many (1 to 10,000; default 1,000). Without `since` or `after`, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Reply of `GET /v1/audit`, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    pub records: Vec<AuditRecord>,
}

/// Reply of `GET /v1/audit/verify`: the chain was read from its first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditChain {
    /// True: every record follows from the one before.
    pub intact: bool,
    pub records: u64,
    /// Hash of the last record; keep it elsewhere to notice a rewritten history later.
    pub head: String,
    /// What is wrong and at which record, when not intact.
    pub problem: Option<String>,
}
