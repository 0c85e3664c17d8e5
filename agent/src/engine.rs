//! Keeps ledger, audit and kernel map agreeing, and answers what the socket asks.
//!
//! Opening writes ledger and audit first, then the map; closing writes the map first. A crash
//! between two steps leaves the door more shut than the record says, and reconciling mends that.

mod close;
mod deny;
mod explain;
mod guard;
mod journal;
mod many;
mod open;
mod packet;
mod reconcile;
mod rehearsal;
mod rollout;
mod sweep;
mod switch;
mod view;

use std::{
    collections::HashSet,
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::{Arc, RwLock},
};

use agent_api::{AuditRecord, Interface, Problem, ProblemCode, Role, Source};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, broadcast};

use crate::{
    clock::{Clock, Moment},
    config::{Config, Service},
    kernel::{GrantId, KernelError, Maps, Switches, Watched},
    ledger::{Head, HolderRow, Ledger, LedgerError},
    policy::ServiceIds,
};

pub use close::Closing;
pub use journal::{Flood, Verdict};
use many::Late;
pub use reconcile::{Moving, Reconciled};
pub use rehearsal::Rehearsal;

/// Events that a slow reader may fall behind before it is cut off.
const EVENTS: usize = 4_096;

/// Who asks, by the uid the kernel reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub role: Role,
    pub uid: u32,
}

impl Caller {
    /// The name in ledger and audit.
    pub fn name(&self) -> String {
        match self.role {
            Role::Portal => PORTAL_ACTOR.into(),
            Role::Operator => format!("uid {}", self.uid),
        }
    }
}

/// Actor of what the portal does.
pub const PORTAL_ACTOR: &str = "portal";
/// Actor of what the agent does by itself.
pub const AGENT_ACTOR: &str = "agent";

/// What is in force, replaced as a whole.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) ids: ServiceIds,
    pub(crate) switches: Switches,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) took_over: bool,
    /// What the last look at the interfaces found.
    pub(crate) watched: Vec<Watched>,
    /// How often an interface got the filter back.
    pub(crate) reattached: u64,
    /// When map and ledger last agreed.
    pub(crate) agreed: Option<Timestamp>,
    /// Set while the configuration awaits its confirm.
    pub(crate) trial: Option<Arc<rollout::Pending>>,
}

impl State {
    fn service(&self, name: &str) -> Option<(&Service, u32)> {
        self.config.service(name).zip(self.ids.get(name).copied())
    }

    fn service_name(&self, id: u32) -> String {
        let found = self.ids.iter().find(|(_, known)| **known == id);
        found.map_or_else(|| format!("service {id}"), |(name, _)| name.clone())
    }
}

/// What only one writer at a time may touch.
pub(crate) struct Turn {
    /// Entries in the tables: IPv4, IPv6.
    used: [u64; 2],
    /// Holders in the ledger, without those that are closed and wait to go.
    holders: u64,
    /// Grants that have, or had, several holders; all others have one. None: not counted yet, it
    /// may be any.
    shared: Option<HashSet<GrantId>>,
    flood: Flood,
    /// Closed in the kernel, but the ledger could not say so yet.
    unrecorded: Vec<HolderRow>,
    late: Vec<Late>,
    /// Whether closings may wait for their holders to go.
    closings: bool,
    /// Holders that the next sweep takes.
    chunk: u32,
}

/// What the status says of the turn.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    used: [u64; 2],
    holders: u64,
    unrecorded: u64,
}

/// A turn that is taken. When it ends, the status shows what it did, so that nobody who only asks
/// has to wait for a turn.
struct Taken<'a> {
    turn: MutexGuard<'a, Turn>,
    figures: &'a RwLock<Figures>,
}

impl Deref for Taken<'_> {
    type Target = Turn;

    fn deref(&self) -> &Turn {
        &self.turn
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Turn {
        &mut self.turn
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let late: u64 = self.turn.late.iter().map(Late::count).sum();
        let figures = Figures {
            used: self.turn.used,
            holders: self.turn.holders,
            unrecorded: late + self.turn.unrecorded.len() as u64,
        };
        match self.figures.write() {
            Ok(mut shown) => *shown = figures,
            Err(poisoned) => *poisoned.into_inner() = figures,
        }
    }
}

/// The engine. Cheap to share; all writing takes turns.
pub struct Engine {
    maps: Arc<dyn Maps>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    config_path: PathBuf,
    state: RwLock<Arc<State>>,
    turn: Mutex<Turn>,
    figures: RwLock<Figures>,
    /// The end of the audit's chain, touched by whoever writes. None: to be read again, because a
    /// commit was not acknowledged.
    head: Mutex<Option<Head>>,
    events: broadcast::Sender<AuditRecord>,
    started: Timestamp,
}

impl Engine {
    /// An engine over an open ledger and the maps of a loaded, not yet attached, filter.
    pub async fn new(
        maps: Arc<dyn Maps>,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        config: Config,
        config_path: PathBuf,
    ) -> Result<Self, LedgerError> {
        let (config, trial) = rollout::resumed(&ledger, config, &config_path, clock.now()).await?;
        let names: Vec<&str> = config.services.iter().map(|s| s.name.as_str()).collect();
        let ids = ledger.service_ids(&names).await?;
        let switches = switch::remembered(&ledger, &config).await?;
        let turn = Turn {
            used: [0, 0],
            holders: 0,
            // What is in the ledger is counted when it is read: see `reconcile`.
            shared: ledger.is_empty().await?.then(HashSet::new),
            flood: Flood::default(),
            unrecorded: Vec::new(),
            late: Vec::new(),
            closings: ledger.has_closings().await?,
            chunk: sweep::CHUNK,
        };
        let started = clock.now().wall;
        let state = State {
            config,
            ids,
            switches,
            interfaces: Vec::new(),
            took_over: false,
            watched: Vec::new(),
            reattached: 0,
            agreed: None,
            trial,
        };
        Ok(Self {
            maps,
            ledger,
            clock,
            config_path,
            state: RwLock::new(Arc::new(state)),
            turn: Mutex::new(turn),
            figures: RwLock::default(),
            head: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            started,
        })
    }

    /// Every audit record from now on.
    pub fn events(&self) -> broadcast::Receiver<AuditRecord> {
        self.events.subscribe()
    }

    /// The durable record, for reading.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn state(&self) -> Arc<State> {
        // A poisoned lock holds a state that was replaced whole or not at all.
        match self.state.read() {
            Ok(state) => Arc::clone(&state),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    fn replace_state(&self, change: impl FnOnce(&mut State)) {
        let mut next = State::clone(&self.state());
        change(&mut next);
        match self.state.write() {
            Ok(mut state) => *state = Arc::new(next),
            Err(poisoned) => *poisoned.into_inner() = Arc::new(next),
        }
    }

    async fn turn(&self) -> Taken<'_> {
        Taken {
            turn: self.turn.lock().await,
            figures: &self.figures,
        }
    }

    fn figures(&self) -> Figures {
        match self.figures.read() {
            Ok(figures) => *figures,
            Err(poisoned) => *poisoned.into_inner(),
        }
    }
}

/// Index into `Turn::used`.
fn family(source: Source) -> usize {
    usize::from(!source.is_ipv4())
}

/// A refusal or failure with its code.
pub(crate) fn problem(code: ProblemCode, message: impl Into<String>) -> Problem {
    Problem {
        code,
        message: message.into(),
    }
}

impl From<LedgerError> for ProblemBox {
    fn from(error: LedgerError) -> Self {
        Self(problem(ProblemCode::Unavailable, error.to_string()))
    }
}

impl From<sqlx::Error> for ProblemBox {
    fn from(error: sqlx::Error) -> Self {
        LedgerError::from(error).into()
    }
}

impl From<KernelError> for ProblemBox {
    fn from(error: KernelError) -> Self {
        let code = match error {
            KernelError::Full { .. } => ProblemCode::Full,
            _ => ProblemCode::Unavailable,
        };
        Self(problem(code, error.to_string()))
    }
}

impl From<Problem> for ProblemBox {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

/// A [`Problem`] that errors of ledger and kernel turn into with `?`.
#[derive(Debug)]
pub struct ProblemBox(pub Problem);

impl std::fmt::Display for ProblemBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ProblemBox {}

#[cfg(test)]
pub(crate) mod tests;
