//! Asking the running filter: why a packet passes or drops, and what observe mode let pass.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Holder, Mode};

/// Body of `POST /v1/explain`: one packet as a client would send it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    #[schema(value_type = String)]
    pub source: IpAddr,
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// `tcp`, `udp`, `sctp`, `udplite`, `icmp` (an echo request of the family), or a protocol
    /// number.
    pub protocol: String,
    /// Destination port, for protocols that have them.
    pub port: Option<u16>,
    /// VLAN ids, outermost first; at most two.
    #[serde(default)]
    pub vlan: Vec<u16>,
}

/// Reply: what the running program on the running maps says of it. Nothing was counted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// Whether the packet passes: by its verdict, or because observe mode opens it.
    pub passes: bool,
    /// The named cause.
    pub reason: String,
    /// The cause in a sentence.
    pub because: String,
    pub mode: Mode,
    /// The service the packet was judged by.
    pub service: Option<String>,
    /// The grant of this source for it, whether or not it admits.
    pub grant: Option<ExplainedGrant>,
    /// What would let it pass; empty when it does.
    pub would_open: Vec<String>,
    /// Interface whose program was asked.
    pub interface: String,
}

/// The grant that a packet was judged by.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainedGrant {
    pub deadline: Timestamp,
    pub remaining_seconds: u64,
    pub holders: Vec<Holder>,
}

/// Reply of `GET /v1/impact`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Impact {
    pub mode: Mode,
    /// Most packets first.
    pub entries: Vec<ImpactEntry>,
}

/// What enforce mode would have dropped.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImpactEntry {
    /// Who sent it.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// The service it was for.
    pub service: Option<String>,
    pub reason: String,
    /// IANA number.
    pub protocol: u8,
    /// The port it was for; with `outbound`, the peer's.
    pub port: u16,
    /// It looks like an answer to a connection that a protected host opened before the filter
    /// watched; such connections begin anew when mode becomes enforce.
    pub outbound: bool,
    pub first: Timestamp,
    pub last: Timestamp,
    pub packets: u64,
}
