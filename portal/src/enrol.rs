//! Enrolment: a new seed is pending until a code of it was typed, and its step is taken with it. It
//! is shown while pending and never again.

use std::net::IpAddr;

use agent_api::AuditKind;
use jiff::Timestamp;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    audit::draft,
    config::{Limits, Unfit},
    directory::Account,
    live::LiveCookie,
    otp::{Code, Position, Recipe, Seed},
    portal::{Failure, Portal},
    random,
    store::{Kind, NewToken, Owner, TokenRow, TokenState},
};

/// How a token came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    Ticket,
    FirstLogin,
    OwnPage,
    Recovery,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::FirstLogin => "first-login",
            Self::OwnPage => "own-page",
            Self::Recovery => "recovery",
        }
    }
}

/// A pending token, to be shown.
#[derive(Debug)]
pub(crate) struct Offer {
    /// What the confirming form sends back: the id, and the handle where there is no cookie.
    pub(crate) token: Zeroizing<String>,
    pub(crate) user: String,
    pub(crate) seed: Seed,
    /// Whose device it is for, where that was decided beforehand.
    pub(crate) owner: Option<Owner>,
}

/// What is decided about a new token before it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan<'a> {
    /// A token that ends when the new one counts.
    pub(crate) replaces: Option<&'a str>,
    pub(crate) owner: Option<Owner>,
}

/// What a person says of their device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Device<'a> {
    pub(crate) name: &'a str,
    pub(crate) owner: Option<Owner>,
}

/// How a confirmation ended.
#[derive(Debug)]
pub(crate) enum Confirmed {
    /// For whom, by the directory's id and name.
    Done { user_id: String, user_name: String },
    /// Shown again, with the phone's clock error in seconds where the code fits another time.
    Wrong { offer: Offer, clock: Option<i64> },
    /// No such pending token, its time is over, or too many wrong codes.
    Over,
}

/// Who confirms.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Confirmer<'a> {
    /// A logged-in person. Their cookie stays, whatever it stands on.
    Person(&'a LiveCookie),
    /// Whoever holds the handle that the enrolment page was given.
    Handle,
}

/// The most tokens are there already.
#[derive(Debug)]
pub(crate) struct TooMany;

/// True: a person with these tokens may have one more, or one instead of `replaces`.
pub(crate) fn has_room(limits: &Limits, tokens: &[TokenRow], replaces: Option<&str>) -> bool {
    let counted = tokens.iter().filter(|token| {
        (token.is(TokenState::Active) || token.is(TokenState::Suspended))
            && Some(token.id.as_str()) != replaces
    });
    let most = usize::try_from(limits.tokens_per_user.value()).unwrap_or(1);
    counted.count() < most
}

impl Portal {
    /// True: a person with these tokens may have one more, or one instead of `replaces`.
    pub(crate) fn has_room(&self, tokens: &[TokenRow], replaces: Option<&str>) -> bool {
        has_room(&self.config.limits, tokens, replaces)
    }

    /// Whether an authenticator may be set up in this way from there and now. Who has begun may end:
    /// the pages ask before a secret is shown, not before its first code is taken.
    pub(crate) fn may_enrol(&self, way: Origin, from: Option<IpAddr>) -> Result<(), Unfit> {
        let settings = &self.config.enrolment;
        settings.admits(way, from, self.now(), &self.zone)
    }

    /// Makes a pending token.
    pub(crate) async fn offer(
        &self,
        account: &Account,
        origin: Origin,
        plan: Plan<'_>,
    ) -> Result<Result<Offer, TooMany>, Failure> {
        let now = self.now().as_second();
        let tokens = self.store.tokens_of(&account.id).await?;
        if !self.has_room(&tokens, plan.replaces) {
            return Ok(Err(TooMany));
        }
        // One enrolment at a time: an earlier page that was left open ends.
        for token in tokens.iter().filter(|token| token.is(TokenState::Pending)) {
            self.store.revoke_token(&token.id, None).await?;
        }
        let seed = Seed::random();
        let id = random::id('t');
        let handle = (origin != Origin::OwnPage)
            .then(random::handle)
            .map(Zeroizing::new);
        // A verb may rotate the key between sealing and writing; then once more with the new key.
        for _ in 0..3 {
            let (sealed, key_id) = self.codes.seal(&id, &seed)?;
            let new = NewToken {
                id: &id,
                user_id: &account.id,
                user_name: &account.name,
                name: "",
                state: TokenState::Pending,
                secret: &sealed,
                key_id: &key_id,
                weak: false,
                origin: origin.name(),
                handle: handle.as_ref().map(|handle| random::digest(handle)),
                replaces: plan.replaces,
                owner: plan.owner,
                created: now,
                expires: Some(now + self.config.limits.pending.seconds()),
                kind: Kind::App,
            };
            if self.store.add_token(&new).await? {
                let token = match &handle {
                    Some(handle) => format!("{id}.{}", handle.as_str()),
                    None => id,
                };
                let token = Zeroizing::new(token);
                return Ok(Ok(Offer {
                    token,
                    user: account.name.clone(),
                    seed,
                    owner: plan.owner,
                }));
            }
            self.codes.take_key()?;
        }
        Err(Failure::Offer("the key changes all the time".into()))
    }

    /// Looks at the first code of a pending token.
    pub(crate) async fn confirm(
        &self,
        token: &str,
        confirmer: Confirmer<'_>,
        code: &str,
        device: Device<'_>,
    ) -> Result<Confirmed, Failure> {
        let now = self.now();
        let Some(row) = self.pending(token, confirmer).await? else {
            return Ok(Confirmed::Over);
        };
        if self
            .store
            .count_try(&row.id, now.as_second())
            .await?
            .is_none()
        {
            return Ok(Confirmed::Over);
        }
        let seed = self.codes.seed(&row)?;
        let code = Code::parse(code);
        let step = code.as_ref().and_then(|code| {
            let (reach, start) = (self.codes.reach(), Position { last: 0, drift: 0 });
            Recipe::STANDARD.step_of(&seed, code, now, reach, start)
        });
        let Some(step) = step else {
            let clock = code.and_then(|code| Recipe::STANDARD.clock_offset(&seed, &code, now));
            let offer = Offer {
                token: Zeroizing::new(token.to_owned()),
                owner: row.owner(),
                user: row.user_name,
                seed,
            };
            return Ok(Confirmed::Wrong { offer, clock });
        };
        let name = token_name(device.name, now);
        let asking = match confirmer {
            Confirmer::Person(cookie) => Some(cookie.hash()),
            Confirmer::Handle => None,
        };
        if !self
            .store
            .confirm_token(
                &row.id,
                (&name, device.owner),
                step,
                (now.as_second(), asking),
            )
            .await?
        {
            return Ok(Confirmed::Over);
        }
        self.notices.token(&row, &name, "enrolled").await;
        let mut record = draft(AuditKind::Token, "enrolled");
        record.user = Some(row.user_name.clone());
        record.token = Some(row.id);
        record.reason = Some(format!("by {}", row.origin));
        self.audit.write(record).await?;
        Ok(Confirmed::Done {
            user_id: row.user_id,
            user_name: row.user_name,
        })
    }

    async fn pending(
        &self,
        token: &str,
        confirmer: Confirmer<'_>,
    ) -> Result<Option<TokenRow>, Failure> {
        let (id, handle) = token.split_once('.').unwrap_or((token, ""));
        let row = self
            .store
            .token(id)
            .await?
            .filter(|row| row.is(TokenState::Pending));
        Ok(row.filter(|row| match (confirmer, &row.handle) {
            (Confirmer::Person(cookie), None) => row.user_id == cookie.user_id(),
            (Confirmer::Handle, Some(digest)) => {
                random::digest(handle).ct_eq(digest.as_slice()).into()
            }
            _ => false,
        }))
    }
}

/// A person's name for a token, made fit to be shown.
pub(crate) fn token_name(typed: &str, now: Timestamp) -> String {
    let name: String = typed.chars().filter(|c| !c.is_control()).take(40).collect();
    match name.trim() {
        "" => now.strftime("app %F").to_string(),
        name => name.to_owned(),
    }
}
