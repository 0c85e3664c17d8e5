//! The searches: one person, the groups of one, and everybody.

use std::time::Duration;

use ldap3::{
    Ldap, LdapError, Scope, SearchEntry, SearchOptions, SearchResult,
    adapters::{Adapter, EntriesOnly, PagedResults},
};

/// Entries of a group search; more is a filter that matches everything.
const GROUPS_MAX: usize = 2_000;
const PAGE: i32 = 500;
/// sizeLimitExceeded: more entries matched than were asked for.
const SIZE_LIMIT: u32 = 4;

/// What a search found.
pub(super) struct Found {
    pub(super) entries: Vec<SearchEntry>,
    /// There are more than were asked for.
    pub(super) more: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Exactly one entry, so two are enough to know there is more than one.
    Person,
    Groups,
    /// At most so many.
    Many(usize),
}

impl Kind {
    /// How long a search may take altogether, by how long each message may.
    pub(super) fn patience(self, limit: Duration) -> Duration {
        match self {
            Self::Person | Self::Groups => limit * 3,
            // A report: nobody waits at a page for it.
            Self::Many(_) => limit * 60,
        }
    }
}

/// One search, ready to run.
#[derive(Clone)]
pub(super) struct Search {
    pub(super) kind: Kind,
    pub(super) base: String,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
}

impl Search {
    /// Referrals are dropped, not followed. `limit` counts from message to message.
    pub(super) async fn run(self, mut ldap: Ldap, limit: Duration) -> Result<Found, LdapError> {
        ldap.with_timeout(limit);
        match self.kind {
            Kind::Person => self.person(ldap).await,
            Kind::Groups => self.pages(ldap, GROUPS_MAX).await,
            Kind::Many(most) => self.pages(ldap, most).await,
        }
    }

    async fn person(self, mut ldap: Ldap) -> Result<Found, LdapError> {
        let SearchResult(entries, result) = ldap
            .with_search_options(SearchOptions::new().sizelimit(2))
            .search(&self.base, Scope::Subtree, &self.filter, self.attributes)
            .await?;
        let more = result.rc == SIZE_LIMIT;
        if !more {
            result.success()?;
        }
        let entries = entries.into_iter().map(SearchEntry::construct).collect();
        Ok(Found { entries, more })
    }

    async fn pages(self, mut ldap: Ldap, most: usize) -> Result<Found, LdapError> {
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![
            Box::new(EntriesOnly::new()),
            Box::new(PagedResults::new(PAGE)),
        ];
        let mut stream = ldap
            .streaming_search_with(
                adapters,
                &self.base,
                Scope::Subtree,
                &self.filter,
                self.attributes,
            )
            .await?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await? {
            if entries.len() == most {
                let filter = self.filter;
                return Err(LdapError::AdapterInit(format!(
                    "more than {most} entries match {filter:?}"
                )));
            }
            entries.push(SearchEntry::construct(entry));
        }
        stream.finish().await.success()?;
        Ok(Found {
            entries,
            more: false,
        })
    }
}
