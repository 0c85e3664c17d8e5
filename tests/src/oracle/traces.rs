//! What is written down of packets that are not let through as they are: the report of observe
//! mode, and samples of what dropped.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use super::{
    Oracle,
    judge::{TCP, UDP, own_port},
    packet::{Contents, Link, Upper, read},
    reason::{Reason, Verdict},
};

/// What enforce mode would have dropped, put together by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// IPv4 as v4-mapped.
    pub source: Ipv6Addr,
    /// 0 = none.
    pub service: u32,
    pub reason: Reason,
    pub protocol: u8,
    /// The destination's; the source's of what looks like an answer.
    pub port: u16,
    pub answering: bool,
}

/// How often something was met, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Often {
    pub first_ns: u64,
    pub last_ns: u64,
    pub packets: u64,
}

/// The report of observe mode.
pub type Report = BTreeMap<Cut, Often>;

/// A packet that dropped, or would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub now_ns: u64,
    pub reason: Reason,
    /// 0 = none.
    pub service: u32,
    /// Bytes of the frame.
    pub length: usize,
    /// Observe mode let it pass.
    pub observed: bool,
    /// Its first bytes.
    pub start: Vec<u8>,
}

/// Bytes of a frame that a sample shows.
const SHOWN: usize = 128;

impl Oracle {
    /// Writes down what a frame with this verdict leaves behind.
    pub(super) fn trace(&mut self, frame: &[u8], verdict: Verdict, now_ns: u64) {
        if verdict.reason.passes() {
            return;
        }
        let cut = self.cut(frame, verdict.reason);
        let start = frame.get(..SHOWN).unwrap_or(frame).to_vec();
        self.samples.push(Sample {
            now_ns,
            reason: verdict.reason,
            service: cut.map_or(0, |cut| cut.service),
            length: frame.len(),
            observed: verdict.passes,
            start,
        });
        if let Some(cut) = cut.filter(|_| verdict.passes) {
            let often = self.report.entry(cut).or_insert(Often {
                first_ns: now_ns,
                last_ns: now_ns,
                packets: 0,
            });
            often.last_ns = now_ns;
            often.packets += 1;
        }
    }

    /// Whom it would cut from what. None: the packet never came to the rows that ask for services.
    fn cut(&self, frame: &[u8], reason: Reason) -> Option<Cut> {
        let judged_by_service = [
            Reason::RateLimited,
            Reason::Expired,
            Reason::Idle,
            Reason::Lockdown,
            Reason::AgentDown,
            Reason::NoGrant,
            Reason::NoService,
        ];
        let Link::Packet(packet) = read(frame, &self.config.ether_types) else {
            return None;
        };
        let Contents::Upper(upper) = &packet.contents else {
            return None;
        };
        let port = own_port(upper).filter(|_| judged_by_service.contains(&reason))?;
        let source = match packet.source {
            IpAddr::V4(source) => source.to_ipv6_mapped(),
            IpAddr::V6(source) => source,
        };
        let service = self
            .config
            .service(packet.destination, upper.protocol, port);
        let answering = reason == Reason::NoService && looks_like_an_answer(upper);
        let peer_port = upper.ports().map_or(0, |(from, _)| from);
        Some(Cut {
            source,
            service: service.map_or(0, |service| service.id),
            reason,
            protocol: upper.protocol,
            port: if answering { peer_port } else { port },
            answering,
        })
    }
}

/// Nobody saw the question. A segment of a connection that is open acknowledges something
/// (RFC 9293 section 3.1); a datagram from a port of servers to one of clients (RFC 6335 section
/// 6) may be an answer.
fn looks_like_an_answer(upper: &Upper) -> bool {
    match upper.protocol {
        TCP => upper.flags().is_some_and(|flags| flags.ack),
        UDP => upper
            .ports()
            .is_some_and(|(from, to)| from < 1_024 && to >= 1_024),
        _ => false,
    }
}
