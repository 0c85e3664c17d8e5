//! The limits before anything else is looked at, and under which name an attempt is remembered.
//! The name of nobody is written nowhere: people type their password where the name belongs.

use std::{collections::BTreeSet, sync::Arc};

use agent_api::{DenyRequest, GrantQuery, Service, Source};
use ipnet::IpNet;

use crate::{
    client_addr::ClientAddr,
    directory::{Account, UserName},
    grants::{Grants, GrantsError},
    limits::{SourceKey, TooMany, meet},
    login::{Refusal, Shown, Trace, Typed},
    portal::{Failure, Portal},
};

impl Portal {
    /// The limits of a source, and of everybody together. Nobody at all while the clock is wrong:
    /// codes, tickets and deadlines would be judged by it.
    pub(crate) fn admit_source(&self, from: ClientAddr) -> Result<(), Refusal> {
        if let Some(seconds) = self.clock_is_off() {
            tracing::error!(
                seconds,
                "the clock is wrong by so much: nobody is let in; check NTP"
            );
            return Err(Refusal {
                shown: Shown::ClockWrong,
                reason: "clock-wrong",
            });
        }
        self.rates
            .count(SourceKey::of(from.ip()))
            .map_err(|too_many| {
                if let TooMany::OfSource(_) = too_many {
                    self.raise_shield(from);
                }
                must_wait(too_many)
            })
    }

    /// The limits of a name, and a readable one. An admitted attempt counts as a failure until it
    /// succeeds.
    pub(crate) async fn admit_name(
        &self,
        typed: &str,
    ) -> Result<Result<UserName, Refusal>, Failure> {
        let Some(name) = UserName::parse(typed) else {
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
        let (typed, own) = (typed.lower(), own.to_lowercase());
        self.store.forgive(&self.wait_key(&typed)).await?;
        if own != typed {
            self.store.forgive(&self.wait_key(&own)).await?;
        }
        Ok(())
    }

    /// Takes the count of this one attempt back, under each name it has, and no other.
    pub(crate) async fn uncount(&self, trace: &Trace) -> Result<(), Failure> {
        for name in trace.counted.iter().collect::<BTreeSet<_>>() {
            self.store.uncount_attempt(&self.wait_key(name)).await?;
        }
        Ok(())
    }

    /// Counts a source that goes on although it must wait, and when it has gone on for too long,
    /// asks the agent to shut it out. The refusal does not wait for that.
    pub(crate) fn raise_shield(&self, from: ClientAddr) {
        let shield = self.shield.as_ref();
        let named = shield.and_then(|shield| shield.note(SourceKey::of(from.ip()), self.now()));
        let Some(mut prefix) = named else { return };
        // On our own link the prefix is everybody's, the protected hosts' included.
        let own = &self.config.portal.listen;
        if own.iter().any(|listen| prefix.contains(&listen.ip())) {
            prefix = from.ip().into();
        }
        let length = self.config.shield.length.seconds();
        let grants = Arc::clone(&self.grants);
        tokio::spawn(async move { shut_out(grants.as_ref(), prefix, length).await });
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

fn must_wait(too_many: TooMany) -> Refusal {
    let seconds = i64::try_from(too_many.wait().as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    Refusal {
        shown: Shown::Wait(seconds),
        reason: "source-must-wait",
    }
}

/// A source that somebody is open from is left alone, and one that a service always allows: people
/// who proved themselves, and the operators' own ways in, would be cut off with whoever hammers
/// there. So are addresses of the link itself, by which routers speak.
async fn shut_out(grants: &dyn Grants, prefix: IpNet, seconds: i64) {
    let work = async {
        let query = GrantQuery {
            source: Some(source_of(prefix)),
            limit: Some(1),
            ..GrantQuery::default()
        };
        let why = if !grants.grants(&query).await?.grants.is_empty() {
            Some("somebody is open from there")
        } else if is_allowed(&grants.services().await?, &prefix) {
            Some("a service always allows it")
        } else if is_of_the_link(prefix) {
            Some("it is an address of the link itself")
        } else {
            None
        };
        if let Some(why) = why {
            tracing::warn!(source = %prefix, why, "it hammers the log-in, and is not shut out");
            return Ok(());
        }
        let request = DenyRequest {
            prefix,
            for_seconds: u64::try_from(seconds).unwrap_or(0),
            reason: Some("it hammers the log-in".into()),
        };
        grants.deny(&request).await?;
        tracing::warn!(source = %prefix, for_seconds = seconds, "it hammers the log-in: shut out");
        Ok::<(), GrantsError>(())
    };
    if let Err(error) = work.await {
        tracing::error!(source = %prefix, %error, "a source that hammers the log-in could not be shut out");
    }
}

fn is_allowed(services: &[Service], prefix: &IpNet) -> bool {
    let allowed = services.iter().flat_map(|service| &service.allow);
    allowed
        .filter_map(|text| text.parse::<IpNet>().ok())
        .any(|allowed| meet(&allowed, prefix))
}

fn is_of_the_link(prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(net) => net.addr().is_link_local(),
        IpNet::V6(net) => net.addr().is_unicast_link_local(),
    }
}

fn source_of(prefix: IpNet) -> Source {
    match prefix {
        IpNet::V6(net) if net.prefix_len() < 128 => Source::Prefix(net.addr()),
        net => Source::Address(net.addr()),
    }
}
