//! Live cookies: proof, for a while, that a person logged in from an address. Only the hash of a
//! cookie is stored; it ends when idle, when old, at log-off and at lock-out.

use jiff::Timestamp;

use crate::{
    client_addr::ClientAddr,
    config::{FactorKind, Limits},
    proof::{Factors, FactorsPassed, Held, PasswordPassed},
    random,
    store::{CookieRow, Place, Store, StoreError},
};

/// Longest accepted value of the cookie header's part.
const VALUE_MAX: usize = 64;
/// How often `seen` is written, in seconds.
const TOUCH_EVERY: i64 = 30;

/// A cookie that was found alive; made by [`LiveCookie::find`] only.
#[derive(Clone, Debug)]
pub(crate) struct LiveCookie {
    hash: Vec<u8>,
    user_id: String,
    user_name: String,
    source: Option<ClientAddr>,
    also: Option<ClientAddr>,
    factors: Factors,
    token: String,
    created: i64,
    /// When something held was last shown.
    proved: i64,
    notice: Option<String>,
    moved: bool,
}

/// What is shown beside a live cookie.
#[derive(Debug)]
pub(crate) enum More {
    Held(Held),
    Password(PasswordPassed),
}

/// By what somebody may take a cookie to another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveProof {
    /// By having it.
    Cookie,
    /// By a code of now.
    Code,
}

impl LiveCookie {
    /// Makes a new cookie for somebody who proved themselves just now; the value goes to the
    /// browser and nowhere else. None: the token was suspended or revoked meanwhile.
    pub(crate) async fn create(
        store: &Store,
        proof: &FactorsPassed,
        from: ClientAddr,
        now: Timestamp,
    ) -> Result<Option<(String, Self)>, StoreError> {
        let value = random::handle();
        let hash = random::digest(&value);
        let row = CookieRow {
            user_id: proof.account().id.clone(),
            user_name: proof.user().to_owned(),
            source: from.ip().to_string(),
            also: None,
            factors: proof.factors().to_string(),
            token: proof.token().to_owned(),
            created: now.as_second(),
            proved: now.as_second(),
            seen: now.as_second(),
            notice: None,
            moved: false,
        };
        let made = store.add_cookie(&hash, &row).await?;
        Ok(made.then(|| (value, Self::from_row(hash, row))))
    }

    /// Looks a cookie's value up and keeps it awake.
    pub(crate) async fn find(
        store: &Store,
        limits: &Limits,
        value: &str,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        if value.is_empty() || value.len() > VALUE_MAX {
            return Ok(None);
        }
        let hash = random::digest(value);
        let now = now.as_second();
        let seen_after = now - limits.cookie_idle.seconds();
        let made_after = now - limits.cookie_max.seconds();
        let Some(row) = store.cookie(&hash, seen_after, made_after).await? else {
            return Ok(None);
        };
        if now - row.seen >= TOUCH_EVERY {
            store.touch_cookie(&hash, now).await?;
        }
        Ok(Some(Self::from_row(hash, row)))
    }

    fn from_row(hash: Vec<u8>, row: CookieRow) -> Self {
        Self {
            hash,
            source: ClientAddr::kept(&row.source),
            also: row.also.as_deref().and_then(ClientAddr::kept),
            factors: Factors::parse(&row.factors),
            user_id: row.user_id,
            user_name: row.user_name,
            token: row.token,
            created: row.created,
            proved: row.proved,
            notice: row.notice,
            moved: row.moved,
        }
    }

    /// Under which it is stored.
    pub(crate) fn hash(&self) -> &[u8] {
        &self.hash
    }

    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    pub(crate) fn user_name(&self) -> &str {
        &self.user_name
    }

    pub(crate) fn factors(&self) -> &Factors {
        &self.factors
    }

    /// The id of the token whose code was given.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// True: the person proved themselves from exactly this address, or the same browser from it
    /// afterwards, so it may be opened.
    pub(crate) fn is_from(&self, address: ClientAddr) -> bool {
        self.addresses().any(|proven| proven == address)
    }

    /// Where the person logged in from, or the same browser has moved by that family.
    pub(crate) fn source(&self) -> Option<ClientAddr> {
        self.source
    }

    /// Where the browser was proven to be: one address, or one of each family.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = ClientAddr> + use<> {
        self.source.into_iter().chain(self.also)
    }

    /// True: the log-in is recent enough to change tokens, or to prove another address.
    pub(crate) fn is_fresh(&self, limits: &Limits, now: Timestamp) -> bool {
        !self.moved && now.as_second() - self.created <= limits.fresh.seconds()
    }

    /// Seconds since something held was shown.
    pub(crate) fn age(&self, now: Timestamp) -> i64 {
        now.as_second() - self.proved
    }

    /// With what was shown just now, under another value. What is held takes the place of what was
    /// held before, so that the cookie ends with the token it stands on. None: another person's, or
    /// the cookie or the token ended meanwhile.
    pub(crate) async fn raise(
        &self,
        store: &Store,
        more: More,
        now: Timestamp,
    ) -> Result<Option<(String, Self)>, StoreError> {
        let (user_id, factors, token, proved) = match &more {
            More::Held(held) => {
                let factors = self.factors.with_held(held.kind());
                (held.user_id(), factors, held.token(), now.as_second())
            }
            More::Password(passed) => {
                let factors = self.factors.and(FactorKind::Pwd);
                let token = self.token.as_str();
                (passed.account().id.as_str(), factors, token, self.proved)
            }
        };
        if user_id != self.user_id {
            return Ok(None);
        }
        let value = random::handle();
        let hash = random::digest(&value);
        let words = factors.to_string();
        let done = store.raise_cookie((&self.hash, &hash), (&words, token), proved);
        let raised = Self {
            hash: hash.clone(),
            factors,
            token: token.to_owned(),
            proved,
            notice: None,
            ..self.clone()
        };
        Ok(done.await?.then_some((value, raised)))
    }

    /// True: it went to another address without a code. Who has it there may be somebody else, so it
    /// opens nothing and lengthens nothing.
    pub(crate) fn is_moved(&self) -> bool {
        self.moved
    }

    /// True: it lives, and the address is one of its own still.
    pub(crate) async fn is_at(
        &self,
        store: &Store,
        address: ClientAddr,
    ) -> Result<bool, StoreError> {
        let address = address.ip().to_string();
        store.has_cookie_at(&self.hash, &address).await
    }

    /// Puts an address in one of the two places. False: the cookie ended or changed meanwhile.
    pub(crate) async fn set_address(
        &self,
        store: &Store,
        place: Place,
        address: ClientAddr,
    ) -> Result<bool, StoreError> {
        let Some(source) = self.source.map(|from| from.ip().to_string()) else {
            return Ok(false);
        };
        let also = self.also.map(|from| from.ip().to_string());
        let known = (self.hash.as_slice(), source.as_str(), also.as_deref());
        let address = address.ip().to_string();
        store.set_address(known, place, &address).await
    }

    /// Takes it to another address, with another value. None: it ended or changed meanwhile.
    pub(crate) async fn move_to(
        &self,
        store: &Store,
        to: ClientAddr,
        proof: MoveProof,
    ) -> Result<Option<(String, Self)>, StoreError> {
        let Some(from) = self.source else {
            return Ok(None);
        };
        let value = random::handle();
        let hash = random::digest(&value);
        let (from, source) = (from.ip().to_string(), to.ip().to_string());
        let also = self.also.map(|from| from.ip().to_string());
        let unproven = proof == MoveProof::Cookie;
        let known = (self.hash.as_slice(), from.as_str(), also.as_deref());
        let done = store.move_cookie(known, (&hash, &source, unproven)).await?;
        let moved = Self {
            hash,
            source: Some(to),
            also: None,
            notice: None,
            moved: self.moved || unproven,
            ..self.clone()
        };
        Ok(done.then_some((value, moved)))
    }

    /// Keeps words to be said on the page after the redirect; gives the id to ask for them with.
    pub(crate) async fn leave_notice(
        &self,
        store: &Store,
        words: &str,
    ) -> Result<String, StoreError> {
        let id = random::request_id().to_lowercase();
        store
            .set_notice(&self.hash, &format!("{id} {words}"))
            .await?;
        Ok(id)
    }

    /// The words kept under `id`.
    pub(crate) fn notice(&self, id: &str) -> Option<&str> {
        self.notice.as_deref()?.strip_prefix(id)?.strip_prefix(' ')
    }

    pub(crate) async fn end(&self, store: &Store) -> Result<(), StoreError> {
        store.remove_cookie(&self.hash).await
    }
}
