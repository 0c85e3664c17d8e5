//! One search, with a bound on what it may bring. Referrals are dropped, not followed; an answer
//! that is nothing but a referral is no answer.

use std::time::Duration;

use ldap3::{
    Ldap, LdapError, Scope, SearchEntry, SearchOptions,
    adapters::{Adapter, EntriesOnly, PagedResults},
};

const PAGE: i32 = 500;
/// sizeLimitExceeded: more entries matched than were asked for.
const SIZE_LIMIT: u32 = 4;

/// What a search found.
pub(super) struct Found {
    pub(super) entries: Vec<SearchEntry>,
    /// There are more than were asked for.
    pub(super) more: bool,
}

/// One search, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
    /// Entries taken at most.
    pub(super) most: usize,
}

impl Search {
    /// Below `base`.
    pub(super) fn below(base: &str, filter: String, attributes: Vec<String>, most: usize) -> Self {
        Self {
            base: base.to_owned(),
            scope: Scope::Subtree,
            filter,
            attributes,
            most,
        }
    }

    /// One entry by its DN.
    pub(super) fn entry(dn: &str, attributes: Vec<String>) -> Self {
        Self {
            base: dn.to_owned(),
            scope: Scope::Base,
            filter: "(objectClass=*)".into(),
            attributes,
            most: 1,
        }
    }

    /// How long it may take altogether, by how long each message may.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        match self.pages() {
            // A report: nobody waits at a page for it.
            true => limit * 60,
            false => limit * 3,
        }
    }

    fn pages(&self) -> bool {
        self.most > usize::try_from(PAGE).unwrap_or(0)
    }

    /// `limit` counts from message to message. What a server sends beyond what it was asked for is
    /// not read; the connection is of no use then, and `more` says so.
    pub(super) async fn run(self, mut ldap: Ldap, limit: Duration) -> Result<Found, LdapError> {
        ldap.with_timeout(limit);
        let mut adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new())];
        if self.pages() {
            adapters.push(Box::new(PagedResults::new(PAGE)));
        } else {
            // Paging and a size limit do not go together: the limit is for all pages.
            let most = i32::try_from(self.most).unwrap_or(PAGE);
            ldap.with_search_options(SearchOptions::new().sizelimit(most));
        }
        let mut stream = ldap
            .streaming_search_with(
                adapters,
                &self.base,
                self.scope,
                &self.filter,
                self.attributes,
            )
            .await?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await? {
            if entries.len() == self.most {
                return Ok(Found {
                    entries,
                    more: true,
                });
            }
            entries.push(SearchEntry::construct(entry));
        }
        let result = stream.finish().await;
        let more = result.rc == SIZE_LIMIT;
        if !more {
            result.success()?;
        }
        Ok(Found { entries, more })
    }
}
