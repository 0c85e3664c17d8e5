//! Where links, maps and the program are pinned: `<bpffs>/sekisho/v<ABI_VERSION>/…`.
//!
//! The version is in the path, and in the name of each map (`layout.rs`), because nothing in a
//! pinned map says what its bytes mean. A filter of another version is found by its links, which
//! are updated in place and moved here.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use filter_abi::ABI_VERSION;
use nix::{
    fcntl::Flock,
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{error::KernelError, layout::Layout};
use crate::lock;

/// The pin directories of one installation.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
    /// Held by the one agent that owns them.
    _lock: Option<Arc<Flock<File>>>,
}

impl Pins {
    /// Checks that `bpffs` is one, makes the directories of this version, for root only, and takes
    /// them for this process: two agents over one filter would each undo the other's grants.
    pub fn prepare(bpffs: &Path) -> Result<Self, KernelError> {
        let pins = Self::existing(bpffs)?;
        for directory in [pins.maps(), pins.links(), pins.version().join("outgoing")] {
            fs::create_dir_all(&directory).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => KernelError::NotPermitted,
                _ => KernelError::io(format!("creating {}", directory.display()), error),
            })?;
        }
        let root = File::open(&pins.root)
            .map_err(|error| KernelError::io(format!("opening {}", pins.root.display()), error))?;
        let lock = lock::take(root).map_err(|_| KernelError::Owned {
            path: pins.root.clone(),
        })?;
        let pins = Self {
            _lock: Some(Arc::new(lock)),
            ..pins
        };
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&pins.root, fs::Permissions::from_mode(0o700)).map_err(|error| {
            KernelError::io(format!("closing {} to others", pins.root.display()), error)
        })?;
        Ok(pins)
    }

    /// Checks that `bpffs` is one; makes nothing.
    pub fn existing(bpffs: &Path) -> Result<Self, KernelError> {
        match statfs(bpffs) {
            Ok(found) if found.filesystem_type() == BPF_FS_MAGIC => Ok(Self {
                root: bpffs.join("sekisho"),
                _lock: None,
            }),
            _ => Err(KernelError::NoBpffs {
                path: bpffs.to_owned(),
            }),
        }
    }

    fn version(&self) -> PathBuf {
        self.root.join(format!("v{ABI_VERSION}"))
    }

    pub(super) fn maps(&self) -> PathBuf {
        self.version().join("maps")
    }

    pub(super) fn map(&self, layout: &Layout) -> PathBuf {
        self.maps().join(layout.pin())
    }

    /// The same map as other versions have it.
    pub(super) fn map_elsewhere(&self, layout: &Layout) -> Vec<PathBuf> {
        let name = layout.pin();
        let ours = self.version();
        entries(&self.root)
            .into_iter()
            .filter(|(_, version)| *version != ours)
            .map(|(_, version)| version.join("maps").join(&name))
            .collect()
    }

    /// The program, so that the version after this one can ask it before replacing it.
    pub(super) fn program(&self) -> PathBuf {
        self.version().join("program")
    }

    /// The same while it takes over.
    pub(super) fn program_beside(&self) -> PathBuf {
        self.version().join("program-next")
    }

    /// It has taken over.
    pub(super) fn settle_program(&self) -> Result<(), KernelError> {
        let place = self.program();
        fs::rename(self.program_beside(), &place)
            .map_err(|error| KernelError::io(format!("pinning {}", place.display()), error))
    }

    /// The pinned programs of every version.
    pub(super) fn programs(&self) -> Vec<PathBuf> {
        entries(&self.root)
            .into_iter()
            .flat_map(|(_, version)| [version.join("program"), version.join("program-next")])
            .collect()
    }

    pub(super) fn links(&self) -> PathBuf {
        self.version().join("links")
    }

    pub(super) fn link(&self, interface: &str) -> PathBuf {
        self.links().join(pin_name(interface))
    }

    pub(super) fn outgoing(&self, interface: &str) -> PathBuf {
        self.version().join("outgoing").join(pin_name(interface))
    }

    /// Every pinned link of what watches the way out, as `all_links`.
    pub(super) fn all_outgoing(&self) -> Vec<(String, PathBuf)> {
        self.all("outgoing")
    }

    /// Every pinned link of any version, as (interface, path). Ours come first.
    pub(super) fn all_links(&self) -> Vec<(String, PathBuf)> {
        self.all("links")
    }

    fn all(&self, kind: &str) -> Vec<(String, PathBuf)> {
        let mut links: Vec<(String, PathBuf)> = entries(&self.root)
            .into_iter()
            .flat_map(|(_, version)| entries(&version.join(kind)))
            .map(|(name, path)| (interface_name(&name), path))
            .collect();
        let ours = self.version();
        links.sort_by_key(|(_, path)| !path.starts_with(&ours));
        links
    }

    /// Removes everything pinned by other versions. Called once their links were moved.
    pub(super) fn remove_other_versions(&self) -> Result<(), KernelError> {
        let ours = self.version();
        for (_, version) in entries(&self.root) {
            if version != ours {
                remove_tree(&version)?;
            }
        }
        Ok(())
    }

    /// Removes every pin. Whatever was attached only by a pinned link is detached by that.
    pub(super) fn remove_all(&self) -> Result<(), KernelError> {
        remove_tree(&self.root)
    }
}

/// A bpffs refuses names with a dot (kernel/bpf/inode.c, `bpf_lookup`); VLAN interfaces have one.
fn pin_name(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2e")
}

fn interface_name(pin: &str) -> String {
    pin.replace("%2e", ".").replace("%25", "%")
}

fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let Ok(read) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found: Vec<(String, PathBuf)> = read
        .filter_map(Result::ok)
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .collect();
    found.sort();
    found
}

fn remove_tree(path: &Path) -> Result<(), KernelError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KernelError::io(
            format!("removing {}", path.display()),
            error,
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_survive_the_pin_name() {
        for name in ["eth0", "eth0.100", "a%2eb", "x%.y"] {
            assert!(!pin_name(name).contains('.'));
            assert_eq!(interface_name(&pin_name(name)), name);
        }
    }
}
