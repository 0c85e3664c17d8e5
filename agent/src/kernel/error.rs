//! What the kernel refused, in words an operator can act on.

use std::{io, path::PathBuf};

/// Each variant says what happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error(
        "the agent needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON): start it as root or with its systemd unit"
    )]
    NotPermitted,
    #[error("{0} is not a mounted BPF file system: run `mount -t bpf bpf {0}` or correct filter.bpffs", .path.display())]
    NoBpffs { path: PathBuf },
    #[error("another agent owns the filter pinned at {0}: one machine has one agent; stop it first", .path.display())]
    Owned { path: PathBuf },
    #[error(
        "this kernel has no BTF (/sys/kernel/btf/vmlinux is missing): use a kernel of 5.18 or later built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf,
    #[error("kernel {found} is too old: the filter needs 5.18 or later")]
    TooOld { found: String },
    #[error(
        "there is no interface `{name}`: `ip link` lists those there are; correct filter.interfaces"
    )]
    UnknownInterface { name: String },
    #[error(
        "interface `{name}` cannot run XDP in its driver ({cause}): set filter.xdp_mode = \"generic\" to accept a slower filter, or use another interface"
    )]
    NoNativeXdp { name: String, cause: io::Error },
    #[error(
        "interface `{name}` already carries an XDP program that is not ours ({program}): remove it with its own tool, or `ip link set dev {name} xdp off`; the filter never replaces it"
    )]
    ForeignProgram { name: String, program: String },
    #[error(
        "interface `{name}` runs the filter in {running} mode and the configuration demands {wanted}: changing it needs a moment without filter, so do it on purpose with `sekisho detach`, then start again"
    )]
    OtherMode {
        name: String,
        running: &'static str,
        wanted: &'static str,
    },
    #[error(
        "the table of {family} grants is full ({capacity}): raise filter.capacity and restart the agent, or close grants"
    )]
    Full { family: &'static str, capacity: u32 },
    #[error("the kernel does not accept the filter: {0}")]
    Rejected(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

impl KernelError {
    /// An error of a system call, with what was being done.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}
