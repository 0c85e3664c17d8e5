//! The program that watches what protected hosts send, at the end of each interface's way out.
//!
//! It sits on the very interfaces the filter is on: there it sees the addresses the answers will
//! come back to, on a host, a gateway and a bridge alike, and behind address translation, too.
//! Without it no answer to a connection of a protected host passes; nothing passes that should not.

use std::{collections::BTreeMap, io, path::Path};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
};

use super::{error::KernelError, pins::Pins, syscall};

/// Name of the program in the object.
const PROGRAM: &str = "sekisho_out";

/// Puts the program on the interfaces that are there, and takes it off those that are no longer
/// listed. A link that is there is updated in place. None: this kernel cannot hold such a link (it
/// came with Linux 6.6, commit e420bed02507).
pub(super) fn attach(
    ebpf: &mut Ebpf,
    pins: &Pins,
    there: &[String],
    listed: &[String],
) -> Result<Option<BTreeMap<String, FdLink>>, KernelError> {
    program(ebpf)?.load().map_err(|error| rejected(&error))?;
    let mut links = BTreeMap::new();
    for name in there {
        match put(ebpf, pins, name) {
            Err(error) if is_unsupported(&error) => return Ok(None),
            result => links.insert(name.clone(), result?),
        };
    }
    for (name, path) in pins.all_outgoing() {
        if !listed.contains(&name) {
            removed(&path)?;
        }
    }
    Ok(Some(links))
}

/// Puts the loaded program on one interface.
pub(super) fn put(ebpf: &mut Ebpf, pins: &Pins, name: &str) -> Result<FdLink, KernelError> {
    let program = program(ebpf)?;
    let path = pins.outgoing(name);
    let old = pins
        .all_outgoing()
        .into_iter()
        .find(|(interface, _)| interface == name)
        .map(|(_, path)| path);
    if let Some(old) = old {
        if let Some(link) = update(program, &old) {
            if old != path {
                moved(&old, &path)?;
            }
            return Ok(link);
        }
        // Of an interface that is gone, even if another of that name has come.
        removed(&old)?;
    }
    create(program, name, &path)
}

/// Whether the interface carries it now.
pub(super) fn is_on(ebpf: &mut Ebpf, interface: u32) -> bool {
    let Ok(Ok(ours)) = program(ebpf).map(|program| program.info()) else {
        return false;
    };
    syscall::outgoing_programs(interface).is_ok_and(|programs| programs.contains(&ours.id()))
}

fn program(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, KernelError> {
    ebpf.program_mut(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| {
            KernelError::Rejected("the embedded object is not whole: build again".into())
        })
}

/// None: the link leads nowhere any more.
fn update(program: &mut SchedClassifier, path: &Path) -> Option<FdLink> {
    let link = FdLink::from(PinnedLink::from_pin(path).ok()?);
    let link = SchedClassifierLink::try_from(link).ok()?;
    let id = program.attach_to_link(link).ok()?;
    FdLink::try_from(program.take_link(id).ok()?).ok()
}

fn create(program: &mut SchedClassifier, name: &str, path: &Path) -> Result<FdLink, KernelError> {
    let options = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = program
        .attach_with_options(name, TcAttachType::Egress, options)
        .map_err(|error| match &error {
            ProgramError::SyscallError(call) => KernelError::io(
                format!("watching what leaves by `{name}`"),
                io::Error::from_raw_os_error(call.io_error.raw_os_error().unwrap_or(libc::EIO)),
            ),
            _ => rejected(&error),
        })?;
    let link = program.take_link(id).map_err(|error| rejected(&error))?;
    let link = FdLink::try_from(link).map_err(|error| KernelError::Rejected(error.to_string()))?;
    link.pin(path).map(FdLink::from).map_err(|error| {
        KernelError::io(
            format!("pinning {}", path.display()),
            io::Error::other(error),
        )
    })
}

pub(super) fn is_unsupported(error: &KernelError) -> bool {
    matches!(error, KernelError::Io { source, .. } if source.raw_os_error() == Some(libc::EINVAL))
}

fn rejected(error: &ProgramError) -> KernelError {
    KernelError::Rejected(format!("watching what leaves: {error}"))
}

fn removed(path: &Path) -> Result<(), KernelError> {
    std::fs::remove_file(path)
        .map_err(|error| KernelError::io(format!("removing {}", path.display()), error))
}

fn moved(from: &Path, to: &Path) -> Result<(), KernelError> {
    std::fs::rename(from, to).map_err(|error| {
        KernelError::io(
            format!("moving {} to {}", from.display(), to.display()),
            error,
        )
    })
}
