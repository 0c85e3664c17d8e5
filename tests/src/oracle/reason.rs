//! The reasons and what they mean for a packet, copied by hand from the verdict table, so that a
//! slip in the filter's own list does not go unnoticed.

/// Why a packet passes or drops. The number is the one the counters go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    Control = 0,
    EtherType = 1,
    Malformed = 2,
    Denied = 3,
    SourceRouted = 4,
    NotProtected = 5,
    TooDeep = 6,
    FragmentUnknown = 7,
    Public = 8,
    AlwaysAllowed = 9,
    Granted = 10,
    Expired = 11,
    Idle = 12,
    Lockdown = 13,
    NoGrant = 14,
    OpenPort = 15,
    NoService = 16,
    Fragment = 17,
    IcmpError = 18,
    RateLimited = 19,
    Reply = 20,
    AgentDown = 21,
}

impl Reason {
    /// All of them, in the order of their numbers.
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

    /// What enforce mode does.
    pub fn passes(self) -> bool {
        [
            Self::Control,
            Self::NotProtected,
            Self::Fragment,
            Self::IcmpError,
            Self::Public,
            Self::AlwaysAllowed,
            Self::Granted,
            Self::Reply,
            Self::OpenPort,
        ]
        .contains(&self)
    }

    /// Whether observe mode lets a drop pass: all but what somebody closed on purpose, and what
    /// is above its rate.
    pub fn opened_by_observe(self) -> bool {
        !self.passes() && ![Self::Denied, Self::Lockdown, Self::RateLimited].contains(&self)
    }

    /// Whether a passed first fragment with this reason admits the later ones.
    pub fn admits_later_fragments(self) -> bool {
        [
            Self::Public,
            Self::AlwaysAllowed,
            Self::Granted,
            Self::OpenPort,
            Self::Reply,
        ]
        .contains(&self)
    }

    /// The reason of a number.
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u32 == number)
    }

    /// The reason of a name as the counters have it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| format!("{reason:?}") == name)
    }
}

/// What becomes of one packet, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub reason: Reason,
    pub passes: bool,
}
