//! `sekisho audit`: read, follow and verify the record.

use agent_api::AuditQuery;
use anyhow::Context as _;
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{
    Ask,
    print::{self, Output},
    watch,
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::parse_seconds,
};

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// From this time on (2026-11-22T09:00:00Z), or for the last 8h
    #[arg(long, value_name = "TIME|LENGTH")]
    since: Option<String>,
    /// Go on with what happens from now on
    #[arg(long)]
    follow: bool,
    /// Check that no record was changed or removed
    #[arg(long, conflicts_with_all = ["since", "follow"])]
    verify: bool,
}

/// Records asked for at once.
const PAGE: u32 = 1_000;

impl Audit {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        if self.verify {
            return verify(ask).await;
        }
        // The stream is opened before the past is read, so that nothing falls between the two.
        let mut events = if self.follow {
            Some(ask.client.events().await?)
        } else {
            None
        };
        let since = self.since.as_deref().map(moment).transpose()?;
        let mut query = AuditQuery {
            since,
            after: None,
            limit: Some(PAGE),
        };
        let mut last = 0;
        loop {
            let page = ask.client.audit(&query).await?;
            for record in &page.records {
                watch::show(record, ask.output)?;
                last = record.seq;
            }
            let full = page.records.len() == PAGE as usize;
            if since.is_none() || !full {
                break;
            }
            query.after = Some(last);
        }
        let Some(events) = events.as_mut() else {
            return Ok(());
        };
        while let Some(record) = events.next().await {
            let record = record?;
            if record.seq > last {
                watch::show(&record, ask.output)?;
            }
        }
        anyhow::bail!("the agent closed the stream; run it again with --since to go on")
    }
}

fn moment(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let seconds = parse_seconds(text)
        .map_err(anyhow::Error::msg)
        .context("--since takes a time such as 2026-11-22T09:00:00Z or a length")?;
    let length = SignedDuration::from_secs(i64::try_from(seconds)?);
    Ok(SystemClock.now().wall.checked_sub(length)?)
}

async fn verify(ask: &Ask) -> anyhow::Result<()> {
    let chain = ask.client.audit_verify().await?;
    if ask.output == Output::Json {
        print::json(&chain)?;
    } else if chain.intact {
        print::line(format!(
            "intact: {} records, head {}",
            chain.records, chain.head
        ));
        print::line("Keep the head elsewhere: root of this machine could rewrite all of it.");
    }
    match chain.problem {
        None => Ok(()),
        Some(problem) => anyhow::bail!("the audit is not intact: {problem}"),
    }
}
