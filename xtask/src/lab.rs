//! `cargo xtask lab`: the whole product on real packets, in network namespaces of this machine.
//! Addresses are those set aside for documentation; nothing leaves the namespaces.

mod config;
mod daemons;
mod layout;
mod network;
mod person;
mod picture;
mod process;
mod record;
mod story;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    build, clock,
    setup::{self, Need},
    traffic,
};
pub use layout::{BRIDGE, ETH, INNER, Layout, OUTER, PORTAL_UID, Pair, SECOND, Topology};
pub use record::Lab;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Leave it running (`up`), or remove it (`down`); without: up, the story, down
    action: Option<Action>,
    /// Filter on a gateway before the server, on the server itself, or on a bridge between
    #[arg(long, value_enum, default_value_t = Topology::Gateway)]
    topology: Topology,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Action {
    Up,
    Down,
}

/// Verbs that the laboratory starts inside its namespaces.
#[derive(clap::Subcommand, Debug)]
pub enum Helper {
    /// Answers every datagram and byte on the ports given
    #[command(hide = true)]
    ServeEcho {
        #[arg(long)]
        udp: Vec<u16>,
        #[arg(long)]
        tcp: Vec<u16>,
    },
    /// Sends numbered datagrams and counts the echoes
    #[command(hide = true)]
    Flow {
        to: SocketAddr,
        #[arg(long, default_value_t = 1000)]
        rate: u32,
        #[arg(long, default_value_t = 1000)]
        milliseconds: u64,
    },
}

pub fn help(helper: &Helper) -> Result<()> {
    match helper {
        Helper::ServeEcho { udp, tcp } => traffic::serve_echo(udp, tcp),
        Helper::Flow {
            to,
            rate,
            milliseconds,
        } => {
            let report = traffic::flow(*to, *rate, Duration::from_millis(*milliseconds))?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(())
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    setup::need_root("the laboratory")?;
    match args.action {
        Some(Action::Up) => {
            let lab = up(args.topology)?;
            println!(
                "lab: up; {} says where everything is",
                record::file().display()
            );
            println!("lab: try  {}", lab.command_line(&["status"]));
            println!(
                "lab: portal {}  and {}",
                lab.portal.url_v4, lab.portal.url_v6
            );
            Ok(())
        }
        Some(Action::Down) => {
            down()?;
            println!("lab: down, nothing is left of it");
            Ok(())
        }
        None => whole(args.topology),
    }
}

fn whole(topology: Topology) -> Result<()> {
    let told = up(topology).and_then(|mut lab| story::tell(&mut lab));
    if told.is_err() {
        daemons::show_logs();
    }
    let removed = down();
    told?;
    removed?;
    println!("lab: every step held; nothing is left of it");
    Ok(())
}

fn up(topology: Topology) -> Result<Lab> {
    setup::need(&[Need::Kernel, Need::Lab])?;
    let binaries = build::binaries("dev", &["--bins"])?;
    down().context("an earlier laboratory is in the way")?;
    let start = clock::instant();
    let layout = Layout::of(topology, layout::PREFIX);
    let made = layout
        .create()
        .and_then(|()| layout.second_way())
        .and_then(|()| daemons::start(&layout, &binaries));
    if made.is_err() {
        daemons::show_logs();
        // The reason it did not come up matters more than one why it did not go away.
        drop(down());
    }
    let lab = made?;
    lab.save()?;
    println!(
        "lab: {topology} up in {:.1} s",
        start.elapsed().as_secs_f32()
    );
    Ok(lab)
}

fn down() -> Result<()> {
    daemons::stop()?;
    // The gateway has all the namespaces that any topology has.
    Layout::of(Topology::Gateway, layout::PREFIX).remove()?;
    daemons::remove_files()?;
    record::remove()
}
