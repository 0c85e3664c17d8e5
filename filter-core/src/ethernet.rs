//! Layer 2: where the network header starts and which it is.

use filter_abi::{Reason, Settings, VLAN_TAGS_MAX};

use crate::Window;

/// EtherTypes (IEEE 802 numbers, IANA registry).
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const IPV6: u16 = 0x86dd;
const SLOW: u16 = 0x8809;
const EAPOL: u16 = 0x888e;
const LLDP: u16 = 0x88cc;
/// Below this the field is the length of an IEEE 802.3 frame (spanning tree and friends). Linux
/// hands no IP to its stack from such frames (net/802/psnap.c has no client for it).
const FIRST_ETHER_TYPE: u16 = 0x0600;

/// Where the EtherType stands.
const HEADER: usize = 12;
const TAG: usize = 4;

/// What follows the Ethernet header and its tags, at which offset.
pub(crate) enum Network {
    V4(u64),
    V6(u64),
    /// Judged already.
    Other(Reason),
}

const KIND: u64 = 1 << 32;

impl Network {
    /// One word of `network`, read again.
    #[inline(always)]
    pub(crate) fn of(word: u64) -> Self {
        let number = word & (KIND - 1);
        match word / KIND {
            0 => Self::V4(number),
            1 => Self::V6(number),
            2 => Self::Other(Reason::Control),
            3 => Self::Other(Reason::EtherType),
            _ => Self::Other(Reason::Malformed),
        }
    }
}

/// In one word, because that is what a function of a kernel program can return: the kind above
/// the offset.
#[inline(never)]
pub(crate) fn network(window: &impl Window, settings: &Settings) -> u64 {
    let mut at = HEADER;
    for _ in 0..=VLAN_TAGS_MAX {
        at = window.forget(at as u64) as usize;
        match window.number(at) {
            None => return 4 * KIND,
            Some(IPV4) => return at as u64 + 2,
            Some(IPV6) => return KIND + at as u64 + 2,
            Some(VLAN | QINQ) => at += TAG,
            Some(other) => return without_ip(other, settings),
        }
    }
    3 * KIND
}

#[inline(always)]
fn without_ip(ether_type: u16, settings: &Settings) -> u64 {
    let [a, b, c, d] = settings.ether_types;
    match ether_type {
        ARP | SLOW | EAPOL | LLDP => 2 * KIND,
        length if length < FIRST_ETHER_TYPE => 2 * KIND,
        listed if listed == a || listed == b || listed == c || listed == d => 2 * KIND,
        _ => 3 * KIND,
    }
}
