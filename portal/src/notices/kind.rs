//! What a person can be told by mail: the name, which values its text has, and which of them a
//! template must use. A code, a ticket or a secret is none of them.

/// The common values: every template may use them.
pub(crate) const COMMON: [&str; 5] = ["user", "portal", "time", "contact", "url"];

/// Something that happened to a person's access, or that the operators have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NewNetwork,
    NewDevice,
    DeviceSuspended,
    DeviceRevoked,
    RecoveryUsed,
    TicketIssued,
    LockedOut,
    ExceptionGranted,
    ExceptionEnding,
    DeskAction,
    Folded,
    /// To the operators: somebody said "this was not me".
    Reported,
    /// To whom may approve: a case waits for a second person.
    CaseWaiting,
    /// To the operators, once a year: go through everything.
    Review,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::NewNetwork,
        Self::NewDevice,
        Self::DeviceSuspended,
        Self::DeviceRevoked,
        Self::RecoveryUsed,
        Self::TicketIssued,
        Self::LockedOut,
        Self::ExceptionGranted,
        Self::ExceptionEnding,
        Self::DeskAction,
        Self::Folded,
        Self::Reported,
        Self::CaseWaiting,
        Self::Review,
    ];

    /// In configuration, file names and the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewNetwork => "new-network",
            Self::NewDevice => "new-device",
            Self::DeviceSuspended => "device-suspended",
            Self::DeviceRevoked => "device-revoked",
            Self::RecoveryUsed => "recovery-used",
            Self::TicketIssued => "ticket-issued",
            Self::LockedOut => "locked-out",
            Self::ExceptionGranted => "exception-granted",
            Self::ExceptionEnding => "exception-ending",
            Self::DeskAction => "desk-action",
            Self::Folded => "folded",
            Self::Reported => "reported",
            Self::CaseWaiting => "case-waiting",
            Self::Review => "review",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The values a template of it must use.
    pub(crate) fn needs(self) -> &'static [&'static str] {
        match self {
            Self::NewNetwork => &["address", "link"],
            Self::NewDevice => &["device", "link"],
            Self::DeviceSuspended | Self::DeviceRevoked => &["device"],
            Self::RecoveryUsed => &["how"],
            Self::TicketIssued => &["until"],
            Self::LockedOut => &[],
            Self::ExceptionGranted | Self::ExceptionEnding => &["service", "until"],
            Self::DeskAction => &["action"],
            Self::Folded => &["count"],
            Self::Reported => &["person", "address", "grants"],
            Self::CaseWaiting => &["case", "id", "person", "by", "until"],
            Self::Review => &["unused", "suspended", "weak", "exceptions"],
        }
    }

    /// True: the mail carries a link that suspends everything.
    pub(crate) fn has_link(self) -> bool {
        self.needs().contains(&"link")
    }

    /// True: given up last when too many wait. What anybody can cause by logging in again and
    /// again is not, so that it pushes nothing else out.
    pub(crate) fn is_important(self) -> bool {
        !matches!(self, Self::NewNetwork | Self::ExceptionEnding)
    }

    /// Invented values, for `mail preview` and `mail test`.
    pub(crate) fn sample(self) -> Vec<(&'static str, &'static str)> {
        self.needs()
            .iter()
            .map(|name| {
                let value = match *name {
                    "address" => "192.0.2.7",
                    "device" => "Phone",
                    "how" => "a recovery code",
                    "until" => "2030-01-31 17:40 UTC",
                    "service" => "web",
                    "action" => "A new phone was prepared for you.",
                    "count" => "12",
                    "person" => "alice",
                    "grants" => "2",
                    "case" => "Lost phone",
                    "id" => "c-example",
                    "by" => "carol",
                    "unused" => "4",
                    "suspended" => "3",
                    "weak" => "1",
                    "exceptions" => "2",
                    _ => "https://access.example.com/not-me?link=EXAMPLE",
                };
                (*name, value)
            })
            .collect()
    }
}
