//! The verdict table, read top to bottom; the first row that fits decides.

use filter_abi::{Destination, Reason, Settings, Target, V4, V6};

use crate::{
    Address, Flow, GrantCell, Payload, Policy, Tables, Window,
    ethernet::{self, Network},
    ipv4, ipv6,
};

/// The reason for a packet, and the grant that admitted it.
pub struct Decision<G4, G6> {
    pub reason: Reason,
    pub admitted: Option<Admitted<G4, G6>>,
}

/// A grant of either family and the moment it was judged at.
pub enum Admitted<G4, G6> {
    V4(G4, u64),
    V6(G6, u64),
}

impl<G4: GrantCell, G6: GrantCell> Decision<G4, G6> {
    /// Counts the packet on the grant that admitted it.
    #[inline(always)]
    pub fn admit(self) -> Reason {
        match self.admitted {
            Some(Admitted::V4(grant, now)) => grant.admit(now),
            Some(Admitted::V6(grant, now)) => grant.admit(now),
            None => {}
        }
        self.reason
    }
}

/// Decides what happens to one frame under settings that the caller has read once.
#[inline(always)]
pub fn decide<W, P>(
    window: &W,
    settings: &Settings,
    policy: &P,
) -> Decision<<P as Tables<V4>>::Grant, <P as Tables<V6>>::Grant>
where
    W: Window,
    P: Policy + Tables<V4> + Tables<V6>,
{
    let alone = |reason| Decision {
        reason,
        admitted: None,
    };
    match ethernet::network(window, settings) {
        Network::Other(reason) => alone(reason),
        Network::V4(at) => match ipv4::parse(window, at) {
            None => alone(Reason::Malformed),
            Some(flow) => {
                let (reason, admitted) = judge(&flow, settings, policy);
                Decision {
                    reason,
                    admitted: admitted.map(|(grant, now)| Admitted::V4(grant, now)),
                }
            }
        },
        Network::V6(at) => match ipv6::parse(window, at) {
            None => alone(Reason::Malformed),
            Some(flow) => {
                let (reason, admitted) = judge(&flow, settings, policy);
                Decision {
                    reason,
                    admitted: admitted.map(|(grant, now)| Admitted::V6(grant, now)),
                }
            }
        },
    }
}

#[inline(always)]
fn judge<A, P>(flow: &Flow<A>, settings: &Settings, policy: &P) -> (Reason, Option<(P::Grant, u64)>)
where
    A: Address,
    P: Policy + Tables<A>,
{
    let destination = policy.destination(settings.generation, flow.destination);
    if destination.is_some() && settings.has(A::DENIES) && denied(flow.source, policy) {
        return (Reason::Denied, None);
    }
    if flow.payload == Payload::SourceRouted {
        return (Reason::SourceRouted, None);
    }
    let Some(destination) = destination else {
        return (Reason::NotProtected, None);
    };
    let protected = destination.flags & Destination::PROTECTED != 0;
    let unreadable = match flow.payload {
        Payload::Upper { protocol, port } => {
            return match policy.target(destination.prefix, protocol, port) {
                Some(target) => service(flow.source, target, settings, policy),
                None if !protected => (Reason::NotProtected, None),
                None if destination.flags & Destination::OTHER_PORTS_PASS != 0 => {
                    (Reason::OpenPort, None)
                }
                None => (Reason::NoService, None),
            };
        }
        Payload::SourceRouted => Reason::SourceRouted,
        Payload::Discovery => Reason::Control,
        Payload::TooDeep => Reason::TooDeep,
        Payload::Fragment => Reason::FragmentUnknown,
        Payload::Truncated => Reason::Malformed,
    };
    // An address that is only the portal's is not ours to judge beyond the portal's own port.
    (
        if protected {
            unreadable
        } else {
            Reason::NotProtected
        },
        None,
    )
}

#[inline(always)]
fn denied<A: Address>(source: A, policy: &(impl Policy + Tables<A>)) -> bool {
    policy
        .denied_until_ns(source)
        .is_some_and(|until| policy.now_ns() < until)
}

#[inline(always)]
fn service<A, P>(
    source: A,
    target: Target,
    settings: &Settings,
    policy: &P,
) -> (Reason, Option<(P::Grant, u64)>)
where
    A: Address,
    P: Policy + Tables<A>,
{
    if target.flags & Target::PUBLIC != 0 {
        return (Reason::Public, None);
    }
    if target.flags & Target::HAS_ALLOWS != 0
        && policy.allowed(settings.generation, target.service, source)
    {
        return (Reason::AlwaysAllowed, None);
    }
    let Some(grant) = policy.grant(target.service, source) else {
        return (Reason::NoGrant, None);
    };
    if settings.has(Settings::LOCKDOWN) {
        return (Reason::Lockdown, None);
    }
    let now = policy.now_ns();
    if now >= grant.deadline_ns() {
        return (Reason::Expired, None);
    }
    let idle = grant.idle_ns();
    if idle != 0 && now.saturating_sub(grant.last_seen_ns()) > idle {
        return (Reason::Idle, None);
    }
    (Reason::Granted, Some((grant, now)))
}
