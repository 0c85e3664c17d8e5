//! The program that runs on the interfaces now and is about to be replaced: it can be asked how it
//! judges a packet.
//!
//! It is found by its pin, because to open a program by its number takes more rights than the agent
//! has.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::programs::Xdp;
use aya_obj::programs::XdpAttachType;
use nix::net::if_::if_nametoindex;

use super::{Judge, Probed, error::KernelError, link_query, pins::Pins, probe};

/// A running program of ours, other than the one that was just loaded.
pub struct Predecessor {
    program: OwnedFd,
    key: u64,
}

/// What stands in the way of the loaded program.
pub enum Before {
    /// Nothing is in force, or the very same program.
    Alike,
    /// Another program, of this or of another version.
    Other(Predecessor),
    /// Another program, which cannot be asked.
    Mute,
}

impl Before {
    /// Looks at the interfaces. `tag` is of the loaded program, `key` what a probe has to show.
    pub(super) fn look(
        pins: &Pins,
        interfaces: &[String],
        tag: u64,
        key: u64,
    ) -> Result<Self, KernelError> {
        let running: Vec<u32> = interfaces
            .iter()
            .filter_map(|name| if_nametoindex(name.as_str()).ok())
            .filter_map(|index| link_query::running(index).ok().flatten())
            .map(|running| running.program_id)
            .collect();
        if running.is_empty() {
            return Ok(Self::Alike);
        }
        for path in pins.programs() {
            let Ok(program) = Xdp::from_pin(&path, XdpAttachType::Interface) else {
                continue;
            };
            let (Ok(info), Ok(fd)) = (program.info(), program.fd()) else {
                continue;
            };
            if !running.contains(&info.id()) {
                continue;
            }
            if info.tag() == tag {
                return Ok(Self::Alike);
            }
            let program = fd
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| KernelError::io("keeping the running program", error))?;
            let predecessor = Predecessor { program, key };
            // A program whose `PROBE` is not the one we know takes a probe for a packet's metadata.
            return Ok(match predecessor.answers() {
                true => Self::Other(predecessor),
                false => Self::Mute,
            });
        }
        Ok(Self::Mute)
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
