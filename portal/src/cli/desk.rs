//! What an admin verb works with: configuration, database, agent, and an audit in the name of the
//! uid that runs it.

use std::{os::unix::fs::MetadataExt as _, sync::Arc};

use agent_api::AuditDraft;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;

use super::output::Output;
use crate::{
    audit::{Audit, Written},
    clock::Clock,
    codes::Codes,
    config::Config,
    directory::{self, Account, Directory, UserName},
    grants::Grants,
    lockout::Means,
    notices::Notices,
    portal::open_codes,
    store::Store,
};

/// An opened installation.
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) grants: Arc<dyn Grants>,
    pub(super) out: Output,
    /// `uid N`.
    pub(super) actor: String,
    pub(super) notices: Notices,
    audit: Audit,
    pub(super) clock: Clock,
}

impl Desk {
    pub(super) async fn open(config: Config, json: bool) -> Result<Self> {
        let agent = Arc::new(agent_api::Client::new(&config.portal.agent_socket));
        Self::open_with(config, agent, Clock::system(), Output::new(json)).await
    }

    pub(super) async fn open_with(
        config: Config,
        grants: Arc<dyn Grants>,
        clock: Clock,
        out: Output,
    ) -> Result<Self> {
        let store = Store::open(&config.portal.database()).await?;
        let uid = std::fs::metadata("/proc/self")
            .context("who runs this? no /proc")?
            .uid();
        let actor = format!("uid {uid}");
        let audit = Audit::new(grants.clone(), store.clone(), clock.clone(), actor.clone());
        let notices = Notices::new(&config, store.clone(), clock.clone());
        Ok(Self {
            notices,
            config,
            store,
            grants,
            out,
            actor,
            audit,
            clock,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes an audit record; says so when it has to wait for the agent.
    pub(super) async fn record(&self, draft: AuditDraft) -> Result<()> {
        self.say_where(&self.audit.write(draft).await?);
        Ok(())
    }

    /// What ending everything of somebody works with.
    pub(super) fn means(&self) -> Means<'_> {
        Means {
            store: &self.store,
            grants: self.grants.as_ref(),
            audit: &self.audit,
            now: self.now(),
        }
    }

    /// Says so when a record has to wait for the agent.
    pub(super) fn say_where(&self, record: &Written) {
        if let Written::Kept(why) = record {
            self.out.warn(&format!(
                "{why}\nThe audit record is kept and the portal forwards it when the agent answers."
            ));
        }
    }

    pub(super) async fn codes(&self) -> Result<Codes> {
        Ok(open_codes(&self.config, &self.store).await?)
    }

    pub(super) fn directory(&self) -> Result<Arc<dyn Directory>> {
        crate::serve::install_crypto();
        Ok(directory::open(&self.config, &self.clock)?)
    }

    /// The person, or an error that says who was not found.
    pub(super) async fn account(&self, name: &str) -> Result<Account> {
        match self.find(name).await? {
            Some(account) => Ok(account),
            None => bail!("the directory knows nobody, or more than one, called {name:?}"),
        }
    }

    pub(super) async fn find(&self, name: &str) -> Result<Option<Account>> {
        let typed = UserName::parse(name).with_context(|| format!("{name:?} is no user name"))?;
        Ok(self.directory()?.find(&typed).await?)
    }

    /// Finishes writing.
    pub(super) async fn close(&self) {
        self.store.close().await;
    }
}
