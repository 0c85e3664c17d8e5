//! The agent and its warnings, free slots, and the way to the portal.

use std::time::Duration;

use agent_api::{Client, Fill, Status};

use super::{Finding, Notes};
use crate::config::Config;

/// A portal of this site answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn look(client: &Client, findings: &mut Vec<Finding>) -> Option<Status> {
    let mut notes = Notes::new("agent", findings);
    let status = match client.status().await {
        Ok(status) => status,
        Err(error) => {
            notes.problem(
                error.to_string(),
                "start it (`systemctl start sekisho-agent`); a filter that runs stays in force meanwhile",
            );
            return None;
        }
    };
    notes.ok(format!(
        "answers; version {}, mode {}",
        status.version,
        status.mode.name()
    ));
    for warning in &status.warnings {
        notes.warning(warning.clone(), "see `sekisho status`");
    }
    let mut notes = Notes::new("slots", findings);
    for (family, Fill { used, capacity }) in
        [("IPv4", status.grants_v4), ("IPv6", status.grants_v6)]
    {
        let free = capacity.saturating_sub(used);
        if free < capacity / 10 {
            notes.warning(
                format!("{free} of {capacity} {family} grants are free"),
                "raise filter.capacity and restart the agent",
            );
        } else {
            notes.ok(format!("{free} of {capacity} {family} grants are free"));
        }
    }
    Some(status)
}

pub(super) async fn portal(config: &Config, findings: &mut Vec<Finding>) {
    let mut notes = Notes::new("portal", findings);
    let endpoints = config.portal.iter().flat_map(|portal| &portal.endpoints);
    let rest = "its certificate and its directory: `sekisho-portal directory test`";
    for endpoint in endpoints {
        let connecting = tokio::net::TcpStream::connect(endpoint);
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(Ok(_)) => notes.add(
                super::Level::Ok,
                format!("{endpoint} takes connections"),
                rest,
            ),
            Ok(Err(error)) => notes.warning(
                format!("{endpoint} cannot be reached from here: {error}"),
                "start it (`systemctl start sekisho-portal`), or correct portal.endpoints",
            ),
            Err(_) => notes.warning(
                format!("{endpoint} does not answer from here"),
                "look at the way there and at portal.endpoints",
            ),
        }
    }
}
