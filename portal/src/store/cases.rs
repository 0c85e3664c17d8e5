//! Rows of `cases`. Deciding and carrying out are each one statement that says from which state it
//! goes, by whom, and until when, so that of many at the same moment one gets through.

use sqlx::FromRow;

use super::{Store, StoreError};

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaseState {
    /// For a second person.
    Waiting,
    /// For being carried out.
    Approved,
    Refused,
    Done,
    /// Nobody decided, or nobody carried it out, in time.
    Expired,
}

impl CaseState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Done => "done",
            Self::Expired => "expired",
        }
    }
}

/// A case as stored.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct CaseRow {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) user_id: Option<String>,
    pub(crate) user_name: String,
    pub(crate) subject: Option<String>,
    pub(crate) evidence: String,
    pub(crate) note: String,
    pub(crate) opened: i64,
    pub(crate) opened_by: String,
    pub(crate) opened_by_id: String,
    state: String,
    pub(crate) expires: i64,
    pub(crate) decided: Option<i64>,
    pub(crate) decided_by: Option<String>,
    pub(crate) decision: Option<String>,
    pub(crate) carried_out: Option<i64>,
    pub(crate) outcome: Option<String>,
    pub(crate) ticket: Option<String>,
    pub(crate) stopped: Option<i64>,
    pub(crate) enrolled: Option<i64>,
}

impl CaseRow {
    pub(crate) fn state(&self, now: i64) -> CaseState {
        match self.state.as_str() {
            "refused" => CaseState::Refused,
            "done" => CaseState::Done,
            _ if self.expires <= now => CaseState::Expired,
            "approved" => CaseState::Approved,
            _ => CaseState::Waiting,
        }
    }
}

/// What a new case needs.
#[derive(Debug)]
pub(crate) struct NewCase<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) user_id: Option<&'a str>,
    pub(crate) user_name: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) evidence: &'a str,
    pub(crate) note: &'a str,
    pub(crate) opened: i64,
    pub(crate) opened_by: &'a str,
    pub(crate) opened_by_id: &'a str,
    /// `Waiting` or `Approved`.
    pub(crate) state: CaseState,
    pub(crate) expires: i64,
}

/// Whether a case may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    Refuse,
}

impl Decision {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Refuse => "refused",
        }
    }
}

impl Store {
    pub(crate) async fn add_case(&self, new: &NewCase<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO cases (id, kind, user_id, user_name, subject, evidence, note, opened,
                                opened_by, opened_by_id, state, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(new.id)
        .bind(new.kind)
        .bind(new.user_id)
        .bind(new.user_name)
        .bind(new.subject)
        .bind(new.evidence)
        .bind(new.note)
        .bind(new.opened)
        .bind(new.opened_by)
        .bind(new.opened_by_id)
        .bind(new.state.name())
        .bind(new.expires)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    pub(crate) async fn case(&self, id: &str) -> Result<Option<CaseRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM cases WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Newest first: of one person by id or name, or of everybody.
    pub(crate) async fn cases(
        &self,
        user: Option<(Option<&str>, &str)>,
        most: i64,
    ) -> Result<Vec<CaseRow>, StoreError> {
        let (all, id, name) = match user {
            None => (true, None, ""),
            Some((id, name)) => (false, id, name),
        };
        Ok(sqlx::query_as(
            "SELECT * FROM cases
             WHERE $1 OR user_id = $2 OR user_name = $3 COLLATE NOCASE
             ORDER BY opened DESC, id LIMIT $4",
        )
        .bind(all)
        .bind(id)
        .bind(name)
        .bind(most)
        .fetch_all(&self.readers)
        .await?)
    }

    /// What somebody may decide or carry out still, oldest first.
    pub(crate) async fn open_cases(&self, now: i64) -> Result<Vec<CaseRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT * FROM cases WHERE state IN ('waiting', 'approved') AND expires > $1
             ORDER BY opened, id LIMIT 200",
        )
        .bind(now)
        .fetch_all(&self.readers)
        .await?)
    }

    /// Cases that wait for a second person whom nobody told yet, oldest first.
    pub(crate) async fn untold_cases(&self, now: i64) -> Result<Vec<CaseRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT * FROM cases WHERE state = 'waiting' AND expires > $1 AND told IS NULL
             ORDER BY opened, id LIMIT 50",
        )
        .bind(now)
        .fetch_all(&self.readers)
        .await?)
    }

    pub(crate) async fn note_told(&self, id: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE cases SET told = $2 WHERE id = $1")
            .bind(id)
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Cases in which somebody had to be able to prove themselves again, oldest first.
    pub(crate) async fn recoveries(&self, since: i64) -> Result<Vec<CaseRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT * FROM cases WHERE kind IN ('lost', 'enrol') AND opened >= $1
             ORDER BY opened, id",
        )
        .bind(since)
        .fetch_all(&self.readers)
        .await?)
    }

    /// Decides a waiting case. None: it does not wait any more, its time is over, or whoever decides
    /// opened it or is the person it is about.
    pub(crate) async fn decide_case(
        &self,
        id: &str,
        decision: Decision,
        (by_id, by): (&str, &str),
        note: &str,
        now: i64,
    ) -> Result<Option<CaseRow>, StoreError> {
        Ok(sqlx::query_as(
            "UPDATE cases SET state = $2, decided = $6, decided_by = $4, decision = $5
             WHERE id = $1 AND state = 'waiting' AND expires > $6
               AND opened_by_id <> $3 AND user_id IS NOT $3
             RETURNING *",
        )
        .bind(id)
        .bind(decision.word())
        .bind(by_id)
        .bind(by)
        .bind(note)
        .bind(now)
        .fetch_optional(&self.writer)
        .await?)
    }

    /// Takes an approved case for being carried out, once. None: it is not, or not any more.
    pub(crate) async fn take_case(
        &self,
        id: &str,
        now: i64,
    ) -> Result<Option<CaseRow>, StoreError> {
        Ok(sqlx::query_as(
            "UPDATE cases SET state = 'done', carried_out = $2
             WHERE id = $1 AND state = 'approved' AND expires > $2
             RETURNING *",
        )
        .bind(id)
        .bind(now)
        .fetch_optional(&self.writer)
        .await?)
    }

    /// What came of a case, and the ticket that was issued for it.
    pub(crate) async fn finish_case(
        &self,
        id: &str,
        outcome: &str,
        ticket: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE cases SET outcome = $2, ticket = $3 WHERE id = $1")
            .bind(id)
            .bind(outcome)
            .bind(ticket)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Notes that everything of a case's person was stopped, and the token that a new one replaces.
    pub(crate) async fn note_stopped(
        &self,
        id: &str,
        replaces: Option<&str>,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE cases SET stopped = $2, subject = $3 WHERE id = $1")
            .bind(id)
            .bind(now)
            .bind(replaces)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
