//! The rotation of the key: every secret opened and sealed anew, or none.

use super::{Store, StoreError};
use crate::{
    codes,
    vault::{Place, VaultError},
};

/// Why a rotation was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the secret of {0} does not open: {1}")]
    Vault(String, VaultError),
    #[error("another rotation was faster")]
    Overtaken,
}

impl From<sqlx::Error> for ResealError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Seals every secret anew and notes the new key, in one transaction. Gives how many.
    pub(crate) async fn reseal(
        &self,
        old: &str,
        new: &str,
        anew: impl Fn(Place<'_>, &[u8]) -> Result<Vec<u8>, VaultError>,
    ) -> Result<usize, ResealError> {
        let mut transaction = self.begin().await?;
        let noted = sqlx::query("UPDATE facts SET value = $2 WHERE name = 'key' AND value = $1")
            .bind(old)
            .bind(new)
            .execute(&mut *transaction)
            .await?;
        if noted.rows_affected() != 1 {
            return Err(ResealError::Overtaken);
        }
        let tables = [
            (
                "SELECT id, secret FROM tokens WHERE secret IS NOT NULL",
                "UPDATE tokens SET secret = $2 WHERE id = $1",
                codes::place as fn(&str) -> Place<'_>,
            ),
            (
                "SELECT serial, secret FROM stock",
                "UPDATE stock SET secret = $2 WHERE serial = $1",
                codes::stock_place,
            ),
        ];
        let mut count = 0;
        for (select, update, place) in tables {
            let rows: Vec<(String, Vec<u8>)> =
                sqlx::query_as(select).fetch_all(&mut *transaction).await?;
            for (row, sealed) in &rows {
                let sealed = anew(place(row), sealed);
                let sealed = sealed.map_err(|e| ResealError::Vault(row.clone(), e))?;
                sqlx::query(update)
                    .bind(row)
                    .bind(sealed)
                    .execute(&mut *transaction)
                    .await?;
            }
            count += rows.len();
        }
        transaction.commit().await?;
        Ok(count)
    }
}
