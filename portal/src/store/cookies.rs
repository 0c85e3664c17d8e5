//! Rows of `cookies`: who proved themselves with which factors from where, until when it counts.

use sqlx::{FromRow, Sqlite, Transaction};

use super::{Store, StoreError};

/// A live cookie.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct CookieRow {
    pub(crate) user_id: String,
    pub(crate) user_name: String,
    pub(crate) source: String,
    /// Of the other address family, if the same browser was proven there.
    pub(crate) also: Option<String>,
    pub(crate) factors: String,
    pub(crate) token: String,
    pub(crate) created: i64,
    pub(crate) proved: i64,
    pub(crate) seen: i64,
    pub(crate) notice: Option<String>,
    /// It went to another address without a code.
    pub(crate) moved: bool,
}

/// Which of a cookie's two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Of the family the person logged in by.
    Source,
    /// Of the other.
    Also,
}

impl Store {
    /// False: the token was suspended or revoked meanwhile.
    pub(crate) async fn add_cookie(
        &self,
        hash: &[u8],
        row: &CookieRow,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_lax().await?;
        let done = sqlx::query(
            "INSERT INTO cookies (hash, user_id, user_name, source, factors, token, created, seen,
                                  proved)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
             WHERE EXISTS (SELECT 1 FROM tokens WHERE id = $6 AND state = 'active')
                OR EXISTS (SELECT 1 FROM recovery_sets WHERE id = $6)
                OR EXISTS (SELECT 1 FROM exceptions WHERE id = $6 AND ended IS NULL AND ends > $7)",
        )
        .bind(hash)
        .bind(&row.user_id)
        .bind(&row.user_name)
        .bind(&row.source)
        .bind(&row.factors)
        .bind(&row.token)
        .bind(row.created)
        .bind(row.seen)
        .bind(row.proved)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// A cookie used after `seen_after` and made after `made_after`.
    pub(crate) async fn cookie(
        &self,
        hash: &[u8],
        seen_after: i64,
        made_after: i64,
    ) -> Result<Option<CookieRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT user_id, user_name, source, also, factors, token, created, proved, seen, notice,
                    moved FROM cookies
             WHERE hash = $1 AND seen > $2 AND created > $3",
        )
        .bind(hash)
        .bind(seen_after)
        .bind(made_after)
        .fetch_optional(&self.readers)
        .await?)
    }

    pub(crate) async fn touch_cookie(&self, hash: &[u8], now: i64) -> Result<(), StoreError> {
        let mut transaction = self.begin_lax().await?;
        sqlx::query("UPDATE cookies SET seen = $2 WHERE hash = $1")
            .bind(hash)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// True: it lives, and this is one of its addresses.
    pub(crate) async fn has_cookie_at(
        &self,
        hash: &[u8],
        address: &str,
    ) -> Result<bool, StoreError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM cookies WHERE hash = $1 AND $2 IN (source, also)")
                .bind(hash)
                .bind(address)
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.is_some())
    }

    /// Puts an address in one of a cookie's two places. False: the cookie ended, or its addresses
    /// are not any more what they were when it was found.
    pub(crate) async fn set_address(
        &self,
        (hash, source, also): (&[u8], &str, Option<&str>),
        place: Place,
        address: &str,
    ) -> Result<bool, StoreError> {
        let statement = match place {
            Place::Source => {
                "UPDATE cookies SET source = $4 WHERE hash = $1 AND source = $2 AND also IS $3"
            }
            Place::Also => {
                "UPDATE cookies SET also = $4 WHERE hash = $1 AND source = $2 AND also IS $3"
            }
        };
        let done = sqlx::query(statement)
            .bind(hash)
            .bind(source)
            .bind(also)
            .bind(address)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a cookie to another address under another hash, in one step. False: it ended, or was
    /// moved meanwhile. Its crossings end.
    pub(crate) async fn move_cookie(
        &self,
        (hash, from, also): (&[u8], &str, Option<&str>),
        (new_hash, to, moved): (&[u8], &str, bool),
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM crossings WHERE cookie = $1")
            .bind(hash)
            .execute(&mut *transaction)
            .await?;
        let done = sqlx::query(
            "UPDATE cookies SET hash = $3, source = $4, also = NULL, moved = moved OR $5
             WHERE hash = $1 AND source = $2 AND also IS $6",
        )
        .bind(hash)
        .bind(from)
        .bind(new_hash)
        .bind(to)
        .bind(moved)
        .bind(also)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a cookie another hash, and what was shown meanwhile. False: it ended, or the token did.
    /// Its crossings end.
    pub(crate) async fn raise_cookie(
        &self,
        (hash, new_hash): (&[u8], &[u8]),
        (factors, token): (&str, &str),
        proved: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM crossings WHERE cookie = $1")
            .bind(hash)
            .execute(&mut *transaction)
            .await?;
        let done = sqlx::query(
            "UPDATE cookies SET hash = $2, factors = $3, token = $4, proved = $5, notice = NULL
             WHERE hash = $1
               AND (EXISTS (SELECT 1 FROM tokens WHERE id = $4 AND state = 'active')
                    OR EXISTS (SELECT 1 FROM recovery_sets WHERE id = $4))",
        )
        .bind(hash)
        .bind(new_hash)
        .bind(factors)
        .bind(token)
        .bind(proved)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn set_notice(&self, hash: &[u8], notice: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin_lax().await?;
        sqlx::query("UPDATE cookies SET notice = $2 WHERE hash = $1")
            .bind(hash)
            .bind(notice)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    pub(crate) async fn remove_cookie(&self, hash: &[u8]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM cookies WHERE hash = $1")
            .bind(hash)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    pub(crate) async fn remove_cookies_of(&self, user_id: &str) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM cookies WHERE user_id = $1")
            .bind(user_id)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn drop_old_cookies(
        &self,
        seen_before: i64,
        made_before: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM cookies WHERE seen <= $1 OR created <= $2")
            .bind(seen_before)
            .bind(made_before)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected())
    }
}

/// True: the cookie is still there. Asked inside the transaction that does what it asked for, so that
/// a lock-out comes before or after it and never in between.
pub(super) async fn lives(
    transaction: &mut Transaction<'static, Sqlite>,
    hash: &[u8],
) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM cookies WHERE hash = $1")
        .bind(hash)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(found.is_some())
}
