//! A second, slow and plain reading of the verdict table, to hold the fast one against. It is
//! written from the table and the RFCs and shares no code with `filter-core`: own parser, own
//! model of the configuration, own tables, even its own list of reasons. It never asks how the
//! filter does it, and nothing here is meant to be quick.

mod answer;
mod config;
mod judge;
mod outgoing;
mod packet;
mod reason;
mod tables;
mod traces;
mod v4;
mod v6;

pub use answer::Reply;
pub use config::{
    AgentDown, Answer, Config, Kind, OtherPorts, Prefix, Protected, Rate, Service, Target, prefix,
};
pub use packet::{Contents, First, Link, Packet, Upper, read};
pub use reason::{Reason, Verdict};
pub use tables::{Flow, FlowKey, Grant, Living, SECOND, State};
pub use traces::{Cut, Often, Report, Sample};

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use tables::{Buckets, Flows, Fragments};

/// What is configured, and everything that is remembered between packets.
#[derive(Clone, Debug)]
pub struct Oracle {
    pub config: Config,
    /// Drops that observe mode may open pass.
    pub observe: bool,
    /// No grant admits a packet.
    pub lockdown: bool,
    /// The agent has promised to be there until then, nanoseconds.
    pub alive_until_ns: u64,
    /// A source prefix, and until when it is denied, nanoseconds.
    pub denies: Vec<(Prefix, u64)>,
    /// Of one address for one service.
    pub grants: HashMap<(IpAddr, u32), Grant>,
    /// Of an IPv6 /64 for one service; the key has zeros behind the prefix.
    pub prefix_grants: HashMap<(Ipv6Addr, u32), Grant>,
    fragments: Fragments,
    buckets: Buckets,
    flows: Flows,
    report: Report,
    samples: Vec<Sample>,
}

impl Oracle {
    /// Nothing is granted, nothing was seen, and the agent is there for good.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            observe: false,
            lockdown: false,
            alive_until_ns: u64::MAX,
            denies: Vec::new(),
            grants: HashMap::new(),
            prefix_grants: HashMap::new(),
            fragments: Fragments::default(),
            buckets: Buckets::default(),
            flows: Flows::default(),
            report: Report::new(),
            samples: Vec::new(),
        }
    }

    /// Flows of protected hosts whose answers would pass now.
    pub fn flows(&self, now_ns: u64) -> Living {
        self.flows.living(now_ns)
    }

    /// What observe mode let pass.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What dropped, or would have, since somebody asked last.
    pub fn take_samples(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.samples)
    }
}

#[cfg(test)]
mod tests;
