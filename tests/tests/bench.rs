//! The bench itself: a short run has every figure, and those that do not depend on the machine are
//! as they must be. It says nothing of how fast anything is: `cargo xtask bench` does.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::tools;

/// Every row: part, then names; `{a,b}` stands for each of the words.
const ROWS: &[&str] = &[
    "testrun/empty",
    "testrun/{unknown-v4,granted-v4,unknown-v6,granted-v6,not-protected}/{one-grant,some-grants,many-grants,few-services,most-services}",
    "testrun/{unknown-v4,granted-v4,unknown-v6,granted-v6}/{growth-grants,growth-services}",
    "testrun/{unknown,granted}-v6-to-v4",
    "testrun/{expired-v4,plain-hash-unknown,plain-hash-granted,xdp-filter-unknown}",
    "flood/{mpps-best,mpps-random,mpps-one,mpps-alone}/{bare,reader,sekisho-some,sekisho-many,hash-some,hash-many,xdp-filter,nftables,iptables-ipset,iptables}",
    "flood/offered/bare",
    "flood/{ns,ns-far}/{empty,reader,sekisho-some,sekisho-many,hash-some,hash-many,xdp-filter}",
    "flood/{ns-ratio,ns-far-ratio}/{some,many}",
    "flood/{race-best,race-random,race-one,race-alone}/{bare,hash-some,xdp-filter,nftables,iptables-ipset,iptables}",
    "forward/{udp,tcp}/{open,pass,sekisho,against-open,against-pass}",
    "revoke/{call-median,call-p99,process-median,process-p99,batch,batch-map}",
    "load/{start-empty,start,pause-quiet,pause-sweep,sweep}",
];

fn spelled_out(pattern: &str) -> Vec<String> {
    let parts = pattern
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (words, after))) = parts else {
        return vec![pattern.to_owned()];
    };
    words
        .split(',')
        .flat_map(|word| spelled_out(&format!("{before}{word}{after}")))
        .collect()
}

/// The medians by id, and what was not available.
fn medians(report: &Value) -> Result<(BTreeMap<String, f64>, Vec<String>)> {
    let (mut medians, mut missing) = (BTreeMap::new(), Vec::new());
    for row in report["rows"].as_array().context("rows")? {
        let id = row["id"].as_str().context("id")?.to_owned();
        match row["median"].as_f64() {
            Some(median) => {
                let rounds = row["rounds"].as_array().context("rounds")?;
                ensure!(rounds.len() == 2, "{id} has {} rounds", rounds.len());
                ensure!(median.is_finite(), "{id} is {median}");
                ensure!(medians.insert(id.clone(), median).is_none(), "{id} twice");
            }
            None => missing.push(format!("{id}: {}", row["note"])),
        }
    }
    Ok((medians, missing))
}

#[test]
fn a_short_bench_has_every_row_and_its_ratios_make_sense() -> Result<()> {
    let folder = TempDir::new()?;
    let output = Command::new(env!("CARGO_BIN_EXE_sekisho-bench"))
        .arg("--quick")
        .arg("--into")
        .arg(folder.path())
        .env("SEKISHO_BIN", tools::sekisho()?)
        .output()?;
    ensure!(
        output.status.success(),
        "the bench failed:\n{}",
        tools::both(&output)
    );
    let text = std::fs::read_to_string(folder.path().join("bench.json"))?;
    let (medians, missing) = medians(&serde_json::from_str(&text)?)?;
    // `cargo xtask test` installs the peers, so that what is missing is the kernel's.
    ensure!(
        missing.is_empty() || std::env::var_os("CI").is_none(),
        "not available, which may not be under CI:\n{}",
        missing.join("\n")
    );
    for id in ROWS.iter().flat_map(|pattern| spelled_out(pattern)) {
        let known = missing.iter().any(|text| text.starts_with(&id));
        ensure!(known || medians.contains_key(&id), "no row {id}");
    }
    let svg = std::fs::read_to_string(folder.path().join("bench.svg"))?;
    ensure!(svg.contains("</svg>"), "no chart");

    let of = |id: &str| medians.get(id).copied().with_context(|| id.to_owned());
    for id in ["unknown-v4", "granted-v4", "unknown-v6", "granted-v6"] {
        let cost = of(&format!("testrun/{id}/some-grants"))?;
        ensure!(cost > 0.0, "{id} costs {cost} ns more than nothing at all");
        let growth = of(&format!("testrun/{id}/growth-grants"))?;
        ensure!(growth < 3.0, "{id} grows {growth} times with the grants");
    }
    // Plain packets to a service take the short way; all others are read in full.
    let granted = of("testrun/granted-v4/some-grants")?;
    let read = of("testrun/not-protected/some-grants")?;
    ensure!(
        read > 0.0 && granted < read * 3.0,
        "a grant is found in {granted} ns, a packet is read in {read} ns"
    );
    let ratio = of("flood/ns-ratio/some")?;
    ensure!(
        (0.0..2.0).contains(&ratio),
        "dropping a stranger costs {ratio} times what a plain hash does"
    );
    let (bare, rules) = (of("flood/mpps-best/bare")?, of("flood/mpps-best/iptables")?);
    ensure!(rules < bare, "{rules} Mpps by rules, {bare} by nothing");
    let delay = of("revoke/call-p99")?;
    ensure!(delay < 1000.0, "a revoked source is heard for {delay} ms");
    let used = of("load/start")?;
    ensure!(used < 20.0, "an agent takes {used} s to start");
    Ok(())
}
