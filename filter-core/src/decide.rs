//! The verdict table, read top to bottom; the first row that fits decides.

use filter_abi::{
    Destination, FragmentKey, FragmentRecord, GrantKey, Reason, Reasons, Settings, Target, V4, V6,
};

use crate::{
    Address, Flow, GrantCell, Place, Sheet, Tables, Window,
    ethernet::{self, Network},
    flow::{Kind, Upper},
    impact, ipv4, ipv6,
    quick::quick,
    rate, reply,
};

/// Longest time between a first fragment and a later one. Linux reassembles for as long
/// (`IP_FRAG_TIME` in include/net/ip.h).
const FRAGMENT_AGE_NS: u64 = 30_000_000_000;
/// RFC 791: no packet is longer, however it is cut.
const PACKET_MAX: u32 = 65_535;

/// The reason for a packet, and the target it was judged by. One word, because that is what a
/// function of a kernel program can return.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decision(u64);

impl Decision {
    #[inline(always)]
    pub(crate) const fn new(number: u32, target: Target) -> Self {
        let flags = target.flags & 0x00ff_ffff;
        Self((number as u64) << 56 | (flags as u64) << 32 | target.service as u64)
    }

    #[inline(always)]
    pub(crate) const fn alone(reason: Reason) -> Self {
        Self::new(reason as u32, Target::NONE)
    }

    /// 0 only for `Control` without a target, which the short way never says.
    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Option<Self> {
        match word {
            0 => None,
            word => Some(Self(word)),
        }
    }

    /// `Reason as u32`.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        (self.0 >> 56) as u32
    }

    /// The named cause, for the host.
    pub fn reason(self) -> Reason {
        let place = Reason::ALL.get(self.number() as usize);
        place.copied().unwrap_or(Reason::Malformed)
    }

    /// `Target::NONE` if there was none.
    #[inline(always)]
    pub const fn target(self) -> Target {
        Target {
            service: self.0 as u32,
            flags: (self.0 >> 32) as u32 & 0x00ff_ffff,
        }
    }
}

/// Decides what happens to one frame under settings that the caller has read once. What `sheet`
/// held before does not matter.
pub fn decide<W, P>(window: &W, settings: &Settings, policy: &P, sheet: &mut Sheet) -> Decision
where
    W: Window,
    P: Tables<V4> + Tables<V6>,
{
    quick(window, settings, policy).unwrap_or_else(|| table(window, settings, policy, sheet))
}

/// The same by the whole table.
#[inline(always)]
pub fn table<W, P>(window: &W, settings: &Settings, policy: &P, sheet: &mut Sheet) -> Decision
where
    W: Window,
    P: Tables<V4> + Tables<V6>,
{
    let network = window.forget(ethernet::network(window, settings));
    let read = match Network::of(network) {
        Network::Other(reason) => return Decision::alone(reason),
        Network::V4(at) if ipv4::parse(window, at, &mut sheet.v4) => {
            judge(window, &sheet.v4, settings, policy)
        }
        Network::V6(at) if ipv6::parse(window, at, &mut sheet.v6) => {
            judge(window, &sheet.v6, settings, policy)
        }
        _ => return Decision::alone(Reason::Malformed),
    };
    Decision(read)
}

/// The table for one family. A function of its own: so much fits a kernel program's stack.
#[inline(never)]
fn judge<A, W, P>(window: &W, flow: &Flow<A>, settings: &Settings, policy: &P) -> u64
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    rows(window, flow, settings, policy).0
}

#[inline(always)]
fn rows<A, W, P>(window: &W, flow: &Flow<A>, settings: &Settings, policy: &P) -> Decision
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    let Some(place) = place(flow, settings, policy) else {
        return Decision::alone(match flow.payload.kind {
            Kind::SourceRouted => Reason::SourceRouted,
            _ => Reason::NotProtected,
        });
    };
    let place = place.forget(window);
    if settings.has(A::DENIES) && denied(flow.source, policy) {
        return Decision::alone(Reason::Denied);
    }
    // An address that is only the portal's is not ours to judge beyond the portal's own port.
    let protected = place.flags & Destination::PROTECTED != 0;
    match flow.payload.kind {
        Kind::SourceRouted => Decision::alone(Reason::SourceRouted),
        Kind::Whole | Kind::First => judge_upper(window, flow, place, settings, policy),
        _ if !protected => Decision::alone(Reason::NotProtected),
        Kind::Discovery => Decision::alone(Reason::Control),
        Kind::Later => Decision::alone(fragment(flow, policy)),
        Kind::TooDeep => Decision::alone(Reason::TooDeep),
        Kind::Tiny => Decision::alone(Reason::FragmentUnknown),
        Kind::Truncated => Decision::alone(Reason::Malformed),
    }
}

/// A packet that shows its upper protocol, and what it leaves behind.
#[inline(always)]
fn judge_upper<A, W, P>(
    window: &W,
    flow: &Flow<A>,
    place: Place,
    settings: &Settings,
    policy: &P,
) -> Decision
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    let upper = &flow.payload.upper;
    let reason = upper_reason(window, flow, upper, place, settings, policy);
    let number = window.forget(reason as u64) as u32;
    if flow.payload.kind == Kind::First && Reasons::CARRYING.has(number) {
        keep(flow, policy);
    }
    if settings.has(Settings::OBSERVE) && Reasons::OPENED.has(number) {
        policy.keep_impact(&impact::key(window, flow, place.target, number));
    }
    Decision::new(number, place.target)
}

#[inline(always)]
fn place<A: Address, P: Tables<A>>(
    flow: &Flow<A>,
    settings: &Settings,
    policy: &P,
) -> Option<Place> {
    if let Kind::Whole | Kind::First = flow.payload.kind {
        let Upper { protocol, port, .. } = flow.payload.upper;
        return policy.place(settings.generation, flow.destination, protocol, port);
    }
    let destination = policy.destination(settings.generation, flow.destination)?;
    Some(Place {
        flags: destination.flags,
        target: Target::NONE,
    })
}

#[inline(always)]
fn denied<A: Address>(source: A, policy: &impl Tables<A>) -> bool {
    policy
        .denied_until_ns(source)
        .is_some_and(|until| policy.now_ns() < until)
}

#[inline(always)]
fn upper_reason<A, W, P>(
    window: &W,
    flow: &Flow<A>,
    upper: &Upper,
    place: Place,
    settings: &Settings,
    policy: &P,
) -> Reason
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    let protected = place.flags & Destination::PROTECTED != 0;
    let whole = flow.payload.kind == Kind::Whole;
    if protected && whole && upper.icmp_type::<A, W>(window).is_some_and(A::is_error) {
        return rate::icmp_error(flow.destination, settings, policy);
    }
    if place.target.exists() {
        return service(window, flow, upper, place.target, settings, policy);
    }
    if !protected {
        return Reason::NotProtected;
    }
    if reply::is_reply(window, flow, policy) {
        return Reason::Reply;
    }
    match place.flags & Destination::OTHER_PORTS_PASS {
        0 => Reason::NoService,
        _ => Reason::OpenPort,
    }
}

/// Rows 8 and 9. A later fragment may not begin before the end of the first one, so nothing that
/// was judged can be written over while the packet is put together (RFC 1858, 3128, 5722).
#[inline(never)]
fn fragment<A: Address, P: Tables<A>>(flow: &Flow<A>, policy: &P) -> Reason {
    let later = &flow.payload.piece;
    match policy.fragment(&fragment_key(flow)) {
        Some(first)
            if policy.now_ns().saturating_sub(first.seen_ns) < FRAGMENT_AGE_NS
                && later.offset >= first.end
                && later.offset + later.bytes <= PACKET_MAX =>
        {
            Reason::Fragment
        }
        _ => Reason::FragmentUnknown,
    }
}

#[inline(never)]
fn keep<A: Address, P: Tables<A>>(flow: &Flow<A>, policy: &P) {
    let record = FragmentRecord {
        seen_ns: policy.now_ns(),
        end: flow.payload.piece.bytes,
        zero: 0,
    };
    policy.keep_fragment(&fragment_key(flow), record);
}

#[inline(always)]
fn fragment_key<A: Address>(flow: &Flow<A>) -> FragmentKey<A> {
    FragmentKey {
        source: flow.source,
        destination: flow.destination,
        id: flow.payload.piece.id,
        protocol: u32::from(flow.payload.piece.protocol),
    }
}

#[inline(always)]
fn service<A, W, P>(
    window: &W,
    flow: &Flow<A>,
    upper: &Upper,
    target: Target,
    settings: &Settings,
    policy: &P,
) -> Reason
where
    A: Address,
    W: Window,
    P: Tables<A>,
{
    if target.has(Target::PUBLIC) {
        return match target.has(Target::RATED) {
            true => rate::public(flow.source, target.service, settings, policy),
            false => Reason::Public,
        };
    }
    if target.has(Target::HAS_ALLOWS)
        && policy.allowed(settings.generation, target.service, flow.source)
    {
        return Reason::AlwaysAllowed;
    }
    if !policy.may_hold(settings, flow.source) {
        return Reason::NoGrant;
    }
    let Some(grant) = grant(flow.source, target.service, settings, policy) else {
        return Reason::NoGrant;
    };
    if settings.has(Settings::LOCKDOWN) {
        return Reason::Lockdown;
    }
    let now = policy.now_ns();
    if now >= grant.deadline_ns() {
        return Reason::Expired;
    }
    let idle = grant.idle_ns();
    if idle != 0 && now.saturating_sub(grant.last_seen_ns()) > idle {
        return Reason::Idle;
    }
    let guarded = Target::AGENT_DOWN_CLOSED | Target::AGENT_DOWN_OLD_ONLY;
    if target.has(guarded) && now >= policy.alive_until_ns() {
        let flags = upper.flags(window);
        let running = flags.are_there() && !flags.open();
        if target.has(Target::AGENT_DOWN_CLOSED) || !running {
            return Reason::AgentDown;
        }
    }
    policy.admit(&grant, now);
    Reason::Granted
}

/// The grant of the source itself, or of the /64 around it.
#[inline(always)]
fn grant<A: Address, P: Tables<A>>(
    source: A,
    service: u32,
    settings: &Settings,
    policy: &P,
) -> Option<P::Grant> {
    let exact = policy.grant(GrantKey { source, service });
    if exact.is_some() || !settings.has(Settings::PREFIX_GRANTS) {
        return exact;
    }
    policy.grant(GrantKey {
        source: source.customer(),
        service: service | GrantKey::<A>::PREFIX,
    })
}
