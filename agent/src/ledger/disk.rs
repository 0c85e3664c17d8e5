//! Waiting for the disk together: what many write one by one is committed at once and put on the
//! disk by one sync for all who wait. Nothing is acknowledged before a sync that began after its
//! commit has ended.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::LedgerError;

type Sync = Box<dyn Fn() -> io::Result<()> + Send + std::marker::Sync>;

/// The disk below a ledger.
pub(super) struct Disk {
    sync: Sync,
    /// Syncs that were begun; each has a number.
    begun: AtomicU64,
    /// The last one that ended well; held while one runs.
    ended: tokio::sync::Mutex<u64>,
    lost: watch::Sender<bool>,
}

impl Disk {
    /// Of the write-ahead log of a ledger. A transaction in it counts once its last page is there
    /// (<https://www.sqlite.org/wal.html>), and every `sync` that SQLite itself does for a durable
    /// commit is one of this file.
    pub(super) fn below(ledger: &Path) -> Arc<Self> {
        let mut log = ledger.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        let held = Mutex::new(File::open(&log).ok());
        Self::new(Box::new(move || {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            sync_log(&log, &mut held)
        }))
    }

    pub(super) fn new(sync: Sync) -> Arc<Self> {
        Arc::new(Self {
            sync,
            begun: AtomicU64::new(0),
            ended: tokio::sync::Mutex::new(0),
            lost: watch::Sender::new(false),
        })
    }

    /// Returns once everything that was committed before the call is on the disk.
    pub(super) async fn settled(self: &Arc<Self>) -> Result<(), LedgerError> {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut ended = self.ended.lock().await;
        self.sound()?;
        if *ended > begun {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let disk = Arc::clone(self);
        match tokio::task::spawn_blocking(move || (disk.sync)()).await {
            Ok(Ok(())) => {
                *ended = number;
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the disk did not take what the ledger has written");
                self.lost.send_replace(true);
                self.sound()
            }
            // The runtime ends, and nobody is told anything any more.
            Err(_) => Err(LedgerError::Lost),
        }
    }

    /// An error after a sync that failed. The kernel then takes for written what is not there, and
    /// another sync may succeed all the same (fsync(2)): only a ledger that is opened anew is.
    pub(super) fn sound(&self) -> Result<(), LedgerError> {
        if *self.lost.borrow() {
            return Err(LedgerError::Lost);
        }
        Ok(())
    }

    /// Returns when a sync has failed.
    pub(super) async fn lost(&self) {
        // The sender lives as long as this.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }
}

/// By a descriptor that is held from the start: an error in writing back is told once to each that
/// was open then, whoever else has asked meanwhile.
fn sync_log(log: &Path, held: &mut Option<File>) -> io::Result<()> {
    let there = match fs::metadata(log) {
        Ok(there) => there,
        // SQLite removes it when all of it is in the ledger and on the disk.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_same = |file: &File| {
        let own = file.metadata();
        own.is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
    };
    let file = match held.take().filter(is_same) {
        Some(file) => file,
        None => File::open(log)?,
    };
    held.insert(file).sync_data()
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        sync::atomic::{AtomicBool, AtomicUsize},
        time::Duration,
    };

    use super::*;

    #[tokio::test]
    async fn whoever_waits_together_is_served_by_one_sync_that_began_after_all_of_them() {
        let (syncs, running) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counted, busy) = (Arc::clone(&syncs), Arc::clone(&running));
        let disk = Disk::new(Box::new(move || {
            busy.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }));
        let first = tokio::spawn({
            let disk = Arc::clone(&disk);
            async move { disk.settled().await }
        });
        while !running.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        // These come while the first one runs, which may not serve them.
        let others: Vec<_> = (0..100)
            .map(|_| {
                let (disk, syncs) = (Arc::clone(&disk), Arc::clone(&syncs));
                tokio::spawn(async move {
                    disk.settled().await.unwrap();
                    syncs.load(Ordering::SeqCst)
                })
            })
            .collect();
        first.await.unwrap().unwrap();
        for other in others {
            assert!(
                other.await.unwrap() >= 2,
                "served by a sync that ran already"
            );
        }
        assert_eq!(syncs.load(Ordering::SeqCst), 2);
        disk.settled().await.unwrap();
        assert_eq!(syncs.load(Ordering::SeqCst), 3, "later ones wait again");
    }

    #[test]
    fn the_log_is_followed_when_it_is_replaced_and_may_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("ledger-wal");
        let mut held = None;
        sync_log(&log, &mut held).unwrap();
        assert!(held.is_none(), "nothing to sync");
        for _ in 0..2 {
            let new = folder.path().join("new");
            File::create(&new).unwrap().write_all(b"x").unwrap();
            fs::rename(&new, &log).unwrap();
            sync_log(&log, &mut held).unwrap();
            let own = held.as_ref().unwrap().metadata().unwrap();
            assert_eq!(own.ino(), fs::metadata(&log).unwrap().ino());
        }
    }

    #[tokio::test]
    async fn after_a_sync_that_failed_nothing_is_acknowledged_any_more() {
        let tries = AtomicUsize::new(0);
        let disk = Disk::new(Box::new(move || {
            match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(io::Error::from_raw_os_error(nix::libc::EIO)),
                _ => Ok(()),
            }
        }));
        assert!(matches!(disk.settled().await, Err(LedgerError::Lost)));
        assert!(matches!(disk.settled().await, Err(LedgerError::Lost)));
        tokio::time::timeout(Duration::from_secs(5), disk.lost())
            .await
            .unwrap();
    }
}
