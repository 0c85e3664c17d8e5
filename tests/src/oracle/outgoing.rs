//! What is remembered of a packet that a protected host sends, so that its answer is known.

use std::net::IpAddr;

use super::{
    Oracle,
    config::Place,
    judge::{TCP, UDP, echo_identifier, lease_key},
    packet::{Contents, Link, Packet, Upper, read},
    tables::{FlowKey, State},
};

impl Oracle {
    /// A frame leaves at `now_ns`. It is never stopped.
    pub fn outgoing(&mut self, frame: &[u8], now_ns: u64) {
        let Link::Packet(packet) = read(frame, &self.config.ether_types) else {
            return;
        };
        let Contents::Upper(upper) = &packet.contents else {
            return;
        };
        if upper.first.is_some() && upper.is_too_short_for_a_first_fragment() {
            return;
        }
        // It goes elsewhere than it says, and so nobody knows where answers come from.
        if packet.source_routed {
            return;
        }
        let is_protected = matches!(self.config.place(packet.source), Place::Protected(_));
        let nowhere = IpAddr::from([0; 4]);
        if packet.source.is_ipv4()
            && (is_protected || packet.source == nowhere)
            && upper.protocol == UDP
            && upper.ports() == Some((68, 67))
        {
            self.flows.open(lease_key(), State::Unreplied, now_ns);
        }
        if is_protected {
            self.sent(&packet, upper, now_ns);
        }
    }

    fn sent(&mut self, packet: &Packet, upper: &Upper, now_ns: u64) {
        let echo = echo_identifier(packet, upper, [8, 128]);
        let ports = match upper.protocol {
            TCP | UDP => upper.ports(),
            _ => echo.map(|identifier| (identifier, 0)),
        };
        let Some((own_port, peer_port)) = ports else {
            return;
        };
        // A service's own answers are no conversations of the host.
        let target_port = if echo.is_some() { 0 } else { own_port };
        let service = self
            .config
            .service(packet.source, upper.protocol, target_port);
        if service.is_some() {
            return;
        }
        let key = FlowKey {
            protocol: upper.protocol,
            own: packet.source,
            own_port,
            peer: packet.destination,
            peer_port,
        };
        let state = self.flows.state(key, now_ns);
        if upper.protocol == TCP {
            let Some(flags) = upper.flags() else {
                return;
            };
            match state {
                _ if flags.opens() => self.flows.open(key, State::SynSent, now_ns),
                Some(_) if flags.ends() => self.flows.advance(key, State::Closing, now_ns),
                Some(state) => self.flows.advance(key, state, now_ns),
                None => {}
            }
            return;
        }
        let fresh = if echo.is_some() {
            State::Echo
        } else {
            State::Unreplied
        };
        match state {
            Some(state) => self.flows.advance(key, state, now_ns),
            None => self.flows.open(key, fresh, now_ns),
        }
    }
}
