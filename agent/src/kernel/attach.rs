//! Loading the program, taking over or making the links, and detaching on purpose.
//!
//! The order keeps the door shut: the maps are filled before the program is put on an interface,
//! and a link that is already there is updated in place, never taken off and put on again.

mod keeper;

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use agent_api::XdpMode;
use aya::{
    Ebpf, EbpfError, EbpfLoader,
    programs::{
        ProgramError, Xdp,
        links::{FdLink, PinnedLink},
        xdp::{XdpLink, XdpMode as AyaMode},
    },
};
use nix::net::if_::if_nametoindex;

pub use keeper::{Keeper, Seen, Watched};

use super::{
    error::KernelError,
    layout::LAYOUTS,
    link_query::{self, Running},
    maps::FilterMaps,
    object::{OBJECT, PROGRAM},
    outgoing,
    pins::Pins,
    predecessor::Before,
    settle::settle,
};

/// How often the program's log ring is emptied; it is for debugging in a laboratory.
const LOG_POLL: std::time::Duration = std::time::Duration::from_millis(100);

/// A loaded program with its maps, not yet on any interface.
pub struct Loaded {
    ebpf: Ebpf,
    pins: Pins,
    program_id: u32,
    /// What it does, as a number of the kernel's: a hash over its instructions.
    program_tag: u64,
    probe_key: u64,
    /// Pins of the maps that were made for it.
    made: Vec<PathBuf>,
    /// Held beside the pins: the filter stays also when somebody unmounts the bpffs.
    links: BTreeMap<String, FdLink>,
    outgoing: BTreeMap<String, FdLink>,
    /// False: this kernel cannot.
    watches_outgoing: bool,
}

/// An interface, and the link of ours that is on it, with its pin.
type Plan = (String, u32, Option<(PathBuf, FdLink)>);

/// An interface the program is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub name: String,
    pub index: u32,
    pub mode: XdpMode,
    pub program_id: u32,
    /// A filter was in force on it before and is replaced without a gap.
    pub took_over: bool,
}

impl Loaded {
    /// Loads the program with the pinned maps, as far as they are what this version expects, and
    /// with new ones. `debug_log` compiles the log lines in.
    pub fn load(
        pins: Pins,
        capacity: u32,
        debug_log: bool,
    ) -> Result<(Self, FilterMaps), KernelError> {
        let made = settle(&pins, capacity)?;
        let level = if debug_log { 4u8 } else { 0u8 };
        let paths: Vec<_> = LAYOUTS
            .iter()
            .map(|layout| (layout.name, pins.map(layout)))
            .collect();
        let mut loader = EbpfLoader::new();
        loader.override_global("AYA_LOG_LEVEL", &level, false);
        for layout in &LAYOUTS {
            if let Some(entries) = layout.sized(capacity) {
                loader.map_max_entries(layout.name, entries);
            }
        }
        for (name, path) in &paths {
            loader.map_pin_path(name, path.as_path());
        }
        let mut ebpf = loader.load(OBJECT).map_err(loading)?;
        let program = program(&mut ebpf)?;
        program.load().map_err(|error| match &error {
            ProgramError::LoadError {
                verifier_log,
                io_error,
            } => {
                let log = verifier_log.to_string();
                let last: Vec<&str> = log.lines().rev().take(4).collect();
                KernelError::Rejected(format!(
                    "{io_error}; the verifier says: {}",
                    last.join(" | ")
                ))
            }
            _ => KernelError::Rejected(chain(&error)),
        })?;
        let info = program
            .info()
            .map_err(|error| KernelError::Rejected(chain(&error)))?;
        let (program_id, program_tag) = (info.id(), info.tag());
        let asked = program
            .fd()
            .map_err(|error| KernelError::Rejected(chain(&error)))?
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| KernelError::io("keeping the program", error))?;
        let maps = FilterMaps::open(&pins, capacity, asked)?;
        Ok((
            Self {
                ebpf,
                pins,
                program_id,
                program_tag,
                probe_key: maps.probe_key(),
                made,
                links: BTreeMap::new(),
                outgoing: BTreeMap::new(),
                watches_outgoing: true,
            },
            maps,
        ))
    }

    /// Kernel id of the program.
    pub fn program_id(&self) -> u32 {
        self.program_id
    }

    /// Whether every listed interface that is there can be attached to or taken over. Touches
    /// nothing. One that is not there is attached when it appears.
    pub fn check(&self, interfaces: &[String], mode: XdpMode) -> Result<(), KernelError> {
        interfaces
            .iter()
            .try_for_each(|name| match self.plan(name, mode) {
                Err(KernelError::UnknownInterface { .. }) => Ok(()),
                other => other.map(drop),
            })
    }

    /// What this program is about to replace.
    pub fn before(&self, interfaces: &[String]) -> Result<Before, KernelError> {
        Before::look(&self.pins, interfaces, self.program_tag, self.probe_key)
    }

    /// Puts the program on every listed interface that is there and takes it off those of ours that are no
    /// longer listed. All interfaces are checked before the first one is touched.
    pub fn attach(
        &mut self,
        interfaces: &[String],
        mode: XdpMode,
    ) -> Result<Vec<Attached>, KernelError> {
        let mut plans = Vec::new();
        for name in interfaces {
            match self.plan(name, mode) {
                Err(KernelError::UnknownInterface { .. }) => {}
                other => plans.push(other?),
            }
        }
        let mut attached = Vec::new();
        self.pin_beside()?;
        for (name, index, link) in plans {
            let took_over = link.is_some();
            match link {
                Some((path, link)) => self.update(&name, &path, link)?,
                None => self.create(&name, index, mode)?,
            }
            let running = query(&name, index)?;
            if running.is_none_or(|running| running.program_id != self.program_id) {
                let text =
                    format!("interface `{name}` does not show our program after attaching it");
                return Err(KernelError::Rejected(text));
            }
            attached.push(Attached {
                name,
                index,
                mode,
                program_id: self.program_id,
                took_over,
            });
        }
        let there: Vec<String> = attached.iter().map(|a| a.name.clone()).collect();
        let watched = outgoing::attach(&mut self.ebpf, &self.pins, &there, interfaces)?;
        if let Some(links) = watched {
            self.outgoing = links;
        } else {
            self.watches_outgoing = false;
            tracing::warn!(
                "this kernel (before 6.6) cannot watch what leaves: answers to connections that protected hosts open themselves do not pass"
            );
        }
        for (name, path) in self.pins.all_links() {
            if !interfaces.contains(&name) {
                tracing::warn!(
                    interface = name,
                    "taking the filter off an interface that is no longer listed"
                );
                std::fs::remove_file(&path).map_err(|error| {
                    KernelError::io(format!("removing {}", path.display()), error)
                })?;
            }
        }
        self.pins.settle_program()?;
        self.pins.remove_other_versions()?;
        Ok(attached)
    }

    /// For the version after this one to find, before any link leads to it; the one before keeps
    /// its pin until all do.
    fn pin_beside(&mut self) -> Result<(), KernelError> {
        let beside = self.pins.program_beside();
        // Left by an agent that died in between.
        drop(std::fs::remove_file(&beside));
        program(&mut self.ebpf)?.pin(&beside).map_err(|error| {
            KernelError::io(
                format!("pinning {}", beside.display()),
                io::Error::other(error),
            )
        })
    }

    /// Whether the tables were made anew, so that what they lack the running program may have.
    pub fn is_new(&self) -> bool {
        !self.made.is_empty()
    }

    /// Gives up before anything was attached: the maps that were made for it would be of yesterday
    /// when the next start found them.
    pub fn abandon(self) {
        for path in &self.made {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(%error, pin = %path.display(), "a map that was made in vain stays pinned");
            }
        }
    }

    /// Forwards the program's log lines to this process's log, for as long as it runs. Only of use
    /// when the program was loaded with `debug_log`.
    pub fn follow_log(&mut self) -> Result<impl Future<Output = ()> + Send + use<>, KernelError> {
        let mut logger = aya_log::EbpfLogger::init(&mut self.ebpf)
            .map_err(|error| KernelError::Rejected(chain(&error)))?;
        Ok(async move {
            loop {
                logger.flush();
                tokio::time::sleep(LOG_POLL).await;
            }
        })
    }

    /// What must be done for an interface, or why it cannot be.
    fn plan(&self, name: &str, mode: XdpMode) -> Result<Plan, KernelError> {
        let index = if_nametoindex(name).map_err(|_| KernelError::UnknownInterface {
            name: name.to_owned(),
        })?;
        let running = query(name, index)?;
        let Some(Running {
            mode: running_mode,
            program_id,
        }) = running
        else {
            return Ok((name.to_owned(), index, None));
        };
        let ours = self
            .pins
            .all_links()
            .into_iter()
            .filter(|(interface, _)| interface == name);
        for (_, path) in ours {
            let Some(link) = open_link(&path) else {
                continue;
            };
            if link
                .info()
                .is_ok_and(|info| info.program_id() == program_id)
            {
                if running_mode != Some(mode) {
                    return Err(KernelError::OtherMode {
                        name: name.to_owned(),
                        running: running_mode.map_or("another", XdpMode::name),
                        wanted: mode.name(),
                    });
                }
                return Ok((name.to_owned(), index, Some((path, link))));
            }
        }
        let program = format!("kernel program id {program_id}");
        Err(KernelError::ForeignProgram {
            name: name.to_owned(),
            program,
        })
    }

    /// `path` is where the link is pinned.
    fn update(&mut self, name: &str, path: &Path, link: FdLink) -> Result<(), KernelError> {
        let link = XdpLink::try_from(link).map_err(|error| KernelError::Rejected(chain(&error)))?;
        let program = program(&mut self.ebpf)?;
        let id = program
            .attach_to_link(link)
            .map_err(|error| attaching(name, error))?;
        let link = program
            .take_link(id)
            .map_err(|error| attaching(name, error))?;
        let link = FdLink::try_from(link).map_err(|error| KernelError::Rejected(chain(&error)))?;
        self.links.insert(name.to_owned(), link);
        let ours = self.pins.link(name);
        if path != ours {
            std::fs::rename(path, &ours).map_err(|error| {
                KernelError::io(
                    format!("moving {} to {}", path.display(), ours.display()),
                    error,
                )
            })?;
        }
        Ok(())
    }

    fn create(&mut self, name: &str, index: u32, mode: XdpMode) -> Result<(), KernelError> {
        let path = self.pins.link(name);
        // A pin without a program behind it is of an interface that is gone.
        if path.exists() {
            std::fs::remove_file(&path)
                .map_err(|error| KernelError::io(format!("removing {}", path.display()), error))?;
        }
        let wanted = match mode {
            XdpMode::Native => AyaMode::Driver,
            XdpMode::Generic => AyaMode::Skb,
        };
        let program = program(&mut self.ebpf)?;
        let id = program
            .attach_to_if_index(index, wanted)
            .map_err(|error| attaching(name, error))?;
        let link = program
            .take_link(id)
            .map_err(|error| attaching(name, error))?;
        let link = FdLink::try_from(link).map_err(|error| KernelError::Rejected(chain(&error)))?;
        let pinned = link.pin(&path).map_err(|error| {
            KernelError::io(
                format!("pinning {}", path.display()),
                io::Error::other(error),
            )
        })?;
        self.links.insert(name.to_owned(), pinned.into());
        Ok(())
    }
}

/// Takes the filter off every interface and removes all pins. Returns the interfaces.
pub fn detach_all(pins: &Pins) -> Result<Vec<String>, KernelError> {
    let mut interfaces: Vec<String> = pins.all_links().into_iter().map(|(name, _)| name).collect();
    interfaces.dedup();
    pins.remove_all()?;
    Ok(interfaces)
}

/// What runs on an interface now, for the agent's own watch.
pub fn running_program(index: u32) -> Option<u32> {
    link_query::running(index)
        .ok()
        .flatten()
        .map(|running| running.program_id)
}

fn query(name: &str, index: u32) -> Result<Option<Running>, KernelError> {
    link_query::running(index)
        .map_err(|error| KernelError::io(format!("asking what runs on `{name}`"), error))
}

fn open_link(path: &Path) -> Option<FdLink> {
    PinnedLink::from_pin(path).ok().map(FdLink::from)
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, KernelError> {
    ebpf.program_mut(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| {
            KernelError::Rejected("the embedded object holds no filter: build again".into())
        })
}

fn loading(error: EbpfError) -> KernelError {
    let text = chain(&error);
    if text.contains("Operation not permitted") {
        return KernelError::NotPermitted;
    }
    KernelError::Rejected(text)
}

fn attaching(name: &str, error: ProgramError) -> KernelError {
    let errno = match &error {
        ProgramError::SyscallError(call) => call.io_error.raw_os_error(),
        _ => None,
    };
    let cause = || io::Error::from_raw_os_error(errno.unwrap_or(libc::EINVAL));
    match errno {
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE) => KernelError::NoNativeXdp {
            name: name.to_owned(),
            cause: cause(),
        },
        Some(libc::EBUSY | libc::EEXIST) => KernelError::ForeignProgram {
            name: name.to_owned(),
            program: "attached in another mode or by a link".into(),
        },
        Some(libc::EPERM) => KernelError::NotPermitted,
        _ => KernelError::Rejected(format!("attaching to `{name}`: {}", chain(&error))),
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
