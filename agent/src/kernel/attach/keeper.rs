//! Keeps the program on its interfaces while the agent lives: one that lost it, was made anew or
//! came late gets it.
//!
//! What is somebody else's is never replaced. The links are held here beside their pins, so that
//! the filter outlives a bpffs that is unmounted, for as long as the agent does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_api::XdpMode;
use nix::net::if_::if_nametoindex;

use super::{Loaded, Running, outgoing, query};

/// How an interface was found, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It carries our program.
    Ours,
    /// It did not, and does now.
    Mended,
    /// There is no such interface.
    Missing,
    /// Another program is there, with this id; it is left alone.
    Foreign(u32),
    /// It carries nothing, and could not be given our program.
    Failed(String),
}

/// One listed interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    pub name: String,
    /// 0: none.
    pub index: u32,
    pub seen: Seen,
    /// Why what leaves is not watched; None when it is, or when this kernel cannot.
    pub outgoing: Option<String>,
    /// Whether what leaves had to be watched again.
    pub outgoing_mended: bool,
    /// Whether the pins are where they belong.
    pub pinned: bool,
}

/// The loaded program, shared by who watches over it and who takes it off.
#[derive(Clone)]
pub struct Keeper(Arc<Mutex<Option<Loaded>>>);

impl Keeper {
    pub fn new(loaded: Loaded) -> Self {
        Self(Arc::new(Mutex::new(Some(loaded))))
    }

    /// Looks at every listed interface and mends what can be mended. None after `let_go`.
    pub fn look(&self, interfaces: &[String], mode: XdpMode) -> Option<Vec<Watched>> {
        let mut held = self.held();
        let loaded = held.as_mut()?;
        Some(
            interfaces
                .iter()
                .map(|name| loaded.look(name, mode))
                .collect(),
        )
    }

    /// Closes the links: whatever is not pinned is detached by that.
    pub fn let_go(&self) {
        self.held().take();
    }

    /// A look that panicked has left whole links or none.
    fn held(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn look(&mut self, name: &str, mode: XdpMode) -> Watched {
        let mut watched = Watched {
            name: name.to_owned(),
            index: if_nametoindex(name).unwrap_or(0),
            seen: Seen::Missing,
            outgoing: None,
            outgoing_mended: false,
            pinned: true,
        };
        if watched.index == 0 {
            return watched;
        }
        watched.seen = match query(name, watched.index) {
            Ok(Some(Running { program_id, .. })) if program_id == self.program_id => Seen::Ours,
            Ok(Some(Running { program_id, .. })) => Seen::Foreign(program_id),
            Ok(None) => match self.create(name, watched.index, mode) {
                Ok(()) => Seen::Mended,
                Err(error) => Seen::Failed(error.to_string()),
            },
            Err(error) => Seen::Failed(error.to_string()),
        };
        if matches!(watched.seen, Seen::Ours | Seen::Mended) {
            self.look_out(&mut watched);
            watched.pinned = self.pins.link(name).exists();
        }
        watched
    }

    /// The same for the way out, on kernels that can.
    fn look_out(&mut self, watched: &mut Watched) {
        if !self.watches_outgoing || outgoing::is_on(&mut self.ebpf, watched.index) {
            return;
        }
        match outgoing::put(&mut self.ebpf, &self.pins, &watched.name) {
            Ok(link) => {
                self.outgoing.insert(watched.name.clone(), link);
                watched.outgoing_mended = true;
            }
            Err(error) if outgoing::is_unsupported(&error) => self.watches_outgoing = false,
            Err(error) => watched.outgoing = Some(error.to_string()),
        }
    }
}
