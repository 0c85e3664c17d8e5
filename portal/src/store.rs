//! The portal's database: SQLite in WAL mode, one writer whose transactions begin immediately, and
//! readers. It decides nothing; what must be decided in one step is decided in one statement here.

mod attempts;
mod barred;
mod cases;
mod cookies;
mod counts;
mod crossings;
mod desk;
mod exceptions;
mod links;
mod mails;
mod networks;
mod outbox;
mod people;
mod recovery;
mod reports;
mod reseal;
mod stock;
mod tickets;
mod tokens;
mod waits;

pub(crate) use attempts::Attempt;
pub(crate) use barred::LockedOut;
pub(crate) use cases::{CaseRow, CaseState, Decision, NewCase};
pub(crate) use cookies::{CookieRow, Place};
pub(crate) use counts::{Count, Counted};
pub(crate) use exceptions::ExceptionRow;
pub(crate) use links::{Halted, LinkRow};
pub(crate) use mails::{MailRow, NewMail};
pub(crate) use outbox::Kept;
pub(crate) use people::Person;
pub(crate) use stock::{StockRow, Stocked};
pub(crate) use tickets::{NewTicket, TicketState};
pub(crate) use tokens::{Kind, NewToken, Owner, SuspendedBy, TokenRow, TokenState};

use std::{fs, io, path::Path, time::Duration};

use sqlx::{
    SqlSafeStr as _, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Readers beside the writer.
const READERS: u32 = 4;
/// How long a statement waits for another process (an operator's verb) to finish writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the database cannot be used now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(
        "cannot open the database {path}: {source}; check the directory, its owner and the disk"
    )]
    Open { path: String, source: io::Error },
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database's tables do not fit this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database holds a value that cannot be: {0}")]
    Value(String),
}

/// A handle on the database; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens or creates the file and brings its tables up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        prepare(path).map_err(|source| StoreError::Open {
            path: path.display().to_string(),
            source,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A code must stay used after a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("trusted_schema", "OFF")
            .pragma("secure_delete", "ON");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            // Whatever a lax transaction left behind.
            .before_acquire(|connection, _| {
                Box::pin(async move {
                    sqlx::query("PRAGMA synchronous = FULL")
                        .execute(connection)
                        .await?;
                    Ok(true)
                })
            })
            .connect_with(options.clone())
            .await?;
        sqlx::migrate!("./migrations").run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        Ok(Self { writer, readers })
    }

    /// A transaction that holds the write lock from its start, so it never fails half-way because
    /// somebody wrote in between.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// The same for what a power cut may take back: counted attempts, log-in cookies, what people
    /// see of the past. It does not wait for the disk; the next durable transaction takes it along.
    /// What must not come back (a used code, a lock-out, a revoked token) is never written so.
    pub(super) async fn begin_lax(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        let mut connection = self.writer.acquire().await?;
        sqlx::query("PRAGMA synchronous = NORMAL")
            .execute(&mut *connection)
            .await?;
        let statement = Some("BEGIN IMMEDIATE".into_sql_str());
        Ok(Transaction::begin(connection, statement).await?)
    }

    pub(crate) async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT value FROM facts WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.readers)
                .await?,
        )
    }

    pub(crate) async fn set_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO facts (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Finishes writing; for verbs that end right after.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the directory and the file, both for the owner only. When root runs a verb before the
/// portal ever ran, the file gets the directory's owner.
fn prepare(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => crate::key::own_like(path, directory),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}
