//! Decides what has to be installed, from what the machine says about itself. Pure: it runs
//! nothing, and every look goes through [`Probe`], so that each case is a test.

use std::process::Command;

use crate::command;

/// What a verb needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Need {
    /// The compiler and linker that make the kernel program
    Kernel,
    /// Namespaces, a web server, one-time codes
    Lab,
    /// A browser, a directory server, a packet dump
    Tests,
    /// The filters ours is compared with
    Bench,
    /// Formatting, clippy, cargo-deny
    Lint,
}

impl Need {
    pub(super) const ALL: [Self; 5] = [
        Self::Kernel,
        Self::Lab,
        Self::Tests,
        Self::Bench,
        Self::Lint,
    ];
}

/// The looks at a machine that decide the plan.
pub(super) trait Probe {
    fn has_program(&self, name: &str) -> bool;
    fn has_file(&self, path: &str) -> bool;
    /// A rustup toolchain of this name that holds this file.
    fn toolchain_has(&self, name_prefix: &str, file: &str) -> bool;
    /// `VERSION_CODENAME` of Debian, e.g. `bookworm`; None on another distribution.
    fn debian(&self) -> Option<String>;
    fn is_root(&self) -> bool;
}

/// One command to run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) why: String,
    pub(super) env: Vec<(&'static str, String)>,
    pub(super) argv: Vec<String>,
    pub(super) needs_root: bool,
    /// What it means when the command fails and set-up goes on all the same.
    pub(super) may_fail: Option<&'static str>,
}

impl Step {
    fn new(why: impl Into<String>, argv: &[&str]) -> Self {
        Self {
            why: why.into(),
            env: Vec::new(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            needs_root: false,
            may_fail: None,
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut words = self.argv.iter();
        let mut command = Command::new(words.next().map_or("true", String::as_str));
        command
            .args(words)
            .envs(self.env.iter().cloned())
            .current_dir(command::root());
        command
    }

    pub(super) fn typed(&self) -> String {
        command::shown(&self.command())
    }
}

/// What was found and what is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) needs: Vec<Need>,
    pub(super) found: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// Why the steps cannot be run from here, if so.
    pub(super) by_hand: Option<String>,
}

/// The rustup name under which the distribution's compiler is known to `agent/build.rs`.
pub(super) const LINKED: &str = "sekisho-bpf";
/// In a toolchain: what the component `rust-src` brings.
pub(super) const CORE_SOURCES: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";
/// Debian's compiler with its `core` for BPF.
pub(super) const DEBIAN_COMPILER: [&str; 3] = [
    "/usr/lib/rustlib/bpfel-unknown-none/lib",
    "/usr/bin/rustc",
    "/usr/bin/cargo",
];
const BPF_LINKER: &str = "0.13.0";
const CARGO_DENY: &str = "0.20.2";
/// Where the directory server is unpacked. It is not installed: the package would start it, now
/// and at each boot.
pub(super) const SLAPD: &str = "target/tools/slapd";
/// Where the checker of pages is unpacked, with the version in its name.
pub(super) const AXE: &str = "target/tools/axe-4.14.1";
const AXE_VERSION: &str = "4.14.1";
const AXE_SHA256: &str = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745";

/// A program, or a file where there is no program, and the Debian packages that bring it.
struct Piece {
    need: Need,
    sign: &'static str,
    packages: &'static [&'static str],
    why: &'static str,
}

const PIECES: &[Piece] = &[
    Piece {
        need: Need::Lab,
        sign: "ip",
        packages: &["iproute2"],
        why: "namespaces and links",
    },
    Piece {
        need: Need::Lab,
        sign: "setpriv",
        packages: &["util-linux"],
        why: "other users",
    },
    Piece {
        need: Need::Lab,
        sign: "curl",
        packages: &["curl"],
        why: "the person at the portal",
    },
    Piece {
        need: Need::Lab,
        sign: "oathtool",
        packages: &["oathtool"],
        why: "one-time codes",
    },
    Piece {
        need: Need::Lab,
        sign: "python3",
        packages: &["python3"],
        why: "a plain web server",
    },
    Piece {
        need: Need::Lab,
        sign: "tcpdump",
        packages: &["tcpdump"],
        why: "counting packets",
    },
    Piece {
        need: Need::Tests,
        sign: "openssl",
        packages: &["openssl"],
        why: "certificates",
    },
    Piece {
        need: Need::Tests,
        sign: "curl",
        packages: &["curl"],
        why: "fetching axe-core",
    },
    Piece {
        need: Need::Tests,
        sign: "chromedriver",
        packages: &["chromium", "chromium-driver"],
        why: "a real browser",
    },
    Piece {
        need: Need::Tests,
        sign: "/usr/share/fonts/truetype/vlgothic/VL-Gothic-Regular.ttf",
        packages: &["fonts-vlgothic"],
        why: "Japanese letters in screenshots",
    },
    Piece {
        need: Need::Tests,
        sign: "ldapsearch",
        packages: &["ldap-utils"],
        why: "filling the directory server",
    },
    Piece {
        need: Need::Tests,
        sign: "busybox",
        packages: &["busybox"],
        why: "an address by DHCP",
    },
    Piece {
        need: Need::Tests,
        sign: "faketime",
        packages: &["faketime"],
        why: "wall clocks that are wrong",
    },
    Piece {
        need: Need::Bench,
        sign: "ethtool",
        packages: &["ethtool"],
        why: "polling a card that has no program",
    },
    Piece {
        need: Need::Bench,
        sign: "xdp-filter",
        packages: &["xdp-tools"],
        why: "peer: xdp-filter",
    },
    Piece {
        need: Need::Bench,
        sign: "nft",
        packages: &["nftables"],
        why: "peer: nftables",
    },
    Piece {
        need: Need::Bench,
        sign: "iptables",
        packages: &["iptables"],
        why: "peer: iptables",
    },
    Piece {
        need: Need::Bench,
        sign: "ipset",
        packages: &["ipset"],
        why: "peer: ipset",
    },
];

/// What has to be done so that all `needs` are met.
pub(super) fn plan(needs: &[Need], probe: &dyn Probe) -> Plan {
    let mut plan = Plan {
        needs: needs.to_vec(),
        ..Plan::default()
    };
    let mut packages = Packages::default();
    let mut after = Vec::new();
    for need in needs {
        match need {
            Need::Kernel => kernel(probe, &mut plan.found, &mut packages, &mut after),
            Need::Lint => lint(probe, &mut after),
            Need::Tests => {
                slapd(probe, &mut packages, &mut after);
                axe(probe, &mut after);
            }
            Need::Lab | Need::Bench => {}
        }
        for piece in PIECES.iter().filter(|piece| piece.need == *need) {
            let absolute = piece.sign.starts_with('/');
            let there = if absolute {
                // A font is a file wherever Debian puts it; elsewhere any font will do.
                probe.has_file(piece.sign) || probe.debian().is_none()
            } else {
                probe.has_program(piece.sign)
            };
            if !there {
                packages.add(piece.packages, piece.why);
            }
        }
    }
    plan.steps = packages.steps();
    plan.steps.extend(after);
    if plan.steps.is_empty() {
        return plan;
    }
    if probe.debian().is_none() && plan.steps.iter().any(|step| step.needs_root) {
        plan.by_hand = Some(
            "this is not Debian, so packages of these names, or your distribution's names for \
             them, have to be installed by hand"
                .into(),
        );
    } else if !probe.is_root() && plan.steps.iter().any(|step| step.needs_root) {
        plan.by_hand = Some("installing packages needs root".into());
    }
    plan
}

/// Debian packages to install, all in one go.
#[derive(Default)]
struct Packages {
    names: Vec<&'static str>,
    why: Vec<&'static str>,
}

impl Packages {
    fn add(&mut self, names: &[&'static str], why: &'static str) {
        self.names.extend(names);
        self.why.push(why);
    }

    fn steps(self) -> Vec<Step> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let mut update = Step::new(
            "the package lists may be older than the packages",
            APT_UPDATE,
        );
        update.needs_root = true;
        update.may_fail = Some("going on with the lists that are there");
        let mut install = Step::new(format!("Debian packages: {}", self.why.join(", ")), APT_GET);
        install
            .argv
            .extend(self.names.into_iter().map(str::to_owned));
        install.env = vec![("DEBIAN_FRONTEND", "noninteractive".into())];
        install.needs_root = true;
        vec![update, install]
    }
}

const APT_UPDATE: &[&str] = &["apt-get", "update", "--quiet"];
const APT_GET: &[&str] = &[
    "apt-get",
    "install",
    "--yes",
    "--quiet",
    "--no-install-recommends",
];

fn kernel(
    probe: &dyn Probe,
    found: &mut Vec<String>,
    packages: &mut Packages,
    after: &mut Vec<Step>,
) {
    let rustup = probe.has_program("rustup");
    let linker = probe.has_program("bpf-linker");
    let debian_core = DEBIAN_COMPILER.iter().all(|file| probe.has_file(file));
    let linked = !rustup || probe.toolchain_has(LINKED, "bin/cargo");
    if debian_core && linked && linker {
        found.push("kernel program: Debian's compiler (rustc-web) and bpf-linker".into());
        return;
    }
    let nightly = probe.toolchain_has("nightly", CORE_SOURCES);
    if nightly && linker {
        found.push("kernel program: rustup's nightly with rust-src and bpf-linker".into());
        return;
    }
    let way_a = nightly || probe.debian().as_deref() != Some("bookworm");
    if way_a {
        if !nightly {
            after.push(Step::new(
                "the kernel program is compiled by nightly, which builds `core` for BPF",
                &[
                    "rustup",
                    "toolchain",
                    "install",
                    "nightly",
                    "--component",
                    "rust-src",
                ],
            ));
        }
        after.push(install_crate(
            "bpf-linker",
            BPF_LINKER,
            "links the kernel program",
            &[],
        ));
        return;
    }
    if !debian_core {
        packages.add(
            &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
            "a compiler with `core` for the kernel's BPF",
        );
    }
    if !linker {
        if !probe.has_file("/usr/lib/llvm-22/include/llvm-c/Core.h") {
            packages.add(&["llvm-22-dev"], "LLVM for bpf-linker");
        }
        let mut step = install_crate(
            "bpf-linker",
            BPF_LINKER,
            "links the kernel program (compiled here, about a minute)",
            &["--no-default-features", "--features", "llvm-22"],
        );
        step.env = vec![("LLVM_PREFIX", "/usr/lib/llvm-22".into())];
        after.push(step);
    }
    if !linked {
        after.push(Step::new(
            "rustup has to know Debian's compiler by a name",
            &["rustup", "toolchain", "link", LINKED, "/usr"],
        ));
    }
}

fn install_crate(name: &str, version: &str, why: &str, more: &[&str]) -> Step {
    let mut step = Step::new(
        format!("{name}: {why}"),
        &["cargo", "install", name, "--version", version],
    );
    step.argv.push("--locked".into());
    step.argv.extend(more.iter().map(|&word| word.to_owned()));
    step
}

fn lint(probe: &dyn Probe, after: &mut Vec<Step>) {
    for component in ["rustfmt", "clippy"] {
        if !probe.has_program(&format!("cargo-{}", component.trim_start_matches("rust"))) {
            after.push(Step::new(
                format!("{component}: a part of rustup's toolchain"),
                &["rustup", "component", "add", component],
            ));
        }
    }
    if !probe.has_program("cargo-deny") {
        // Without optimisation it compiles in a third of the time, and it runs for a second.
        after.push(install_crate(
            "cargo-deny",
            CARGO_DENY,
            "checks licences and sources of dependencies (compiled here, about two minutes)",
            &["--debug"],
        ));
    }
}

/// The directory server and its libraries. Only the libraries are installed.
fn slapd(probe: &dyn Probe, packages: &mut Packages, after: &mut Vec<Step>) {
    let unpacked = command::root().join(SLAPD).join("usr/sbin/slapd");
    if probe.has_file("/usr/sbin/slapd") || probe.has_file(&unpacked.to_string_lossy()) {
        return;
    }
    if probe.debian().is_none() {
        packages.add(&["slapd"], "a real directory server");
        return;
    }
    packages.add(
        &[
            "libodbc2",
            "libltdl7",
            "libwrap0",
            "libperl5.36",
            "libsasl2-2",
            "libargon2-1",
        ],
        "libraries of the directory server",
    );
    let fetch = format!(
        "rm -rf {SLAPD} && mkdir -p {SLAPD} && cd {SLAPD} && apt-get download --quiet slapd && \
         dpkg -x slapd_*.deb . && rm slapd_*.deb"
    );
    after.push(Step::new(
        "a real directory server, unpacked and not installed, so that nothing starts it",
        &["sh", "-c", &fetch],
    ));
}

/// axe-core (MPL-2.0) is run against each page in the browser. It is not shipped, and too large to
/// keep here; what comes is taken only if it is what was looked at.
fn axe(probe: &dyn Probe, after: &mut Vec<Step>) {
    let script = command::root().join(AXE).join("axe.min.js");
    if probe.has_file(&script.to_string_lossy()) {
        return;
    }
    let file = format!("axe-core-{AXE_VERSION}.tgz");
    let fetch = match probe.has_program("npm") {
        true => format!("npm pack --silent axe-core@{AXE_VERSION} >/dev/null"),
        false => {
            format!(
                "curl --fail --silent --show-error --location --remote-name https://registry.npmjs.org/axe-core/-/{file}"
            )
        }
    };
    let script = format!(
        "rm -rf {AXE} && mkdir -p {AXE}.part && cd {AXE}.part && {fetch} && \
         echo '{AXE_SHA256}  {file}' | sha256sum --check --quiet && \
         tar -xzf {file} --strip-components=1 package/axe.min.js package/LICENSE && rm {file} && \
         cd .. && mv axe-{AXE_VERSION}.part axe-{AXE_VERSION}"
    );
    after.push(Step::new(
        "axe-core, which finds what keeps people from using a page",
        &["sh", "-c", &script],
    ));
}

#[cfg(test)]
mod tests;
