//! `sekisho deny` and `sekisho lift`.

use agent_api::DenyRequest;
use clap::Args;
use ipnet::IpNet;

use super::{
    Ask,
    print::{self, Output},
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::parse_seconds,
};

/// A prefix, or one address.
fn parse_prefix(text: &str) -> Result<IpNet, String> {
    match (text.parse::<std::net::IpAddr>(), text.parse::<IpNet>()) {
        (Ok(address), _) => Ok(IpNet::from(address.to_canonical())),
        (_, Ok(net)) => Ok(net.trunc()),
        _ => Err("write an address or a prefix such as 203.0.113.0/24".into()),
    }
}

#[derive(Debug, Args)]
pub(super) struct Deny {
    /// Address or prefix
    #[arg(value_parser = parse_prefix)]
    prefix: IpNet,
    /// How long, for example 1h
    #[arg(long = "for", value_parser = parse_seconds, value_name = "LENGTH")]
    length: u64,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
}

impl Deny {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let request = DenyRequest {
            prefix: self.prefix,
            for_seconds: self.length,
            reason: self.reason,
        };
        let deny = ask.client.deny(&request).await?;
        if ask.output == Output::Json {
            return print::json(&deny);
        }
        let now = SystemClock.now().wall;
        let left = print::remaining(deny.remaining_seconds, deny.deadline, now);
        print::line(format!("denied: {} for {left}", deny.prefix));
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(super) struct Lift {
    /// Address or prefix, as `sekisho list --denied` shows it
    #[arg(value_parser = parse_prefix)]
    prefix: IpNet,
}

impl Lift {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        ask.client.lift(self.prefix).await?;
        match ask.output {
            Output::Json => print::json(&serde_json::json!({ "lifted": self.prefix })),
            Output::Text => {
                print::line(format!("lifted: {}", self.prefix));
                Ok(())
            }
        }
    }
}
