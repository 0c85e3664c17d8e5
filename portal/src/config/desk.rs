//! `[desk]`: who is the help desk, from where, on which proof, and what needs a second person.
//! Without this table there is no desk.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::{
    FactorKind, Ways,
    mail::Receiver,
    units::{Length, Whole},
};
use crate::directory::Account;

/// What may need a second person, by its word in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// Issuing a ticket. What a lost phone opened is shut at once nevertheless.
    Ticket,
    Unlock,
    Resume,
    Lockout,
    Hardware,
    RecoveryCodes,
}

/// The settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Desk {
    /// Directory groups that carry out the cases.
    #[serde(default)]
    pub(crate) helpdesk_groups: Vec<String>,
    /// Directory groups that decide on what needs a second person.
    #[serde(default)]
    pub(crate) approver_groups: Vec<String>,
    /// Directory groups that look and change nothing.
    #[serde(default)]
    pub(crate) auditor_groups: Vec<String>,
    /// From which networks the desk is used at all.
    pub(crate) from: Vec<IpNet>,
    /// A code or a passkey must have been shown not longer ago than this.
    #[serde(default = "fresh")]
    pub(crate) fresh: Length<60, 28_800>,
    /// What must have been shown; as for a service.
    #[serde(default)]
    pub(crate) factors: Ways,
    /// The ways in which the desk makes sure who somebody is.
    #[serde(default = "evidence")]
    pub(crate) evidence: Vec<String>,
    #[serde(default)]
    pub(crate) second_approver: Vec<Act>,
    /// How long a request waits for the second person, and what was approved for being done.
    #[serde(default = "waits")]
    pub(crate) waits: Length<600, 259_200>,
    /// People one member of the desk may look up within an hour.
    #[serde(default = "look_ups")]
    pub(crate) look_ups: Whole<1, 10_000>,
    /// Who is told by mail that a request waits for a second person. Empty: people of
    /// `approver_groups` whose address the directory knows.
    #[serde(default)]
    approver_mail: Vec<Receiver>,
}

fn fresh() -> Length<60, 28_800> {
    Length::of::<900>()
}

fn evidence() -> Vec<String> {
    [
        "seen in person",
        "called back on the listed number",
        "manager vouched",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn waits() -> Length<600, 259_200> {
    Length::of::<14_400>()
}

fn look_ups() -> Whole<1, 10_000> {
    Whole::of::<120>()
}

impl Desk {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.from.is_empty() {
            return Err((
                "from",
                "from must name the desk's networks, e.g. [\"192.0.2.0/24\"]; [\"0.0.0.0/0\", \"::/0\"] \
                 is anywhere"
                    .into(),
            ));
        }
        if self.helpdesk_groups.is_empty()
            && self.approver_groups.is_empty()
            && self.auditor_groups.is_empty()
        {
            return Err((
                "desk",
                "nobody is the desk: name helpdesk_groups, approver_groups or auditor_groups"
                    .into(),
            ));
        }
        if !self.second_approver.is_empty() && self.approver_groups.is_empty() {
            return Err((
                "second_approver",
                "second_approver needs approver_groups: nobody could approve".into(),
            ));
        }
        let is_word = |word: &String| !word.trim().is_empty() && word.chars().count() <= 80;
        if self.evidence.is_empty() || !self.evidence.iter().all(is_word) {
            return Err((
                "evidence",
                "evidence needs at least one way to make sure who somebody is, each of 1 to 80 characters"
                    .into(),
            ));
        }
        self.factors
            .check("the desk")
            .map_err(|message| ("factors", message))
    }

    /// True: the person has a role at the desk.
    pub(crate) fn has(&self, account: &Account) -> bool {
        self.groups().any(|group| account.is_in(group))
    }

    /// All groups that have a role.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &String> {
        [
            &self.helpdesk_groups,
            &self.approver_groups,
            &self.auditor_groups,
        ]
        .into_iter()
        .flatten()
    }

    /// True: the desk may be used from there.
    pub(crate) fn is_from(&self, address: IpAddr) -> bool {
        self.from.iter().any(|network| network.contains(&address))
    }

    pub(crate) fn approver_mail(&self) -> impl Iterator<Item = &str> {
        self.approver_mail.iter().map(Receiver::as_str)
    }

    pub(crate) fn needs_second(&self, act: Act) -> bool {
        self.second_approver.contains(&act)
    }

    /// True: one of the accepted lists was shown.
    pub(crate) fn is_satisfied_by(&self, shown: impl Fn(FactorKind) -> bool) -> bool {
        self.factors
            .iter()
            .any(|way| way.iter().all(|kind| shown(*kind)))
    }
}
