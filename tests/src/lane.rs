//! One lane on which the tests send single frames past a running filter, and see for each the
//! reason it was given and whether it came through.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Result, ensure};
use xtask::lab::{ETH, OUTER};

use crate::{
    Agent, Rig, packet,
    rig::{Family, GATE_MAC},
    wire::Wire,
};

/// Longer than a frame needs from one end of a cable to the other.
const ARRIVAL: Duration = Duration::from_millis(60);

/// A quiet rig with an agent, where the client's addresses hold a grant for `echo` (udp/7 and
/// tcp/7) and nobody else holds anything.
pub struct Lane {
    pub agent: Agent,
    out: Wire,
    arrived: Wire,
    pub friend: (Ipv4Addr, Ipv6Addr),
    pub stranger: (Ipv4Addr, Ipv6Addr),
    pub server: (Ipv4Addr, Ipv6Addr),
    /// Last, so that it goes last.
    pub rig: Rig,
}

impl Lane {
    pub fn open() -> Result<Self> {
        let rig = Rig::quiet()?;
        let config = rig.agent_config();
        Self::open_with(rig, &config)
    }

    pub fn open_with(rig: Rig, config: &str) -> Result<Self> {
        let agent = Agent::start_with(&rig, config)?;
        for family in Family::BOTH {
            agent.grant(rig.source(family), "echo", "alice", 600)?;
        }
        let layout = &rig.layout;
        Ok(Self {
            agent,
            out: Wire::open(&layout.client, ETH)?,
            arrived: Wire::open(&layout.gate, OUTER)?,
            friend: (layout.client_at.v4, layout.client_at.v6),
            stranger: (layout.neighbour_at.v4, layout.neighbour_at.v6),
            server: (layout.server_at.v4, layout.server_at.v6),
            rig,
        })
    }

    /// Sends one frame. It must be counted once, under this reason and no other, and must come
    /// through exactly if it `passes`.
    pub fn expect(&mut self, frame: &[u8], reason: &str, fate: Fate) -> Result<()> {
        self.expect_burst(std::slice::from_ref(&frame.to_vec()), &[(reason, 1)], fate)
    }

    /// The same for several frames in a row.
    pub fn expect_burst(
        &mut self,
        frames: &[Vec<u8>],
        reasons: &[(&str, u64)],
        fate: Fate,
    ) -> Result<()> {
        let before = self.agent.counters()?;
        for frame in frames {
            self.out.send(frame)?;
        }
        let mark = [GATE_MAC, packet::FROM].concat();
        let came = self.arrived.count(&mark, ARRIVAL)?;
        let after = self.agent.counters()?;
        let given: BTreeMap<_, _> = after
            .into_iter()
            .map(|(name, count)| {
                (
                    name.clone(),
                    count - before.get(&name).copied().unwrap_or(0),
                )
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        let expected: BTreeMap<_, _> = reasons
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        ensure!(
            given == expected,
            "counted {given:?}, expected {expected:?}"
        );
        let due = if fate == Fate::Passes {
            frames.len()
        } else {
            0
        };
        ensure!(
            came == due,
            "{came} frames came through, expected {due} ({reasons:?})"
        );
        Ok(())
    }

    /// A frame leaves by the interface that the filter is on.
    pub fn leave(&mut self, frame: &[u8]) -> Result<()> {
        self.arrived.send(frame)
    }

    /// An IPv4 packet in a plain frame to the gate.
    pub fn v4(&self, packet: &[u8]) -> Vec<u8> {
        packet::frame(GATE_MAC, packet::IPV4, packet)
    }

    /// An IPv6 packet in a plain frame to the gate.
    pub fn v6(&self, packet: &[u8]) -> Vec<u8> {
        packet::frame(GATE_MAC, packet::IPV6, packet)
    }

    /// An honest datagram to the server.
    pub fn honest(&self, from: impl Into<IpAddr>, port: u16) -> Result<Vec<u8>> {
        let from = from.into();
        let to = if from.is_ipv4() {
            self.server.0.into()
        } else {
            self.server.1.into()
        };
        packet::datagram(GATE_MAC, from, to, port, b"honest")
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Passes,
    Vanishes,
}
