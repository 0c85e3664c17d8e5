//! Rows of `exceptions`. One is live between its making and its end, unless it was ended before.

use sqlx::FromRow;

use super::{Store, StoreError};

/// An exception as stored.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ExceptionRow {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) user_name: String,
    pub(crate) service: String,
    pub(crate) sources: String,
    pub(crate) reason: String,
    pub(crate) approver: String,
    pub(crate) made: i64,
    pub(crate) made_by: String,
    pub(crate) ends: i64,
    pub(crate) ended: Option<i64>,
    pub(crate) ended_by: Option<String>,
}

impl ExceptionRow {
    pub(crate) fn is_live(&self, now: i64) -> bool {
        self.ended.is_none() && self.ends > now
    }
}

const COLUMNS: &str = "id, user_id, user_name, service, sources, reason, approver, made, made_by, \
                       ends, ended, ended_by";

fn with(before: &str, after: &str) -> sqlx::AssertSqlSafe<String> {
    // Constants only: no caller's text reaches the statement.
    sqlx::AssertSqlSafe(format!("{before} {COLUMNS} {after}"))
}

impl Store {
    pub(crate) async fn add_exception(&self, row: &ExceptionRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO exceptions (id, user_id, user_name, service, sources, reason, approver,
                                     made, made_by, ends)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&row.id)
        .bind(&row.user_id)
        .bind(&row.user_name)
        .bind(&row.service)
        .bind(&row.sources)
        .bind(&row.reason)
        .bind(&row.approver)
        .bind(row.made)
        .bind(&row.made_by)
        .bind(row.ends)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    pub(crate) async fn live_exceptions(
        &self,
        user_id: &str,
        now: i64,
    ) -> Result<Vec<ExceptionRow>, StoreError> {
        let rest =
            "FROM exceptions WHERE user_id = $1 AND ended IS NULL AND ends > $2 ORDER BY ends";
        Ok(sqlx::query_as(with("SELECT", rest))
            .bind(user_id)
            .bind(now)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Every exception that ever was, newest first, or those of one user name.
    pub(crate) async fn exceptions(
        &self,
        user: Option<&str>,
    ) -> Result<Vec<ExceptionRow>, StoreError> {
        let rest = "FROM exceptions WHERE $1 IS NULL OR user_name = $1 COLLATE NOCASE
                    ORDER BY made DESC, id LIMIT 10000";
        Ok(sqlx::query_as(with("SELECT", rest))
            .bind(user)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Ends one before its time, with the cookies that stand on it. None: it is over, or not there.
    pub(crate) async fn end_exception(
        &self,
        id: &str,
        by: &str,
        now: i64,
    ) -> Result<Option<ExceptionRow>, StoreError> {
        let mut transaction = self.begin().await?;
        let rest = "";
        let sql = "UPDATE exceptions SET ended = $2, ended_by = $3
                   WHERE id = $1 AND ended IS NULL AND ends > $2 RETURNING";
        let row: Option<ExceptionRow> = sqlx::query_as(with(sql, rest))
            .bind(id)
            .bind(now)
            .bind(by)
            .fetch_optional(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM cookies WHERE token = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Marks those whose time is over, and ends the cookies that stand on them.
    pub(crate) async fn end_exceptions_over(
        &self,
        now: i64,
    ) -> Result<Vec<ExceptionRow>, StoreError> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE exceptions SET ended = ends, ended_by = 'its end'
                   WHERE ended IS NULL AND ends <= $1 RETURNING";
        let rows: Vec<ExceptionRow> = sqlx::query_as(with(sql, ""))
            .bind(now)
            .fetch_all(&mut *transaction)
            .await?;
        for row in &rows {
            sqlx::query("DELETE FROM cookies WHERE token = $1")
                .bind(&row.id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(rows)
    }

    /// Those that end before `soon` and were not announced; they are, now.
    pub(crate) async fn remind_of_exceptions(
        &self,
        soon: i64,
        now: i64,
    ) -> Result<Vec<ExceptionRow>, StoreError> {
        // One that is shorter than the notice ahead was announced when it was made.
        let sql = "UPDATE exceptions SET reminded = $2
                   WHERE ended IS NULL AND ends <= $1 AND reminded IS NULL
                     AND ends - made > $1 - $2 RETURNING";
        Ok(sqlx::query_as(with(sql, ""))
            .bind(soon)
            .bind(now)
            .fetch_all(&self.writer)
            .await?)
    }
}
