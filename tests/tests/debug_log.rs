//! The program's own log lines, a debugging aid: there when asked for, otherwise not a trace.

use anyhow::{Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_shut, replaced},
};

/// The line of a packet without a grant; the number is that of the reason `NoGrant`.
const LINE: &str = "reason 14";

/// Sends packets that are dropped, and returns what the agent logged.
fn log_with(config: impl FnOnce(&Rig) -> Result<String>) -> Result<(String, Agent)> {
    let rig = Rig::gateway()?;
    let mut agent = Agent::start_with(&rig, &config(&rig)?)?;
    rig.serve()?;
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 80))?;
    ensure!(agent.count("NoGrant")? > 0, "no packet was judged");
    // The ring is read ten times a second; one more request and a stop make sure it was.
    must_be_shut(&rig.layout.client, rig.server(Family::V6, 80))?;
    agent.daemon.stop()?;
    Ok((agent.daemon.log(), agent))
}

#[test]
fn the_program_logs_each_packets_reason_when_asked() -> Result<()> {
    let (log, _agent) = log_with(|rig| {
        replaced(
            &rig.agent_config(),
            "[filter]",
            "[filter]\ndebug_log = true",
        )
    })?;
    ensure!(log.contains(LINE), "no line of the program in:\n{log}");
    Ok(())
}

#[test]
fn the_program_is_silent_by_default() -> Result<()> {
    let (log, _agent) = log_with(|rig| Ok(rig.agent_config()))?;
    ensure!(!log.contains(LINE), "a line of the program in:\n{log}");
    Ok(())
}
