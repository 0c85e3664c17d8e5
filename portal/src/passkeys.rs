//! Passkeys (WebAuthn): challenges, which work once and are kept in bounded memory, and the checks.
//! The portal's fixed name is the relying party's id, so a passkey of another site never fits and
//! ours is shown to nobody else. Every passkey asks its owner for a PIN, a finger or a face.

mod challenges;

use agent_api::AuditKind;
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{
        CreationChallengeResponse, DiscoverableAuthentication, Passkey, PasskeyRegistration,
        PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse, Url, Uuid,
    },
};
use webauthn_rs_proto::{
    AuthenticatorSelectionCriteria, ResidentKeyRequirement, UserVerificationPolicy,
};

use crate::{
    audit::draft,
    codes,
    directory::Account,
    enrol::{Device, token_name},
    limits::SourceKey,
    live::LiveCookie,
    notices,
    portal::{Failure, Portal},
    random,
    store::{Kind, NewToken, TokenRow, TokenState},
};
use challenges::Challenges;
pub(crate) use challenges::TooManyUnderWay;

/// Somebody showed a passkey that asked for a PIN, a finger or a face, over a challenge of ours.
#[derive(Debug)]
pub(crate) struct PasskeyPassed {
    user_id: String,
    user_name: String,
    token: String,
}

impl PasskeyPassed {
    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    /// As it was when the passkey was made.
    pub(crate) fn user_name(&self) -> &str {
        &self.user_name
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

/// A challenge's id and what the browser is asked, or that too many are under way.
type Challenge<T> = Result<(String, T), TooManyUnderWay>;

/// Challenges under way, and the relying party.
#[derive(Debug)]
pub(crate) struct Passkeys {
    party: Webauthn,
    log_ins: Challenges<DiscoverableAuthentication>,
    enrolments: Challenges<(String, PasskeyRegistration)>,
}

/// How making a passkey ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Done,
    /// The challenge is over, or the reply does not fit it.
    NotFitting,
    TooMany,
}

impl Passkeys {
    /// None: the portal is reached by an address, not by a name, and passkeys need a name.
    pub(crate) fn open(url: &str, name: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let id = url.domain()?.to_owned();
        let party = WebauthnBuilder::new(&id, &url).ok()?.rp_name(name).build();
        Some(Self {
            party: party.ok()?,
            log_ins: Challenges::default(),
            enrolments: Challenges::default(),
        })
    }

    /// A challenge for whoever has a passkey of ours; says nothing of anybody's.
    pub(crate) fn challenge(
        &self,
        from: SourceKey,
        now: i64,
    ) -> Result<Challenge<RequestChallengeResponse>, Failure> {
        let started = self.party.start_discoverable_authentication();
        let (mut asked, state) = started.map_err(|e| Failure::Passkey(e.to_string()))?;
        // A button asks for it, not a field's list of proposals.
        asked.mediation = None;
        Ok(self.log_ins.keep(from, state, now).map(|id| (id, asked)))
    }

    fn offer(
        &self,
        from: SourceKey,
        account: &Account,
        there: &[Passkey],
        now: i64,
    ) -> Result<Challenge<CreationChallengeResponse>, Failure> {
        let exclude = there.iter().map(|passkey| passkey.cred_id().clone());
        let started = self.party.start_passkey_registration(
            handle(&account.id),
            &account.name,
            &account.name,
            Some(exclude.collect()),
        );
        let (mut asked, state) = started.map_err(|e| Failure::Passkey(e.to_string()))?;
        // It must be found without a name typed: log-in asks nobody which passkeys there are.
        asked.public_key.authenticator_selection = Some(AuthenticatorSelectionCriteria {
            authenticator_attachment: None,
            resident_key: Some(ResidentKeyRequirement::Required),
            require_resident_key: true,
            user_verification: UserVerificationPolicy::Required,
        });
        let kept = (account.id.clone(), state);
        Ok(self.enrolments.keep(from, kept, now).map(|id| (id, asked)))
    }
}

/// What a passkey knows its person by: the same for the same person, and nobody's name.
fn handle(user_id: &str) -> Uuid {
    let digest = random::digest(&format!("sekisho passkey {user_id}"));
    let half: [u8; 16] = digest.first_chunk::<16>().copied().unwrap_or_default();
    Uuid::from_bytes(half)
}

impl Portal {
    /// Looks at the reply to a challenge, which is used up by that. None: it proves nothing.
    pub(crate) async fn check_passkey(
        &self,
        (challenge, reply): (&str, &str),
        from: SourceKey,
    ) -> Result<Option<PasskeyPassed>, Failure> {
        let now = self.now().as_second();
        let Some(passkeys) = &self.passkeys else {
            return Ok(None);
        };
        let Some(state) = passkeys.log_ins.take(from, challenge, now) else {
            return Ok(None);
        };
        let Ok(reply) = serde_json::from_str::<PublicKeyCredential>(reply) else {
            return Ok(None);
        };
        let party = &passkeys.party;
        let Ok((person, credential)) = party.identify_discoverable_authentication(&reply) else {
            return Ok(None);
        };
        let found = self.store.passkey(credential).await?;
        let Some(token) = found.filter(|token| handle(&token.user_id) == person) else {
            return Ok(None);
        };
        let mut passkey = self.passkey_of(&token)?;
        let checked = party.finish_discoverable_authentication_v2(&reply, state, &passkey);
        let result = match checked {
            Ok(result) if result.user_verified() => result,
            Ok(_) => return Ok(None),
            Err(why) => {
                tracing::info!(token = token.id, %why, "a passkey's reply does not fit");
                return Ok(None);
            }
        };
        passkey.update_credential(&result);
        let sealed = self.seal_passkey(&token.id, &passkey)?.0;
        let old = token.secret.as_deref().unwrap_or_default();
        // A copy that was used at the same moment loses.
        if !self
            .store
            .use_passkey(&token.id, (old, &sealed), now)
            .await?
        {
            return Ok(None);
        }
        Ok(Some(PasskeyPassed {
            user_id: token.user_id,
            user_name: token.user_name,
            token: token.id,
        }))
    }

    /// Starts making a passkey for somebody logged in. None: there are no passkeys here.
    pub(crate) async fn offer_passkey(
        &self,
        account: &Account,
        from: SourceKey,
    ) -> Result<Option<Challenge<CreationChallengeResponse>>, Failure> {
        let Some(passkeys) = &self.passkeys else {
            return Ok(None);
        };
        let tokens = self.store.active_tokens(&account.id).await?;
        let there = tokens.iter().filter(|token| token.is_passkey());
        let there = there
            .map(|token| self.passkey_of(token))
            .collect::<Result<Vec<_>, _>>()?;
        passkeys
            .offer(from, account, &there, self.now().as_second())
            .map(Some)
    }

    /// Makes the passkey that a browser replied with.
    pub(crate) async fn make_passkey(
        &self,
        cookie: &LiveCookie,
        (challenge, reply): (&str, &str),
        device: Device<'_>,
        from: SourceKey,
    ) -> Result<Made, Failure> {
        let now = self.now();
        let taken = self
            .passkeys
            .as_ref()
            .and_then(|p| Some((p, p.enrolments.take(from, challenge, now.as_second())?)));
        let Some((passkeys, (user_id, state))) = taken else {
            return Ok(Made::NotFitting);
        };
        let Ok(reply) = serde_json::from_str::<RegisterPublicKeyCredential>(reply) else {
            return Ok(Made::NotFitting);
        };
        let made = passkeys.party.finish_passkey_registration(&reply, &state);
        let passkey = match made {
            Ok(passkey) if user_id == cookie.user_id() => passkey,
            Ok(_) => return Ok(Made::NotFitting),
            Err(why) => {
                tracing::info!(user = cookie.user_name(), %why, "a new passkey does not fit");
                return Ok(Made::NotFitting);
            }
        };
        let tokens = self.store.tokens_of(cookie.user_id()).await?;
        if !self.has_room(&tokens, None) {
            return Ok(Made::TooMany);
        }
        // Nobody else's, not even by a browser that makes ids up.
        if self.store.passkey(passkey.cred_id()).await?.is_some() {
            return Ok(Made::NotFitting);
        }
        let id = random::id('t');
        let (sealed, key_id) = self.seal_passkey(&id, &passkey)?;
        let new = NewToken {
            id: &id,
            user_id: cookie.user_id(),
            user_name: cookie.user_name(),
            name: &token_name(device.name, now),
            state: TokenState::Active,
            secret: &sealed,
            key_id: &key_id,
            weak: false,
            origin: "own-page",
            handle: None,
            replaces: None,
            created: now.as_second(),
            expires: None,
            owner: device.owner,
            kind: Kind::Passkey(passkey.cred_id()),
        };
        if !self.store.add_token_of(&new, cookie.hash()).await? {
            return Ok(Made::NotFitting);
        }
        let mut record = draft(AuditKind::Token, "enrolled");
        record.user = Some(cookie.user_name().to_owned());
        record.token = Some(id.clone());
        record.reason = Some("passkey, by own-page".into());
        self.audit.write(record).await?;
        let values = [("device", new.name)];
        self.notices
            .tell(cookie.into(), notices::Kind::NewDevice, &values)
            .await;
        Ok(Made::Done)
    }

    fn passkey_of(&self, token: &TokenRow) -> Result<Passkey, Failure> {
        let kept = self.codes.secret(token)?;
        serde_json::from_slice(&kept).map_err(|e| Failure::Passkey(e.to_string()))
    }

    fn seal_passkey(&self, token: &str, passkey: &Passkey) -> Result<(Vec<u8>, String), Failure> {
        let text = serde_json::to_vec(passkey).map_err(|e| Failure::Passkey(e.to_string()))?;
        Ok(self.codes.seal_at(codes::place(token), &text)?)
    }
}

#[cfg(test)]
mod tests;
