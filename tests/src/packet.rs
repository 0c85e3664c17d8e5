//! Frames for the tests: honest ones from a library, and pieces to build dishonest ones by hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use etherparse::PacketBuilder;

/// Locally administered, so that they belong to nobody.
pub const FROM: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const VLAN: u16 = 0x8100;
pub const QINQ: u16 = 0x88a8;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// An Ethernet frame around a network packet.
pub fn frame(to: [u8; 6], ether_type: u16, packet: &[u8]) -> Vec<u8> {
    [&to[..], &FROM, &ether_type.to_be_bytes(), packet].concat()
}

/// A tag in front of what has its own EtherType.
pub fn tag(id: u16, inner_type: u16, packet: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &inner_type.to_be_bytes(), packet].concat()
}

/// Ports, length and payload. No checksum: the filter does not look at it, and nobody receives.
pub fn udp(from: u16, to: u16, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(8 + payload.len())?;
    let fields = [from, to, length, 0].map(u16::to_be_bytes).concat();
    Ok([&fields[..], payload].concat())
}

/// A TCP header with SYN, then a payload.
pub fn tcp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [from, to].map(u16::to_be_bytes).concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    [&header[..], payload].concat()
}

/// What an IPv4 header says beyond addresses and protocol.
#[derive(Clone, Debug, Default)]
pub struct V4 {
    /// A multiple of four bytes.
    pub options: Vec<u8>,
    /// In units of eight bytes.
    pub offset: u16,
    pub more_fragments: bool,
    /// Instead of the true one.
    pub total_length: Option<u16>,
    /// Instead of the true one.
    pub header_words: Option<u8>,
}

impl V4 {
    pub fn packet(
        &self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        protocol: u8,
        payload: &[u8],
    ) -> Result<Vec<u8>> {
        let header = 20 + self.options.len();
        let words = self.header_words.unwrap_or(u8::try_from(header / 4)?);
        let total = self
            .total_length
            .unwrap_or(u16::try_from(header + payload.len())?);
        let fragment = self.offset | if self.more_fragments { 0x2000 } else { 0 };
        let mut packet = vec![0x40 | words, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0x12, 0x34]);
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend(&self.options);
        // The kernel behind the filter drops a header with a wrong sum, which would hide a leak.
        let sum = checksum(&packet).to_be_bytes();
        packet.splice(10..12, sum);
        packet.extend(payload);
        Ok(packet)
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

/// An IPv6 packet; `payload` begins with the header that `next` names.
pub fn v6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Result<Vec<u8>> {
    v6_with_length(from, to, next, payload, u16::try_from(payload.len())?)
}

/// The same with a payload length of one's own.
pub fn v6_with_length(
    from: Ipv6Addr,
    to: Ipv6Addr,
    next: u8,
    payload: &[u8],
    length: u16,
) -> Result<Vec<u8>> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    Ok(packet)
}

/// An honest UDP datagram in an honest frame.
pub fn datagram(
    to_mac: [u8; 6],
    from: IpAddr,
    to: IpAddr,
    port: u16,
    payload: &[u8],
) -> Result<Vec<u8>> {
    let link = PacketBuilder::ethernet2(FROM, to_mac);
    let mut frame = Vec::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => link
            .ipv4(from.octets(), to.octets(), 64)
            .udp(40_000, port)
            .write(&mut frame, payload),
        (IpAddr::V6(from), IpAddr::V6(to)) => link
            .ipv6(from.octets(), to.octets(), 64)
            .udp(40_000, port)
            .write(&mut frame, payload),
        _ => anyhow::bail!("{from} and {to} are of different families"),
    }
    .context("the packet cannot be built")?;
    Ok(frame)
}
