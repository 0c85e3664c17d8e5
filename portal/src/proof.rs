//! The proof as values. `PasswordPassed`, `Held` and `FactorsPassed` have private fields and one
//! constructor for each kind of check, so code that skips a check does not compile.

use std::fmt;

use crate::{
    codes::CodePassed,
    config::{Category, FactorKind},
    directory::{Account, AccountState, Directory, DirectoryError, Password, PasswordAnswer},
    exceptions::Exception,
    live::LiveCookie,
    passkeys::PasskeyPassed,
    recovery::RecoveryPassed,
};

/// Kinds of proof given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Factors(Vec<FactorKind>);

impl Factors {
    pub(crate) fn of(kinds: &[FactorKind]) -> Self {
        Self(kinds.to_vec())
    }

    /// Reads what [`Factors`] prints.
    pub(crate) fn parse(words: &str) -> Self {
        Self(words.split(' ').filter_map(FactorKind::parse).collect())
    }

    pub(crate) fn contains(&self, kind: FactorKind) -> bool {
        self.0.contains(&kind)
    }

    /// True: it was shown, or what stands in for it. A recovery code that was let in as a proof at
    /// all counts as the code of the app that is not at hand.
    pub(crate) fn satisfies(&self, kind: FactorKind) -> bool {
        self.contains(kind) || (kind == FactorKind::Otp && self.contains(FactorKind::Recovery))
    }

    /// True: enough to change what one logs in with: something known and something held, or a
    /// passkey, which asks for both itself. A recovery code is not enough.
    pub(crate) fn are_full(&self) -> bool {
        self.contains(FactorKind::Passkey)
            || (self.contains(FactorKind::Pwd) && self.contains(FactorKind::Otp))
    }

    /// True: something held was shown.
    pub(crate) fn has_held(&self) -> bool {
        let mut kinds = self.0.iter();
        kinds.any(|kind| kind.category() == Category::Possession)
    }

    /// With something held in the place of what was held before.
    pub(crate) fn with_held(&self, kind: FactorKind) -> Self {
        let known = self.0.iter().copied();
        let known = known.filter(|old| old.category() == Category::Knowledge);
        Self(known.chain([kind]).collect())
    }

    /// With one more.
    pub(crate) fn and(&self, kind: FactorKind) -> Self {
        let mut kinds = self.0.clone();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        Self(kinds)
    }
}

impl fmt::Display for Factors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

/// The directory said that this account's password is right, and the account may log in.
#[derive(Debug)]
pub(crate) struct PasswordPassed {
    account: Account,
}

/// The password did not pass; the word is for the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordRefused {
    Wrong(&'static str),
    MustChange,
    State(AccountState),
}

impl PasswordPassed {
    /// Asks the directory once, and looks at the account's state only after the password was right.
    pub(crate) async fn check(
        directory: &dyn Directory,
        account: Account,
        password: &Password,
    ) -> Result<Result<Self, PasswordRefused>, DirectoryError> {
        let answer = directory.verify(&account, password).await?;
        Ok(match answer {
            PasswordAnswer::Wrong(why) => Err(PasswordRefused::Wrong(why)),
            _ if account.state == AccountState::MustChange => Err(PasswordRefused::MustChange),
            _ if account.state != AccountState::Active => {
                Err(PasswordRefused::State(account.state))
            }
            PasswordAnswer::MustChange(_) => Err(PasswordRefused::MustChange),
            PasswordAnswer::Right => Ok(Self { account }),
        })
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }
}

/// Something held was shown just now, and cannot be shown again.
#[derive(Debug)]
pub(crate) struct Held {
    user_id: String,
    kind: FactorKind,
    token: String,
    note: String,
}

impl From<CodePassed> for Held {
    fn from(code: CodePassed) -> Self {
        Self {
            user_id: code.user_id().to_owned(),
            kind: FactorKind::Otp,
            token: code.token().to_owned(),
            note: code.note().to_owned(),
        }
    }
}

impl From<PasskeyPassed> for Held {
    fn from(passkey: PasskeyPassed) -> Self {
        Self {
            user_id: passkey.user_id().to_owned(),
            kind: FactorKind::Passkey,
            token: passkey.token().to_owned(),
            note: "passkey".into(),
        }
    }
}

impl From<RecoveryPassed> for Held {
    fn from(recovery: RecoveryPassed) -> Self {
        Self {
            user_id: recovery.user_id().to_owned(),
            kind: FactorKind::Recovery,
            token: recovery.set().to_owned(),
            note: format!("recovery code, {} left", recovery.left()),
        }
    }
}

impl Held {
    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    pub(crate) fn kind(&self) -> FactorKind {
        self.kind
    }

    /// The token's id, or the set's of a recovery code.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// For the audit.
    pub(crate) fn note(&self) -> &str {
        &self.note
    }
}

/// What `FactorsPassed` is made of.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// Just now: the password, and something held by the same person.
    PasswordAnd(PasswordPassed, Held),
    /// Just now: the password, by an exception that was approved for this person.
    Excepted(PasswordPassed, Exception),
    /// Just now: a code or a passkey alone, for services listed so.
    Alone(Account, Held),
    /// A live cookie whose browser was proven to be at the address that is to be opened, and the
    /// account as it is now.
    Cookie(LiveCookie, Account),
}

/// Somebody proved themselves. Asking the agent for a grant consumes it.
#[derive(Debug)]
pub(crate) struct FactorsPassed {
    account: Account,
    factors: Factors,
    token: String,
}

impl FactorsPassed {
    /// None: the pieces do not belong to one person, the account may not log in, or a recovery code
    /// came without the password.
    pub(crate) fn new(evidence: Evidence) -> Option<Self> {
        let (account, factors, token, of) = match evidence {
            Evidence::PasswordAnd(password, held) => {
                let factors = Factors::of(&[FactorKind::Pwd, held.kind]);
                (password.account, factors, held.token, held.user_id)
            }
            Evidence::Excepted(password, exception) => {
                let factors = Factors::of(&[FactorKind::Pwd]);
                let (id, of) = (exception.id().to_owned(), exception.user_id().to_owned());
                (password.account, factors, id, of)
            }
            Evidence::Alone(_, held) if held.kind == FactorKind::Recovery => return None,
            Evidence::Alone(account, held) => {
                (account, Factors::of(&[held.kind]), held.token, held.user_id)
            }
            Evidence::Cookie(cookie, account) => {
                let (factors, token) = (cookie.factors().clone(), cookie.token().to_owned());
                (account, factors, token, cookie.user_id().to_owned())
            }
        };
        let fits = of == account.id && account.state == AccountState::Active;
        fits.then_some(Self {
            account,
            factors,
            token,
        })
    }

    pub(crate) fn user(&self) -> &str {
        &self.account.name
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn factors(&self) -> &Factors {
        &self.factors
    }

    /// The id of the token whose code was given.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}
