//! What is remembered between packets. Plain maps without bounds: the generator keeps to few
//! addresses, so the filter's bounded tables never have to forget either.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::{config::Rate, packet::First};

/// In nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// A permission with an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub deadline_ns: u64,
    /// 0 = none.
    pub idle_ns: u64,
    pub last_seen_ns: u64,
}

/// Times of use are written at most once a second.
pub(super) fn is_due(now_ns: u64, seen_ns: u64) -> bool {
    now_ns.saturating_sub(seen_ns) >= SECOND
}

/// First fragments that were passed: source, destination, protocol, id.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments(HashMap<(IpAddr, IpAddr, u8, u32), (u64, u64)>);

impl Fragments {
    const AGE_NS: u64 = 30 * SECOND;
    const LARGEST: u64 = 65_535;

    pub(super) fn record(&mut self, from: IpAddr, to: IpAddr, first: First, now_ns: u64) {
        let key = (from, to, first.protocol, first.id);
        self.0.insert(key, (now_ns, first.end));
    }

    /// Whether bytes `offset..offset + length` of a packet follow a first fragment we passed,
    /// overlap nothing of it and end where a packet must end.
    pub(super) fn admit(
        &self,
        key: (IpAddr, IpAddr, u8, u32),
        offset: u64,
        length: u64,
        now_ns: u64,
    ) -> bool {
        self.0.get(&key).is_some_and(|(seen, end)| {
            now_ns.saturating_sub(*seen) < Self::AGE_NS
                && offset >= *end
                && offset + length <= Self::LARGEST
        })
    }
}

/// Whose packets are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    /// Of one source (IPv6: of its /64) for one service.
    Public(u32, IpAddr),
    /// Towards one destination.
    IcmpErrors(IpAddr),
}

/// The generic cell rate algorithm: for each bucket the moment at which it is empty again.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(HashMap<Bucket, u64>);

impl Buckets {
    /// Whether one more packet is within the rate; if so it is counted.
    pub(super) fn take(&mut self, bucket: Bucket, rate: Rate, now_ns: u64) -> bool {
        if rate.interval_ns == 0 {
            return true;
        }
        let until = self.0.entry(bucket).or_insert(0);
        let base = now_ns.max(*until);
        if base - now_ns
            > rate
                .burst
                .saturating_sub(1)
                .saturating_mul(rate.interval_ns)
        {
            return false;
        }
        *until = base.saturating_add(rate.interval_ns);
        true
    }
}

/// One conversation of a protected host, seen from it. Echo: the identifier is the own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    pub protocol: u8,
    pub own: IpAddr,
    pub own_port: u16,
    pub peer: IpAddr,
    pub peer_port: u16,
}

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Unreplied,
    Replied,
    Echo,
    SynSent,
    Established,
    Closing,
}

impl State {
    /// Silence after which it is over, nanoseconds.
    pub fn age_ns(self) -> u64 {
        SECOND
            * match self {
                Self::Unreplied | Self::Echo => 30,
                Self::Replied => 180,
                Self::SynSent => 60,
                Self::Established => 7_440,
                Self::Closing => 240,
            }
    }
}

/// A conversation's state, and when it last moved on (to the second).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub state: State,
    pub seen_ns: u64,
}

impl Flow {
    /// Whether it still counts.
    pub fn lives(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.seen_ns) < self.state.age_ns()
    }
}

/// Flows that count at some moment.
pub type Living = BTreeMap<FlowKey, Flow>;

/// Flows that protected hosts opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Flows(HashMap<FlowKey, Flow>);

impl Flows {
    /// The state of a flow that has not aged.
    pub(super) fn state(&self, key: FlowKey, now_ns: u64) -> Option<State> {
        let flow = self.0.get(&key)?;
        flow.lives(now_ns).then_some(flow.state)
    }

    pub(super) fn living(&self, now_ns: u64) -> Living {
        let flows = self.0.iter().filter(|(_, flow)| flow.lives(now_ns));
        flows.map(|(key, flow)| (*key, *flow)).collect()
    }

    /// A flow begins, or begins again.
    pub(super) fn open(&mut self, key: FlowKey, state: State, now_ns: u64) {
        let flow = Flow {
            state,
            seen_ns: now_ns,
        };
        self.0.insert(key, flow);
    }

    /// A packet of a living flow leaves it in this state.
    pub(super) fn advance(&mut self, key: FlowKey, state: State, now_ns: u64) {
        if let Some(flow) = self.0.get_mut(&key)
            && (flow.state != state || is_due(now_ns, flow.seen_ns))
        {
            flow.state = state;
            flow.seen_ns = now_ns;
        }
    }
}
