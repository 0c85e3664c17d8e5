//! `sekisho grant`: break-glass, and for sites without the portal.

use std::net::IpAddr;

use agent_api::GrantRequest;
use clap::Args;

use super::{
    Ask,
    print::{self, Output},
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::parse_seconds,
};

#[derive(Debug, Args)]
pub(super) struct Grant {
    /// Address the client sends from
    #[arg(long)]
    source: IpAddr,
    /// Service to open
    #[arg(long)]
    service: String,
    /// Who it is for
    #[arg(long)]
    user: String,
    /// How long, for example 5m or 8h; the service's default if left out
    #[arg(long = "for", value_parser = parse_seconds, value_name = "LENGTH")]
    length: Option<u64>,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
}

impl Grant {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let request = GrantRequest {
            source: self.source,
            service: self.service,
            user: self.user,
            for_seconds: self.length,
            exact: true,
            factor: None,
            reason: self.reason,
            request_id: None,
        };
        let grant = ask.client.grant(&request).await?;
        if ask.output == Output::Json {
            return print::json(&grant);
        }
        let now = SystemClock.now().wall;
        print::line(format!(
            "open: {} reaches {} for {}",
            grant.source,
            grant.service,
            print::remaining(grant.remaining_seconds, grant.deadline, now)
        ));
        Ok(())
    }
}
