//! Reports that go through the directory's people.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use agent_api::{Service, ServiceKind};

use super::{Cell, Report, tokens::owner};
use crate::{
    directory::{Account, AccountState},
    store::{Store, StoreError},
};

/// Groups that services admit, in lower case.
fn admitted(services: &[Service]) -> HashSet<String> {
    services
        .iter()
        .filter(|service| service.kind == ServiceKind::Granted)
        .flat_map(|service| service.groups.iter().map(|group| group.to_lowercase()))
        .collect()
}

/// Groups of a person that count, as the directory writes them; full names as the services do.
fn counted(account: &Account, admitted: &HashSet<String>) -> Vec<String> {
    let spelled = |group: &String| {
        let mut own = account.groups.iter();
        let own = own.find(|own| own.to_lowercase() == *group);
        own.unwrap_or(group).clone()
    };
    let fits = admitted.iter().filter(|group| account.is_in(group));
    let mut groups: Vec<String> = fits.map(spelled).collect();
    groups.sort_unstable();
    groups
}

/// People whom a service admits and who have no token that counts.
pub(crate) async fn no_second_factor(
    store: &Store,
    people: &[Account],
    services: &[Service],
) -> Result<Report, StoreError> {
    let (admitted, live) = (admitted(services), store.live_tokens().await?);
    let mut rows = Vec::new();
    for account in people {
        let groups = counted(account, &admitted);
        let is_active = account.state == AccountState::Active;
        if groups.is_empty() || !is_active || live.contains_key(&account.id) {
            continue;
        }
        rows.push(vec![
            account.name.as_str().into(),
            groups.join(" ").into(),
            account.mail.as_deref().map_or(Cell::Nothing, Cell::from),
        ]);
    }
    rows.sort_by_key(|row| row.first().map(Cell::text));
    let columns = &["user", "groups", "mail"];
    Ok(Report { columns, rows })
}

/// People with one token that counts and nothing to fall back on.
pub(crate) async fn no_second_means(store: &Store) -> Result<Report, StoreError> {
    let with_codes = store.people_with_recovery_codes().await?;
    let mut rows = Vec::new();
    for token in store.only_tokens().await? {
        if with_codes.contains(&token.user_id) {
            continue;
        }
        let owner = owner(&token);
        rows.push(vec![
            token.user_name.into(),
            token.id.into(),
            token.name.into(),
            Cell::time(token.last_used),
            owner,
        ]);
    }
    let columns = &["user", "token", "device", "last_used", "owner"];
    Ok(Report { columns, rows })
}

/// For each group that a service admits: people, how many of them have a token, and their share.
pub(crate) async fn enrolment(
    store: &Store,
    people: &[Account],
    services: &[Service],
) -> Result<Report, StoreError> {
    let (admitted, live) = (admitted(services), store.live_tokens().await?);
    let rows = by_group(people, &admitted, &live)
        .into_iter()
        .map(|(group, (count, enrolled))| {
            vec![
                group.into(),
                Cell::from(count),
                Cell::from(enrolled),
                Cell::Share(share(enrolled, count)),
            ]
        })
        .collect();
    let columns = &["group", "people", "enrolled", "share"];
    Ok(Report { columns, rows })
}

fn by_group(
    people: &[Account],
    admitted: &HashSet<String>,
    live: &HashMap<String, i64>,
) -> BTreeMap<String, (usize, usize)> {
    // A group in which nobody is yet is told, too.
    let names: BTreeSet<String> = admitted.iter().cloned().collect();
    let mut groups: BTreeMap<String, (usize, usize)> =
        names.into_iter().map(|name| (name, (0, 0))).collect();
    let active = people
        .iter()
        .filter(|account| account.state == AccountState::Active);
    for account in active {
        let own: BTreeSet<String> = counted(account, admitted)
            .iter()
            .map(|group| group.to_lowercase())
            .collect();
        for group in own {
            let (count, enrolled) = groups.entry(group).or_default();
            *count += 1;
            *enrolled += usize::from(live.contains_key(&account.id));
        }
    }
    groups
}

fn share(part: usize, whole: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if whole == 0 {
        0.0
    } else {
        number(part) / number(whole)
    }
}
