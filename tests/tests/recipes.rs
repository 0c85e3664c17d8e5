//! The recipes of `deploy/recipes` work: each configuration is accepted, and those of the three
//! topologies open and shut on the very network they describe.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Rig,
    rig::{Family, replaced},
    story,
    tools::{self, both},
};
use xtask::{
    command,
    lab::{BRIDGE, PORTAL_UID, Topology},
};

fn folder() -> PathBuf {
    command::root().join("deploy/recipes")
}

/// Names of the recipes, without their endings.
fn recipes(ending: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(ending).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[test]
fn each_recipe_has_a_text_and_a_configuration_that_is_accepted() -> Result<()> {
    let names = recipes(".toml")?;
    ensure!(names == recipes(".md")?, "{names:?}");
    for topology in Topology::ALL {
        ensure!(
            names.contains(&topology.to_string()),
            "none for a {topology}"
        );
    }
    let users = tempfile::tempdir()?;
    for name in names {
        let file = folder().join(format!("{name}.toml"));
        let mut check = tools::as_installed(users.path(), &tools::sekisho()?)?;
        let output = check.args(["check", "--config"]).arg(&file).output()?;
        ensure!(output.status.success(), "{name}: {}", both(&output));
        let text = fs::read_to_string(folder().join(format!("{name}.md")))?;
        ensure!(text.contains(&format!("{name}.toml")), "{name}.md");
    }
    Ok(())
}

/// The recipe's configuration, but for where this test keeps its files.
fn configuration(rig: &Rig) -> Result<String> {
    let name = format!("{}.toml", rig.layout.topology);
    let text = fs::read_to_string(folder().join(&name)).context(name)?;
    let here = rig.folder().display();
    let ours = format!(
        "[agent]\nsocket = \"{here}/agent.sock\"\nledger = \"{here}/ledger.sqlite\"\n\n\
         [filter]\nbpffs = \"{here}/bpf\"\n"
    );
    let text = replaced(&text, "[filter]\n", &ours)?;
    let user = format!("user = {PORTAL_UID}");
    replaced(&text, "user = \"sekisho-portal\"", &user)
}

fn works(rig: &Rig, family: Family) -> Result<()> {
    story::opens_and_shuts_with(rig, &configuration(rig)?, family)
}

#[test]
fn the_recipe_for_a_gateway_opens_and_shuts() -> Result<()> {
    works(&Rig::gateway()?, Family::V6)
}

#[test]
fn the_recipe_for_a_host_opens_and_shuts() -> Result<()> {
    works(&Rig::host()?, Family::V4)
}

/// On a bridge made by the commands that the recipe shows.
#[test]
fn the_recipe_for_a_bridge_opens_and_shuts() -> Result<()> {
    let rig = Rig::bridge()?;
    let text = fs::read_to_string(folder().join("bridge.md"))?;
    let mut blocks = text.split("```\n");
    let by_hand = blocks
        .find(|block| block.starts_with("ip link add br0"))
        .context("the recipe shows no commands")?;
    let gate = &rig.layout.gate;
    gate.ip([format!("link del {BRIDGE}").as_str()])?;
    command::output(gate.command("sh").args(["-e", "-c", by_hand]))?;
    works(&rig, Family::V6)
}
