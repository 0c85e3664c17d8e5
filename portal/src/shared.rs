//! Whether an address is one person's or many people's. Nobody can know for sure: what is listed,
//! what others hold open there, and who else logged in from there lately are signs, and are called so.

use std::collections::BTreeSet;

use agent_api::{GrantQuery, Service};

use crate::{
    client_addr::ClientAddr,
    grants::Wanted,
    portal::{Failure, Portal},
};

/// How far back log-ins of others count, in seconds.
const LATELY: i64 = 12 * 3600;

/// Why an address counts as shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nothing says so.
    Alone,
    /// Others have it open now.
    Held,
    /// The configuration says so, or the address is of a carrier's shared space.
    Listed,
    /// Others logged in from there lately.
    Seen,
}

impl Portal {
    /// What is known of an address, seen from one person.
    pub(crate) async fn sharing(
        &self,
        user_name: &str,
        user_id: &str,
        from: ClientAddr,
    ) -> Result<Sharing, Failure> {
        let enough = usize::try_from(self.config.shared.people.value()).unwrap_or(usize::MAX);
        let query = GrantQuery {
            source: Some(from.ip().into()),
            ..GrantQuery::default()
        };
        let page = self.grants.grants(&query).await?;
        let holders = page.grants.iter().flat_map(|grant| &grant.holders);
        let others: BTreeSet<&str> = holders
            .map(|holder| holder.user.as_str())
            .filter(|user| *user != user_name)
            .collect();
        // The person counts, too.
        if others.len() + 1 >= enough {
            return Ok(Sharing::Held);
        }
        if self.config.shared.lists(from.ip()) {
            return Ok(Sharing::Listed);
        }
        let since = self.now().as_second() - LATELY;
        let source = from.ip().to_string();
        let seen = self.store.others_seen(&source, user_id, since).await?;
        Ok(match usize::try_from(seen) {
            Ok(seen) if seen + 1 >= enough => Sharing::Seen,
            _ => Sharing::Alone,
        })
    }

    /// What is wanted, for as long as the address allows.
    pub(crate) fn shortened(
        &self,
        sharing: Sharing,
        services: &[Service],
        wanted: impl IntoIterator<Item = Wanted>,
    ) -> Vec<Wanted> {
        let longest = self
            .longest(sharing)
            .and_then(|seconds| u64::try_from(seconds).ok());
        let shorten = |wanted: Wanted| {
            let found = services
                .iter()
                .find(|service| service.name == wanted.service().name());
            match (longest, found) {
                (Some(longest), Some(service)) => wanted.at_most(longest, service.default_seconds),
                _ => wanted,
            }
        };
        wanted.into_iter().map(shorten).collect()
    }

    /// The longest grant at such an address, in seconds. None: the services' own.
    pub(crate) fn longest(&self, sharing: Sharing) -> Option<i64> {
        let longest = self
            .config
            .shared
            .longest
            .filter(|_| sharing != Sharing::Alone);
        longest.map(|length| length.seconds())
    }
}
