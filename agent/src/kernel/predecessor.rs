//! The program that runs on the interfaces now and is about to be replaced: it can be asked how it
//! judges a packet.
//!
//! It is found by its pin, because to open a program by its number takes more rights than the agent
//! has.

use std::{
    collections::HashSet,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::programs::Xdp;
use aya_obj::programs::XdpAttachType;
use nix::net::if_::if_nametoindex;

use super::{Judge, Probed, error::KernelError, link_query, pins::Pins, probe};

/// A running program of ours, other than the one that was just loaded.
pub struct Predecessor {
    program: OwnedFd,
    key: u64,
}

/// What the loaded program is about to replace.
#[derive(Default)]
pub struct Before {
    /// Any filter is in force, be it the very same program.
    pub is_filtered: bool,
    /// Other programs, of this or of another version, each once.
    pub others: Vec<Predecessor>,
    /// There is one that cannot be asked.
    pub mute: bool,
}

impl Before {
    /// Looks at the interfaces. `tag` is of the loaded program, `key` what a probe has to show.
    pub(super) fn look(
        pins: &Pins,
        interfaces: &[String],
        tag: u64,
        key: u64,
    ) -> Result<Self, KernelError> {
        let mut running = HashSet::new();
        for name in interfaces {
            // One that is not there filters nothing.
            let Ok(index) = if_nametoindex(name.as_str()) else {
                continue;
            };
            let found = link_query::running(index)
                .map_err(|error| KernelError::io(format!("asking what runs on `{name}`"), error))?;
            running.extend(found.map(|found| found.program_id));
        }
        let mut before = Self {
            is_filtered: !running.is_empty(),
            ..Self::default()
        };
        for path in pins.programs() {
            let Ok(program) = Xdp::from_pin(&path, XdpAttachType::Interface) else {
                continue;
            };
            let (Ok(info), Ok(fd)) = (program.info(), program.fd()) else {
                continue;
            };
            if !running.remove(&info.id()) || info.tag() == tag {
                continue;
            }
            let program = fd
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| KernelError::io("keeping the running program", error))?;
            let other = Predecessor { program, key };
            // A program whose `PROBE` is not the one we know takes a probe for a packet's metadata.
            match other.answers() {
                true => before.others.push(other),
                false => before.mute = true,
            }
        }
        before.mute |= !running.is_empty();
        Ok(before)
    }
}

impl Predecessor {
    /// Whether it understands the question: a program that does not leaves the answer as it was.
    fn answers(&self) -> bool {
        let arp: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6];
        probe::ask(self.program.as_fd(), self.key, &arp, 0).is_ok_and(|answer| answer.is_some())
    }
}

impl Judge for Predecessor {
    fn probe(&self, frame: &[u8], at_ns: u64) -> Result<Probed, KernelError> {
        let answer = probe::ask(self.program.as_fd(), self.key, frame, at_ns)?;
        answer.ok_or_else(|| {
            KernelError::Rejected("the running program does not answer probes".into())
        })
    }
}
