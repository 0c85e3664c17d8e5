//! What is asked again about a live cookie's person before something opens for them, and after.

use agent_api::CloseRequest;

use crate::{
    access::Shown,
    client_addr::ClientAddr,
    directory::{Account, UserName},
    live::LiveCookie,
    portal::{Failure, Portal},
};

impl Portal {
    /// The cookie's person as the directory knows them now; None when they are gone or another one.
    pub(crate) async fn account_of(&self, cookie: &LiveCookie) -> Result<Option<Account>, Failure> {
        let Some(name) = UserName::parse(cookie.user_name()) else {
            return Ok(None);
        };
        let found = self.directory.find(&name).await?;
        Ok(found.filter(|account| account.id == cookie.user_id()))
    }

    /// What a cookie's person has shown, for the access rules.
    pub(crate) async fn shown(&self, cookie: &LiveCookie) -> Result<Shown, Failure> {
        let now = self.now();
        Ok(Shown {
            factors: cookie.factors().clone(),
            age: cookie.age(now),
            exceptions: self.exceptions_of(cookie.user_id()).await?,
            now: now.as_second(),
        })
    }

    /// Closes what was just opened if the person was locked out meanwhile, or the cookie left the
    /// address. Both change cookies first and shut second; so either they saw these grants, or this
    /// sees the change.
    pub(crate) async fn withdraw_if_ended(
        &self,
        cookie: &LiveCookie,
        from: ClientAddr,
        request_id: &str,
    ) -> Result<bool, Failure> {
        if cookie.is_at(&self.store, from).await? {
            return Ok(false);
        }
        let request = CloseRequest {
            source: Some(from.ip().into()),
            user: Some(cookie.user_name().to_owned()),
            reason: Some("the log-in ended while opening".into()),
            request_id: Some(request_id.to_owned()),
            ..CloseRequest::default()
        };
        self.grants.close(&request).await?;
        Ok(true)
    }
}
