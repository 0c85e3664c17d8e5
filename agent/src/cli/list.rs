//! `sekisho list`: who is open now, or what is denied.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::{Grant, GrantQuery, Source};
use clap::Args;
use jiff::Timestamp;

use super::{
    Ask,
    print::{self, Output},
};
use crate::clock::{Clock as _, SystemClock};

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this person
    #[arg(long)]
    user: Option<String>,
    /// Only what lets this address in, or what is held from this IPv6 /64
    #[arg(long)]
    source: Option<Source>,
    /// Only this service
    #[arg(long)]
    service: Option<String>,
    /// Deny prefixes instead of grants
    #[arg(long, conflicts_with_all = ["user", "source", "service"])]
    denied: bool,
}

/// Grants asked for at once.
const PAGE: u32 = 1_000;

impl List {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let now = SystemClock.now().wall;
        if self.denied {
            return denied(ask, now).await;
        }
        let mut query = GrantQuery {
            user: self.user,
            source: self.source,
            service: self.service,
            limit: Some(PAGE),
            after: None,
        };
        let mut grants = Vec::new();
        loop {
            let page = ask.client.grants(&query).await?;
            grants.extend(page.grants);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        match ask.output {
            Output::Json => print::json(&grants),
            Output::Text => {
                show(&grants, now);
                Ok(())
            }
        }
    }
}

fn show(grants: &[Grant], now: Timestamp) {
    if grants.is_empty() {
        print::line("nobody is open");
        return;
    }
    let mut table = print::table(&[
        "USER",
        "SOURCE",
        "SERVICE",
        "LEFT (UNTIL)",
        "PACKETS",
        "LAST SEEN",
        "FACTOR",
    ]);
    for grant in grants {
        for holder in &grant.holders {
            let left = holder.deadline.as_second().saturating_sub(now.as_second());
            let left = u64::try_from(left).unwrap_or(0);
            let mut until = print::remaining(left, holder.deadline, now);
            if !grant.in_kernel {
                until.push_str(" NOT IN KERNEL");
            }
            table.add_row([
                holder.user.clone(),
                grant.source.to_string(),
                grant.service.clone(),
                until,
                grant.packets.to_string(),
                grant.last_seen.map_or("-".into(), |at| print::ago(at, now)),
                holder
                    .factor
                    .clone()
                    .unwrap_or_else(|| holder.opened_by.clone()),
            ]);
        }
    }
    print::print_table(&table);
    for (source, people) in people(grants) {
        if people.len() > 1 {
            let names: Vec<&str> = people.iter().copied().collect();
            let (many, names) = (names.len(), names.join(", "));
            print::line(format!("{source} is shared by {many}: {names}"));
        }
    }
}

/// Who holds something at each source, whatever the service.
fn people(grants: &[Grant]) -> BTreeMap<Source, BTreeSet<&str>> {
    let mut people = BTreeMap::<Source, BTreeSet<&str>>::new();
    for grant in grants {
        let users = grant.holders.iter().map(|holder| holder.user.as_str());
        people.entry(grant.source).or_default().extend(users);
    }
    people
}

async fn denied(ask: &Ask, now: Timestamp) -> anyhow::Result<()> {
    let denies = ask.client.denies().await?;
    if ask.output == Output::Json {
        return print::json(&denies);
    }
    if denies.is_empty() {
        print::line("nothing is denied");
        return Ok(());
    }
    let mut table = print::table(&["PREFIX", "LEFT (UNTIL)", "BY", "REASON"]);
    for deny in denies {
        table.add_row([
            deny.prefix.to_string(),
            print::remaining(deny.remaining_seconds, deny.deadline, now),
            deny.by,
            deny.reason.unwrap_or_default(),
        ]);
    }
    print::print_table(&table);
    Ok(())
}
