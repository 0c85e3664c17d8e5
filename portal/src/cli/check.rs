//! `check`: everything `run` would stumble over, without changing anything.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::Done;
use crate::{
    clock::Clock, config::Config, directory, key::Key, mail::Delivery, ntp, portal::open_look,
    serve,
};

pub(super) async fn check(path: &Path) -> Result<Done> {
    let config = Config::load(path)?;
    println!("{}: the configuration is valid", path.display());
    for caution in config.cautions() {
        println!("warning: {caution}");
    }
    let mut done = Done::All;
    let mut tell = |part: &str, result: Result<()>| match result {
        Ok(()) => println!("{part}: ok"),
        Err(failure) => {
            done = Done::Partly;
            println!("{part}: {failure:#}");
        }
    };
    tell("certificate", serve::check_certificate(&config));
    tell(
        "key file",
        Key::read(&config.portal.key_file)
            .map(|_| ())
            .map_err(Into::into),
    );
    tell(
        "look and texts",
        open_look(&config).map(drop).map_err(Into::into),
    );
    if config.mail.is_some() {
        tell(
            "mail",
            Delivery::open(&config).map(drop).map_err(Into::into),
        );
    }
    if !config.clock.servers.is_empty() {
        let asked = ntp::ask_all(&config.clock.servers, &Clock::system()).await;
        let most = config.clock.most_off.seconds() * 1_000;
        let clock = match asked {
            None => Err(anyhow!(
                "no server of [clock] answers; is UDP port 123 open?"
            )),
            Some(ahead) if ahead.abs() > most => Err(anyhow!(
                "wrong by {} s; put NTP on this machine right, nobody is let in until then",
                -ahead / 1_000
            )),
            Some(_) => Ok(()),
        };
        tell("clock", clock);
    }
    let directory = async {
        directory::open(&config, &Clock::system())?.check().await?;
        Ok(())
    };
    tell("directory", directory.await);
    // The agent may be started later; that is no mistake in the configuration.
    let agent = agent_api::Client::new(&config.portal.agent_socket);
    match agent.services().await {
        Ok(services) => {
            let missing = |name: &str| !services.iter().any(|service| service.name == name);
            for access in config
                .access
                .iter()
                .filter(|access| missing(&access.service))
            {
                println!(
                    "note: the agent has no service {:?} of [[access]]",
                    access.service
                );
            }
            println!("agent: ok");
        }
        Err(failure) => println!("note: {failure}"),
    }
    Ok(done)
}
