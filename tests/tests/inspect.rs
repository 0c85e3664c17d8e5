//! Asking the running filter: why a packet drops, what observe mode let pass, and samples of what
//! was dropped, as an operator does it from the command line.

use std::{process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut},
};

#[test]
fn explain_says_what_really_happens_and_counts_nothing() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    for family in Family::BOTH {
        let (source, server) = (rig.source(family), rig.server(family, 80));
        let (from, to) = (source.to_string(), server.ip().to_string());
        let counters = agent.counters()?;
        let shut = agent.cli_json(&["explain", &from, &to, "80"])?;
        ensure!(
            shut["passes"] == false && shut["reason"] == "NoGrant",
            "{shut}"
        );
        ensure!(shut["service"] == "web", "{shut}");
        ensure!(agent.counters()? == counters, "a question was counted");
        must_be_shut(&rig.layout.client, server)?;

        let grant = agent.grant(source, "web", "alice", 300)?;
        let seen = grant.packets;
        let open = agent.cli_json(&["explain", &from, &to, "80", "--vlan", "7"])?;
        ensure!(
            open["passes"] == true && open["reason"] == "Granted",
            "{open}"
        );
        ensure!(open["grant"]["holders"][0]["user"] == "alice", "{open}");
        let grants = agent.cli_json(&["list"])?;
        ensure!(
            grants[0]["packets"] == seen,
            "a question was counted on the grant"
        );
        must_be_open(&rig.layout.client, server)?;
        agent.close_source(source)?;
    }
    let text = agent.cli_ok(&["explain", "192.0.2.77", "198.51.100.10", "udp/9"])?;
    ensure!(
        text.starts_with("drop:") && text.contains("NoService"),
        "{text}"
    );
    Ok(())
}

#[test]
fn observe_mode_says_whom_enforcing_would_have_cut() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let (client, web) = (&rig.layout.client, rig.server(Family::V4, 80));
    agent.cli_ok(&["mode", "observe"])?;
    must_be_open(client, web)?;
    let impact = agent.cli_json(&["impact"])?;
    let source = rig.source(Family::V4).to_string();
    let entries = impact["entries"].as_array().context("entries")?;
    let ours = entries
        .iter()
        .find(|entry| entry["source"] == source.as_str() && entry["service"] == "web")
        .context("the client is not in the report")?;
    ensure!(ours["reason"] == "NoGrant" && ours["port"] == 80, "{ours}");
    ensure!(ours["packets"].as_u64() >= Some(2), "{ours}");
    let text = agent.cli_ok(&["impact"])?;
    ensure!(text.contains(&source) && text.contains("web"), "{text}");

    agent.cli_ok(&["impact", "--clear"])?;
    ensure!(agent.cli_ok(&["impact"])?.contains("nothing"));
    agent.cli_ok(&["mode", "enforce"])?;
    must_be_shut(client, web)?;
    let status = agent.status()?;
    ensure!(status.warnings.is_empty(), "{:?}", status.warnings);
    Ok(())
}

#[test]
fn dropped_packets_are_shown_as_they_come_and_as_a_capture() -> Result<()> {
    let rig = Rig::gateway()?;
    let agent = Agent::start(&rig)?;
    let capture = rig.path("drops.pcap");
    let source = rig.source(Family::V4).to_string();
    let (file, server) = (capture.display().to_string(), rig.server(Family::V4, 22));
    let knocking = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let arguments = [
                "drops", "--follow", "--source", &source, "--reason", "NoGrant", "--count", "2",
                "--pcap", &file,
            ];
            agent.cli_json_lines(&arguments)
        });
        for _ in 0..20 {
            if reader.is_finished() {
                break;
            }
            must_be_shut(&rig.layout.client, server)?;
            thread::sleep(Duration::from_millis(50));
        }
        reader
            .join()
            .map_err(|_| anyhow::anyhow!("the reader panicked"))?
    })?;
    ensure!(knocking.len() == 2, "{knocking:?}");
    for packet in &knocking {
        ensure!(
            packet["source"] == source.as_str() && packet["port"] == 22,
            "{packet}"
        );
        ensure!(packet["service"] == "ssh", "{packet}");
    }
    let bytes = std::fs::read(&capture)?;
    ensure!(bytes.starts_with(&0xa1b2_c3d4_u32.to_ne_bytes()));
    let shown = Command::new("tcpdump")
        .args(["-nr", &file])
        .output()
        .context("tcpdump")?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(
        shown.lines().count() == 2 && shown.contains(&format!("{}.22:", server.ip())),
        "an analyser reads: {shown}"
    );
    let talkers = agent.cli_json(&["drops"])?;
    ensure!(
        talkers["talkers"][0]["source"] == source.as_str(),
        "{talkers}"
    );
    Ok(())
}
