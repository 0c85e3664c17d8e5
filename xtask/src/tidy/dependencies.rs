//! Who may depend on whom. The direction is a security property: the portal, which talks to the
//! internet, has no path to the kernel's maps, and the enforcing half knows nothing of the web.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Finding;

/// For each crate of ours: the crates of ours it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("filter-abi", &[]),
    ("filter-core", &["filter-abi"]),
    ("filter-ebpf", &["filter-abi", "filter-core"]),
    ("agent-api", &[]),
    ("agent", &["filter-abi", "agent-api"]),
    ("portal", &["agent-api"]),
    (
        "tests",
        &["agent-api", "filter-abi", "filter-core", "xtask"],
    ),
    ("xtask", &[]),
];

/// For tests beside the code, and for them only.
const ALLOWED_IN_TESTS: &[(&str, &str)] = &[("agent", "filter-core")];

/// Only these may name a crate whose name begins with `aya`, each with the ones it may name.
const AYA: &[(&str, &[&str])] = &[
    ("filter-ebpf", &["aya-ebpf", "aya-log-ebpf"]),
    ("agent", &["aya", "aya-obj", "aya-log", "aya-build"]),
    ("tests", &["aya", "aya-obj"]),
];

/// One line of a `[dependencies]` table.
#[derive(Clone, Debug)]
struct Edge {
    from: String,
    to: String,
    only_tests: bool,
}

pub(super) fn check(manifest: &Path) -> Result<Vec<Finding>> {
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .context("cargo metadata failed")?;
    let mut edges = Vec::new();
    let mut members = BTreeSet::new();
    for package in &metadata.packages {
        members.insert(package.name.to_string());
        edges.extend(package.dependencies.iter().map(|dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            only_tests: dependency.kind == DependencyKind::Development,
        }));
    }
    Ok(judge(&members, &edges))
}

fn judge(members: &BTreeSet<String>, edges: &[Edge]) -> Vec<Finding> {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut findings = Vec::new();
    for member in members {
        if !allowed.contains_key(member.as_str()) {
            findings.push(Finding::new(
                &format!("{member}/Cargo.toml"),
                1,
                "a new crate: say in xtask/src/tidy/dependencies.rs what it may depend on",
            ));
        }
    }
    for edge in edges {
        let place = format!("{}/Cargo.toml", edge.from);
        let for_tests =
            edge.only_tests && ALLOWED_IN_TESTS.contains(&(edge.from.as_str(), edge.to.as_str()));
        let listed = allowed
            .get(edge.from.as_str())
            .is_some_and(|to| to.contains(&&*edge.to));
        if members.contains(&edge.to) && !listed && !for_tests {
            findings.push(Finding::new(
                &place,
                1,
                format!(
                    "{} may not depend on {}: the direction is fixed",
                    edge.from, edge.to
                ),
            ));
        }
        let may_name = AYA
            .iter()
            .any(|(from, to)| *from == edge.from && to.contains(&&*edge.to));
        if (edge.to == "aya" || edge.to.starts_with("aya-")) && !may_name {
            findings.push(Finding::new(
                &place,
                1,
                format!(
                    "{} may not depend on {}: only the agent touches maps",
                    edge.from, edge.to
                ),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_edge(from: &str, to: &str, only_tests: bool) -> Vec<Finding> {
        let members = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
        judge(
            &members,
            &[Edge {
                from: from.into(),
                to: to.into(),
                only_tests,
            }],
        )
    }

    #[test]
    fn the_arrows_of_the_house_are_allowed() {
        for (from, to) in [
            ("filter-core", "filter-abi"),
            ("filter-ebpf", "filter-core"),
            ("agent", "filter-abi"),
            ("agent", "agent-api"),
            ("portal", "agent-api"),
            ("agent", "aya"),
            ("tests", "aya"),
        ] {
            assert_eq!(judge_edge(from, to, false), [], "{from} → {to}");
        }
        assert_eq!(judge_edge("agent", "filter-core", true), []);
    }

    #[test]
    fn the_other_way_round_is_not() {
        for (from, to) in [
            ("filter-abi", "filter-core"),
            ("agent", "portal"),
            ("portal", "agent"),
            ("portal", "filter-abi"),
            ("agent", "filter-core"),
            ("xtask", "agent-api"),
            ("portal", "aya"),
            ("agent-api", "aya-obj"),
        ] {
            let findings = judge_edge(from, to, false);
            assert_eq!(findings.len(), 1, "{from} → {to}");
            assert!(findings[0].place.starts_with(from));
        }
    }

    #[test]
    fn a_crate_nobody_placed_is_reported() {
        let members = BTreeSet::from(["helper".to_owned()]);
        let findings = judge(&members, &[]);
        assert!(
            findings
                .iter()
                .any(|finding| finding.what.contains("new crate"))
        );
    }
}
