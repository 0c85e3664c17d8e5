//! Rows of `counts`: how often something happened within an hour. Bounded by the number of results
//! there are, and by the time they are kept.

use sqlx::FromRow;

use super::{Store, StoreError};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// Log-ins; the name is the result.
    Login,
    /// Log-ins that opened something; the name is how many seconds it took from the page.
    Open,
}

impl Counted {
    fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Open => "open",
        }
    }
}

/// One number.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Count {
    /// Its begin, in seconds since 1970.
    pub(crate) hour: i64,
    pub(crate) name: String,
    pub(crate) n: i64,
}

impl Store {
    /// Adds to what is there, in one transaction.
    pub(crate) async fn add_counts(&self, counts: &[(Counted, Count)]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (kind, count) in counts {
            sqlx::query(
                "INSERT INTO counts (hour, kind, name, n) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (hour, kind, name) DO UPDATE SET n = n + excluded.n",
            )
            .bind(count.hour)
            .bind(kind.word())
            .bind(&count.name)
            .bind(count.n)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Oldest first.
    pub(crate) async fn counts(&self, kind: Counted, since: i64) -> Result<Vec<Count>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT hour, name, n FROM counts WHERE kind = $1 AND hour >= $2 ORDER BY hour, name",
        )
        .bind(kind.word())
        .bind(since)
        .fetch_all(&self.readers)
        .await?)
    }

    pub(crate) async fn drop_old_counts(&self, before: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM counts WHERE hour < $1")
            .bind(before)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
