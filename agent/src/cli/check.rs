//! `sekisho check`: everything about a configuration that can be known without touching the kernel.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    connection,
    print::{self, Output},
};
use crate::{
    config::Config,
    policy::{self, ServiceIds},
};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/sekisho/agent.toml")]
    config: PathBuf,
}

impl Check {
    pub(super) fn execute(self, output: Output) -> anyhow::Result<ExitCode> {
        let config = Config::load(&self.config)?;
        let ids: ServiceIds = (1..)
            .zip(&config.services)
            .map(|(id, service)| (service.name.clone(), id))
            .collect();
        let policy = policy::compile(&config, &ids)?;
        let mut warnings = warnings(&config);
        warnings.extend(own_connection(&config));
        match output {
            Output::Json => print::json(&serde_json::json!({
                "ok": true,
                "services": config.services.len(),
                "targets": policy.targets.len(),
                "warnings": warnings,
            }))?,
            Output::Text => {
                print::line(format!(
                    "{}: fine; {} services, {} protected or portal prefixes",
                    self.config.display(),
                    config.services.len(),
                    policy.destinations.len()
                ));
                for warning in &warnings {
                    print::line(format!("note: {warning}"));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is allowed but worth a second look.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in &config.filter.interfaces {
        if nix::net::if_::if_nametoindex(name.as_str()).is_err() {
            warnings.push(format!("there is no interface `{name}` on this machine"));
        }
    }
    if config.filter.xdp_mode == agent_api::XdpMode::Generic {
        warnings
            .push("generic XDP works everywhere and is several times slower than native".into());
    }
    if config.filter.other_ports_pass {
        warnings.push(
            "other_ports = \"pass\": ports of protected addresses without a service are open"
                .into(),
        );
    }
    if config
        .portal
        .as_ref()
        .is_none_or(|portal| portal.endpoints.is_empty())
    {
        warnings.push(
            "no [portal] endpoints: if the portal is behind an interface of the filter, list them"
                .into(),
        );
    }
    warnings
}

/// Whether the connection this very command is typed over would be dropped.
pub(super) fn own_connection(config: &Config) -> Option<String> {
    let own = connection::own()?;
    let cut = policy::in_the_way(config, own.client, own.server, own.port)?;
    Some(cut.sentence(own.client, own.server, own.port))
}
