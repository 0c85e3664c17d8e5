//! The key file: 32 random bytes in Base64 outside the database, readable by its owner only.
//! A file that others may read is refused.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot read the key file {}: {source}; make one with `sekisho-portal key new --out {}`", path.display(), path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the key file {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the key file {} may be read by others (mode {mode:03o}); run chmod 600 on it", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("the key file {} does not hold 32 bytes in Base64; restore it, the stored secrets need exactly this key", path.display())]
    Shape { path: PathBuf },
}

/// A key; its `Debug` shows only the id.
#[derive(Clone)]
pub(crate) struct Key {
    bytes: Zeroizing<[u8; 32]>,
    id: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"sekisho key id\0");
        hash.update(bytes.as_slice());
        let id = HEXLOWER.encode(hash.finalize().get(..8).unwrap_or_default());
        Self { bytes, id }
    }

    pub(crate) fn random() -> Self {
        Self::new(Zeroizing::new(crate::random::bytes()))
    }

    pub(crate) fn read(path: &Path) -> Result<Self, KeyError> {
        let read = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        let mode = fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(read)?);
        let shape = || KeyError::Shape {
            path: path.to_owned(),
        };
        let bytes = Zeroizing::new(BASE64.decode(text.trim().as_bytes()).map_err(|_| shape())?);
        let array = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| shape())?;
        Ok(Self::new(Zeroizing::new(array)))
    }

    /// Writes a file that did not exist, mode 0600, and makes sure it is on the disk. `like`: a
    /// file or directory whose owner the new file gets, when root writes it for the portal.
    pub(crate) fn write_new(&self, path: &Path, like: Option<&Path>) -> Result<(), KeyError> {
        let write = |source| KeyError::Write {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(write)?;
        let text = Zeroizing::new(format!("{}\n", BASE64.encode(self.bytes.as_slice())));
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(write)?;
        if let Some(like) = like {
            own_like(path, like).map_err(write)?;
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// Gives `path` the owner of `like`, so that what root's verbs write stays readable for the portal.
pub(crate) fn own_like(path: &Path, like: &Path) -> io::Result<()> {
    let (have, want) = (fs::metadata(path)?, fs::metadata(like)?);
    if (have.uid(), have.gid()) == (want.uid(), want.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(want.uid()), Some(want.gid()))
}
