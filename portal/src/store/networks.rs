//! Rows of `networks` and `languages`: what is remembered of a person so that a notice is sent when
//! something is new, in the language they read.

use super::{Store, StoreError};

impl Store {
    /// When a person was last seen in a network.
    pub(crate) async fn network_seen(
        &self,
        user_id: &str,
        network: &str,
    ) -> Result<Option<i64>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT seen FROM networks WHERE user_id = $1 AND network = $2")
                .bind(user_id)
                .bind(network)
                .fetch_optional(&self.readers)
                .await?,
        )
    }

    pub(crate) async fn note_network(
        &self,
        user_id: &str,
        network: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO networks (user_id, network, seen) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, network) DO UPDATE SET seen = excluded.seen",
        )
        .bind(user_id)
        .bind(network)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Forgets what was seen before then.
    pub(crate) async fn drop_old_networks(&self, before: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM networks WHERE seen < $1")
            .bind(before)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The tag of the language a person read last.
    pub(crate) async fn language(&self, user_id: &str) -> Result<Option<String>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT language FROM languages WHERE user_id = $1")
                .bind(user_id)
                .fetch_optional(&self.readers)
                .await?,
        )
    }

    /// Writes only what changes.
    pub(crate) async fn set_language(&self, user_id: &str, tag: &str) -> Result<(), StoreError> {
        if self.language(user_id).await?.as_deref() == Some(tag) {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO languages (user_id, language) VALUES ($1, $2)
             ON CONFLICT (user_id) DO UPDATE SET language = excluded.language",
        )
        .bind(user_id)
        .bind(tag)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}
