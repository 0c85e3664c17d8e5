//! The limits before anything else is looked at, and under which name an attempt is remembered.
//! The name of nobody is written nowhere: people type their password where the name belongs.

use crate::{
    client_addr::ClientAddr,
    directory::{Account, UserName},
    limits::SourceKey,
    login::{Refusal, Shown, Trace, Typed},
    portal::{Failure, Portal},
};

impl Portal {
    /// The limits, and a readable name. An admitted attempt counts as a failure until it succeeds.
    pub(crate) async fn admit(
        &self,
        typed: &Typed<'_>,
    ) -> Result<Result<UserName, Refusal>, Failure> {
        if let Err(refusal) = self.admit_source(typed.from) {
            return Ok(Err(refusal));
        }
        let Some(name) = UserName::parse(typed.username) else {
            return Ok(Err(Refusal::generic("bad-user-name")));
        };
        let (backoff, now) = (self.backoff(), self.now().as_second());
        Ok(
            match self
                .store
                .count_attempt(&self.wait_key(&name.lower()), &backoff, now)
                .await?
            {
                Ok(()) => Ok(name),
                Err(wait) if backoff.is_exhausted(wait.failures) => Err(Refusal {
                    shown: Shown::Locked,
                    reason: "too-many-failures",
                }),
                Err(wait) => Err(Refusal {
                    shown: Shown::Wait(wait.until - now),
                    reason: "user-must-wait",
                }),
            },
        )
    }

    /// Where a directory knows one person by several names, failures count under the person's own
    /// name too, so that another spelling gives no further tries. The wait is not shown: it would
    /// tell whose name was typed.
    pub(crate) async fn admit_also(
        &self,
        typed: &UserName,
        account: &Account,
    ) -> Result<Result<(), Refusal>, Failure> {
        let own = account.name.to_lowercase();
        if own == typed.lower() {
            return Ok(Ok(()));
        }
        let now = self.now().as_second();
        let counted = self
            .store
            .count_attempt(&self.wait_key(&own), &self.backoff(), now)
            .await?;
        Ok(counted.map_err(|_| Refusal::generic("user-must-wait")))
    }

    pub(crate) async fn forgive(&self, typed: &UserName, own: &str) -> Result<(), Failure> {
        self.store.forgive(&self.wait_key(&typed.lower())).await?;
        self.store
            .forgive(&self.wait_key(&own.to_lowercase()))
            .await?;
        Ok(())
    }

    fn admit_source(&self, from: ClientAddr) -> Result<(), Refusal> {
        self.rates.count(SourceKey::of(from.ip())).map_err(|wait| {
            let seconds = i64::try_from(wait.as_secs())
                .unwrap_or(i64::MAX)
                .saturating_add(1);
            Refusal {
                shown: Shown::Wait(seconds),
                reason: "source-must-wait",
            }
        })
    }

    /// What failures of a name, in lower case, are counted under.
    pub(crate) fn wait_key(&self, name: &str) -> String {
        self.codes.pseudonym(name)
    }

    /// The name an attempt is recorded under: the person's own if there is one, else a mark that is
    /// the same for the same name.
    pub(crate) async fn recorded_name(&self, trace: &Trace, typed: &Typed<'_>) -> String {
        if let Some(account) = &trace.account {
            return account.name.clone();
        }
        let typed = typed.username.trim();
        // Known without the directory, which may not have been asked or be down.
        if let Ok(Some(name)) = self.store.known_name(typed).await {
            return name;
        }
        let mark = self.codes.pseudonym(&typed.to_lowercase());
        format!("nobody#{}", mark.get(..8).unwrap_or_default())
    }
}
