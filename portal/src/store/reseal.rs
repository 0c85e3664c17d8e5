//! The rotation of the key: every secret opened and sealed anew, or none.

use super::{Store, StoreError};

/// Why a rotation was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the secret of token {0} does not open: {1}")]
    Vault(String, crate::vault::VaultError),
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
        anew: impl Fn(&str, &[u8]) -> Result<Vec<u8>, crate::vault::VaultError>,
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
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT id, secret FROM tokens WHERE secret IS NOT NULL")
                .fetch_all(&mut *transaction)
                .await?;
        for (id, sealed) in &rows {
            let sealed = anew(id, sealed).map_err(|e| ResealError::Vault(id.clone(), e))?;
            sqlx::query("UPDATE tokens SET secret = $2 WHERE id = $1")
                .bind(id)
                .bind(sealed)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(rows.len())
    }
}
