//! `sekisho status` and `sekisho counters`.

use super::{
    Ask,
    print::{self, Output},
};

pub(super) async fn status(ask: &Ask) -> anyhow::Result<()> {
    let status = ask.client.status().await?;
    if ask.output == Output::Json {
        return print::json(&status);
    }
    let interfaces: Vec<String> = status
        .interfaces
        .iter()
        .map(|i| {
            format!(
                "{} ({}, {})",
                i.name,
                i.xdp_mode.name(),
                match (i.attached, i.index) {
                    (true, _) => format!("program {}", i.program_id),
                    (false, 0) => "NOT THERE".to_owned(),
                    (false, _) => "NOT FILTERED".to_owned(),
                }
            )
        })
        .collect();
    let on = |on| if on { "on" } else { "off" };
    let fill = |fill: agent_api::Fill| format!("{} of {}", fill.used, fill.capacity);
    let taken = if status.took_over {
        ", took over a running filter"
    } else {
        ""
    };
    let agreed = match status.agreed {
        Some(at) => format!("map and ledger agreed at {at}"),
        None => "not compared yet".to_owned(),
    };
    let rows = [
        ("mode", status.mode.name().to_owned()),
        ("lockdown", on(status.lockdown).to_owned()),
        ("interfaces", interfaces.join(", ")),
        ("services", status.services.to_string()),
        ("grants IPv4", fill(status.grants_v4)),
        ("grants IPv6", fill(status.grants_v6)),
        ("holders", status.holders.to_string()),
        ("denied", status.denied.to_string()),
        ("agreement", agreed),
        ("reattached", status.reattached.to_string()),
        (
            "agent",
            format!(
                "{} (ABI {}), since {}{taken}",
                status.version, status.abi, status.started
            ),
        ),
    ];
    for (name, value) in rows {
        print::line(format!("{name:<12} {value}"));
    }
    for warning in &status.warnings {
        print::line(format!("WARNING      {warning}"));
    }
    Ok(())
}

pub(super) async fn counters(ask: &Ask) -> anyhow::Result<()> {
    let counters = ask.client.counters().await?;
    if ask.output == Output::Json {
        return print::json(&counters);
    }
    let mut table = print::table(&["REASON", "VERDICT", "PACKETS", "WOULD DROP"]);
    for counter in &counters.counters {
        table.add_row([
            counter.reason.clone(),
            counter.action.clone(),
            counter.packets.to_string(),
            counter.would_drop.to_string(),
        ]);
    }
    print::print_table(&table);
    Ok(())
}
