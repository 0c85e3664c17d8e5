//! `sekisho mode`, `lockdown` and `reload`.

use agent_api::{Lockdown, Mode};
use clap::{Args, ValueEnum};

use super::{
    Ask,
    print::{self, Output},
};

#[derive(Debug, Args)]
pub(super) struct ModeVerb {
    mode: ModeWord,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeWord {
    /// Drops are carried out
    Enforce,
    /// Drops pass and are counted
    Observe,
}

impl ModeVerb {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let mode = match self.mode {
            ModeWord::Enforce => Mode::Enforce,
            ModeWord::Observe => Mode::Observe,
        };
        let now = ask.client.set_mode(mode).await?;
        match ask.output {
            Output::Json => print::json(&now),
            Output::Text => {
                print::line(format!("mode is {}", now.mode.name()));
                Ok(())
            }
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct LockdownVerb {
    state: OnOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    /// No grant admits a packet and none opens
    On,
    /// Grants that have not ended admit packets again
    Off,
}

impl LockdownVerb {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let now = ask
            .client
            .set_lockdown(Lockdown {
                on: self.state == OnOff::On,
            })
            .await?;
        match ask.output {
            Output::Json => print::json(&now),
            Output::Text => {
                print::line(format!("lockdown is {}", if now.on { "on" } else { "off" }));
                Ok(())
            }
        }
    }
}

pub(super) async fn reload(ask: &Ask) -> anyhow::Result<()> {
    let applied = ask.client.reload().await?;
    if ask.output == Output::Json {
        return print::json(&applied);
    }
    for (what, names) in [
        ("added", &applied.added),
        ("removed", &applied.removed),
        ("changed", &applied.changed),
        ("needs a restart", &applied.needs_restart),
    ] {
        if !names.is_empty() {
            print::line(format!("{what}: {}", names.join(", ")));
        }
    }
    if applied.closed > 0 {
        print::line(format!("closed with their service: {}", applied.closed));
    }
    print::line("in force");
    Ok(())
}
