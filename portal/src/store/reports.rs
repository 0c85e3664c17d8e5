//! What reports read, and the suspension of tokens that nobody uses. A live token is one whose
//! codes count.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;

use super::{Store, StoreError, TokenRow, tokens::select};

/// Failures of one person from one source for one reason.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct FailureRow {
    /// The name, or the directory's id of somebody who never had a token.
    pub(crate) user: String,
    pub(crate) source: String,
    pub(crate) reason: String,
    pub(crate) count: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// How much there is to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct PiledUp {
    /// Live tokens not used for long.
    pub(crate) unused: i64,
    pub(crate) suspended: i64,
    /// Live tokens with a short secret.
    pub(crate) weak: i64,
    /// Exceptions in force.
    pub(crate) exceptions: i64,
}

impl Store {
    /// What the yearly reminder counts; unused is what was last used, or made, before then.
    pub(crate) async fn piled_up(&self, before: i64, now: i64) -> Result<PiledUp, StoreError> {
        Ok(sqlx::query_as(
            "SELECT
               (SELECT count(*) FROM tokens
                WHERE state = 'active' AND coalesce(last_used, created) < $1) AS unused,
               (SELECT count(*) FROM tokens WHERE state = 'suspended') AS suspended,
               (SELECT count(*) FROM tokens WHERE state = 'active' AND weak) AS weak,
               (SELECT count(*) FROM exceptions WHERE ended IS NULL AND ends > $2) AS exceptions",
        )
        .bind(before)
        .bind(now)
        .fetch_one(&self.readers)
        .await?)
    }

    /// How many live tokens each person has who has any.
    pub(crate) async fn live_tokens(&self) -> Result<HashMap<String, i64>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT user_id, count(*) FROM tokens WHERE state = 'active' GROUP BY user_id",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// The live tokens of people who have exactly one.
    pub(crate) async fn only_tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rest = "WHERE state = 'active' AND user_id IN
               (SELECT user_id FROM tokens WHERE state = 'active'
                GROUP BY user_id HAVING count(*) = 1)
             ORDER BY user_name, id";
        Ok(sqlx::query_as(select(rest))
            .fetch_all(&self.readers)
            .await?)
    }

    /// People who hold recovery codes that work still.
    pub(crate) async fn people_with_recovery_codes(&self) -> Result<HashSet<String>, StoreError> {
        let found: Vec<String> = sqlx::query_scalar(
            "SELECT user_id FROM recovery_sets WHERE EXISTS
               (SELECT 1 FROM recovery_codes WHERE set_id = id AND used IS NULL)",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(found.into_iter().collect())
    }

    /// Every live or suspended token.
    pub(crate) async fn kept_tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rest = "WHERE state IN ('active', 'suspended') ORDER BY user_name, id";
        Ok(sqlx::query_as(select(rest))
            .fetch_all(&self.readers)
            .await?)
    }

    /// Live tokens that were last used, or made and never used, before then.
    pub(crate) async fn unused_tokens(&self, before: i64) -> Result<Vec<TokenRow>, StoreError> {
        let rest = "WHERE state = 'active' AND coalesce(last_used, created) < $1
             ORDER BY user_name, id";
        Ok(sqlx::query_as(select(rest))
            .bind(before)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Suspends a token that is still unused, as an operator does. False: it was used meanwhile.
    pub(crate) async fn suspend_unused(&self, id: &str, before: i64) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tokens SET state = 'suspended', suspended_by = 'operator'
             WHERE id = $1 AND state = 'active' AND coalesce(last_used, created) < $2",
        )
        .bind(id)
        .bind(before)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if done == 1 {
            sqlx::query("DELETE FROM cookies WHERE token = $1")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(done == 1)
    }

    /// Name and number, the most first.
    pub(crate) async fn people_with_many_tokens(
        &self,
        more_than: i64,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT max(user_name), count(*) FROM tokens WHERE state = 'active'
             GROUP BY user_id HAVING count(*) > $1 ORDER BY count(*) DESC, 1",
        )
        .bind(more_than)
        .fetch_all(&self.readers)
        .await?)
    }

    /// The most first.
    pub(crate) async fn failures(
        &self,
        since: i64,
        at_least: i64,
    ) -> Result<Vec<FailureRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT coalesce((SELECT user_name FROM tokens t WHERE t.user_id = a.user_id
                              ORDER BY created DESC LIMIT 1), a.user_id) AS user,
                    source, outcome AS reason, count(*) AS count, min(at) AS first, max(at) AS last
             FROM attempts a
             WHERE at >= $1 AND outcome NOT IN ('ok', 'moved', 'joined', 'enrol')
             GROUP BY a.user_id, source, outcome HAVING count(*) >= $2
             ORDER BY count(*) DESC, user, source, reason",
        )
        .bind(since)
        .bind(at_least)
        .fetch_all(&self.readers)
        .await?)
    }
}
