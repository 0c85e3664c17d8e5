//! The table, row by row, top to bottom.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    Oracle,
    config::{AgentDown, Kind, OtherPorts, Place, Rate, Service},
    packet::{Contents, Link, Packet, Upper, read, u16_at},
    reason::{Reason, Verdict},
    tables::{Bucket, FlowKey, State, is_due},
};

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

impl Oracle {
    /// What becomes of a frame that arrives at `now_ns`, and why.
    pub fn judge(&mut self, frame: &[u8], now_ns: u64) -> Verdict {
        let reason = self.reason(frame, now_ns);
        let opened = self.observe && reason.opened_by_observe();
        let verdict = Verdict {
            reason,
            passes: reason.passes() || opened,
        };
        self.trace(frame, verdict, now_ns);
        verdict
    }

    fn reason(&mut self, frame: &[u8], now_ns: u64) -> Reason {
        let packet = match read(frame, &self.config.ether_types) {
            Link::Control => return Reason::Control,
            Link::UnknownType => return Reason::EtherType,
            Link::Malformed => return Reason::Malformed,
            Link::Packet(packet) => packet,
        };
        let place = self.config.place(packet.destination);
        if place != Place::Elsewhere && self.is_denied(packet.source, now_ns) {
            return Reason::Denied;
        }
        if packet.source_routed {
            return Reason::SourceRouted;
        }
        match place {
            Place::Elsewhere => Reason::NotProtected,
            Place::Portal => self.portal(&packet, now_ns),
            Place::Protected(other_ports) => self.protected(&packet, other_ports, now_ns),
        }
    }

    fn is_denied(&self, source: IpAddr, now_ns: u64) -> bool {
        self.denies
            .iter()
            .any(|(prefix, until)| prefix.contains(source) && now_ns < *until)
    }

    /// An address that only holds public services: whatever else goes there is not ours.
    fn portal(&mut self, packet: &Packet, now_ns: u64) -> Reason {
        let Contents::Upper(upper) = &packet.contents else {
            return Reason::NotProtected;
        };
        let unreadable = upper.first.is_some() && upper.is_too_short_for_a_first_fragment();
        let Some(port) = own_port(upper).filter(|_| !unreadable) else {
            return Reason::NotProtected;
        };
        let service = self
            .config
            .service(packet.destination, upper.protocol, port);
        match service.map(|service| (service.id, service.kind)) {
            Some((id, Kind::Public(rate))) => self.public(id, rate, packet.source, now_ns),
            _ => Reason::NotProtected,
        }
    }

    fn protected(&mut self, packet: &Packet, other_ports: OtherPorts, now_ns: u64) -> Reason {
        let upper = match &packet.contents {
            Contents::TooDeep => return Reason::TooDeep,
            Contents::Later {
                protocol,
                id,
                offset,
                length,
            } => {
                let key = (packet.source, packet.destination, *protocol, *id);
                return if self.fragments.admit(key, *offset, *length, now_ns) {
                    Reason::Fragment
                } else {
                    Reason::FragmentUnknown
                };
            }
            Contents::Upper(upper) => upper,
        };
        if upper.first.is_some() && upper.is_too_short_for_a_first_fragment() {
            return Reason::FragmentUnknown;
        }
        if upper.first.is_none() {
            if is_neighbour_discovery(packet, upper) {
                return Reason::Control;
            }
            if is_icmp_error(packet, upper) {
                let bucket = Bucket::IcmpErrors(packet.destination);
                let within = self.buckets.take(bucket, self.config.icmp_errors, now_ns);
                return if within {
                    Reason::IcmpError
                } else {
                    Reason::RateLimited
                };
            }
        }
        let reason = self.whole(packet, upper, other_ports, now_ns);
        if let Some(first) = upper.first
            && reason.admits_later_fragments()
        {
            self.fragments
                .record(packet.source, packet.destination, first, now_ns);
        }
        reason
    }

    /// Rows 12 to 19.
    fn whole(
        &mut self,
        packet: &Packet,
        upper: &Upper,
        other_ports: OtherPorts,
        now_ns: u64,
    ) -> Reason {
        let Some(port) = own_port(upper) else {
            return Reason::Malformed;
        };
        let service = self
            .config
            .service(packet.destination, upper.protocol, port)
            .cloned();
        if let Some(service) = service {
            return match service.kind {
                Kind::Public(rate) => self.public(service.id, rate, packet.source, now_ns),
                Kind::Granted(down) => self.granted(&service, down, packet.source, upper, now_ns),
            };
        }
        if self.is_reply(packet, upper, now_ns) {
            return Reason::Reply;
        }
        match other_ports {
            OtherPorts::Pass => Reason::OpenPort,
            OtherPorts::Drop => Reason::NoService,
        }
    }

    fn public(&mut self, service: u32, rate: Rate, source: IpAddr, now_ns: u64) -> Reason {
        let counted = match source {
            IpAddr::V4(_) => source,
            IpAddr::V6(source) => network_of(source).into(),
        };
        let bucket = Bucket::Public(service, counted);
        if self.buckets.take(bucket, rate, now_ns) {
            Reason::Public
        } else {
            Reason::RateLimited
        }
    }

    fn granted(
        &mut self,
        service: &Service,
        down: AgentDown,
        source: IpAddr,
        upper: &Upper,
        now_ns: u64,
    ) -> Reason {
        if service.allow.iter().any(|prefix| prefix.contains(source)) {
            return Reason::AlwaysAllowed;
        }
        let exact = self.grants.get_mut(&(source, service.id));
        let grant = match (exact, source) {
            (Some(grant), _) => Some(grant),
            (None, IpAddr::V6(source)) => self
                .prefix_grants
                .get_mut(&(network_of(source), service.id)),
            (None, IpAddr::V4(_)) => None,
        };
        let Some(grant) = grant else {
            return Reason::NoGrant;
        };
        if self.lockdown {
            return Reason::Lockdown;
        }
        if now_ns >= grant.deadline_ns {
            return Reason::Expired;
        }
        if grant.idle_ns != 0 && now_ns.saturating_sub(grant.last_seen_ns) > grant.idle_ns {
            return Reason::Idle;
        }
        let is_new = upper.protocol != TCP || upper.flags().is_none_or(|flags| flags.opens());
        let shut = match down {
            AgentDown::Keep => false,
            AgentDown::NoNewConnections => is_new,
            AgentDown::Closed => true,
        };
        if shut && now_ns >= self.alive_until_ns {
            return Reason::AgentDown;
        }
        if is_due(now_ns, grant.last_seen_ns) {
            grant.last_seen_ns = now_ns;
        }
        Reason::Granted
    }

    /// Whether a protected host waits for this packet. If so, its flow moves on.
    fn is_reply(&mut self, packet: &Packet, upper: &Upper, now_ns: u64) -> bool {
        let ports = match upper.protocol {
            TCP | UDP => upper.ports(),
            _ => echo_identifier(packet, upper, [0, 129]).map(|identifier| (0, identifier)),
        };
        let Some((peer_port, own_port)) = ports else {
            return false;
        };
        let mut key = FlowKey {
            protocol: upper.protocol,
            own: packet.destination,
            own_port,
            peer: packet.source,
            peer_port,
        };
        let mut state = self.flows.state(key, now_ns);
        let is_lease = (upper.protocol, peer_port, own_port) == (UDP, 67, 68);
        if state.is_none() && is_lease && packet.destination.is_ipv4() {
            key = lease_key();
            state = self.flows.state(key, now_ns);
        }
        let Some(state) = state else {
            return false;
        };
        let Some(next) = after_reply(state, upper) else {
            return false;
        };
        // Answers do not prolong a request for a lease: each server may answer, but only for so
        // long.
        if key != lease_key() {
            self.flows.advance(key, next, now_ns);
        }
        true
    }
}

/// The state a packet from outside leaves a flow in; None if it is no reply.
fn after_reply(state: State, upper: &Upper) -> Option<State> {
    if upper.protocol != TCP {
        return Some(match state {
            State::Unreplied => State::Replied,
            other => other,
        });
    }
    let flags = upper.flags()?;
    if flags.opens() {
        return None;
    }
    Some(if flags.ends() {
        State::Closing
    } else if state == State::SynSent && flags.syn {
        State::Established
    } else {
        state
    })
}

/// Requests for a lease go out from no address to everybody, and answers come from any server.
pub(super) fn lease_key() -> FlowKey {
    FlowKey {
        protocol: UDP,
        own: IpAddr::from([0; 4]),
        own_port: 68,
        peer: IpAddr::from([0; 4]),
        peer_port: 67,
    }
}

/// The destination port, 0 for a protocol without; None if there should be one and is not.
pub(super) fn own_port(upper: &Upper) -> Option<u16> {
    if upper.has_ports() {
        upper.ports().map(|(_, port)| port)
    } else {
        Some(0)
    }
}

/// The identifier of an ICMP echo of this type (IPv4, IPv6).
pub(super) fn echo_identifier(packet: &Packet, upper: &Upper, types: [u8; 2]) -> Option<u16> {
    let [v4, v6] = types;
    // RFC 792, RFC 4443: type, code, checksum, identifier, sequence number.
    let kind = *upper.bytes.get(..8)?.first()?;
    let is_echo = match packet.destination {
        IpAddr::V4(_) => upper.protocol == ICMP && kind == v4,
        IpAddr::V6(_) => upper.protocol == ICMPV6 && kind == v6,
    };
    (is_echo && upper.within_reach > 4)
        .then(|| u16_at(upper.bytes, 4))
        .flatten()
}

/// RFC 4861: hop limit 255 shows that no router was on the way. RFC 2710 and 3810: listener
/// messages are sent with hop limit 1.
fn is_neighbour_discovery(packet: &Packet, upper: &Upper) -> bool {
    packet.destination.is_ipv6()
        && upper.protocol == ICMPV6
        && match upper.bytes.get(..4) {
            Some([133..=137, ..]) => packet.hops == 255,
            Some([130..=132 | 143, ..]) => packet.hops == 1,
            _ => false,
        }
}

fn is_icmp_error(packet: &Packet, upper: &Upper) -> bool {
    let Some([kind, _, _, _]) = upper.bytes.get(..4) else {
        return false;
    };
    match packet.destination {
        IpAddr::V4(_) => upper.protocol == ICMP && [3, 11, 12].contains(kind),
        IpAddr::V6(_) => upper.protocol == ICMPV6 && (1..=4).contains(kind),
    }
}

/// The /64 of an address.
pub(super) fn network_of(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))
}
