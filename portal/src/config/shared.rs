//! `[shared]`: addresses that many people are behind (NAT). Who shares an open address is admitted,
//! too, so that grants there may be made shorter.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::units::{Length, Whole};

const MINUTE: u32 = 60;

/// What counts as shared, and what follows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shared {
    /// Known to be shared, for example an office's gateway.
    networks: Vec<IpNet>,
    /// So many people at one address make it a shared one.
    pub(crate) people: Whole<2, 1_000>,
    /// The longest grant there. None: as long as elsewhere.
    pub(crate) longest: Option<Length<MINUTE, 86_400>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            people: Whole::of::<2>(),
            longest: None,
        }
    }
}

impl Shared {
    /// True: listed, or an address that carriers put many customers behind (RFC 6598).
    pub(crate) fn lists(&self, address: IpAddr) -> bool {
        let is_carriers = matches!(address, IpAddr::V4(v4)
            if matches!(v4.octets(), [100, second, ..] if second & 0xc0 == 64));
        is_carriers || self.networks.iter().any(|net| net.contains(&address))
    }
}
