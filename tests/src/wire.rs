//! Frames as they are: sends any bytes on an interface and sees what arrives there. The one
//! `unsafe` line of the tests is here, because the address of a packet socket has no safe
//! constructor.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    mem::size_of,
    os::fd::AsRawFd as _,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, SockaddrLike as _, bind,
            setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};
use xtask::net::Namespace;

/// A packet socket on one interface of one namespace.
pub struct Wire(File);

impl Wire {
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        namespace
            .inside(|| open(interface))?
            .with_context(|| format!("no packet socket on {interface} of {}", namespace.name()))
    }

    /// Puts one frame on the wire, exactly as given.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.0.write_all(frame).context("the frame was not sent")
    }

    /// How many frames that contain `mark` arrive until nothing comes for `patience`. Frames
    /// queue from the moment the wire was opened.
    pub fn count(&mut self, mark: &[u8], patience: Duration) -> Result<usize> {
        let time = TimeVal::new(0, i64::try_from(patience.as_micros())?.min(999_999));
        setsockopt(&self.0, sockopt::ReceiveTimeout, &time)?;
        let mut count = 0;
        let mut frame = vec![0; 65_536];
        loop {
            match self.0.read(&mut frame) {
                Ok(length) => {
                    let got = frame.get(..length).unwrap_or_default();
                    count += usize::from(got.windows(mark.len()).any(|part| part == mark));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(count),
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
    }
}

fn open(interface: &str) -> Result<Wire> {
    let index = if_nametoindex(interface)?;
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )?;
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET)?,
        sll_protocol: u16::try_from(libc::ETH_P_ALL)?.to_be(),
        sll_ifindex: i32::try_from(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())?;
    // SAFETY: the pointer is to a whole `sockaddr_ll` of that length, which lives until the copy
    // is made, and its family says that it is one.
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    bind(socket.as_raw_fd(), &address.context("not a link address")?)?;
    Ok(Wire(File::from(socket)))
}
