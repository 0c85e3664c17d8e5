//! What the help desk looks up and changes about one person, beside what others do already.

use sqlx::FromRow;

use super::{Person, Store, StoreError};

/// What somebody must wait for, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Standing {
    pub(crate) failures: i64,
    pub(crate) until: i64,
}

impl Store {
    /// People the portal knows whose name begins so, in order.
    pub(crate) async fn people_beginning(
        &self,
        prefix: &str,
        most: i64,
    ) -> Result<Vec<Person>, StoreError> {
        let escaped = prefix
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        Ok(sqlx::query_as(
            "SELECT user_id, user_name FROM (
               SELECT user_id, user_name FROM tokens
               UNION SELECT user_id, user_name FROM tickets
               UNION SELECT user_id, user_name FROM cookies)
             WHERE user_name LIKE $1 ESCAPE '\\' GROUP BY user_id
             ORDER BY user_name COLLATE NOCASE LIMIT $2",
        )
        .bind(format!("{escaped}%"))
        .bind(most)
        .fetch_all(&self.readers)
        .await?)
    }

    /// Failures in a row under this key. None: there are none.
    pub(crate) async fn standing(&self, key: &str) -> Result<Option<Standing>, StoreError> {
        Ok(
            sqlx::query_as("SELECT failures, until FROM waits WHERE user = $1")
                .bind(key)
                .fetch_optional(&self.readers)
                .await?,
        )
    }

    /// Tokens that the desk suspended: they alone may be resumed by it.
    pub(crate) async fn stopped_by_desk(&self, user_id: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT id FROM tokens WHERE user_id = $1 AND state = 'suspended'
               AND suspended_by = 'operator' AND suspended_why LIKE 'desk %'",
        )
        .bind(user_id)
        .fetch_all(&self.readers)
        .await?)
    }

    /// False: it is not suspended, not by the desk, or not theirs.
    pub(crate) async fn resume_for_desk(
        &self,
        id: &str,
        user_id: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tokens SET state = 'active', suspended_by = NULL, suspended_why = NULL
             WHERE id = $1 AND user_id = $2 AND state = 'suspended'
               AND suspended_by = 'operator' AND suspended_why LIKE 'desk %'",
        )
        .bind(id)
        .bind(user_id)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes a person's recovery codes useless. False: there were none.
    pub(crate) async fn void_recovery_codes(&self, user_id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let ended = super::recovery::end_set(&mut transaction, user_id).await?;
        transaction.commit().await?;
        Ok(ended)
    }
}
