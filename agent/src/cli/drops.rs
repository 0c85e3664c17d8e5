//! `sekisho drops`: who is dropped most, or dropped packets as they come.

use std::{fs::File, io::Write as _, net::IpAddr, path::PathBuf};

use agent_api::DroppedPacket;
use anyhow::Context as _;
use clap::Args;

use super::{
    Ask,
    print::{self, Output},
};
use crate::clock::{Clock as _, SystemClock};

#[derive(Debug, Args)]
pub(super) struct Drops {
    /// Show samples as they come, instead of who is dropped most
    #[arg(long)]
    follow: bool,
    /// Only from this source
    #[arg(long)]
    source: Option<IpAddr>,
    /// Only for this reason, as `sekisho counters` names it
    #[arg(long)]
    reason: Option<String>,
    /// Write the samples' first bytes to a capture file, too
    #[arg(long, value_name = "FILE", requires = "follow")]
    pcap: Option<PathBuf>,
    /// End after so many samples
    #[arg(long, value_name = "N", requires = "follow")]
    count: Option<u64>,
}

impl Drops {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        if self.follow {
            return self.follow(ask).await;
        }
        self.talkers(ask).await
    }

    fn wants(&self, source: Option<IpAddr>, reason: &str) -> bool {
        let same = |wanted: &String| wanted.eq_ignore_ascii_case(reason);
        self.source.is_none_or(|wanted| source == Some(wanted))
            && self.reason.as_ref().is_none_or(same)
    }

    async fn talkers(self, ask: &Ask) -> anyhow::Result<()> {
        let mut talkers = ask.client.talkers().await?;
        talkers
            .talkers
            .retain(|talker| self.wants(Some(talker.source), &talker.reason));
        if ask.output == Output::Json {
            return print::json(&talkers);
        }
        if talkers.talkers.is_empty() {
            print::line("nothing was dropped that a sample shows");
            return Ok(());
        }
        let now = SystemClock.now().wall;
        let mut table = print::table(&["SOURCE", "WHY", "SERVICE", "SAMPLES", "LAST"]);
        for talker in &talkers.talkers {
            table.add_row(vec![
                talker.source.to_string(),
                talker.reason.clone(),
                talker.service.clone().unwrap_or_else(|| "-".into()),
                talker.samples.to_string(),
                print::ago(talker.last, now),
            ]);
        }
        print::print_table(&table);
        Ok(())
    }

    async fn follow(self, ask: &Ask) -> anyhow::Result<()> {
        let mut capture = self.pcap.as_ref().map(Capture::create).transpose()?;
        let mut drops = ask.client.drops().await?;
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let Some(packet) = drops.next().await else {
                anyhow::bail!(
                    "the agent closed the stream: it stopped, or this reader fell behind"
                );
            };
            let packet = packet?;
            if !self.wants(packet.source, &packet.reason) {
                continue;
            }
            if let Some(capture) = &mut capture {
                capture.write(&packet)?;
            }
            match ask.output {
                Output::Json => print::json(&packet)?,
                Output::Text => print::line(text(&packet)),
            }
            left -= 1;
        }
        Ok(())
    }
}

/// One packet on one line.
fn text(packet: &DroppedPacket) -> String {
    let address = |address: Option<IpAddr>| address.map_or_else(|| "?".into(), |a| a.to_string());
    let port = packet.port.map(|port| format!(" port {port}"));
    let protocol = match packet.protocol {
        Some(6) => "tcp".into(),
        Some(17) => "udp".into(),
        Some(number) => format!("proto/{number}"),
        None => "frame".into(),
    };
    let service = packet.service.as_ref().map(|name| format!(" for {name}"));
    let observed = if packet.observed {
        ", passed by observe mode"
    } else {
        ""
    };
    format!(
        "{} {} {} > {} {protocol}{} {}{}{observed}",
        packet.at,
        packet.interface,
        address(packet.source),
        address(packet.destination),
        port.unwrap_or_default(),
        packet.reason,
        service.unwrap_or_default(),
    )
}

/// A capture file in the classic format (draft-ietf-opsawg-pcap), as every analyser reads it.
struct Capture(File);

/// Times in microseconds, in this machine's byte order.
const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
const LONGEST: u32 = 65_535;
const ETHERNET: u32 = 1;

impl Capture {
    fn create(path: &PathBuf) -> anyhow::Result<Self> {
        let mut file =
            File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let mut head = MAGIC.to_ne_bytes().to_vec();
        head.extend(VERSION.iter().flat_map(|number| number.to_ne_bytes()));
        head.extend([0; 8]);
        head.extend(LONGEST.to_ne_bytes());
        head.extend(ETHERNET.to_ne_bytes());
        file.write_all(&head).context("writing the capture file")?;
        Ok(Self(file))
    }

    fn write(&mut self, packet: &DroppedPacket) -> anyhow::Result<()> {
        let frame =
            bytes(&packet.frame).context("the agent sent a frame that is no hexadecimal")?;
        let micros = packet.at.as_microsecond();
        let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or(0);
        let rest = u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0);
        let captured = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let mut record = Vec::with_capacity(16 + frame.len());
        for field in [seconds, rest, captured, packet.length.max(captured)] {
            record.extend(field.to_ne_bytes());
        }
        record.extend(frame);
        self.0
            .write_all(&record)
            .context("writing the capture file")
    }
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    hexadecimal
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
