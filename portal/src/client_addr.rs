//! The client's address, which is the credential the filter admits: the socket's peer, or what a
//! listed proxy says of it, read right to left. Anything that cannot be read is refused.

mod forwarded;

use std::{fmt, net::IpAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// An address that may be opened; made here only, always canonical (v4-mapped is v4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddr(IpAddr);

impl fmt::Debug for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ClientAddr {
    /// An address that was a client's when this portal wrote it into its database.
    pub(crate) fn kept(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    pub(crate) fn ip(self) -> IpAddr {
        self.0
    }
}

/// Who is at the other end of the connection, as the listener saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Address(IpAddr),
    /// A proxy's own connection (PROXY v2 `LOCAL`), which speaks for nobody.
    Nobody,
}

/// Why there is no client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddrRefused {
    #[error("the connection is a proxy's own")]
    Nobody,
    #[error("the trusted proxy named no client")]
    Missing,
    #[error("both Forwarded and X-Forwarded-For are there")]
    Ambiguous,
    #[error("a forwarded address cannot be read")]
    Unreadable,
    #[error("every forwarded address is a proxy's")]
    OnlyProxies,
    #[error("the address cannot be a client's")]
    Impossible,
}

/// Finds the client's address.
pub(crate) fn client_addr(
    peer: Peer,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> Result<ClientAddr, AddrRefused> {
    let Peer::Address(peer) = peer else {
        return Err(AddrRefused::Nobody);
    };
    let is_proxy = |ip: IpAddr| trusted.iter().any(|prefix| prefix.contains(&ip));
    let peer = peer.to_canonical();
    if !is_proxy(peer) {
        return possible(peer);
    }
    for hop in forwarded::hops(headers)?.rev() {
        let ip = hop?.to_canonical();
        if !is_proxy(ip) {
            return possible(ip);
        }
    }
    Err(AddrRefused::OnlyProxies)
}

fn possible(ip: IpAddr) -> Result<ClientAddr, AddrRefused> {
    let impossible = ip.is_unspecified()
        || ip.is_multicast()
        || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if impossible {
        Err(AddrRefused::Impossible)
    } else {
        Ok(ClientAddr(ip))
    }
}

#[cfg(test)]
mod tests;
