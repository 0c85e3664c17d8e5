//! Writing the configuration file: whole or not at all, with the owner and mode it had.
//!
//! The new content lies beside the file until everything else went well. A symbolic link is
//! followed and stays; the file it leads to is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// New content beside the file. Dropped without [`Staged::put`], it is gone.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    beside: PathBuf,
}

impl Staged {
    /// Writes the content beside the file, on the disk.
    pub fn prepare(path: &Path, text: &str) -> io::Result<Self> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let beside = sibling(&target, ".new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        let staged = Self { target, beside };
        file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(&staged.target) {
            file.set_permissions(old.permissions())?;
            let now = file.metadata()?;
            if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
        }
        file.sync_all()?;
        Ok(staged)
    }

    /// Puts it in the file's place.
    pub fn put(self) -> io::Result<()> {
        fs::rename(&self.beside, &self.target)?;
        let folder = self.target.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After `put` there is none.
        let _ = fs::remove_file(&self.beside);
    }
}

/// `agent.toml` with a word behind it, in the same folder.
pub fn sibling(path: &Path, word: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(word);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        drop(Staged::prepare(&link, "never").unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        Staged::prepare(&link, "new").unwrap().put().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
