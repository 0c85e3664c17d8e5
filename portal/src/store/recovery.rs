//! Rows of `recovery_sets` and `recovery_codes`. A code is used up by one statement that says it was
//! not used before.

use sqlx::{FromRow, Sqlite, Transaction};

use super::{Store, StoreError, cookies};

/// A person's set.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct RecoverySet {
    pub(crate) id: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) made: i64,
    /// Codes that were not used.
    pub(crate) left: i64,
}

impl Store {
    /// A new set in the place of the one before, in one transaction. False: the cookie that asks
    /// ended meanwhile.
    pub(crate) async fn replace_recovery_set(
        &self,
        id: &str,
        (user_id, user_name): (&str, &str),
        (salt, hashes): (&[u8], &[Vec<u8>]),
        asking: Option<&[u8]>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        if let Some(asking) = asking
            && !cookies::lives(&mut transaction, asking).await?
        {
            return Ok(false);
        }
        end_set(&mut transaction, user_id).await?;
        sqlx::query(
            "INSERT INTO recovery_sets (id, user_id, user_name, salt, made)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(user_id)
        .bind(user_name)
        .bind(salt)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        for hash in hashes {
            sqlx::query("INSERT INTO recovery_codes (set_id, hash) VALUES ($1, $2)")
                .bind(id)
                .bind(hash)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn recovery_set(
        &self,
        user_id: &str,
    ) -> Result<Option<RecoverySet>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT id, salt, made,
                    (SELECT count(*) FROM recovery_codes WHERE set_id = id AND used IS NULL) AS left
             FROM recovery_sets WHERE user_id = $1",
        )
        .bind(user_id)
        .fetch_optional(&self.readers)
        .await?)
    }

    pub(crate) async fn has_recovery_code(
        &self,
        set: &str,
        hash: &[u8],
    ) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM recovery_codes WHERE set_id = $1 AND hash = $2 AND used IS NULL",
        )
        .bind(set)
        .bind(hash)
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.is_some())
    }

    /// How many are left after this one. None: it was used before, or is of no set.
    pub(crate) async fn use_recovery_code(
        &self,
        set: &str,
        hash: &[u8],
        now: i64,
    ) -> Result<Option<i64>, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE recovery_codes SET used = $3
             WHERE set_id = $1 AND hash = $2 AND used IS NULL",
        )
        .bind(set)
        .bind(hash)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(None);
        }
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM recovery_codes WHERE set_id = $1 AND used IS NULL",
        )
        .bind(set)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(left))
    }
}

/// Ends a person's set, and the cookies that stand on it. Gives whether there was one.
pub(super) async fn end_set(
    transaction: &mut Transaction<'static, Sqlite>,
    user_id: &str,
) -> Result<bool, StoreError> {
    sqlx::query(
        "DELETE FROM cookies WHERE token IN (SELECT id FROM recovery_sets WHERE user_id = $1)",
    )
    .bind(user_id)
    .execute(&mut **transaction)
    .await?;
    let done = sqlx::query("DELETE FROM recovery_sets WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}
