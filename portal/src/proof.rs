//! The proof as values. `PasswordPassed` and `FactorsPassed` have private fields and one constructor
//! each, so code that skips a check does not compile.

use std::fmt;

use crate::{
    codes::CodePassed,
    config::FactorKind,
    directory::{Account, AccountState, Directory, DirectoryError, Password, PasswordAnswer},
    live::LiveCookie,
};

/// Kinds of proof given, in RFC 8176 words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Factors(Vec<FactorKind>);

impl Factors {
    pub(crate) fn of(kinds: &[FactorKind]) -> Self {
        Self(kinds.to_vec())
    }

    /// Reads what [`Factors`] prints.
    pub(crate) fn parse(words: &str) -> Self {
        Self(
            words
                .split(' ')
                .filter_map(|word| match word {
                    "pwd" => Some(FactorKind::Pwd),
                    "otp" => Some(FactorKind::Otp),
                    _ => None,
                })
                .collect(),
        )
    }

    pub(crate) fn contains(&self, kind: FactorKind) -> bool {
        self.0.contains(&kind)
    }

    /// True: something known and something held.
    pub(crate) fn are_both(&self) -> bool {
        self.contains(FactorKind::Pwd) && self.contains(FactorKind::Otp)
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

/// What `FactorsPassed` is made of.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// Just now: password and code of the same person.
    PasswordAndCode(PasswordPassed, CodePassed),
    /// Just now: a code alone, for services listed so.
    CodeAlone(Account, CodePassed),
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
    /// None: the pieces do not belong to one person, or the account may not log in.
    pub(crate) fn new(evidence: Evidence) -> Option<Self> {
        let (account, factors, token, of) = match evidence {
            Evidence::PasswordAndCode(password, code) => {
                let both = Factors::of(&[FactorKind::Pwd, FactorKind::Otp]);
                (
                    password.account,
                    both,
                    code.token().to_owned(),
                    code.user_id().to_owned(),
                )
            }
            Evidence::CodeAlone(account, code) => {
                let one = Factors::of(&[FactorKind::Otp]);
                (
                    account,
                    one,
                    code.token().to_owned(),
                    code.user_id().to_owned(),
                )
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
