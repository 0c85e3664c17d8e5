//! Rows of `barred`, and the lock-out that makes them: everything of one person at once.

use super::{Store, StoreError};

/// What a lock-out ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockedOut {
    pub(crate) tokens: u64,
    pub(crate) tickets: u64,
    pub(crate) cookies: u64,
}

impl Store {
    /// Revokes a person's tokens and recovery codes, voids their tickets, ends their cookies and
    /// exceptions, and bars
    /// enrolment by password alone, in one transaction. The id finds them, and so does the name, for somebody
    /// the directory does not know any more.
    pub(crate) async fn lock_out(
        &self,
        user_id: Option<&str>,
        user_name: &str,
        now: i64,
    ) -> Result<LockedOut, StoreError> {
        let mut transaction = self.begin().await?;
        let tokens = sqlx::query(
            "UPDATE tokens SET state = 'revoked', secret = NULL, handle = NULL
             WHERE (user_id = $1 OR user_name = $2 COLLATE NOCASE) AND state <> 'revoked'",
        )
        .bind(user_id)
        .bind(user_name)
        .execute(&mut *transaction)
        .await?;
        let tickets = sqlx::query(
            "UPDATE tickets SET state = 'void', ended = $3
             WHERE (user_id = $1 OR user_name = $2 COLLATE NOCASE) AND state = 'open'",
        )
        .bind(user_id)
        .bind(user_name)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        let cookies =
            sqlx::query("DELETE FROM cookies WHERE user_id = $1 OR user_name = $2 COLLATE NOCASE")
                .bind(user_id)
                .bind(user_name)
                .execute(&mut *transaction)
                .await?;
        sqlx::query(
            "UPDATE exceptions SET ended = $3, ended_by = 'a lock-out'
             WHERE (user_id = $1 OR user_name = $2 COLLATE NOCASE) AND ended IS NULL",
        )
        .bind(user_id)
        .bind(user_name)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE cases SET state = 'refused', decided = $3, decided_by = 'a lock-out'
             WHERE (user_id = $1 OR user_name = $2 COLLATE NOCASE)
               AND state IN ('waiting', 'approved') AND kind <> 'lockout'",
        )
        .bind(user_id)
        .bind(user_name)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM recovery_sets WHERE user_id = $1 OR user_name = $2 COLLATE NOCASE",
        )
        .bind(user_id)
        .bind(user_name)
        .execute(&mut *transaction)
        .await?;
        if let Some(user_id) = user_id {
            sqlx::query("INSERT OR IGNORE INTO barred (user_id, at) VALUES ($1, $2)")
                .bind(user_id)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(LockedOut {
            tokens: tokens.rows_affected(),
            tickets: tickets.rows_affected(),
            cookies: cookies.rows_affected(),
        })
    }

    pub(crate) async fn is_barred(&self, user_id: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM barred WHERE user_id = $1")
            .bind(user_id)
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.is_some())
    }

    pub(crate) async fn lift_bar(&self, user_id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM barred WHERE user_id = $1")
            .bind(user_id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
