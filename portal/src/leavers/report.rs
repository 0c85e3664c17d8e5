//! What a round saw and did, for people and programs.

use serde::{Deserialize, Serialize};

use super::{guard::Held, look::Found};

/// Names kept in a report; the counts are exact.
const NAMES_MAX: usize = 1_000;

/// One round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) people: usize,
    pub(crate) took_ms: u64,
    pub(crate) leavers: usize,
    /// Who left, and why.
    pub(crate) left: Vec<(String, String)>,
    pub(crate) strays: usize,
    /// Who is out of a group, and the services that open no more.
    pub(crate) strayed: Vec<(String, Vec<String>)>,
    pub(crate) unclear: usize,
    /// People whose everything ended.
    pub(crate) ended: usize,
    /// Services closed after group changes.
    pub(crate) closed: usize,
    /// Closings the agent did not do; the next round tries again.
    pub(crate) not_closed: usize,
    /// Why open grants were not looked at.
    pub(crate) agent_failed: Option<String>,
    #[serde(skip)]
    pub(super) held: Held,
    /// So many were held back.
    pub(crate) held_back: usize,
}

impl Report {
    pub(super) fn of(found: &Found, held: Held) -> Self {
        let name = |(person, why): &(crate::store::Person, super::look::Why)| {
            (person.user_name.clone(), why.name().to_owned())
        };
        let mut held_back = 0;
        if held.leavers {
            held_back += found.leavers.len();
        }
        if held.strays {
            held_back += found.strays.len();
        }
        Self {
            people: found.people,
            leavers: found.leavers.len(),
            left: found.leavers.iter().map(name).take(NAMES_MAX).collect(),
            strays: found.strays.len(),
            strayed: found
                .strays
                .iter()
                .map(|(person, lost)| (person.user_name.clone(), lost.iter().cloned().collect()))
                .take(NAMES_MAX)
                .collect(),
            unclear: found.unclear,
            agent_failed: found.agent_failed.clone(),
            held,
            held_back,
            ..Self::default()
        }
    }
}
