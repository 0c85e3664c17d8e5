//! Rows of `waits`: failures in a row per user name. An attempt is counted as a failure before it
//! is looked at and forgiven when it succeeds, so that attempts at the same moment count too.

use sqlx::FromRow;

use super::{Store, StoreError};
use crate::limits::Backoff;

/// Rows kept at most; the longest unchanged go first.
const ROWS_MAX: i64 = 200_000;

/// What a person must wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Wait {
    pub(crate) failures: i64,
    pub(crate) until: i64,
}

impl Store {
    /// Counts an attempt. Err(wait): not allowed now, and not counted.
    pub(crate) async fn count_attempt(
        &self,
        user: &str,
        backoff: &Backoff,
        now: i64,
    ) -> Result<Result<(), Wait>, StoreError> {
        let mut transaction = self.begin_lax().await?;
        let before: Wait = sqlx::query_as("SELECT failures, until FROM waits WHERE user = $1")
            .bind(user)
            .fetch_optional(&mut *transaction)
            .await?
            .unwrap_or(Wait {
                failures: 0,
                until: 0,
            });
        if before.until > now || backoff.is_exhausted(before.failures) {
            return Ok(Err(before));
        }
        let failures = before.failures + 1;
        sqlx::query(
            "INSERT INTO waits (user, failures, until, changed) VALUES ($1, $2, $3, $4)
             ON CONFLICT (user) DO UPDATE SET failures = $2, until = $3, changed = $4",
        )
        .bind(user)
        .bind(failures)
        .bind(now + backoff.wait_after(failures))
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// Forgets a user's failures. False: there were none.
    pub(crate) async fn forgive(&self, user: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin_lax().await?;
        let done = sqlx::query("DELETE FROM waits WHERE user = $1")
            .bind(user)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes back one counted attempt that was never judged, because something was down.
    pub(crate) async fn uncount_attempt(&self, user: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE waits SET failures = max(failures - 1, 0), until = 0 WHERE user = $1")
            .bind(user)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Forgets rows that no longer matter and, under a flood of made-up names, the oldest.
    pub(crate) async fn drop_old_waits(
        &self,
        changed_before: i64,
        keep_failures: i64,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM waits WHERE changed < $1 AND failures < $2")
            .bind(changed_before)
            .bind(keep_failures)
            .execute(&self.writer)
            .await?;
        sqlx::query(
            "DELETE FROM waits WHERE user IN
               (SELECT user FROM waits ORDER BY changed DESC LIMIT -1 OFFSET $1)",
        )
        .bind(ROWS_MAX)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}
