//! Rows of `mails` and `mail_counts`: notices that wait. The queue is bounded when something enters
//! it: what makes room is the oldest that matters least, and it is counted.

use sqlx::{FromRow, Sqlite, Transaction};

use super::{Store, StoreError};

const HOUR: i64 = 3600;

/// A notice that enters the queue.
#[derive(Debug)]
pub(crate) struct NewMail<'a> {
    pub(crate) user_id: Option<&'a str>,
    pub(crate) user_name: &'a str,
    pub(crate) address: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) params: &'a str,
    pub(crate) important: bool,
    pub(crate) message: &'a str,
    pub(crate) at: i64,
}

/// A notice that waits.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct MailRow {
    pub(crate) id: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) user_name: String,
    pub(crate) address: Option<String>,
    pub(crate) kind: String,
    pub(crate) params: String,
    pub(crate) message: String,
    pub(crate) created: i64,
    pub(crate) due: i64,
    pub(crate) tries: i64,
    pub(crate) problem: Option<String>,
}

const COLUMNS: &str = "SELECT id, user_id, user_name, address, kind, params, message, created, \
    due, tries, problem FROM mails";

fn select(rest: &str) -> sqlx::AssertSqlSafe<String> {
    // Constants only: no caller's text reaches the statement.
    sqlx::AssertSqlSafe(format!("{COLUMNS} {rest}"))
}

/// Somebody whose notices went beyond the bound of an hour that is over.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct FoldedRow {
    pub(crate) user_id: String,
    pub(crate) user_name: String,
    pub(crate) folded: i64,
}

impl Store {
    /// Queues a notice, or counts it when the person got `per_hour` of its weight within the hour.
    /// At most `bound` wait afterwards.
    pub(crate) async fn queue_mail(
        &self,
        new: &NewMail<'_>,
        per_hour: i64,
        bound: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        if let Some(user_id) = new.user_id
            && !count(&mut transaction, user_id, new, per_hour).await?
        {
            transaction.commit().await?;
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO mails (user_id, user_name, address, kind, params, important, message,
                                created, due)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind(new.user_id)
        .bind(new.user_name)
        .bind(new.address)
        .bind(new.kind)
        .bind(new.params)
        .bind(new.important)
        .bind(new.message)
        .bind(new.at)
        .execute(&mut *transaction)
        .await?;
        let dropped = sqlx::query(
            "DELETE FROM mails WHERE id IN (SELECT id FROM mails ORDER BY important, id
               LIMIT max(0, (SELECT count(*) FROM mails) - $1))",
        )
        .bind(bound)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if dropped > 0 {
            sqlx::query(
                "INSERT INTO facts (name, value) VALUES ('mails-dropped', CAST($1 AS TEXT))
                 ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + $1",
            )
            .bind(i64::try_from(dropped).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Notices whose time has come, those that matter first, then those that failed least: one that
    /// is stuck must not hold up the others.
    pub(crate) async fn due_mails(&self, now: i64, limit: i64) -> Result<Vec<MailRow>, StoreError> {
        let rest = "WHERE due <= $1 ORDER BY important DESC, tries, id LIMIT $2";
        Ok(sqlx::query_as(select(rest))
            .bind(now)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }

    /// All that wait, oldest first.
    pub(crate) async fn waiting_mails(&self, limit: i64) -> Result<Vec<MailRow>, StoreError> {
        Ok(sqlx::query_as(select("ORDER BY id LIMIT $1"))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }

    /// How many wait, and since when the oldest does.
    pub(crate) async fn mail_queue(&self) -> Result<(i64, Option<i64>), StoreError> {
        Ok(sqlx::query_as("SELECT count(*), min(created) FROM mails")
            .fetch_one(&self.readers)
            .await?)
    }

    /// Puts a notice off.
    pub(crate) async fn postpone_mail(
        &self,
        id: i64,
        due: i64,
        problem: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE mails SET due = $2, tries = tries + 1, problem = $3 WHERE id = $1")
            .bind(id)
            .bind(due)
            .bind(problem)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    pub(crate) async fn remove_mail(&self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM mails WHERE id = $1")
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// How many were dropped for want of room, and starts counting anew.
    pub(crate) async fn take_dropped_mails(&self) -> Result<u64, StoreError> {
        let value: Option<String> =
            sqlx::query_scalar("DELETE FROM facts WHERE name = 'mails-dropped' RETURNING value")
                .fetch_optional(&self.writer)
                .await?;
        Ok(value.and_then(|v| v.parse().ok()).unwrap_or(0))
    }

    /// Who had more than the bound in an hour that is over; forgets those hours.
    pub(crate) async fn take_folded_mails(&self, now: i64) -> Result<Vec<FoldedRow>, StoreError> {
        let over: Vec<FoldedRow> = sqlx::query_as(
            "DELETE FROM mail_counts WHERE since <= $1 RETURNING user_id, user_name, folded",
        )
        .bind(now - HOUR)
        .fetch_all(&self.writer)
        .await?;
        Ok(over.into_iter().filter(|row| row.folded > 0).collect())
    }
}

/// False: over the bound, and counted as such.
async fn count(
    transaction: &mut Transaction<'static, Sqlite>,
    user_id: &str,
    new: &NewMail<'_>,
    per_hour: i64,
) -> Result<bool, StoreError> {
    let queued: i64 = sqlx::query_scalar(
        "INSERT INTO mail_counts (user_id, user_name, important, since, queued)
         VALUES ($1, $2, $3, $4, 1)
         ON CONFLICT (user_id, important) DO UPDATE SET
            since = CASE WHEN since <= $4 - $6 AND folded = 0 THEN $4 ELSE since END,
            queued = CASE WHEN since <= $4 - $6 AND folded = 0 THEN 1 ELSE queued + 1 END,
            folded = folded + (queued >= $5 AND NOT (since <= $4 - $6 AND folded = 0))
         RETURNING queued",
    )
    .bind(user_id)
    .bind(new.user_name)
    .bind(new.important)
    .bind(new.at)
    .bind(per_hour)
    .bind(HOUR)
    .fetch_one(&mut **transaction)
    .await?;
    Ok(queued <= per_hour)
}
