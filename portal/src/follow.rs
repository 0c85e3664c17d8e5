//! Follow me: what is open moves with the browser to another address, where the policy lets it. The
//! old address is shut before the new one opens, the cookie gets another value on the way, and a
//! move that was overtaken by another one opens nothing.

use std::collections::BTreeMap;

use agent_api::{AuditKind, CloseRequest};

use crate::{
    access,
    audit::draft,
    client_addr::ClientAddr,
    config::Follow,
    grants::{self, Opened, Wanted},
    limits::{SourceKey, TooMany},
    live::{LiveCookie, MoveProof},
    otp::Code,
    portal::{Failure, Portal},
    proof::{Evidence, FactorsPassed},
    store::Attempt,
};

/// How a move ended.
#[derive(Debug)]
pub(crate) enum Moved {
    Here(Box<Here>),
    /// The code was wrong or used, or there were too many.
    WrongCode,
    /// Seconds to wait.
    Wait(i64),
    /// The policy lets nothing follow, or the log-in ended meanwhile: log in again.
    Ended,
}

/// What is new after a move.
#[derive(Debug)]
pub(crate) struct Here {
    /// The cookie's new value, for the browser.
    pub(crate) value: String,
    pub(crate) cookie: LiveCookie,
    /// What became of each service.
    pub(crate) opened: Vec<Opened>,
}

impl Portal {
    /// Moves what the cookie's person has open to where the cookie is now.
    pub(crate) async fn follow(
        &self,
        cookie: &LiveCookie,
        to: ClientAddr,
        code: &str,
        request_id: &str,
    ) -> Result<Moved, Failure> {
        let by = match self.config.portal.follow {
            Follow::Refuse => return Ok(Moved::Ended),
            Follow::Move => MoveProof::Cookie,
            Follow::Code => {
                if let Some(refused) = self.judge_code(cookie, to, code, request_id).await? {
                    return Ok(refused);
                }
                MoveProof::Code
            }
        };
        let Some(account) = self.account_of(cookie).await? else {
            return Ok(Moved::Ended);
        };
        let left = self.shut_behind(cookie, request_id).await?;
        let Some((value, moved)) = cookie.move_to(&self.store, to, by).await? else {
            return Ok(Moved::Ended);
        };
        let mut record = draft(AuditKind::Login, "moved");
        record.reason = cookie.source().map(|from| format!("from {}", from.ip()));
        self.record_move(record, cookie, to, request_id).await?;
        let services = self.grants.services().await?;
        let rules = &self.config.access;
        let allowed = access::allowed(
            &services,
            &account,
            rules,
            to.ip(),
            &self.shown(cookie).await?,
        );
        let wanted = allowed.into_iter().filter_map(|service| {
            let seconds = *left.get(service.name())?;
            Some(Wanted::length(seconds, service))
        });
        let sharing = self.sharing(&account.name, &account.id, to).await?;
        let wanted = self.shortened(sharing, &services, wanted);
        let Some(proof) = FactorsPassed::new(Evidence::Cookie(moved.clone(), account)) else {
            return Ok(Moved::Ended);
        };
        let opened = grants::open(self.grants.as_ref(), proof, to, wanted, request_id).await;
        if self.withdraw_if_ended(&moved, to, request_id).await? {
            return Ok(Moved::Ended);
        }
        let cookie = moved;
        let here = Here {
            value,
            cookie,
            opened,
        };
        Ok(Moved::Here(Box::new(here)))
    }

    /// A code of now, counted like a log-in's. None: it was right, and is used up.
    async fn judge_code(
        &self,
        cookie: &LiveCookie,
        to: ClientAddr,
        code: &str,
        request_id: &str,
    ) -> Result<Option<Moved>, Failure> {
        if let Err(too_many) = self.rates.count(SourceKey::of(to.ip())) {
            if let TooMany::OfSource(_) = too_many {
                self.raise_shield(to);
            }
            let seconds = i64::try_from(too_many.wait().as_secs()).unwrap_or(i64::MAX);
            return Ok(Some(Moved::Wait(seconds.saturating_add(1))));
        }
        let now = self.now();
        let key = self.wait_key(&cookie.user_name().to_lowercase());
        let counted = self
            .store
            .count_attempt(&key, &self.backoff(), now.as_second())
            .await?;
        if let Err(wait) = counted {
            let seconds = wait.until - now.as_second();
            return Ok(Some(Moved::Wait(seconds.max(1))));
        }
        let code = Code::parse(code);
        let checked = self
            .codes
            .check(cookie.user_id(), code.as_ref(), now)
            .await?;
        if checked.is_ok() {
            self.store.forgive(&key).await?;
            return Ok(None);
        }
        let record = draft(AuditKind::Login, "wrong-code");
        self.record_move(record, cookie, to, request_id).await?;
        Ok(Some(Moved::WrongCode))
    }

    async fn record_move(
        &self,
        mut record: agent_api::AuditDraft,
        cookie: &LiveCookie,
        to: ClientAddr,
        request_id: &str,
    ) -> Result<(), Failure> {
        record.user = Some(cookie.user_name().to_owned());
        record.source = Some(to.ip());
        record.token = Some(cookie.token().to_owned());
        record.request_id = Some(request_id.to_owned());
        let outcome = record.outcome.clone();
        self.audit.write(record).await?;
        self.note_attempt(cookie, to, &outcome).await
    }

    /// So that the person sees it among their log-ins, and it counts who was at an address.
    pub(crate) async fn note_attempt(
        &self,
        cookie: &LiveCookie,
        at: ClientAddr,
        outcome: &str,
    ) -> Result<(), Failure> {
        let attempt = Attempt {
            at: self.now().as_second(),
            source: at.ip().to_string(),
            outcome: outcome.to_owned(),
            token: Some(cookie.token().to_owned()),
        };
        Ok(self.store.add_attempt(cookie.user_id(), &attempt).await?)
    }

    /// Shuts the cookie's addresses; gives what the portal had opened there, and for how many seconds
    /// still. What an operator opened for an address stays there.
    async fn shut_behind(
        &self,
        cookie: &LiveCookie,
        request_id: &str,
    ) -> Result<BTreeMap<String, u64>, Failure> {
        let (user, now) = (cookie.user_name(), self.now().as_second());
        let mut left = BTreeMap::new();
        for address in cookie.addresses() {
            let held = grants::held_by(self.grants.as_ref(), user, Some(address.ip())).await?;
            for grant in &held {
                let mine = grant
                    .holders
                    .iter()
                    .find(|holder| holder.user == user && holder.opened_by == "portal");
                let seconds = mine.map_or(0, |holder| holder.deadline.as_second() - now);
                if let Ok(seconds @ 1..) = u64::try_from(seconds) {
                    let longest = left.entry(grant.service.clone()).or_insert(seconds);
                    *longest = seconds.max(*longest);
                }
            }
            let request = CloseRequest {
                source: Some(address.ip().into()),
                user: Some(user.to_owned()),
                reason: Some("the person moved to another address".into()),
                request_id: Some(request_id.to_owned()),
                ..CloseRequest::default()
            };
            self.grants.close(&request).await?;
        }
        Ok(left)
    }
}
