//! Everything a running portal holds, opened in the order in which mistakes are best told:
//! configuration, key, database, directory.

use std::{path::Path, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    audit::Audit,
    banner::Banners,
    clock::Clock,
    codes::{Codes, CodesError},
    config::Config,
    desk::Memory,
    directory::{self, Directory, DirectoryError},
    grants::{Grants, GrantsError},
    health::Health,
    key::{Key, KeyError},
    limits::{Backoff, Rates, Shield, Spray},
    look::{Look, LookError},
    notices::Notices,
    ntp::TimeWatch,
    pace::Pace,
    passkeys::Passkeys,
    recovery::Hasher,
    store::{Store, StoreError},
    text::{Texts, TextsError},
};

/// Why the portal cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(
        "the secrets in {database} are sealed with key {sealed}, the key file {file} holds {held}; restore the right key file"
    )]
    OtherKey {
        database: String,
        sealed: String,
        file: String,
        held: String,
    },
    #[error(transparent)]
    Texts(#[from] TextsError),
    #[error(
        "default_language is {0:?}, and there are no texts for it; put {0}.toml into the folder that `languages` of [look] names"
    )]
    NoLanguage(String),
    #[error(transparent)]
    Look(#[from] LookError),
}

/// Something that is not a person's fault stopped a request. Nothing is opened on it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Codes(#[from] CodesError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Grants(#[from] GrantsError),
    #[error("a page cannot be made: {0}")]
    Page(#[from] askama::Error),
    #[error("a passkey cannot be dealt with: {0}")]
    Passkey(String),
    #[error("a secret cannot be shown: {0}")]
    Offer(String),
}

/// The portal's state, shared by all requests.
#[derive(Debug)]
pub(crate) struct Portal {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) codes: Codes,
    /// None: the portal has no name, which passkeys need.
    pub(crate) passkeys: Option<Passkeys>,
    pub(crate) hasher: Hasher,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) grants: Arc<dyn Grants>,
    pub(crate) audit: Audit,
    pub(crate) rates: Rates,
    pub(crate) spray: Spray,
    pub(crate) shield: Option<Shield>,
    pub(crate) pace: Pace,
    pub(crate) texts: Texts,
    pub(crate) look: Look,
    pub(crate) banners: Banners,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    pub(crate) health: Health,
    pub(crate) time: TimeWatch,
    pub(crate) notices: Notices,
    pub(crate) desk: Memory,
}

impl Portal {
    /// Opens everything that `config` names, with the agent behind its socket.
    pub(crate) async fn open(config: Config) -> Result<Self, StartError> {
        let agent = Arc::new(agent_api::Client::new(&config.portal.agent_socket));
        Self::open_with(config, agent, Clock::system()).await
    }

    pub(crate) async fn open_with(
        config: Config,
        grants: Arc<dyn Grants>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let (texts, look) = open_look(&config)?;
        let store = Store::open(&config.portal.database()).await?;
        let codes = open_codes(&config, &store).await?;
        let directory = directory::open(&config, &clock)?;
        let audit = Audit::new(
            grants.clone(),
            store.clone(),
            clock.clone(),
            "portal".into(),
        );
        let notices = Notices::new(&config, store.clone(), clock.clone());
        Ok(Self {
            rates: Rates::new(&config.limits, clock.clone()),
            spray: Spray::new(&config.limits),
            shield: Shield::new(&config.shield, &config.limits),
            pace: Pace::new(&config.limits, clock.clone()),
            zone: config.portal.time_zone(),
            passkeys: Passkeys::open(&config.portal.url(), &config.portal.name),
            desk: Memory::new(&config),
            hasher: Hasher::new(config.limits.hashes_at_once.value()),
            config,
            store,
            codes,
            directory,
            grants,
            audit,
            texts,
            look,
            banners: Banners::default(),
            clock,
            health: Health::default(),
            time: TimeWatch::default(),
            notices,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(&self.config.limits)
    }
}

/// The texts of all languages and the site's own look, from the files that `[look]` names.
pub(crate) fn open_look(config: &Config) -> Result<(Texts, Look), StartError> {
    let texts = Texts::load(config.look.languages.as_deref())?;
    let default = config.portal.default_language;
    if texts.known(default.tag()).is_none() {
        return Err(StartError::NoLanguage(default.tag().to_owned()));
    }
    let look = Look::open(&config.look, &texts)?;
    Ok((texts, look))
}

/// The database's seeds with the key that opens them. A rotation that was cut off between the
/// database and the key file is finished here.
pub(crate) async fn open_codes(config: &Config, store: &Store) -> Result<Codes, StartError> {
    let file = &config.portal.key_file;
    let mut key = Key::read(file)?;
    match store.fact("key").await? {
        None => store.set_fact("key", key.id()).await?,
        Some(sealed) if sealed == key.id() => {}
        Some(sealed) => {
            let aside = next_key_file(file);
            match Key::read(&aside) {
                Ok(next) if next.id() == sealed => {
                    std::fs::rename(&aside, file).map_err(|source| KeyError::Write {
                        path: file.clone(),
                        source,
                    })?;
                    key = next;
                }
                _ => {
                    return Err(StartError::OtherKey {
                        database: config.portal.database().display().to_string(),
                        sealed,
                        file: file.display().to_string(),
                        held: key.id().to_owned(),
                    });
                }
            }
        }
    }
    Ok(Codes::new(
        store.clone(),
        key,
        file.clone(),
        config.limits.reach(),
    ))
}

/// Where a rotation keeps the next key until the database is sealed with it.
pub(crate) fn next_key_file(file: &Path) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    name.into()
}
