//! Rows of `outbox`: audit records waiting for the agent. Operators' records are never given up;
//! records of log-in attempts beyond a bound are counted instead, so that nobody fills the disk.

use sqlx::FromRow;

use super::{Store, StoreError};

/// Log-in records kept at most.
const ROWS_MAX: i64 = 50_000;

/// One record that waits.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct OutboxRow {
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) draft: String,
}

impl Store {
    /// Keeps a record; one that a stranger can cause is only counted when very many wait already.
    pub(crate) async fn keep_record(
        &self,
        at: i64,
        actor: &str,
        draft: &str,
        kept: Kept,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(&mut *transaction)
            .await?;
        if kept == Kept::UntilFull && waiting >= ROWS_MAX {
            sqlx::query(
                "INSERT INTO facts (name, value) VALUES ('folded', '1')
                 ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
            )
            .execute(&mut *transaction)
            .await?;
        } else {
            sqlx::query("INSERT INTO outbox (at, actor, draft) VALUES ($1, $2, $3)")
                .bind(at)
                .bind(actor)
                .bind(draft)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The oldest records that wait.
    pub(crate) async fn waiting_records(&self, limit: i64) -> Result<Vec<OutboxRow>, StoreError> {
        Ok(
            sqlx::query_as("SELECT id, at, actor, draft FROM outbox ORDER BY id LIMIT $1")
                .bind(limit)
                .fetch_all(&self.readers)
                .await?,
        )
    }

    pub(crate) async fn remove_record(&self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// How many log-in records were only counted, and starts counting anew.
    pub(crate) async fn take_folded(&self) -> Result<u64, StoreError> {
        let value: Option<String> =
            sqlx::query_scalar("DELETE FROM facts WHERE name = 'folded' RETURNING value")
                .fetch_optional(&self.writer)
                .await?;
        Ok(value.and_then(|v| v.parse().ok()).unwrap_or(0))
    }
}

/// Whether a record may be counted instead of kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Always,
    UntilFull,
}
