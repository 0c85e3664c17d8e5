//! The bytes of a PROXY v2 header. Pure, and without anything else of the portal, so that a fuzz
//! target can be built from this file alone; it reads nothing and believes no length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
pub(super) const HEAD: usize = 16;
/// Addresses and the few extensions proxies add; more is no header.
const BODY_MAX: u16 = 2048;

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("no PROXY v2 signature")]
    Signature,
    #[error("not version 2")]
    Version,
    #[error("neither LOCAL nor PROXY")]
    Command,
    #[error("not TCP over IPv4 or IPv6")]
    Family,
    #[error("too short for its addresses, or longer than any header")]
    Length,
}

/// The fixed part: who speaks, and how long the rest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    command: Command,
    length: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// The proxy's own connection, e.g. its health check.
    Local,
    Tcp4,
    Tcp6,
}

impl Head {
    pub(super) fn parse(bytes: &[u8; HEAD]) -> Result<Self, HeaderError> {
        let (signature, rest) = bytes.split_at(SIGNATURE.len());
        let &[version_command, family, high, low] = rest else {
            return Err(HeaderError::Length);
        };
        if signature != SIGNATURE {
            return Err(HeaderError::Signature);
        }
        if version_command >> 4 != 2 {
            return Err(HeaderError::Version);
        }
        let length = u16::from_be_bytes([high, low]);
        let (command, least) = match (version_command & 0x0f, family) {
            (0, _) => (Command::Local, 0),
            (1, 0x11) => (Command::Tcp4, 12),
            (1, 0x21) => (Command::Tcp6, 36),
            (1, _) => return Err(HeaderError::Family),
            _ => return Err(HeaderError::Command),
        };
        if length < least || length > BODY_MAX {
            return Err(HeaderError::Length);
        }
        Ok(Self { command, length })
    }

    /// How many bytes follow the head.
    pub(super) fn body_length(self) -> usize {
        usize::from(self.length)
    }

    /// The source address in the part after the head; None for the proxy's own connection.
    pub(super) fn source(self, body: &[u8]) -> Result<Option<IpAddr>, HeaderError> {
        let address: IpAddr = match self.command {
            Command::Local => return Ok(None),
            Command::Tcp4 => {
                let octets = body.first_chunk::<4>().ok_or(HeaderError::Length)?;
                Ipv4Addr::from(*octets).into()
            }
            Command::Tcp6 => {
                let octets = body.first_chunk::<16>().ok_or(HeaderError::Length)?;
                Ipv6Addr::from(*octets).into()
            }
        };
        Ok(Some(address.to_canonical()))
    }
}
