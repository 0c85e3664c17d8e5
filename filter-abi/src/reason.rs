//! The named cause of a verdict. Every packet gets exactly one.

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Pass,
    Drop,
}

/// Why. The number is the index of the counter.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// ARP, layer-2 control, neighbour discovery.
    Control = 0,
    /// An EtherType that is not looked into, or too many tags.
    EtherType = 1,
    /// A header that is short, of the wrong version, or contradicts the frame.
    Malformed = 2,
    /// The source is inside a deny prefix.
    Denied = 3,
    /// The packet names its own way; its last destination is not the one it shows.
    SourceRouted = 4,
    /// The destination is not ours to judge.
    NotProtected = 5,
    /// Extension headers that are too many or cannot be walked.
    TooDeep = 6,
    /// A fragment that does not show its ports.
    FragmentUnknown = 7,
    /// A target that is open to everybody.
    Public = 8,
    /// The source is inside a permanent allow prefix of the service.
    AlwaysAllowed = 9,
    /// A live grant.
    Granted = 10,
    /// A grant past its deadline.
    Expired = 11,
    /// A grant that was silent for too long.
    Idle = 12,
    /// Lockdown is on.
    Lockdown = 13,
    /// No grant.
    NoGrant = 14,
    /// No service on this port of a protected address, and such ports pass.
    OpenPort = 15,
    /// No service on this port of a protected address.
    NoService = 16,
    /// A later fragment of a packet whose first fragment passed.
    Fragment = 17,
    /// An ICMP error: path MTU, unreachable, time exceeded.
    IcmpError = 18,
    /// More than a public service or a destination of ICMP errors takes.
    RateLimited = 19,
    /// A reply to a flow that the protected host opened itself.
    Reply = 20,
    /// The agent is gone, and the service says what ends then.
    AgentDown = 21,
}

impl Reason {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 22] = [
        Self::Control,
        Self::EtherType,
        Self::Malformed,
        Self::Denied,
        Self::SourceRouted,
        Self::NotProtected,
        Self::TooDeep,
        Self::FragmentUnknown,
        Self::Public,
        Self::AlwaysAllowed,
        Self::Granted,
        Self::Expired,
        Self::Idle,
        Self::Lockdown,
        Self::NoGrant,
        Self::OpenPort,
        Self::NoService,
        Self::Fragment,
        Self::IcmpError,
        Self::RateLimited,
        Self::Reply,
        Self::AgentDown,
    ];

    /// How many there are.
    pub const COUNT: u32 = 22;

    /// What enforce mode does.
    #[inline(always)]
    pub const fn action(self) -> Action {
        match self {
            Self::Control
            | Self::NotProtected
            | Self::Public
            | Self::AlwaysAllowed
            | Self::Granted
            | Self::OpenPort
            | Self::Fragment
            | Self::IcmpError
            | Self::Reply => Action::Pass,
            Self::EtherType
            | Self::Malformed
            | Self::Denied
            | Self::SourceRouted
            | Self::TooDeep
            | Self::FragmentUnknown
            | Self::Expired
            | Self::Idle
            | Self::Lockdown
            | Self::NoGrant
            | Self::NoService
            | Self::RateLimited
            | Self::AgentDown => Action::Drop,
        }
    }

    /// Whether observe mode lets it pass. What an operator closed on purpose stays closed: a deny
    /// prefix, a rate, and lockdown.
    #[inline(always)]
    pub const fn opened_by_observe(self) -> bool {
        matches!(self.action(), Action::Drop)
            && !matches!(self, Self::Denied | Self::Lockdown | Self::RateLimited)
    }

    /// Whether a first fragment that got it lets its later fragments pass.
    #[inline(always)]
    pub const fn carries_fragments(self) -> bool {
        matches!(
            self,
            Self::Public | Self::AlwaysAllowed | Self::Granted | Self::OpenPort | Self::Reply
        )
    }

    /// The name used in counters, logs and the CLI.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "Control",
            Self::EtherType => "EtherType",
            Self::Malformed => "Malformed",
            Self::Denied => "Denied",
            Self::SourceRouted => "SourceRouted",
            Self::NotProtected => "NotProtected",
            Self::TooDeep => "TooDeep",
            Self::FragmentUnknown => "FragmentUnknown",
            Self::Public => "Public",
            Self::AlwaysAllowed => "AlwaysAllowed",
            Self::Granted => "Granted",
            Self::Expired => "Expired",
            Self::Idle => "Idle",
            Self::Lockdown => "Lockdown",
            Self::NoGrant => "NoGrant",
            Self::OpenPort => "OpenPort",
            Self::NoService => "NoService",
            Self::Fragment => "Fragment",
            Self::IcmpError => "IcmpError",
            Self::RateLimited => "RateLimited",
            Self::Reply => "Reply",
            Self::AgentDown => "AgentDown",
        }
    }
}

/// Some of the reasons, a bit for each: a question about a reason is one shift, where a match is a
/// chain of comparisons that the kernel's verifier walks again on every way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reasons(u32);

macro_rules! those {
    ($question:expr) => {{
        let mut bits = 0;
        let mut at = 0;
        while at < Reason::ALL.len() {
            let reason = Reason::ALL[at];
            if $question(reason) {
                bits |= 1 << at;
            }
            at += 1;
        }
        Reasons(bits)
    }};
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, bounded by the length"
)]
impl Reasons {
    /// Those that pass.
    pub const PASSED: Self = {
        const fn passes(reason: Reason) -> bool {
            matches!(reason.action(), Action::Pass)
        }
        those!(passes)
    };
    /// Those that observe mode lets pass.
    pub const OPENED: Self = those!(Reason::opened_by_observe);
    /// Those whose first fragment lets its later fragments pass.
    pub const CARRYING: Self = those!(Reason::carries_fragments);
    /// Those for want of a grant that admits: what a service may want answered.
    pub const UNGRANTED: Self = {
        const fn is_ungranted(reason: Reason) -> bool {
            matches!(
                reason,
                Reason::NoGrant
                    | Reason::Expired
                    | Reason::Idle
                    | Reason::Lockdown
                    | Reason::AgentDown
            )
        }
        those!(is_ungranted)
    };
    /// Whether a reason, by its number, is one of them.
    #[inline(always)]
    pub const fn has(self, number: u32) -> bool {
        self.0 >> (number & 31) & 1 != 0
    }
}

/// The list is in the order of the numbers.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, bounded by the length"
)]
const _: () = {
    assert!(Reason::ALL.len() == Reason::COUNT as usize);
    let mut at = 0;
    while at < Reason::ALL.len() {
        assert!(Reason::ALL[at] as usize == at);
        at += 1;
    }
};
