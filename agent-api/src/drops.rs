//! Samples of dropped packets: a few of each second, whatever the flood.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One dropped packet, in `GET /v1/drops/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedPacket {
    pub at: Timestamp,
    pub interface: String,
    /// None where the packet does not show it.
    #[schema(value_type = Option<String>)]
    pub source: Option<IpAddr>,
    #[schema(value_type = Option<String>)]
    pub destination: Option<IpAddr>,
    /// IANA number.
    pub protocol: Option<u8>,
    pub port: Option<u16>,
    pub reason: String,
    pub service: Option<String>,
    /// True: observe mode let it pass.
    pub observed: bool,
    /// Bytes of the frame on the wire.
    pub length: u32,
    /// Its first bytes, from the Ethernet header on, in hexadecimal.
    pub frame: String,
}

/// Reply of `GET /v1/drops`: who is dropped most, by the samples since the agent started.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Talkers {
    /// Most samples first; bounded, so that those seen longest ago are forgotten.
    pub talkers: Vec<Talker>,
    /// All samples so far.
    pub sampled: u64,
}

/// A source that is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Talker {
    #[schema(value_type = String)]
    pub source: IpAddr,
    pub reason: String,
    pub service: Option<String>,
    /// Samples, not packets: at most some hundred a second are taken.
    pub samples: u64,
    pub last: Timestamp,
}
