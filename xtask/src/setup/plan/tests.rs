//! Plans for machines that are not at hand.

use super::*;

/// A machine made of words: programs by name, files by path, toolchains as `name:file`.
struct Fake {
    has: Vec<&'static str>,
    debian: Option<&'static str>,
    root: bool,
}

impl Probe for Fake {
    fn has_program(&self, name: &str) -> bool {
        self.has.contains(&name)
    }
    fn has_file(&self, path: &str) -> bool {
        self.has.contains(&path)
    }
    fn toolchain_has(&self, name_prefix: &str, file: &str) -> bool {
        self.has.contains(&format!("{name_prefix}:{file}").as_str())
    }
    fn debian(&self) -> Option<String> {
        self.debian.map(str::to_owned)
    }
    fn is_root(&self) -> bool {
        self.root
    }
}

const NIGHTLY: &str = "nightly:lib/rustlib/src/rust/library/core/Cargo.toml";

fn typed(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(Step::typed).collect()
}

#[test]
fn nothing_is_done_when_nothing_is_missing() {
    let way_a = Fake {
        has: vec!["rustup", NIGHTLY, "bpf-linker"],
        debian: None,
        root: false,
    };
    let plan = plan(&[Need::Kernel], &way_a);
    assert!(plan.steps.is_empty() && plan.by_hand.is_none());
    assert!(
        plan.found.iter().any(|line| line.contains("nightly")),
        "{:?}",
        plan.found
    );
}

#[test]
fn debian_gets_its_own_compiler_a_linker_and_a_name_for_rustup() {
    let fresh = Fake {
        has: vec!["rustup"],
        debian: Some("bookworm"),
        root: true,
    };
    let typed = typed(&plan(&[Need::Kernel], &fresh));
    assert_eq!(
        typed,
        [
            "apt-get update --quiet",
            "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
             --no-install-recommends rustc-web cargo-web libstd-rust-web-dev-bpf llvm-22-dev",
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 --locked \
             --no-default-features --features llvm-22",
            "rustup toolchain link sekisho-bpf /usr",
        ]
    );
}

#[test]
fn without_rustup_debian_needs_no_name() {
    let fresh = Fake {
        has: vec![],
        debian: Some("bookworm"),
        root: true,
    };
    let typed = typed(&plan(&[Need::Kernel], &fresh));
    assert!(
        !typed.iter().any(|line| line.contains("toolchain link")),
        "{typed:?}"
    );
}

#[test]
fn a_nightly_without_sources_does_not_count() {
    let has = vec!["rustup", "nightly:bin/rustc", "bpf-linker"];
    let plan = plan(
        &[Need::Kernel],
        &Fake {
            has,
            debian: None,
            root: true,
        },
    );
    assert_eq!(
        typed(&plan),
        [
            "rustup toolchain install nightly --component rust-src",
            "cargo install bpf-linker --version 0.13.0 --locked"
        ]
    );
    assert_eq!(
        plan.by_hand, None,
        "rustup and cargo install for the user alone"
    );
}

#[test]
fn without_root_the_commands_are_told_and_not_run() {
    let fresh = Fake {
        has: vec!["rustup"],
        debian: Some("bookworm"),
        root: false,
    };
    let plan = plan(&[Need::Lab], &fresh);
    assert!(plan.by_hand.as_deref().unwrap().contains("root"));
    assert!(typed(&plan).iter().any(|line| line.contains("oathtool")));
}

#[test]
fn another_distribution_is_told_what_to_install() {
    let fresh = Fake {
        has: vec![],
        debian: None,
        root: true,
    };
    let plan = plan(&[Need::Tests], &fresh);
    assert!(plan.by_hand.as_deref().unwrap().contains("not Debian"));
}

#[test]
fn the_directory_server_is_unpacked_and_never_installed() {
    let has = vec!["openssl", "chromedriver", "ldapsearch"];
    let fresh = Fake {
        has,
        debian: Some("bookworm"),
        root: true,
    };
    let typed = typed(&plan(&[Need::Tests], &fresh));
    let install = typed
        .iter()
        .find(|line| line.contains("apt-get install"))
        .unwrap();
    assert!(!install.contains(" slapd"), "{install}");
    assert!(
        typed.iter().any(|line| line.contains("dpkg -x")),
        "{typed:?}"
    );
}

#[test]
fn axe_is_fetched_by_npm_or_without_it_and_always_compared() {
    let machine = |has| Fake {
        has,
        debian: Some("bookworm"),
        root: true,
    };
    for (has, by) in [(vec!["npm"], "npm pack"), (vec![], "curl --fail")] {
        let typed = typed(&plan(&[Need::Tests], &machine(has)));
        let fetch = typed.iter().find(|line| line.contains("axe-core"));
        let fetch = fetch.unwrap();
        assert!(fetch.contains(by) && fetch.contains(AXE_SHA256), "{fetch}");
    }
    let there = command::root().join(AXE).join("axe.min.js");
    let there: &'static str = there.to_string_lossy().into_owned().leak();
    let typed = typed(&plan(&[Need::Tests], &machine(vec![there])));
    assert!(!typed.iter().any(|line| line.contains("axe-core")));
}

#[test]
fn packages_of_all_needs_are_installed_in_one_go() {
    let fresh = Fake {
        has: vec![],
        debian: Some("bookworm"),
        root: true,
    };
    let typed = typed(&plan(&Need::ALL, &fresh));
    assert_eq!(
        typed
            .iter()
            .filter(|line| line.contains("apt-get install"))
            .count(),
        1
    );
    assert_eq!(
        typed
            .iter()
            .filter(|line| line.contains("apt-get update"))
            .count(),
        1
    );
}
