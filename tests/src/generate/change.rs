//! What can happen: a packet arrives or leaves, time goes by, somebody changes something.

use std::net::{IpAddr, Ipv6Addr};

use crate::oracle::{Grant, Oracle, Prefix};

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame arrives.
    Packet(Vec<u8>),
    /// A frame leaves a protected host.
    Outgoing(Vec<u8>),
    /// Nanoseconds go by.
    Advance(u64),
    Change(Change),
}

/// Something an operator, the portal or the agent does. Times are nanoseconds from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Grant {
        source: IpAddr,
        service: u32,
        lasts_ns: u64,
        /// 0 = no limit.
        idle_ns: u64,
    },
    Revoke {
        source: IpAddr,
        service: u32,
    },
    /// Of a whole /64.
    GrantNetwork {
        network: Ipv6Addr,
        service: u32,
        lasts_ns: u64,
        idle_ns: u64,
    },
    RevokeNetwork {
        network: Ipv6Addr,
        service: u32,
    },
    Deny {
        prefix: Prefix,
        lasts_ns: u64,
    },
    LiftDeny {
        prefix: Prefix,
    },
    Observe(bool),
    Lockdown(bool),
    /// The agent says that it will be there for so long.
    Heartbeat {
        lasts_ns: u64,
    },
}

/// A grant opened now.
pub(crate) fn grant(lasts_ns: u64, idle_ns: u64, now_ns: u64) -> Grant {
    Grant {
        deadline_ns: now_ns + lasts_ns,
        idle_ns,
        last_seen_ns: now_ns,
    }
}

impl Oracle {
    /// Does to the oracle what is done to all.
    pub fn change(&mut self, change: &Change, now_ns: u64) {
        match change {
            Change::Grant {
                source,
                service,
                lasts_ns,
                idle_ns,
            } => {
                let grant = grant(*lasts_ns, *idle_ns, now_ns);
                self.grants.insert((*source, *service), grant);
            }
            Change::Revoke { source, service } => {
                self.grants.remove(&(*source, *service));
            }
            Change::GrantNetwork {
                network,
                service,
                lasts_ns,
                idle_ns,
            } => {
                let grant = grant(*lasts_ns, *idle_ns, now_ns);
                self.prefix_grants.insert((*network, *service), grant);
            }
            Change::RevokeNetwork { network, service } => {
                self.prefix_grants.remove(&(*network, *service));
            }
            Change::Deny { prefix, lasts_ns } => {
                self.denies.retain(|(known, _)| known != prefix);
                self.denies.push((*prefix, now_ns + lasts_ns));
            }
            Change::LiftDeny { prefix } => self.denies.retain(|(known, _)| known != prefix),
            Change::Observe(on) => self.observe = *on,
            Change::Lockdown(on) => self.lockdown = *on,
            Change::Heartbeat { lasts_ns } => self.alive_until_ns = now_ns + lasts_ns,
        }
    }
}
