//! Rows of `stock`: hardware tokens that nobody has yet. Giving one to a person moves its secret to
//! the person's row in one transaction.

use sqlx::FromRow;

use super::{NewToken, Store, StoreError, tokens};

/// A token in stock; the secret is sealed.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StockRow {
    pub(crate) serial: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) kind: String,
    pub(crate) last: i64,
    pub(crate) weak: bool,
    pub(crate) imported: i64,
}

/// What became of a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stocked {
    Done,
    /// In stock already, or somebody's.
    There,
    /// The database's key changed meanwhile.
    OtherKey,
}

impl Store {
    pub(crate) async fn add_stock(
        &self,
        new: &StockRow,
        key_id: &str,
    ) -> Result<Stocked, StoreError> {
        let mut transaction = self.begin().await?;
        let key: Option<String> = sqlx::query_scalar("SELECT value FROM facts WHERE name = 'key'")
            .fetch_optional(&mut *transaction)
            .await?;
        if key.as_deref() != Some(key_id) {
            return Ok(Stocked::OtherKey);
        }
        let done = sqlx::query(
            "INSERT INTO stock (serial, secret, kind, last, weak, imported)
             SELECT $1, $2, $3, $4, $5, $6
             WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE serial = $1 AND state <> 'revoked')
             ON CONFLICT (serial) DO NOTHING",
        )
        .bind(&new.serial)
        .bind(&new.secret)
        .bind(&new.kind)
        .bind(new.last)
        .bind(new.weak)
        .bind(new.imported)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(match done.rows_affected() {
            1 => Stocked::Done,
            _ => Stocked::There,
        })
    }

    /// True: a token of this serial is in stock, or somebody's.
    pub(crate) async fn knows_serial(&self, serial: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM stock WHERE serial = $1
             UNION SELECT 1 FROM tokens WHERE serial = $1 AND state <> 'revoked'",
        )
        .bind(serial)
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.is_some())
    }

    pub(crate) async fn in_stock(&self, serial: &str) -> Result<Option<StockRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM stock WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&self.readers)
            .await?)
    }

    pub(crate) async fn stock(&self) -> Result<Vec<StockRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM stock ORDER BY serial")
            .fetch_all(&self.readers)
            .await?)
    }

    /// Gives a token in stock to a person. False: it is not there any more, or the key changed.
    pub(crate) async fn assign_stock(
        &self,
        serial: &str,
        new: &NewToken<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let taken = sqlx::query("DELETE FROM stock WHERE serial = $1")
            .bind(serial)
            .execute(&mut *transaction)
            .await?;
        // Dropped without a commit, nothing of this happened.
        if taken.rows_affected() != 1 || !tokens::insert(&mut transaction, new).await? {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }
}
