//! One log-in, both address families. The browser takes a ticket to the portal's other name, gets a
//! receipt there, and brings it back with its cookie; only then the address that the ticket was used
//! from joins the grants. A ticket alone opens nothing, whoever uses it, and a receipt is worth
//! nothing without the cookie that the ticket was made for.

use agent_api::{AuditKind, CloseRequest};

use crate::{
    access::{self, ServiceId},
    audit::draft,
    client_addr::ClientAddr,
    config::{Follow, Origin},
    directory::Account,
    family::Family,
    grants::{self, Opened, Wanted},
    live::LiveCookie,
    portal::{Failure, Portal},
    proof::{Evidence, FactorsPassed},
    random,
    store::Place,
};

/// How long a crossing may take, in seconds: a script needs less than one, a person without scripts
/// three presses of a button.
const LIFE: i64 = 120;

/// What the browser takes along.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) family: Family,
    pub(crate) to: &'a Origin,
    pub(crate) ticket: String,
}

/// How a crossing ended.
#[derive(Debug)]
pub(crate) enum Back {
    /// The address of this family is proven; what became of each service.
    Joined(Family, Vec<Opened>),
    /// Such a receipt was never given to this cookie, or it was taken before, or too late.
    Stale,
    /// The person proved themselves from neither of the two addresses, or the policy lets none join.
    Moved,
    /// The log-in ended meanwhile.
    Ended,
}

impl Portal {
    /// Starts a crossing to the family that the browser did not come by. None: the site has none.
    pub(crate) async fn start_crossing(
        &self,
        cookie: &LiveCookie,
        from: ClientAddr,
    ) -> Result<Option<Start<'_>>, Failure> {
        let Some(dual) = &self.config.dual_stack else {
            return Ok(None);
        };
        let family = Family::of(from.ip()).other();
        let ticket = random::handle();
        let expires = self.now().as_second() + LIFE;
        self.store
            .start_crossing(cookie.hash(), family, &random::digest(&ticket), expires)
            .await?;
        let to = dual.at(family);
        Ok(Some(Start { family, to, ticket }))
    }

    /// Uses up a ticket from the address it came from; gives the receipt. None: it is no ticket
    /// for that family, or not any more.
    pub(crate) async fn arrive(
        &self,
        ticket: &str,
        from: ClientAddr,
    ) -> Result<Option<String>, Failure> {
        let (receipt, source) = (random::handle(), from.ip().to_string());
        let used = self
            .store
            .use_crossing(
                &random::digest(ticket),
                Family::of(from.ip()),
                &source,
                &random::digest(&receipt),
                self.now().as_second(),
            )
            .await?;
        Ok(used.then_some(receipt))
    }

    /// Takes a receipt from the browser that holds the cookie, and opens for the newly proven
    /// address what is open for the other, for as long.
    pub(crate) async fn come_back(
        &self,
        cookie: &LiveCookie,
        here: ClientAddr,
        receipt: &str,
        request_id: &str,
    ) -> Result<Back, Failure> {
        let now = self.now().as_second();
        let taken = self
            .store
            .take_receipt(&random::digest(receipt), cookie.hash(), now)
            .await?;
        let Some(there) = taken.and_then(|crossed| ClientAddr::kept(&crossed.source)) else {
            return Ok(Back::Stale);
        };
        // Names that resolve to both families let a browser come back by the other one.
        let (old, new) = match (cookie.is_from(here), cookie.is_from(there)) {
            (true, _) => (here, there),
            (false, true) => (there, here),
            (false, false) => return Ok(Back::Moved),
        };
        let Some(account) = self.account_of(cookie).await? else {
            return Ok(Back::Ended);
        };
        if !self.may_join(cookie, new) || !self.join(cookie, new, request_id).await? {
            return Ok(Back::Moved);
        }
        let wanted = self.open_at(cookie, &account, old, new).await?;
        let family = Family::of(new.ip());
        let Some(proof) = FactorsPassed::new(Evidence::Cookie(cookie.clone(), account)) else {
            return Ok(Back::Ended);
        };
        let opened = grants::open(self.grants.as_ref(), proof, new, wanted, request_id).await;
        if self.withdraw_if_ended(cookie, new, request_id).await? {
            return Ok(Back::Ended);
        }
        Ok(Back::Joined(family, opened))
    }

    /// An address that the cookie has is its own. Another one joins a log-in that is fresh and has
    /// none of that family; to take the place of one is to follow, and is for that policy to allow.
    fn may_join(&self, cookie: &LiveCookie, new: ClientAddr) -> bool {
        let family = Family::of(new.ip());
        let mut before = cookie.addresses();
        let has_one = before.any(|before| Family::of(before.ip()) == family);
        cookie.is_from(new)
            || self.config.portal.follow == Follow::Move
            || (!has_one && cookie.is_fresh(&self.config.limits, self.now()))
    }

    /// Writes the new address down, in the audit and beside the cookie. One that it takes the place
    /// of is shut first: a cookie has one address of each family. False: the cookie ended, or got
    /// another address meanwhile.
    async fn join(
        &self,
        cookie: &LiveCookie,
        new: ClientAddr,
        request_id: &str,
    ) -> Result<bool, Failure> {
        if cookie.is_from(new) {
            return Ok(true);
        }
        let family = Family::of(new.ip());
        let mut before = cookie.addresses();
        if let Some(before) = before.find(|before| Family::of(before.ip()) == family) {
            let request = CloseRequest {
                source: Some(before.ip().into()),
                user: Some(cookie.user_name().to_owned()),
                reason: Some("another address of the same browser took its place".into()),
                request_id: Some(request_id.to_owned()),
                ..CloseRequest::default()
            };
            self.grants.close(&request).await?;
        }
        let mut record = draft(AuditKind::Login, "joined");
        record.user = Some(cookie.user_name().to_owned());
        record.source = Some(new.ip());
        record.token = Some(cookie.token().to_owned());
        let source = cookie.source().map(|from| from.ip().to_string());
        record.reason = source.map(|source| format!("the same browser as at {source}"));
        record.request_id = Some(request_id.to_owned());
        self.audit.write(record).await?;
        self.note_attempt(cookie, new, "joined").await?;
        let is_first = cookie
            .source()
            .is_some_and(|source| Family::of(source.ip()) == family);
        let place = match is_first {
            true => Place::Source,
            false => Place::Also,
        };
        Ok(cookie.set_address(&self.store, place, new).await?)
    }

    /// What the person has open at `old`, as far as the rules allow it at `new`, for what is left.
    async fn open_at(
        &self,
        cookie: &LiveCookie,
        account: &Account,
        old: ClientAddr,
        new: ClientAddr,
    ) -> Result<Vec<Wanted>, Failure> {
        let user = cookie.user_name();
        let held = grants::held_by(self.grants.as_ref(), user, Some(old.ip())).await?;
        let services = self.grants.services().await?;
        let rules = &self.config.access;
        let allowed = access::allowed(
            &services,
            account,
            rules,
            new.ip(),
            &self.shown(cookie).await?,
        );
        let now = self.now().as_second();
        let left = |service: &ServiceId| {
            held.iter()
                .filter(|grant| grant.service == service.name())
                .flat_map(|grant| &grant.holders)
                .filter(|holder| holder.user == user && holder.opened_by == "portal")
                .filter_map(|holder| u64::try_from(holder.deadline.as_second() - now).ok())
                .max()
                .filter(|seconds| *seconds > 0)
        };
        let wanted = allowed
            .into_iter()
            .filter_map(|service| Some(Wanted::length(left(&service)?, service)));
        let sharing = self.sharing(user, cookie.user_id(), new).await?;
        Ok(self.shortened(sharing, &services, wanted))
    }
}
