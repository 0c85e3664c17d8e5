//! The cases the desk carries out, and which act of them may need a second person.

use crate::{config::Act, text::DeskWords};

/// A guided case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CaseKind {
    /// The phone is lost: everything stops at once, and a ticket leads to another one.
    Lost,
    /// A first or a further phone: a ticket.
    Enrol,
    /// Too many failures: the wait is lifted.
    Unlock,
    /// A token that the desk suspended was found again.
    Resume,
    /// Everything of the person ends for good.
    Lockout,
    /// A hardware token out of the stock.
    Hardware,
    /// The recovery codes are void.
    Codes,
}

impl CaseKind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Lost,
        Self::Enrol,
        Self::Unlock,
        Self::Resume,
        Self::Lockout,
        Self::Hardware,
        Self::Codes,
    ];

    /// In the database, in forms and in records.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Enrol => "enrol",
            Self::Unlock => "unlock",
            Self::Resume => "resume",
            Self::Lockout => "lockout",
            Self::Hardware => "hardware",
            Self::Codes => "codes",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// For people.
    pub(crate) fn title(self, words: &DeskWords) -> &str {
        match self {
            Self::Lost => &words.lost,
            Self::Enrol => &words.enrol,
            Self::Unlock => &words.unlock,
            Self::Resume => &words.resume,
            Self::Lockout => &words.lockout,
            Self::Hardware => &words.hardware,
            Self::Codes => &words.codes_case,
        }
    }

    /// What a second person may have to approve.
    pub(crate) fn act(self) -> Act {
        match self {
            Self::Lost | Self::Enrol => Act::Ticket,
            Self::Unlock => Act::Unlock,
            Self::Resume => Act::Resume,
            Self::Lockout => Act::Lockout,
            Self::Hardware => Act::Hardware,
            Self::Codes => Act::RecoveryCodes,
        }
    }

    /// True: it ends with a code that only who asked for it is shown.
    pub(crate) fn is_ticket(self) -> bool {
        self.act() == Act::Ticket
    }

    /// True: it is of use for somebody the directory does not know any more or cannot be asked for.
    pub(crate) fn only_stops(self) -> bool {
        self == Self::Lockout
    }

    /// True: it names a token or a serial.
    pub(crate) fn has_subject(self) -> bool {
        matches!(self, Self::Resume | Self::Hardware)
    }
}
