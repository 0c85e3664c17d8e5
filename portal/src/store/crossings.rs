//! Rows of `crossings`. A ticket is used up by one statement that checks family and time at once,
//! a receipt by one that checks whose it is; neither works twice.

use sqlx::FromRow;

use super::{Store, StoreError};
use crate::family::Family;

/// Where a receipt says its browser is.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Crossed {
    pub(crate) source: String,
}

impl Store {
    /// Starts a crossing; one of the same cookie to the same family that is under way ends.
    pub(crate) async fn start_crossing(
        &self,
        cookie: &[u8],
        family: Family,
        ticket: &[u8],
        expires: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR REPLACE INTO crossings (cookie, family, ticket, expires)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(cookie)
        .bind(family.word())
        .bind(ticket)
        .bind(expires)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Uses a ticket up from `source`. False: no such ticket for this family, used, or too late.
    pub(crate) async fn use_crossing(
        &self,
        ticket: &[u8],
        family: Family,
        source: &str,
        receipt: &[u8],
        now: i64,
    ) -> Result<bool, StoreError> {
        // Anybody may try: what is not there must not take the writer.
        let is_there: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM crossings WHERE ticket = $1 AND receipt IS NULL")
                .bind(ticket)
                .fetch_optional(&self.readers)
                .await?;
        if is_there.is_none() {
            return Ok(false);
        }
        let done = sqlx::query(
            "UPDATE crossings SET source = $3, receipt = $4
             WHERE ticket = $1 AND family = $2 AND receipt IS NULL AND expires > $5",
        )
        .bind(ticket)
        .bind(family.word())
        .bind(source)
        .bind(receipt)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a receipt. None: no such receipt of this cookie, taken before, or too late.
    pub(crate) async fn take_receipt(
        &self,
        receipt: &[u8],
        cookie: &[u8],
        now: i64,
    ) -> Result<Option<Crossed>, StoreError> {
        Ok(sqlx::query_as(
            "DELETE FROM crossings WHERE receipt = $1 AND cookie = $2 AND expires > $3
             RETURNING source",
        )
        .bind(receipt)
        .bind(cookie)
        .bind(now)
        .fetch_optional(&self.writer)
        .await?)
    }

    pub(crate) async fn drop_expired_crossings(&self, now: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM crossings WHERE expires <= $1")
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
