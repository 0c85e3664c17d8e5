//! Who holds open grants through the portal, by the agent's list.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::GrantQuery;

use crate::grants::{Grants, GrantsError};

/// Grants in one page of the agent's list.
const PAGE: u32 = 1_000;
/// A bound against pages that never end: ten million grants.
const PAGES_MAX: u32 = 10_000;
/// Who opened what the portal may close.
const PORTAL: &str = "portal";

/// Services by the name of whoever holds them.
pub(super) type Holders = BTreeMap<String, BTreeSet<String>>;

/// What operators opened by hand is not the portal's to close.
pub(super) async fn all(grants: &dyn Grants) -> Result<Holders, GrantsError> {
    let mut query = GrantQuery {
        limit: Some(PAGE),
        ..GrantQuery::default()
    };
    let mut holders = Holders::new();
    for _ in 0..PAGES_MAX {
        let page = grants.grants(&query).await?;
        for grant in page.grants {
            let ours = grant
                .holders
                .iter()
                .filter(|holder| holder.opened_by == PORTAL);
            for holder in ours {
                holders
                    .entry(holder.user.clone())
                    .or_default()
                    .insert(grant.service.clone());
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    Ok(holders)
}
