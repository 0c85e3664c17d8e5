//! "This was not me": whoever holds the link of a mail ends what is open of the person it was sent
//! to. It works once, without a log-in, and only in the safe direction.

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
            tracing::error!(%failure, user, "open grants stay open until their deadline");
            return Ok(NotMe::GrantsStay);
        }
        Ok(NotMe::Done)
    }
}
