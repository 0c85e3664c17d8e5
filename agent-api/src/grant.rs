//! Grants: asking, listing, closing; and deny prefixes.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Source;

/// Body of `POST /v1/grants`. Asking again for the same source, service and user extends the
/// holder's deadline, so a repeated request is harmless.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// The address the client sends from. v4-mapped IPv6 counts as IPv4. Where the service says
    /// so, the grant is for the whole /64 around an IPv6 address.
    #[schema(value_type = String, example = "198.51.100.7")]
    pub source: IpAddr,
    pub service: String,
    /// The person who proved themselves from that source.
    pub user: String,
    /// Length in seconds. None: the service's default. More than the service's maximum is capped
    /// for the portal's requests when `exact` is false, and refused when it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    /// True: refuse instead of shortening a request beyond the service's maximum.
    #[serde(default)]
    pub exact: bool,
    /// How the person proved themselves, as RFC 8176 words, e.g. `pwd otp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The portal's request id, so that its page, its log and the audit can be joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One person's part in a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    pub user: String,
    /// How the person proved themselves; None for a grant made by an operator.
    pub factor: Option<String>,
    pub opened: Timestamp,
    pub deadline: Timestamp,
    /// `portal`, or `uid N` of the operator.
    pub opened_by: String,
}

/// Permission for one source to reach one service, as the kernel map holds it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// An address, or an IPv6 /64 where the service says so.
    #[schema(value_type = String)]
    pub source: Source,
    pub service: String,
    /// Sorted by user. Never empty.
    pub holders: Vec<Holder>,
    /// The latest holder's deadline; the kernel itself ends the grant then.
    pub deadline: Timestamp,
    pub remaining_seconds: u64,
    /// Packets admitted. A floor: two CPUs counting at the same instant may count one.
    pub packets: u64,
    /// When a packet was last admitted, to the second. None: none yet.
    pub last_seen: Option<Timestamp>,
    /// False: the ledger has the grant but the kernel map does not (reported, and mended by the
    /// next reconcile).
    pub in_kernel: bool,
}

/// Query of `GET /v1/grants`. All filters given must match.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GrantQuery {
    /// An address: every grant that lets it in. An IPv6 /64: every grant from there.
    #[param(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// At most this many grants (1 to 10,000; default 1,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Go on after this cursor, from the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Reply of `GET /v1/grants`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GrantPage {
    pub grants: Vec<Grant>,
    /// Pass as `after` to read on. None: this was the last page.
    pub next: Option<String>,
}

/// Body of `POST /v1/grants/close`. At least one of source, service, user, or `all`, must be
/// given; those given must all match. The portal closes only holders it opened itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// An address: every grant that lets it in, the one for the /64 around it, too. An IPv6 /64:
    /// every grant from there.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default)]
    pub all: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One holder that was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClosedHolder {
    #[schema(value_type = String)]
    pub source: Source,
    pub service: String,
    pub user: String,
    /// True: another holder keeps the grant open.
    pub still_held: bool,
}

/// Reply of `POST /v1/grants/close`. When it arrives, the kernel map is changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Closed {
    /// How many holders were closed.
    pub count: u64,
    /// The first 1,000 of them.
    pub closed: Vec<ClosedHolder>,
    /// Time from the arrival of the request to the last change of the kernel map, microseconds.
    pub map_changed_after_us: u64,
}

/// Body of `POST /v1/denies`: drop everything from a prefix towards protected addresses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    #[schema(value_type = String, example = "203.0.113.0/24")]
    pub prefix: IpNet,
    /// Length in seconds, 1 to 31,536,000.
    pub for_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One deny prefix in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deny {
    #[schema(value_type = String)]
    pub prefix: IpNet,
    pub deadline: Timestamp,
    pub remaining_seconds: u64,
    pub reason: Option<String>,
    /// `portal`, or `uid N` of the operator.
    pub by: String,
}
