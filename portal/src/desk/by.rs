//! In whose name the desk does something: somebody of the desk at the portal, or an operator with a
//! verb, who needs no role and no second person because the machine is theirs.

use std::net::IpAddr;

use agent_api::{AuditDraft, AuditKind};

use super::{Role, Whom};
use crate::audit::{clean, draft};

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    id: &'a str,
    name: &'a str,
    /// None: an operator.
    roles: Option<&'a [Role]>,
    source: Option<IpAddr>,
    request_id: Option<&'a str>,
}

impl<'a> By<'a> {
    /// Made from an officer only.
    pub(super) fn officer(
        (id, name): (&'a str, &'a str),
        roles: &'a [Role],
        source: IpAddr,
        request_id: &'a str,
    ) -> Self {
        Self {
            id,
            name,
            roles: Some(roles),
            source: Some(source),
            request_id: Some(request_id),
        }
    }

    /// `actor`: `uid N`.
    pub(crate) fn operator(actor: &'a str) -> Self {
        Self {
            id: actor,
            name: actor,
            roles: None,
            source: None,
            request_id: None,
        }
    }

    pub(crate) fn id(&self) -> &'a str {
        self.id
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    pub(crate) fn request_id(&self) -> Option<&'a str> {
        self.request_id
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.roles.is_none()
    }

    pub(super) fn may(&self, role: Role) -> bool {
        self.roles.is_none_or(|roles| roles.contains(&role))
    }

    /// True: it is about themselves, by the directory's id or by name.
    pub(super) fn is(&self, id: Option<&str>, name: &str) -> bool {
        !self.is_operator() && (id == Some(self.id) || self.name.eq_ignore_ascii_case(name))
    }

    /// A record that says who and why.
    pub(crate) fn record(
        &self,
        kind: AuditKind,
        outcome: &str,
        user: &str,
        why: &str,
    ) -> AuditDraft {
        let mut record = draft(kind, outcome);
        record.user = Some(user.to_owned());
        record.source = self.source;
        record.reason = Some(clean(&format!("by {}: {why}", self.name)));
        record.request_id = self.request_id.map(str::to_owned);
        record
    }

    /// That somebody looked through the portal's people. What was typed may be anything, so it is
    /// not here.
    pub(crate) fn searched(&self, found: usize) -> AuditDraft {
        let mut record = self.record(AuditKind::User, "searched", "", "");
        record.user = None;
        record.reason = Some(format!("by {}: help desk, {found} found", self.name));
        record
    }

    /// That somebody looked a person up.
    pub(crate) fn looked(&self, whom: &Whom) -> AuditDraft {
        self.record(AuditKind::User, "looked-up", &whom.name, "help desk")
    }
}
