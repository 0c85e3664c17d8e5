//! PROXY protocol version 2, before TLS. Only listed peers may speak it, and they must: without a
//! complete, well-formed header the connection ends. Version 1 (text) is not taken.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::Pin,
    time::Duration,
};

use axum_server::accept::Accept;
use ipnet::IpNet;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use super::with_peer::WithPeer;
use crate::client_addr::Peer;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const HEAD: usize = 16;
/// Addresses and the few extensions proxies add; more is no header.
const BODY_MAX: u16 = 2048;
const PATIENCE: Duration = Duration::from_secs(5);

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

    /// The source address in the part after the head.
    pub(super) fn peer(self, body: &[u8]) -> Result<Peer, HeaderError> {
        let address: IpAddr = match self.command {
            Command::Local => return Ok(Peer::Nobody),
            Command::Tcp4 => {
                let octets = body.first_chunk::<4>().ok_or(HeaderError::Length)?;
                Ipv4Addr::from(*octets).into()
            }
            Command::Tcp6 => {
                let octets = body.first_chunk::<16>().ok_or(HeaderError::Length)?;
                Ipv6Addr::from(*octets).into()
            }
        };
        Ok(Peer::Address(address.to_canonical()))
    }
}

/// Finds the peer of each connection.
#[derive(Clone, Debug)]
pub(super) struct ProxyAcceptor {
    speakers: std::sync::Arc<[IpNet]>,
}

impl ProxyAcceptor {
    pub(super) fn new(speakers: &[IpNet]) -> Self {
        Self {
            speakers: speakers.into(),
        }
    }

    async fn peer(&self, stream: &mut TcpStream) -> io::Result<Peer> {
        let peer = stream.peer_addr()?.ip().to_canonical();
        if !self.speakers.iter().any(|prefix| prefix.contains(&peer)) {
            return Ok(Peer::Address(peer));
        }
        let refuse = |e: HeaderError| {
            tracing::warn!(%peer, reason = %e, "a connection without a proper PROXY v2 header");
            io::Error::new(io::ErrorKind::InvalidData, e)
        };
        let mut head = [0; HEAD];
        stream.read_exact(&mut head).await?;
        let head = Head::parse(&head).map_err(refuse)?;
        let mut body = vec![0; usize::from(head.length)];
        stream.read_exact(&mut body).await?;
        head.peer(&body).map_err(refuse)
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for ProxyAcceptor {
    type Stream = TcpStream;
    type Service = WithPeer<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(TcpStream, WithPeer<S>)>> + Send>>;

    fn accept(&self, mut stream: TcpStream, service: S) -> Self::Future {
        let acceptor = self.clone();
        Box::pin(async move {
            stream.set_nodelay(true)?;
            let peer = timeout(PATIENCE, acceptor.peer(&mut stream)).await??;
            Ok((stream, WithPeer::new(service, peer)))
        })
    }
}

#[cfg(test)]
mod tests;
