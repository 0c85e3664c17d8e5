//! The durable record: grants with their holders, settings, deny prefixes, and the audit.
//!
//! SQLite in WAL mode: what was acknowledged survives a power cut. One connection writes, a few
//! read. The ledger decides nothing; the engine says what to write.

mod audit;
mod closings;
mod denies;
mod disk;
mod holders;
mod pieces;
mod settings;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr as _, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::clock::Moment;

use audit::hex;
pub use audit::{Entry, Head};
pub use closings::ClosingRow;
pub(crate) use closings::{closed_holders, end_closing, first_closing, put_closing, reopen};
pub use denies::DenyRow;
pub(crate) use denies::{put_deny, remove_deny, remove_ended_denies};
use disk::Disk;
pub use holders::{GrantRow, HolderRow, Ipv6Holders, Selection};
pub(crate) use holders::{put_holder, remove_holder, remove_holders, restore_holder};
pub(crate) use settings::put_setting;

/// Written into SQLite's own header fields, so that another program's file is not mistaken for a
/// ledger and a ledger of another layout is not misread.
const APPLICATION_ID: i64 = 0x7365_6b69;
const SCHEMA_VERSION: i64 = 1;
/// The same while closings wait, which an older agent must not overlook.
const LATE_VERSION: i64 = 2;
/// The same while anything is held from a whole prefix, which an older agent could not read.
const PREFIX_VERSION: i64 = 3;
/// Pages in the write-ahead log at which a commit folds them into the file, which takes a while.
/// The agent's chores do so earlier, and hold nobody up: see [`Ledger::fold`].
const LOG_PAGES: &str = "8192";
/// The writer's memory for pages, as SQLite counts it: negative means KiB.
const CACHE: &str = "-8192";

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("cannot open the ledger {0}: {1}; check that the directory exists, belongs to the agent and has space", .path.display(), .source)]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("{0} is damaged or not a ledger ({reason}): move it away and start again; open grants end with it, the audit in it can still be read with sqlite3", .path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("{0} is a ledger of layout {found}, and this agent knows {SCHEMA_VERSION}: run the agent version that wrote it, or a newer one", .path.display())]
    OtherVersion { path: PathBuf, found: i64 },
    #[error("{0} cannot be written ({reason}): the agent must be able to record what it does; correct the rights or the mount", .path.display())]
    ReadOnly { path: PathBuf, reason: String },
    #[error(
        "the disk failed to take what the ledger has written: the agent stops and opens nothing before it has read again what is there; check the disk"
    )]
    Lost,
    #[error("the ledger failed: {0}; check the disk")]
    Failed(#[from] sqlx::Error),
}

/// An open ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    writer: SqlitePool,
    readers: SqlitePool,
    disk: Arc<Disk>,
}

/// Waits for the write lock at once, so that no transaction fails half-way for want of it.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// A transaction that writes; dropped without commit, nothing happened.
pub type Writing = Transaction<'static, Sqlite>;

impl Ledger {
    /// Opens or creates the file, checks that it is sound, and carries deadlines over from an
    /// earlier boot. `boot_id` names this boot (/proc/sys/kernel/random/boot_id).
    pub async fn open(path: &Path, boot_id: &str, now: Moment) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging()
            .pragma("trusted_schema", "OFF")
            .pragma("wal_autocheckpoint", LOG_PAGES);
        private_file(path).map_err(|e| LedgerError::Open {
            path: path.to_owned(),
            source: sqlx::Error::Io(e),
        })?;
        // Connections stay: whoever closes the last one removes the write-ahead log.
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .max_lifetime(None)
                .idle_timeout(None)
        };
        let writer = pool(1)
            // A write that failed half-way (the disk was full) can leave sqlx counting a
            // transaction that SQLite has already rolled back; such a connection is thrown away.
            .before_acquire(|connection, _| {
                Box::pin(async move {
                    // Whatever an unsettled transaction left behind.
                    sqlx::query("PRAGMA synchronous = FULL")
                        .execute(&mut *connection)
                        .await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options.clone().pragma("cache_size", CACHE))
            .await;
        let writer = writer.map_err(|source| unusable(path, source))?;
        let readers = pool(4).connect_lazy_with(options);
        let mut ledger = Self {
            writer,
            readers,
            disk: Disk::below(path),
        };
        ledger.check(path).await?;
        let failed = |source| unusable(path, source);
        // What an earlier agent's disk did not take may be seen all the same, and be no more after a
        // power cut (fsync(2)): it is written anew, and nothing is joined to it.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&ledger.writer)
            .await
            .map_err(failed)?;
        ledger.rebase(boot_id, now).await.map_err(failed)?;
        // Now there is a log to hold on to.
        ledger.disk = Disk::below(path);
        Ok(ledger)
    }

    /// A transaction that holds the only writing connection, and is on the disk when it is
    /// committed.
    pub async fn write(&self) -> Result<Writing, LedgerError> {
        Ok(self.writer.begin_with(BEGIN).await?)
    }

    /// The same, on the disk only once [`Self::settled`] says so, which must be before anybody
    /// hears of it. Not after a sync that failed: what is written so opens something.
    pub(crate) async fn write_unsettled(&self) -> Result<Writing, LedgerError> {
        self.disk.sound()?;
        let mut connection = self.writer.acquire().await?;
        sqlx::query("PRAGMA synchronous = NORMAL")
            .execute(&mut *connection)
            .await?;
        Ok(Transaction::begin(connection, Some(BEGIN.into_sql_str())).await?)
    }

    /// Returns once everything that was committed before the call is on the disk.
    pub(crate) async fn settled(&self) -> Result<(), LedgerError> {
        self.disk.settled().await
    }

    /// The same ledger on a disk that fails every sync.
    #[cfg(test)]
    pub(crate) fn on_a_failing_disk(self) -> Self {
        let fail = || Err(std::io::Error::from_raw_os_error(nix::libc::EIO));
        Self {
            disk: Disk::new(Box::new(fail)),
            ..self
        }
    }

    /// Returns when the disk has failed to take what was committed: only a ledger that is opened
    /// anew is known to be what is on the disk.
    pub async fn lost(&self) {
        self.disk.lost().await;
    }

    /// Whether nobody holds anything.
    pub async fn is_empty(&self) -> Result<bool, LedgerError> {
        let none = sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM holders)");
        Ok(none.fetch_one(&self.readers).await?)
    }

    /// Folds the write-ahead log into the file as far as that holds nobody up.
    pub async fn fold(&self) -> Result<(), LedgerError> {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(&self.readers)
            .await?;
        Ok(())
    }

    /// Closes all connections, which also folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn check(&self, path: &Path) -> Result<(), LedgerError> {
        let failed = |source| unusable(path, source);
        let number = |pragma: &'static str| async move {
            sqlx::query_scalar::<_, i64>(pragma)
                .fetch_one(&self.writer)
                .await
                .map_err(failed)
        };
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
            .fetch_one(&self.writer)
            .await
            .map_err(failed)?;
        if tables == 0 {
            return self.create(path).await;
        }
        if number("PRAGMA application_id").await? != APPLICATION_ID {
            let reason = "another program wrote it".to_owned();
            return Err(LedgerError::Corrupt {
                path: path.to_owned(),
                reason,
            });
        }
        let found = number("PRAGMA user_version").await?;
        if ![SCHEMA_VERSION, LATE_VERSION, PREFIX_VERSION].contains(&found) {
            return Err(LedgerError::OtherVersion {
                path: path.to_owned(),
                found,
            });
        }
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&self.writer)
            .await
            .map_err(failed)?;
        if verdict != "ok" {
            return Err(LedgerError::Corrupt {
                path: path.to_owned(),
                reason: verdict,
            });
        }
        // Ledgers of earlier agents have nothing of it.
        sqlx::raw_sql(include_str!("ledger/later.sql"))
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        let mut writing = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)?;
        closings::stamp(&mut writing).await.map_err(failed)?;
        writing.commit().await.map_err(failed)
    }

    async fn create(&self, path: &Path) -> Result<(), LedgerError> {
        let failed = |source| unusable(path, source);
        let mut writing = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)?;
        for sql in [
            include_str!("ledger/schema.sql"),
            include_str!("ledger/later.sql"),
        ] {
            sqlx::raw_sql(sql)
                .execute(&mut *writing)
                .await
                .map_err(failed)?;
        }
        // Pragmas take no parameters; both values are our own constants.
        let stamp = sqlx::AssertSqlSafe(format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        ));
        sqlx::raw_sql(stamp)
            .execute(&mut *writing)
            .await
            .map_err(failed)?;
        writing.commit().await.map_err(failed)
    }
}

/// The ledger names people and addresses: nobody but its owner reads it. SQLite gives its
/// companion files the same mode.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
    {
        // SQLite says more about a file that is there and cannot be written.
        Err(error) if path.exists() => {
            tracing::debug!(%error, "the ledger cannot be opened for writing");
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Sorts the first failures of SQLite into what an operator can do about them.
fn unusable(path: &Path, source: sqlx::Error) -> LedgerError {
    let text = source.to_string();
    let path = path.to_owned();
    if text.contains("not a database") || text.contains("malformed") {
        return LedgerError::Corrupt { path, reason: text };
    }
    if text.contains("readonly") || text.contains("read-only") {
        return LedgerError::ReadOnly { path, reason: text };
    }
    LedgerError::Open { path, source }
}

#[cfg(test)]
pub(crate) mod tests;
