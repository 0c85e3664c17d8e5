//! `sekisho explain` and `sekisho impact`: what the running filter says.

use std::net::IpAddr;

use agent_api::{Counter, ExplainRequest, Explained, ImpactEntry, Mode};
use clap::Args;

use super::{
    Ask,
    print::{self, Output},
};
use crate::clock::{Clock as _, SystemClock};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Address the client sends from
    source: IpAddr,
    /// Protected address
    destination: IpAddr,
    /// A port (of TCP), or a protocol: 443, udp/53, icmp, gre, proto/47
    #[arg(default_value = "icmp")]
    port: String,
    /// VLAN id; twice for two tags, the outer one first
    #[arg(long, value_name = "ID")]
    vlan: Vec<u16>,
}

#[derive(Debug, Args)]
pub(super) struct Impact {
    /// Forget what was seen so far
    #[arg(long)]
    clear: bool,
}

impl Explain {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let (protocol, port) = target(&self.port)?;
        let request = ExplainRequest {
            source: self.source,
            destination: self.destination,
            protocol,
            port,
            vlan: self.vlan,
        };
        let explained = ask.client.explain(&request).await?;
        match ask.output {
            Output::Json => print::json(&explained),
            Output::Text => {
                show(&explained);
                Ok(())
            }
        }
    }
}

/// `443`, `udp/53`, `icmp`, `proto/47`.
fn target(text: &str) -> anyhow::Result<(String, Option<u16>)> {
    if let Ok(port) = text.parse() {
        return Ok(("tcp".into(), Some(port)));
    }
    match text.split_once('/') {
        Some(("proto", number)) => Ok((number.into(), None)),
        Some((protocol, port)) => {
            let port = port
                .parse()
                .map_err(|_| anyhow::anyhow!("`{port}` is not a port; they end at 65535"))?;
            Ok((protocol.into(), Some(port)))
        }
        None => Ok((text.into(), None)),
    }
}

fn show(explained: &Explained) {
    let verdict = if explained.passes { "pass" } else { "drop" };
    print::line(format!(
        "{verdict}: {} ({})",
        explained.because, explained.reason
    ));
    if let Some(service) = &explained.service {
        print::line(format!("  service   {service}"));
    }
    if let Some(grant) = &explained.grant {
        let now = SystemClock.now().wall;
        let holders: Vec<&str> = grant.holders.iter().map(|h| h.user.as_str()).collect();
        print::line(format!(
            "  grant     {} left, held by {}",
            print::remaining(grant.remaining_seconds, grant.deadline, now),
            holders.join(", ")
        ));
    }
    for way in &explained.would_open {
        print::line(format!("  to open   {way}"));
    }
    print::line(format!(
        "  asked     the program on {}, mode {}; nothing was counted",
        explained.interface,
        explained.mode.name()
    ));
}

impl Impact {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        if self.clear {
            ask.client.clear_impact().await?;
            print::line("forgotten; the report begins anew");
            return Ok(());
        }
        let impact = ask.client.impact().await?;
        if ask.output == Output::Json {
            return print::json(&impact);
        }
        if impact.mode == Mode::Enforce {
            print::line("mode is enforce: what follows was seen in observe mode before");
        }
        let nameless = nameless(&impact.entries, &ask.client.counters().await?.counters);
        if impact.entries.is_empty() && nameless.is_empty() {
            print::line("nothing that enforce mode would have dropped");
            return Ok(());
        }
        let now = SystemClock.now().wall;
        let header = [
            "SOURCE", "SERVICE", "PORT", "WHY", "PACKETS", "FIRST", "LAST",
        ];
        let mut table = print::table(&header);
        for entry in &impact.entries {
            let (service, why) = match (&entry.service, entry.outbound) {
                (Some(service), _) => (service.as_str(), entry.reason.clone()),
                (None, true) => ("(outbound)", "began before the filter watched".into()),
                (None, false) => ("-", entry.reason.clone()),
            };
            table.add_row(vec![
                entry.source.to_string(),
                service.into(),
                format!("{}/{}", protocol_name(entry.protocol), entry.port),
                why,
                entry.packets.to_string(),
                print::clock_time(entry.first, now),
                print::clock_time(entry.last, now),
            ]);
        }
        if !impact.entries.is_empty() {
            print::print_table(&table);
        }
        if !nameless.is_empty() {
            print::line(format!(
                "of no service, since the agent counts: {}; such packets have no peer to name",
                nameless.join(", ")
            ));
        }
        Ok(())
    }
}

/// Reasons that no row stands for: packets that could not be read far enough to have a service.
fn nameless(entries: &[ImpactEntry], counters: &[Counter]) -> Vec<String> {
    let named = |reason: &str| entries.iter().any(|entry| entry.reason == reason);
    counters
        .iter()
        .filter(|counter| counter.would_drop > 0 && NAMELESS.contains(&counter.reason.as_str()))
        .filter(|counter| !named(&counter.reason))
        .map(|counter| format!("{} {}", counter.reason, counter.would_drop))
        .collect()
}

/// What a packet is dropped for before anybody knows what it is for.
const NAMELESS: [&str; 3] = ["Malformed", "TooDeep", "FragmentUnknown"];

fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        132 => "sctp".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use agent_api::Counter;

    use super::{nameless, target};

    #[test]
    fn what_has_no_service_is_told_by_its_counter() {
        let counter = |reason: &str, would_drop| Counter {
            reason: reason.into(),
            action: "drop".into(),
            packets: 9,
            would_drop,
        };
        let counters = [
            counter("Malformed", 3),
            counter("TooDeep", 0),
            counter("FragmentUnknown", 12),
            counter("NoGrant", 5),
        ];
        assert_eq!(
            nameless(&[], &counters),
            ["Malformed 3", "FragmentUnknown 12"]
        );
    }

    #[test]
    fn ports_and_protocols_are_read_as_people_write_them() {
        let read = |text| target(text).unwrap();
        assert_eq!(read("443"), ("tcp".into(), Some(443)));
        assert_eq!(read("udp/53"), ("udp".into(), Some(53)));
        assert_eq!(read("icmp"), ("icmp".into(), None));
        assert_eq!(read("proto/47"), ("47".into(), None));
        assert!(target("tcp/70000").is_err());
    }
}
