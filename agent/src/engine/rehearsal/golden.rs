//! One packet of every kind that the verdict table tells apart, made of one plain packet: tagged,
//! cut, in pieces, with options and extension headers, of other protocols, from impossible sources.

use std::net::IpAddr;

use crate::engine::packet::{Packet, framed};

const CUSTOMER: u16 = 0x8100;
const PROVIDER: u16 = 0x88a8;
const ARP: u16 = 0x0806;
const LLDP: u16 = 0x88cc;
/// Not a protocol that anybody looks into: the loopback test of RFC 9542's registry.
const OTHER: u16 = 0x9000;

/// A kind in words and its frame.
pub(super) type Kind = (&'static str, Vec<u8>);

/// Every kind, the plain packet first.
pub(super) fn kinds(packet: &Packet) -> Vec<Kind> {
    let (ether_type, plain) = (packet.ether_type(), packet.bytes());
    let mut kinds = frames(ether_type, &plain);
    let packets = match packet.source {
        IpAddr::V4(_) => v4(&plain),
        IpAddr::V6(_) => v6(&plain),
    };
    kinds.extend(
        packets
            .into_iter()
            .map(|(kind, bytes)| (kind, framed(&[], ether_type, &bytes))),
    );
    kinds
}

/// What differs in front of the IP header, or behind the packet.
fn frames(ether_type: u16, plain: &[u8]) -> Vec<Kind> {
    let tagged = |tags: &[(u16, u16)]| framed(tags, ether_type, plain);
    let cut = |length: usize| {
        let mut frame = tagged(&[]);
        frame.truncate(length);
        frame
    };
    vec![
        ("plain", tagged(&[])),
        ("one tag", tagged(&[(CUSTOMER, 5)])),
        ("priority tag", tagged(&[(CUSTOMER, 0)])),
        ("two tags", tagged(&[(PROVIDER, 7), (CUSTOMER, 5)])),
        (
            "three tags",
            tagged(&[(PROVIDER, 7), (CUSTOMER, 5), (CUSTOMER, 6)]),
        ),
        ("bytes behind it", [tagged(&[]), vec![0x45; 40]].concat()),
        ("no header", cut(14)),
        ("half a header", cut(30)),
        ("no ports", cut(if plain.len() > 40 { 55 } else { 35 })),
        ("ARP", framed(&[], ARP, plain)),
        ("LLDP", framed(&[], LLDP, plain)),
        ("802.3 length", framed(&[], 38, plain)),
        ("unknown EtherType", framed(&[], OTHER, plain)),
    ]
}

fn v4(plain: &[u8]) -> Vec<Kind> {
    let with = |edits: &[(usize, u8)]| edited(plain, edits);
    let source = |octets: [u8; 4]| replaced(plain, 12, &octets);
    vec![
        ("wrong version", with(&[(0, 0x55)])),
        ("header too short", with(&[(0, 0x44)])),
        ("longer than its frame", with(&[(2, 0x7f)])),
        ("options", v4_options(plain, [1, 1, 1, 0])),
        ("loose source route", v4_options(plain, [131, 3, 4, 0])),
        ("strict source route", v4_options(plain, [137, 3, 4, 0])),
        ("first fragment", with(&[(6, 0x20)])),
        ("later fragment", with(&[(6, 0x20), (7, 185)])),
        ("last fragment", with(&[(6, 0), (7, 185)])),
        ("another port", with(&[(22, 0xfe), (23, 0x37)])),
        ("no first packet", with(&[(33, 0x10)])),
        ("TCP", with(&[(9, 6)])),
        ("UDP", with(&[(9, 17)])),
        ("SCTP", with(&[(9, 132)])),
        ("ICMP echo", with(&[(9, 1), (20, 8)])),
        ("ICMP unreachable", with(&[(9, 1), (20, 3), (21, 4)])),
        ("ICMP redirect", with(&[(9, 1), (20, 5)])),
        ("IP in IP", with(&[(9, 4)])),
        ("6in4", with(&[(9, 41)])),
        ("GRE", with(&[(9, 47)])),
        ("ESP", with(&[(9, 50)])),
        ("source 0.0.0.0", source([0, 0, 0, 0])),
        ("source 127.0.0.1", source([127, 0, 0, 1])),
        ("multicast source", source([224, 0, 0, 1])),
        ("broadcast destination", replaced(plain, 16, &[255; 4])),
    ]
}

fn v6(plain: &[u8]) -> Vec<Kind> {
    let with = |edits: &[(usize, u8)]| edited(plain, edits);
    let behind = |chain: &[(u8, [u8; 7])]| v6_chain(plain, chain);
    let options = (60, [0, 1, 4, 0, 0, 0, 0]);
    vec![
        ("wrong version", with(&[(0, 0x50)])),
        ("longer than its frame", with(&[(4, 0x7f)])),
        ("no payload length", with(&[(4, 0), (5, 0)])),
        ("hop-by-hop options", behind(&[(0, [0, 1, 4, 0, 0, 0, 0])])),
        ("destination options", behind(&[options])),
        ("six extension headers", behind(&[options; 6])),
        ("seven extension headers", behind(&[options; 7])),
        (
            "routing header to go on",
            behind(&[(43, [0, 4, 1, 0, 0, 0, 0])]),
        ),
        (
            "routing header at its end",
            behind(&[(43, [0, 4, 0, 0, 0, 0, 0])]),
        ),
        (
            "endless extension header",
            behind(&[(60, [255, 1, 4, 0, 0, 0, 0])]),
        ),
        ("whole fragment", behind(&[(44, [0, 0, 0, 0, 0, 0, 9])])),
        ("first fragment", behind(&[(44, [0, 0, 1, 0, 0, 0, 9])])),
        ("later fragment", behind(&[(44, [0, 5, 0xc9, 0, 0, 0, 9])])),
        ("last fragment", behind(&[(44, [0, 5, 0xc8, 0, 0, 0, 9])])),
        ("another port", with(&[(42, 0xfe), (43, 0x37)])),
        ("no first packet", with(&[(53, 0x10)])),
        ("TCP", with(&[(6, 6)])),
        ("UDP", with(&[(6, 17)])),
        ("SCTP", with(&[(6, 132)])),
        ("ICMPv6 echo", with(&[(6, 58), (40, 128)])),
        ("ICMPv6 too big", with(&[(6, 58), (40, 2)])),
        (
            "neighbour solicitation",
            with(&[(6, 58), (40, 135), (7, 255)]),
        ),
        (
            "solicitation from afar",
            with(&[(6, 58), (40, 135), (7, 64)]),
        ),
        ("no next header", with(&[(6, 59)])),
        ("unknown next header", with(&[(6, 253)])),
        ("ESP", with(&[(6, 50)])),
        ("source ::", replaced(plain, 8, &[0; 16])),
        ("multicast source", with(&[(8, 0xff), (9, 2)])),
        ("multicast destination", with(&[(24, 0xff), (25, 2)])),
    ]
}

/// The bytes with some of them changed.
fn edited(plain: &[u8], edits: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    for (at, to) in edits {
        if let Some(byte) = bytes.get_mut(*at) {
            *byte = *to;
        }
    }
    bytes
}

fn replaced(plain: &[u8], at: usize, by: &[u8]) -> Vec<u8> {
    let edits: Vec<(usize, u8)> = (at..).zip(by.iter().copied()).collect();
    edited(plain, &edits)
}

/// With four bytes of options behind its 20 bytes of header.
fn v4_options(plain: &[u8], options: [u8; 4]) -> Vec<u8> {
    let (header, payload) = plain.split_at(plain.len().min(20));
    let length = u8::try_from(plain.len() + options.len()).unwrap_or(u8::MAX);
    let header = edited(header, &[(0, 0x46), (3, length)]);
    [&header, options.as_slice(), payload].concat()
}

/// With extension headers of eight bytes: number, and what follows the byte that names the next.
fn v6_chain(plain: &[u8], chain: &[(u8, [u8; 7])]) -> Vec<u8> {
    let (header, payload) = plain.split_at(plain.len().min(40));
    let upper = header.get(6).copied().unwrap_or_default();
    let followers = chain.iter().skip(1).map(|(number, _)| *number);
    let mut extensions = Vec::new();
    for ((_, rest), next) in chain.iter().zip(followers.chain([upper])) {
        extensions.push(next);
        extensions.extend(rest);
    }
    let length = u8::try_from(extensions.len() + payload.len()).unwrap_or(u8::MAX);
    let first = chain.first().map_or(upper, |(number, _)| *number);
    let header = edited(header, &[(5, length), (6, first)]);
    [&header, extensions.as_slice(), payload].concat()
}
