//! "This was not me": whoever holds the link of a mail ends what is open of the person it was sent
//! to. It works once, without a log-in, and only in the safe direction.

use std::time::Duration;

use agent_api::{AuditKind, CloseRequest};

use crate::{
    audit::draft,
    client_addr::ClientAddr,
    notices::Kind,
    portal::{Failure, Portal},
    random,
    store::Halted,
};

/// Longest link that is looked up.
const LINK_MAX: usize = 64;
/// How often an agent that did not answer is asked again, and how many times.
const EVERY: Duration = Duration::from_secs(10);
const TRIES: u32 = 60;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotMe {
    Done,
    /// Done, but the agent did not answer: what is open stays open until its deadline.
    GrantsStay,
    /// Used, expired, or nobody's.
    Over,
}

impl Portal {
    /// True: the link works still. Changes nothing: mail scanners follow links.
    pub(crate) async fn link_works(&self, link: &str) -> Result<bool, Failure> {
        if link.is_empty() || link.len() > LINK_MAX {
            return Ok(false);
        }
        let now = self.now().as_second();
        Ok(self.store.has_link(&random::digest(link), now).await?)
    }

    /// Uses a link up.
    pub(crate) async fn not_me(
        &self,
        link: &str,
        from: Option<ClientAddr>,
        request_id: &str,
    ) -> Result<NotMe, Failure> {
        if link.is_empty() || link.len() > LINK_MAX {
            return Ok(NotMe::Over);
        }
        // Anybody may try: what is not there must not take the writer.
        if !self.link_works(link).await? {
            return Ok(NotMe::Over);
        }
        let now = self.now().as_second();
        match self.store.take_link(&random::digest(link), now).await? {
            Some(halted) => self.halt(&halted, from, request_id).await,
            None => Ok(NotMe::Over),
        }
    }

    /// What follows after everything of the person ended in the database: the open grants, the
    /// audit and the operators. Cookies ended first, so nothing opens behind this.
    async fn halt(
        &self,
        halted: &Halted,
        from: Option<ClientAddr>,
        request_id: &str,
    ) -> Result<NotMe, Failure> {
        let user = &halted.whose.user_name;
        let request = CloseRequest {
            user: Some(user.clone()),
            reason: Some("the person said: this was not me".into()),
            request_id: Some(request_id.to_owned()),
            ..CloseRequest::default()
        };
        let closed = self.grants.close(&request).await;
        let mut record = draft(
            AuditKind::Lockout,
            if closed.is_ok() {
                "not-me"
            } else {
                "not-me-grants-not-closed"
            },
        );
        record.user = Some(user.clone());
        record.source = from.map(ClientAddr::ip);
        record.reason = Some(format!(
            "tokens {} suspended, cookies {} ended, by the link of a mail",
            halted.tokens, halted.cookies
        ));
        record.request_id = Some(request_id.to_owned());
        self.audit.write(record).await?;
        let grants = match &closed {
            Ok(closed) => closed.count.to_string(),
            Err(_) => format!("NOT CLOSED: run `sekisho revoke --user {user}`"),
        };
        let address = from.map_or_else(|| "?".to_owned(), |from| from.ip().to_string());
        let values = [
            ("person", user.as_str()),
            ("address", &address),
            ("grants", &grants),
        ];
        self.notices.tell_operators(Kind::Reported, &values).await;
        if let Err(failure) = closed {
            tracing::error!(%failure, user, "open grants stay open for now");
            self.close_later(request);
            return Ok(NotMe::GrantsStay);
        }
        Ok(NotMe::Done)
    }

    /// Asks the agent again for a while; the operators were told that it did not answer.
    fn close_later(&self, request: CloseRequest) {
        let (grants, audit, clock) = (self.grants.clone(), self.audit.clone(), self.clock.clone());
        tokio::spawn(async move {
            for _ in 0..TRIES {
                clock.sleep(EVERY).await;
                if grants.close(&request).await.is_err() {
                    continue;
                }
                let mut record = draft(AuditKind::Lockout, "not-me-grants-closed");
                record.user = request.user;
                record.request_id = request.request_id;
                if let Err(failure) = audit.write(record).await {
                    tracing::error!(%failure, "a record cannot be written");
                }
                return;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[tokio::test]
    async fn an_agent_that_did_not_answer_is_asked_again() {
        let site = Site::new("").await;
        let (_, seed) = site.token("alice").await;
        site.in_as("alice", &seed).await;
        let request = CloseRequest {
            user: Some("alice".into()),
            ..CloseRequest::default()
        };
        site.portal.close_later(request);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(site.agent.open().is_empty());
        let outcomes = site.agent.outcomes();
        assert_eq!(outcomes.last().unwrap(), "not-me-grants-closed");
    }
}
