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

const HEADER: usize = 14;
const TAG: usize = 4;

/// What follows the Ethernet header and its tags, at which offset.
pub(crate) enum Network {
    V4(usize),
    V6(usize),
    /// Judged already.
    Other(Reason),
}

#[inline(always)]
pub(crate) fn network(window: &impl Window, settings: &Settings) -> Network {
    const { assert!(VLAN_TAGS_MAX == 2, "as many as are written out here") };
    // Written out, because a loop's counter makes offsets that the verifier does not follow.
    match behind(window, HEADER, settings) {
        Behind::Tag => match behind(window, HEADER + TAG, settings) {
            Behind::Tag => match behind(window, HEADER + 2 * TAG, settings) {
                Behind::Tag => Network::Other(Reason::EtherType),
                Behind::Network(network) => network,
            },
            Behind::Network(network) => network,
        },
        Behind::Network(network) => network,
    }
}

enum Behind {
    Tag,
    Network(Network),
}

/// What the EtherType in front of an offset says.
#[inline(always)]
fn behind(window: &impl Window, at: usize, settings: &Settings) -> Behind {
    Behind::Network(match window.number(at - 2) {
        None => Network::Other(Reason::Malformed),
        Some(IPV4) => Network::V4(at),
        Some(IPV6) => Network::V6(at),
        Some(VLAN | QINQ) => return Behind::Tag,
        Some(other) => Network::Other(without_ip(other, settings)),
    })
}

#[inline(always)]
fn without_ip(ether_type: u16, settings: &Settings) -> Reason {
    let [a, b, c, d] = settings.ether_types;
    match ether_type {
        ARP | SLOW | EAPOL | LLDP => Reason::Control,
        length if length < FIRST_ETHER_TYPE => Reason::Control,
        listed if listed == a || listed == b || listed == c || listed == d => Reason::Control,
        _ => Reason::EtherType,
    }
}
