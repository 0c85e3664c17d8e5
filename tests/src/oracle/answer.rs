//! Which dropped packets are answered, and with what. What the answer looks like byte by byte is
//! for another reader to say; here stands only whom the RFCs let answer whom.

use std::net::IpAddr;

use super::{
    Oracle,
    config::Answer,
    judge::{ICMP, ICMPV6, TCP, own_port},
    packet::{Contents, Link, Packet, Upper, read},
    reason::{Reason, Verdict},
};

/// What goes back instead of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A TCP segment with RST.
    Reset,
    /// "Communication administratively prohibited", by the means of the family.
    Prohibited,
}

impl Oracle {
    /// What a frame with this verdict is answered, while there is something left of the budget.
    pub fn answer(&self, frame: &[u8], verdict: Verdict) -> Option<Reply> {
        let for_want_of_a_grant = [
            Reason::NoGrant,
            Reason::Expired,
            Reason::Idle,
            Reason::Lockdown,
            Reason::AgentDown,
        ];
        if verdict.passes || !for_want_of_a_grant.contains(&verdict.reason) {
            return None;
        }
        let Link::Packet(packet) = read(frame, &self.config.ether_types) else {
            return None;
        };
        let Contents::Upper(upper) = &packet.contents else {
            return None;
        };
        let port = own_port(upper)?;
        let service = self
            .config
            .service(packet.destination, upper.protocol, port)?;
        let is_group_frame = frame.first().is_some_and(|first| first & 1 == 1);
        // RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): neither what went to many nor what
        // cannot come from one host is answered. Beyond that, only plain packets are.
        if is_group_frame
            || is_group(packet.destination)
            || !is_one_host(packet.source)
            || !packet.plain
            || upper.first.is_some()
        {
            return None;
        }
        match service.answer {
            Answer::Silence => None,
            Answer::Reset if upper.protocol == TCP => can_be_reset(upper).then_some(Reply::Reset),
            Answer::Reset | Answer::Prohibited => {
                may_be_reported(&packet, upper).then_some(Reply::Prohibited)
            }
        }
    }
}

/// RFC 9293 section 3.10.7.1: no reset answers a reset. Section 3.1: a header is five words at
/// least, and in the segment.
fn can_be_reset(upper: &Upper) -> bool {
    let header = upper
        .bytes
        .get(12)
        .map_or(0, |byte| usize::from(byte >> 4) * 4);
    (20..=upper.bytes.len()).contains(&header) && upper.flags().is_some_and(|flags| !flags.rst)
}

/// An error shows eight bytes (RFC 792), and is never about an error, or about a message that
/// sends a host another way: of ICMP, only echo requests are worth one.
fn may_be_reported(packet: &Packet, upper: &Upper) -> bool {
    upper.bytes.len() >= 8
        && match (packet.destination, upper.protocol) {
            (IpAddr::V4(_), ICMP) => upper.bytes.first() == Some(&8),
            (IpAddr::V6(_), ICMPV6) => upper.bytes.first() == Some(&128),
            _ => true,
        }
}

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// RFC 1122: not zero, loopback, broadcast, multicast or class E. RFC 4291 section 2.5: not
/// unspecified, loopback, an old IPv4-compatible one, or multicast.
fn is_one_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            !matches!(first, 0 | 127 | 224..)
        }
        IpAddr::V6(address) => address.to_bits() >> 32 != 0 && !address.is_multicast(),
    }
}
