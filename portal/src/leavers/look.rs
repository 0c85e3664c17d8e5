//! Looks everybody up: in batches who has something live, one by one who holds open grants or was
//! not found. Few questions at a time, with pauses where there are many.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use agent_api::{Service, ServiceKind};
use tokio::task::JoinSet;

use super::{
    Skipped, Sweep,
    holders::{self, Holders},
};
use crate::{
    directory::{Account, AccountState, Directory, DirectoryError, UserName},
    store::Person,
};

/// Names in one question.
const BATCH: usize = 50;
/// People asked about at the same time, one by one.
const AT_ONCE: usize = 4;
/// The longest pause after a question.
const PAUSE: Duration = Duration::from_millis(20);
/// Unclear answers after which the directory as a whole counts as unclear.
const UNCLEAR_MAX: usize = 50;

/// Why somebody counts as having left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Disabled,
    Expired,
    /// Nobody has this id.
    Deleted,
    /// Somebody else has the name.
    OtherId,
}

impl Why {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::OtherId => "other-person-of-this-name",
        }
    }
}

/// Everything a round saw.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// People looked up.
    pub(super) people: usize,
    /// Of them, who holds something open.
    pub(super) holders: usize,
    pub(super) leavers: Vec<(Person, Why)>,
    /// Who holds what their groups do not open any more.
    pub(super) strays: Vec<(Person, BTreeSet<String>)>,
    /// People about whom the directory says nothing clear.
    pub(super) unclear: usize,
    /// The agent did not say who holds what.
    pub(super) agent_failed: Option<String>,
}

/// What is known of one person after a question.
enum Standing {
    Here(Account),
    Left(Why),
}

impl Sweep {
    pub(super) async fn look(&self) -> Result<Found, Skipped> {
        // Even where nobody is to be looked up, a directory that is down is to be told.
        self.directory.check().await?;
        let mut found = Found::default();
        let (mut held, services) = match self.ask_agent().await {
            Ok(answer) => answer,
            Err(failure) => {
                found.agent_failed = Some(failure.to_string());
                (Holders::new(), Vec::new())
            }
        };
        let people = self.everybody(&held).await?;
        found.people = people.len();
        let pause = self.pause(people.len() / BATCH + held.len());
        let here = self.in_batches(&people, pause).await?;
        let mut alone = Vec::new();
        for person in people {
            let services = held.remove(&person.user_name);
            match here.get(&person.user_id).map(|account| account.state) {
                Some(AccountState::Disabled) => found.leavers.push((person, Why::Disabled)),
                Some(AccountState::Expired) => found.leavers.push((person, Why::Expired)),
                Some(_) if services.is_none() => {}
                _ => alone.push((person, services.unwrap_or_default())),
            }
        }
        found.holders = alone.iter().filter(|(_, held)| !held.is_empty()).count();
        self.one_by_one(alone, &services, pause, &mut found).await?;
        Ok(found)
    }

    async fn ask_agent(&self) -> Result<(Holders, Vec<Service>), crate::grants::GrantsError> {
        let held = holders::all(self.grants.as_ref()).await?;
        let services = match held.is_empty() {
            true => Vec::new(),
            false => self.grants.services().await?,
        };
        Ok((held, services))
    }

    /// Who has something live, and who holds something open and is known here.
    async fn everybody(&self, held: &Holders) -> Result<Vec<Person>, Skipped> {
        let now = self.clock.now().as_second();
        let mut people = self.store.people(now).await?;
        let names: HashSet<String> = people.iter().map(|p| p.user_name.clone()).collect();
        for name in held.keys().filter(|name| !names.contains(*name)) {
            if let Some(person) = self.store.people_called(name).await?.into_iter().next() {
                people.push(Person {
                    user_id: person.user_id,
                    user_name: name.clone(),
                });
            }
        }
        Ok(people)
    }

    /// Half of the interval at most goes into pauses.
    fn pause(&self, questions: usize) -> Duration {
        let questions = u32::try_from(questions.max(1)).unwrap_or(u32::MAX);
        PAUSE.min(self.watch.every.duration() / 2 / questions)
    }

    /// Accounts by id.
    async fn in_batches(
        &self,
        people: &[Person],
        pause: Duration,
    ) -> Result<HashMap<String, Account>, Skipped> {
        let mut here = HashMap::new();
        for some in people.chunks(BATCH) {
            let names: Vec<UserName> = some
                .iter()
                .filter_map(|person| UserName::parse(&person.user_name))
                .collect();
            let accounts = self.directory.find_many(&names).await?;
            here.extend(
                accounts
                    .into_iter()
                    .map(|account| (account.id.clone(), account)),
            );
            if some.len() == BATCH {
                self.clock.sleep(pause).await;
            }
        }
        Ok(here)
    }

    async fn one_by_one(
        &self,
        alone: Vec<(Person, BTreeSet<String>)>,
        services: &[Service],
        pause: Duration,
        found: &mut Found,
    ) -> Result<(), Skipped> {
        let mut waiting = alone.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((person, held)) = waiting.next()
            {
                let directory = self.directory.clone();
                running.spawn(async move {
                    let standing = stand(directory, &person).await;
                    (person, held, standing)
                });
            }
            let Some(joined) = running.join_next().await else {
                return Ok(());
            };
            let Ok((person, held, standing)) = joined else {
                found.unclear += 1;
                continue;
            };
            match standing {
                Ok(Standing::Left(why)) => found.leavers.push((person, why)),
                Ok(Standing::Here(account)) => {
                    let lost = lost(&account, held, services);
                    if !lost.is_empty() {
                        found.strays.push((person, lost));
                    }
                }
                Err(failure) => {
                    // One broken entry, or the directory as a whole?
                    self.directory.check().await?;
                    found.unclear += 1;
                    if found.unclear > UNCLEAR_MAX {
                        return Err(failure.into());
                    }
                }
            }
            self.clock.sleep(pause).await;
        }
    }
}

/// By name, and by id where the name leads to nobody or to somebody else.
async fn stand(directory: Arc<dyn Directory>, person: &Person) -> Result<Standing, DirectoryError> {
    let mut by_name = None;
    if let Some(name) = UserName::parse(&person.user_name) {
        by_name = directory.find(&name).await?;
    }
    let somebody_else = by_name.is_some();
    let mut account = by_name.filter(|account| account.id == person.user_id);
    if account.is_none()
        && let Some(by_id) = directory.find_id(&person.user_id).await?
    {
        // Renamed. The groups come with the new name.
        let full = match UserName::parse(&by_id.name) {
            Some(name) => directory.find(&name).await?,
            None => None,
        };
        account = Some(full.filter(|full| full.id == by_id.id).unwrap_or(by_id));
    }
    Ok(match account.map(|account| (account.state, account)) {
        Some((AccountState::Disabled, _)) => Standing::Left(Why::Disabled),
        Some((AccountState::Expired, _)) => Standing::Left(Why::Expired),
        Some((_, account)) => Standing::Here(account),
        None if somebody_else => Standing::Left(Why::OtherId),
        None => Standing::Left(Why::Deleted),
    })
}

/// What somebody holds that their groups do not open. A service the agent does not list is left to
/// the agent.
fn lost(account: &Account, held: BTreeSet<String>, services: &[Service]) -> BTreeSet<String> {
    let is_lost = |name: &String| {
        services.iter().any(|service| {
            service.name == *name
                && service.kind == ServiceKind::Granted
                && !account.is_in_any(&service.groups)
        })
    };
    held.into_iter().filter(is_lost).collect()
}
