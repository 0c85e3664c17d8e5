//! Who is of the desk now: by the directory's groups of this moment, from the desk's networks, on a
//! recent proof. An `Officer` exists only for somebody of whom all of this was looked at.

use crate::{
    client_addr::ClientAddr,
    config::Desk,
    desk::By,
    directory::{Account, AccountState},
    live::LiveCookie,
    portal::{Failure, Portal},
};

/// What somebody of the desk is there for. Looking is part of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Looks, and changes nothing.
    Auditor,
    /// Carries out the cases.
    Helpdesk,
    /// Decides on what needs a second person.
    Approver,
}

/// Somebody of the desk.
#[derive(Clone, Debug)]
pub(crate) struct Officer {
    id: String,
    name: String,
    roles: Vec<Role>,
    from: ClientAddr,
}

/// Why the desk is shut to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// There is no desk, or not for them: they are told no more than that there is no such page.
    NoSuchPage,
    /// Theirs, but not from this network.
    Network,
    /// Their log-in belongs to another address.
    Address,
    /// One more proof is asked for.
    Prove,
}

/// The roles that a person's groups give.
pub(super) fn roles(desk: &Desk, account: &Account) -> Vec<Role> {
    [
        (Role::Auditor, &desk.auditor_groups),
        (Role::Helpdesk, &desk.helpdesk_groups),
        (Role::Approver, &desk.approver_groups),
    ]
    .into_iter()
    .filter(|(_, groups)| account.is_in_any(groups))
    .map(|(role, _)| role)
    .collect()
}

impl Portal {
    /// Looks at everything anew.
    pub(crate) async fn officer(
        &self,
        cookie: &LiveCookie,
        from: ClientAddr,
    ) -> Result<Result<Officer, Shut>, Failure> {
        let Some(desk) = &self.config.desk else {
            return Ok(Err(Shut::NoSuchPage));
        };
        let account = self.account_of(cookie).await?;
        let Some(account) = account.filter(|a| a.state == AccountState::Active) else {
            return Ok(Err(Shut::NoSuchPage));
        };
        let roles = roles(desk, &account);
        if roles.is_empty() {
            return Ok(Err(Shut::NoSuchPage));
        }
        if !desk.is_from(from.ip()) {
            return Ok(Err(Shut::Network));
        }
        if cookie.is_moved() || !cookie.is_from(from) {
            return Ok(Err(Shut::Address));
        }
        let shown = desk.is_satisfied_by(|kind| cookie.factors().contains(kind));
        if !shown || cookie.age(self.now()) > desk.fresh.seconds() {
            return Ok(Err(Shut::Prove));
        }
        Ok(Ok(Officer {
            id: account.id,
            name: account.name,
            roles,
            from,
        }))
    }
}

impl Officer {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// In whose name something is done for a request.
    pub(crate) fn by<'a>(&'a self, request_id: &'a str) -> By<'a> {
        By::officer(
            (&self.id, &self.name),
            &self.roles,
            self.from.ip(),
            request_id,
        )
    }
}
