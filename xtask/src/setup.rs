//! `cargo xtask setup`: finds or installs what the other verbs need, and says what and why.
//! What to do is planned by a pure function from a few looks at the machine; only then is
//! anything run. Without root, or on another distribution, it prints the commands instead.

mod plan;
mod probe;

use anyhow::{Result, bail};
use nix::unistd::Uid;

pub use plan::Need;
use plan::{Plan, Step};
use probe::Machine;

use crate::command;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to set up (default: everything)
    needs: Vec<Need>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print what a machine on which nothing is installed would need
    #[arg(long, conflicts_with = "needs")]
    from_nothing: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let needs = if args.needs.is_empty() {
        Need::ALL.to_vec()
    } else {
        args.needs.clone()
    };
    if args.from_nothing {
        print(&plan::plan(&needs, &probe::Bare));
        return Ok(());
    }
    let plan = plan::plan(&needs, &Machine);
    for found in &plan.found {
        println!("setup: {found}");
    }
    if args.dry_run {
        print(&plan);
        return Ok(());
    }
    carry_out(&plan)?;
    println!("setup: nothing is missing");
    Ok(())
}

/// What every other verb calls. Silent and quick when nothing is missing.
pub fn need(needs: &[Need]) -> Result<()> {
    carry_out(&plan::plan(needs, &Machine))
}

fn print(plan: &Plan) {
    for step in &plan.steps {
        println!("# {}", step.why);
        println!("{}", step.typed());
    }
}

fn carry_out(plan: &Plan) -> Result<()> {
    if let Some(reason) = &plan.by_hand {
        print(plan);
        bail!("{reason}; run the commands above, then this again");
    }
    for (number, step) in plan.steps.iter().enumerate() {
        println!("setup: {}/{}: {}", number + 1, plan.steps.len(), step.why);
        println!("       {}", step.typed());
        carry_out_step(step)?;
    }
    // A package that installed and still did not bring what it was for must not go unnoticed.
    if !plan.steps.is_empty() {
        let rest = plan::plan(&plan.needs, &Machine);
        if !rest.steps.is_empty() {
            print(&rest);
            bail!("set-up ran through, and yet the above is still missing");
        }
    }
    Ok(())
}

fn carry_out_step(step: &Step) -> Result<()> {
    match (command::run(&mut step.command()), step.may_fail) {
        (Ok(()), _) => Ok(()),
        (Err(error), Some(consequence)) => {
            println!("setup: {error:#}; {consequence}");
            Ok(())
        }
        (Err(error), None) => Err(error),
    }
}

/// How the kernel program is compiled here.
pub enum Kernel {
    /// Debian's `rustc-web` with its `core` for BPF
    Debian,
    /// A nightly of this name with `rust-src`
    Nightly(String),
}

/// The same choice as `agent/build.rs` makes, after [`need`] has seen to it that there is one.
pub fn kernel() -> Result<Kernel> {
    if probe::debian_compiler(&Machine) {
        return Ok(Kernel::Debian);
    }
    match probe::toolchain("nightly", plan::CORE_SOURCES) {
        Some(name) => Ok(Kernel::Nightly(name)),
        None => bail!("no compiler for the kernel program; run `cargo xtask setup kernel`"),
    }
}

/// Verbs that make namespaces need root; this says so before anything else is tried.
pub fn need_root(what: &str) -> Result<()> {
    if !Uid::effective().is_root() {
        bail!(
            "{what} makes network namespaces and loads a kernel program, which needs root; \
             run `sudo -E env PATH=\"$PATH\" cargo xtask …`"
        );
    }
    Ok(())
}
