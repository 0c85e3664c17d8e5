//! The `sekisho` command: one file for each verb.

mod apply;
mod audit;
mod check;
mod connection;
mod deny;
mod detach;
mod doctor;
mod drops;
mod explain;
mod grant;
mod list;
mod print;
mod revoke;
mod run;
mod status;
mod switch;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use agent_api::Client;
use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser, Subcommand};

/// Exit code for a configuration that cannot be used (EX_USAGE of sysexits.h).
const EXIT_CONFIG: u8 = 64;

/// The checkpoint in front of your services: packets pass only from sources that hold a grant.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, max_term_width = 100)]
struct Arguments {
    /// Socket of the agent
    #[arg(long, global = true, value_name = "PATH", default_value = agent_api::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent: load the filter, own the ledger, answer on the socket
    Run(run::Run),
    /// Check a configuration without touching anything
    Check(check::Check),
    /// What this machine and its interfaces are like, and what to do about it
    Doctor(doctor::Doctor),
    /// How the agent and the filter are
    Status,
    /// Who is open now
    List(list::List),
    /// Open a grant by hand
    Grant(grant::Grant),
    /// Close grants at once, running connections included
    Revoke(revoke::Revoke),
    /// What happens, as it happens
    Watch,
    /// Packets by reason
    Counters,
    /// Why a packet passes or drops, asked of the running filter; nothing is counted
    Explain(explain::Explain),
    /// Who is dropped most, or dropped packets as they come
    Drops(drops::Drops),
    /// What enforce mode would have dropped, since observe mode began
    Impact(explain::Impact),
    /// Enforce verdicts, or only observe what they would do
    Mode(switch::ModeVerb),
    /// Switch everything that needs a grant off, or back on
    Lockdown(switch::LockdownVerb),
    /// Drop everything from a prefix for a while
    Deny(deny::Deny),
    /// Lift a denial
    Lift(deny::Lift),
    /// Put a changed configuration in force without a restart
    Reload,
    /// Show what a configuration would change, and put it in force, on trial if you like
    Apply(apply::Apply),
    /// Keep the configuration on trial, and write it to the agent's file
    Confirm,
    /// Undo the configuration on trial
    Rollback,
    /// Who did what, when, from where, why
    Audit(audit::Audit),
    /// Remove the filter from its interfaces
    Detach(detach::Detach),
    /// Shell completions
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Write the embedded kernel object to standard output, for inspection
    KernelObject,
}

/// What every verb that asks the agent needs.
struct Ask {
    client: Client,
    output: print::Output,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_CONFIG } else { 0 };
            // A closed pipe is the reader's choice.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let output = if arguments.json {
        print::Output::Json
    } else {
        print::Output::Text
    };
    match dispatch(arguments, output) {
        Ok(code) => code,
        Err(error) => print::failure(&error, output),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn dispatch(arguments: Arguments, output: print::Output) -> Result<ExitCode> {
    match arguments.verb {
        Verb::Run(verb) => return verb.execute(),
        Verb::Check(verb) => return verb.execute(output),
        Verb::Doctor(verb) => {
            return runtime()?.block_on(verb.execute(arguments.socket, output));
        }
        Verb::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "sekisho",
                &mut std::io::stdout(),
            );
            return Ok(ExitCode::SUCCESS);
        }
        Verb::KernelObject => {
            use std::io::Write as _;
            std::io::stdout()
                .write_all(crate::kernel::OBJECT)
                .context("writing the object")?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let ask = Ask {
        client: Client::new(arguments.socket),
        output,
    };
    runtime()?.block_on(async {
        match arguments.verb {
            Verb::Status => status::status(&ask).await,
            Verb::List(verb) => verb.execute(&ask).await,
            Verb::Grant(verb) => verb.execute(&ask).await,
            Verb::Revoke(verb) => verb.execute(&ask).await,
            Verb::Watch => watch::watch(&ask).await,
            Verb::Counters => status::counters(&ask).await,
            Verb::Explain(verb) => verb.execute(&ask).await,
            Verb::Drops(verb) => verb.execute(&ask).await,
            Verb::Impact(verb) => verb.execute(&ask).await,
            Verb::Mode(verb) => verb.execute(&ask).await,
            Verb::Lockdown(verb) => verb.execute(&ask).await,
            Verb::Deny(verb) => verb.execute(&ask).await,
            Verb::Lift(verb) => verb.execute(&ask).await,
            Verb::Reload => switch::reload(&ask).await,
            Verb::Apply(verb) => verb.execute(&ask).await,
            Verb::Confirm => apply::confirm(&ask).await,
            Verb::Rollback => apply::rollback(&ask).await,
            Verb::Audit(verb) => verb.execute(&ask).await,
            Verb::Detach(verb) => verb.execute(&ask).await,
            Verb::Doctor(_)
            | Verb::Run(_)
            | Verb::Check(_)
            | Verb::Completions { .. }
            | Verb::KernelObject => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
