//! `sekisho watch`: the audit as it happens.

use agent_api::AuditRecord;

use super::{
    Ask,
    print::{self, Output},
};

pub(super) async fn watch(ask: &Ask) -> anyhow::Result<()> {
    let mut events = ask.client.events().await?;
    while let Some(record) = events.next().await {
        show(&record?, ask.output)?;
    }
    anyhow::bail!(
        "the agent closed the stream: it stopped, or this reader fell behind; `sekisho audit` has everything"
    )
}

/// One record on one line.
pub(super) fn show(record: &AuditRecord, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        return print::json(record);
    }
    let kind = serde_json::to_value(record.kind)?;
    let mut text = format!(
        "{} #{} {} {} by {}",
        record.at,
        record.seq,
        kind.as_str().unwrap_or("event"),
        record.outcome,
        record.actor
    );
    let source = record.source.map(|source| source.to_string());
    let count = (record.count > 1).then(|| record.count.to_string());
    for (name, value) in [
        ("user", &record.user),
        ("source", &source),
        ("service", &record.service),
        ("factor", &record.factor),
        ("token", &record.token),
        ("count", &count),
        ("reason", &record.reason),
        ("request", &record.request_id),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={value:?}"));
        }
    }
    print::line(text);
    Ok(())
}
