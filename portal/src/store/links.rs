//! Rows of `links`: "this was not me". One statement takes a link, and the transaction that takes it
//! ends everything of the person, so that a link is never used up for nothing.

use sqlx::FromRow;

use super::{Store, StoreError, people};

/// Whose a link is.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct LinkRow {
    pub(crate) user_id: String,
    pub(crate) user_name: String,
}

/// What taking a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halted {
    pub(crate) whose: LinkRow,
    pub(crate) tokens: u64,
    pub(crate) cookies: u64,
}

impl Store {
    /// Keeps the link of a mail; one that an earlier attempt to send it made ends.
    pub(crate) async fn add_link(
        &self,
        hash: &[u8],
        mail: i64,
        whose: &LinkRow,
        expires: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR REPLACE INTO links (hash, mail, user_id, user_name, expires)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash)
        .bind(mail)
        .bind(&whose.user_id)
        .bind(&whose.user_name)
        .bind(expires)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// True: it works still. Takes nothing.
    pub(crate) async fn has_link(&self, hash: &[u8], now: i64) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM links WHERE hash = $1 AND used IS NULL AND expires > $2",
        )
        .bind(hash)
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.is_some())
    }

    /// Takes a link and, with it, suspends the person's tokens, ends what waits for a first code,
    /// voids their tickets, ends their cookies and bars enrolment by password alone. None: used,
    /// expired, or nobody's.
    pub(crate) async fn take_link(
        &self,
        hash: &[u8],
        now: i64,
    ) -> Result<Option<Halted>, StoreError> {
        let mut transaction = self.begin().await?;
        let taken: Option<LinkRow> = sqlx::query_as(
            "UPDATE links SET used = $2 WHERE hash = $1 AND used IS NULL AND expires > $2
             RETURNING user_id, user_name",
        )
        .bind(hash)
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(whose) = taken else {
            return Ok(None);
        };
        // As by an operator: whoever holds a stolen code must not resume it.
        let why = "the person said: this was not me";
        let ended = people::suspend(&mut transaction, &whose.user_id, why, now).await?;
        transaction.commit().await?;
        Ok(Some(Halted {
            whose,
            tokens: ended.tokens,
            cookies: ended.cookies,
        }))
    }

    pub(crate) async fn drop_old_links(&self, now: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM links WHERE expires <= $1")
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
