//! `sekisho detach`: removes the filter on purpose, and asks first.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use agent_api::ClientError;
use anyhow::{Context as _, bail};
use clap::Args;

use super::{
    Ask,
    print::{self, Output},
};
use crate::{
    config::Config,
    kernel::{Pins, detach_all},
};

#[derive(Debug, Args)]
pub(super) struct Detach {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// With no agent running: where the pins are, from this configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/sekisho/agent.toml")]
    config: PathBuf,
}

impl Detach {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        if !self.yes {
            confirm()?;
        }
        let interfaces = match ask.client.detach().await {
            Ok(interfaces) => interfaces,
            Err(ClientError::Connect { .. }) => self.without_agent()?,
            Err(error) => return Err(error.into()),
        };
        match ask.output {
            Output::Json => print::json(&serde_json::json!({ "detached": interfaces })),
            Output::Text if interfaces.is_empty() => {
                print::line("the filter was on no interface");
                Ok(())
            }
            Output::Text => {
                print::line(format!(
                    "detached from {}; the agent stops",
                    interfaces.join(", ")
                ));
                Ok(())
            }
        }
    }

    fn without_agent(&self) -> anyhow::Result<Vec<String>> {
        let config = Config::load(&self.config)
            .context("no agent is running, so the configuration must say where the pins are")?;
        // Taken as an agent would take them: one that runs elsewhere keeps its filter.
        let pins = Pins::prepare(&config.filter.bpffs)
            .context("an agent that is running is asked through its --socket")?;
        Ok(detach_all(&pins)?)
    }
}

fn confirm() -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("detach removes all filtering: say --yes when no terminal can be asked");
    }
    let mut out = std::io::stdout();
    write!(
        out,
        "Everything that is protected will be open to everybody. Type `detach` to go on: "
    )?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() != "detach" {
        bail!("nothing was changed");
    }
    Ok(())
}
