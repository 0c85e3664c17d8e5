//! Rows of `attempts`: what a person sees under "recent log-ins". The audit is elsewhere.

use sqlx::FromRow;

use super::{Store, StoreError};

/// Rows kept per person.
const KEPT: i64 = 50;

/// One log-in attempt of a user who exists.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Attempt {
    pub(crate) at: i64,
    pub(crate) source: String,
    /// `ok` or the code of the refusal.
    pub(crate) outcome: String,
    pub(crate) token: Option<String>,
}

impl Store {
    pub(crate) async fn add_attempt(
        &self,
        user_id: &str,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_lax().await?;
        sqlx::query(
            "INSERT INTO attempts (user_id, at, source, outcome, token) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(user_id)
        .bind(attempt.at)
        .bind(&attempt.source)
        .bind(&attempt.outcome)
        .bind(&attempt.token)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM attempts WHERE user_id = $1 AND id <=
               (SELECT id FROM attempts WHERE user_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        )
        .bind(user_id)
        .bind(KEPT)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// How many others logged in from an address since then.
    pub(crate) async fn others_seen(
        &self,
        source: &str,
        user_id: &str,
        since: i64,
    ) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(DISTINCT user_id) FROM attempts
             WHERE source = $1 AND at > $2 AND outcome IN ('ok', 'moved', 'joined') AND user_id <> $3",
        )
        .bind(source)
        .bind(since)
        .bind(user_id)
        .fetch_one(&self.readers)
        .await?)
    }

    /// Newest first.
    pub(crate) async fn attempts(
        &self,
        user_id: &str,
        limit: i64,
    ) -> Result<Vec<Attempt>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT at, source, outcome, token FROM attempts
             WHERE user_id = $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(user_id)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?)
    }
}
