//! PROXY protocol version 2, before TLS. Only listed peers may speak it, and they must: without a
//! complete, well-formed header the connection ends. Version 1 (text) is not taken.

mod header;

use std::{future::Future, io, pin::Pin, time::Duration};

use axum_server::accept::Accept;
use ipnet::IpNet;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use self::header::{HEAD, Head, HeaderError};
use super::with_peer::WithPeer;
use crate::client_addr::Peer;

const PATIENCE: Duration = Duration::from_secs(5);

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
        let mut body = vec![0; head.body_length()];
        stream.read_exact(&mut body).await?;
        peer_of(head, &body).map_err(refuse)
    }
}

fn peer_of(head: Head, body: &[u8]) -> Result<Peer, HeaderError> {
    Ok(match head.source(body)? {
        None => Peer::Nobody,
        Some(address) => Peer::Address(address),
    })
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
