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
/// Up to this the field is the length of an IEEE 802.3 frame (spanning tree and friends); what
/// lies between it and the first type, 0x0600, is neither (IEEE 802.3 §3.2.6).
const LONGEST: u16 = 1_500;
/// LLC for SNAP, and the two prefixes behind which an EtherType stands (RFC 1042, IEEE 802.1H). A
/// host that takes IP from such frames must not get it past the filter.
const SNAP: [u8; 3] = [0xaa, 0xaa, 3];
const ENCAPSULATED: [[u8; 3]; 2] = [[0, 0, 0], [0, 0, 0xf8]];

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
            Some(length) if length <= LONGEST => return length_frame(window, at),
            Some(other) => return without_ip(other, settings),
        }
    }
    3 * KIND
}

#[inline(always)]
fn length_frame(window: &impl Window, at: usize) -> u64 {
    let at = window.forget(at as u64) as usize;
    // No frame on a wire is so short that its LLC header would not be there.
    let Some([first, second]) = window.words(at + 2) else {
        return 4 * KIND;
    };
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, ..] = second.to_ne_bytes();
    match [a, b, c] == SNAP && ENCAPSULATED.contains(&[d, e, f]) {
        true => 3 * KIND,
        false => 2 * KIND,
    }
}

#[inline(always)]
fn without_ip(ether_type: u16, settings: &Settings) -> u64 {
    let [a, b, c, d] = settings.ether_types;
    match ether_type {
        ARP | SLOW | EAPOL | LLDP => 2 * KIND,
        listed if listed == a || listed == b || listed == c || listed == d => 2 * KIND,
        _ => 3 * KIND,
    }
}
