//! The command line: `run`, `check` and the admin verbs. Verbs open the database themselves, so
//! they work while the portal is down; each change is audited with the uid that made it.

mod banner;
mod case;
mod check;
mod desk;
mod directory;
mod exception;
mod hardware;
mod import;
mod input;
mod key;
mod mail;
mod output;
mod owner;
mod people;
mod report;
mod texts;
mod ticket;
mod token;
mod unused;
mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, EXIT_CONFIG};
use desk::Desk;

/// The web portal of sekisho, and its admin verbs.
#[derive(Debug, Parser)]
#[command(name = "sekisho-portal", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "/etc/sekisho/portal.toml")]
    config: PathBuf,
    /// Print JSON instead of tables and sentences.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the portal until stopped.
    Run,
    /// Check configuration, certificate, key and directory without changing anything.
    Check,
    /// People: the local users file, lock-outs and waits.
    #[command(subcommand)]
    User(user::Verb),
    /// Authenticators that make one-time codes.
    #[command(subcommand)]
    Token(token::Verb),
    /// Single-use invitations to set up an authenticator.
    #[command(subcommand)]
    Ticket(ticket::Verb),
    /// The key that seals stored secrets.
    #[command(subcommand)]
    Key(key::Verb),
    /// Ask the directory as the portal does.
    #[command(subcommand)]
    Directory(directory::Verb),
    /// Hardware tokens: makers' files, the stock, who gets which.
    #[command(subcommand)]
    Hardware(hardware::Verb),
    /// Notices by mail: look at a text, try the server, see what waits.
    #[command(subcommand)]
    Mail(mail::Verb),
    /// Lists of people from other systems.
    #[command(subcommand)]
    Import(import::Verb),
    /// Make a report.
    Report(report::Asked),
    /// The help desk's guided cases: list, open, approve, refuse.
    #[command(subcommand)]
    Case(case::Verb),
    /// Exceptions: who may open what with the password alone, and until when.
    #[command(subcommand)]
    Exception(exception::Verb),
    /// What every page says above everything else.
    #[command(subcommand)]
    Banner(banner::Verb),
    /// Files of other languages.
    #[command(subcommand)]
    Texts(texts::Verb),
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
}

/// How a verb that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    All,
    /// Part of it could not be done, and was said.
    Partly,
}

/// Parses the arguments and carries them out.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = if matches!(arguments.verb, Verb::Run) {
        "info"
    } else {
        "warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    crate::directory::quiet_library();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("sekisho-portal: no runtime: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(carry_out(arguments)) {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::Partly) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("sekisho-portal: {failure:#}");
            match failure.downcast_ref::<ConfigError>() {
                Some(_) => ExitCode::from(EXIT_CONFIG),
                None => ExitCode::FAILURE,
            }
        }
    }
}

async fn carry_out(arguments: Arguments) -> anyhow::Result<Done> {
    let Arguments { config, json, verb } = arguments;
    let desk = async || Desk::open(Config::load(&config)?, json).await;
    match verb {
        Verb::Run => crate::serve::run(Config::load(&config)?)
            .await
            .map(|()| Done::All),
        Verb::Check => check::check(&config).await,
        Verb::User(verb) => user::carry_out(&desk().await?, verb).await,
        Verb::Token(verb) => token::carry_out(&desk().await?, verb).await,
        Verb::Ticket(verb) => ticket::carry_out(&desk().await?, verb).await,
        Verb::Key(key::Verb::New { out }) => key::new(&out),
        Verb::Key(key::Verb::Rotate) => key::rotate(&desk().await?).await,
        Verb::Directory(verb) => directory::carry_out(Config::load(&config)?, json, verb).await,
        Verb::Hardware(verb) => hardware::carry_out(&desk().await?, verb).await,
        Verb::Mail(verb) => mail::carry_out(&desk().await?, verb).await,
        Verb::Import(verb) => import::carry_out(&desk().await?, verb).await,
        Verb::Report(asked) => report::carry_out(&desk().await?, asked).await,
        Verb::Case(verb) => case::carry_out(&desk().await?, verb).await,
        Verb::Exception(verb) => exception::carry_out(&desk().await?, verb).await,
        Verb::Banner(verb) => banner::carry_out(&desk().await?, verb).await,
        Verb::Texts(verb) => texts::carry_out(verb),
        Verb::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(
                shell,
                &mut command,
                "sekisho-portal",
                &mut std::io::stdout(),
            );
            Ok(Done::All)
        }
    }
}

#[cfg(test)]
mod tests;
