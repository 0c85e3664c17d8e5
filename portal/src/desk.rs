//! The help desk: who is of it, what it may do for whom on which evidence, and what a second person
//! has to approve. It never sees or chooses a secret but a ticket's code, which opens nothing without
//! the person's directory password.

mod approvals;
mod by;
mod carry;
mod cases;
mod chart;
mod counters;
mod figures;
mod hardware;
mod kind;
mod looks;
mod officer;
mod recoveries;
mod ticket;
mod tools;

pub(crate) use approvals::watch as watch_approvals;
pub(crate) use by::By;
pub(crate) use cases::{Came, Refused, Wish, may_take};
pub(crate) use chart::{Bars, Chart};
pub(crate) use counters::{Counters, bucket};
pub(crate) use figures::{Enrolment, Of, Spans, reasons, table};
pub(crate) use hardware::{NotGiven, give};
pub(crate) use kind::CaseKind;
pub(crate) use looks::LookUps;
pub(crate) use officer::{Officer, Role, Shut};
pub(crate) use recoveries::recoveries;
pub(crate) use ticket::{Issue, Made, issue};
pub(crate) use tools::{Seen, Tools, Whom};

use crate::config::Config;

/// What the desk keeps in memory while the portal runs.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) looks: LookUps,
    pub(crate) counters: Counters,
    pub(crate) enrolment: Enrolment,
}

impl Memory {
    pub(crate) fn new(config: &Config) -> Self {
        let per_hour = config.desk.as_ref().map_or(0, |desk| desk.look_ups.value());
        Self {
            looks: LookUps::new(per_hour),
            counters: Counters::default(),
            enrolment: Enrolment::default(),
        }
    }
}

#[cfg(test)]
mod tests;
