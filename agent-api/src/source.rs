//! Where a grant is held from: one address, or, where the service's configuration says so, every
//! address of an IPv6 /64.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Length of a prefix that holds a grant: what one customer or one link gets (RFC 6177, RFC 7421),
/// and what an address that changes for privacy (RFC 8981) stays in.
const PREFIX_BITS: u32 = 64;

/// In text, an address, or a prefix such as `2001:db8:0:7::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// Never a v4-mapped IPv6 address.
    Address(IpAddr),
    /// The 64 bits in front; the others are 0.
    Prefix(Ipv6Addr),
}

impl Source {
    /// The /64 around an IPv6 address. None: there is none, or it is not one customer's, because
    /// the addresses of many hosts differ only behind it.
    pub fn around(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) if is_shared(address) => None,
            IpAddr::V6(address) => Some(Self::Prefix(network(address))),
        }
    }

    /// Every source that lets this address in.
    pub fn of(address: IpAddr) -> impl Iterator<Item = Self> {
        [Some(Self::from(address)), Self::around(address)]
            .into_iter()
            .flatten()
    }

    pub fn is_ipv4(&self) -> bool {
        self.address().is_ipv4()
    }

    /// The address itself, or the first one of the prefix.
    pub fn address(&self) -> IpAddr {
        match *self {
            Self::Address(address) => address,
            Self::Prefix(network) => network.into(),
        }
    }

    /// Whether a grant held from here lets the address in.
    pub fn covers(&self, address: IpAddr) -> bool {
        Self::of(address).any(|source| source == *self)
    }

    /// Whether any address belongs to both.
    pub fn meets(&self, other: &Self) -> bool {
        self.covers(other.address()) || other.covers(self.address())
    }
}

/// Link-local addresses of every link (RFC 4291 §2.5.6), IPv4 clients behind a translator
/// (RFC 6052, RFC 8215) or a tunnel (RFC 4380), and what was never anybody's (RFC 4291 §2.5.5.1).
fn is_shared(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, ..] | [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => {
            true
        }
        [first, ..] => first & 0xffc0 == 0xfe80,
    }
}

fn network(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << PREFIX_BITS))
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // With width and alignment, as callers print columns.
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Prefix(network) => f.pad(&format!("{network}/{PREFIX_BITS}")),
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is neither an IP address nor an IPv6 prefix such as 2001:db8:0:7::/64"
            )
        };
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| wrong());
        };
        let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
        if bits.parse() != Ok(PREFIX_BITS) {
            return Err(wrong());
        }
        let around = network(address);
        if around != address {
            return Err(format!(
                "`{text}` has bits behind its length; did you mean {around}/{PREFIX_BITS}?"
            ));
        }
        Ok(Self::Prefix(around))
    }
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn text_goes_both_ways() {
        for text in ["192.0.2.7", "2001:db8::7", "2001:db8:0:7::/64"] {
            assert_eq!(source(text).to_string(), text);
        }
        assert_eq!(source("::ffff:192.0.2.7").to_string(), "192.0.2.7");
        for wrong in [
            "",
            "192.0.2.0/24",
            "2001:db8::/48",
            "2001:db8::1/64",
            "a/64",
        ] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_covers_its_addresses_and_no_others() {
        let prefix = source("2001:db8:0:7::/64");
        for (address, inside) in [
            ("2001:db8:0:7::", true),
            ("2001:db8:0:7:ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:8::", false),
            ("2001:db8:0:6:ffff::", false),
            ("192.0.2.7", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(prefix.covers(address), inside, "{address}");
            assert_eq!(prefix.meets(&address.into()), inside, "{address}");
            assert_eq!(Source::from(address).meets(&prefix), inside, "{address}");
        }
        assert!(!source("2001:db8:0:7::1").covers("2001:db8:0:7::2".parse().unwrap()));
        for shared in [
            "192.0.2.7",
            "fe80::7",
            "febf::7",
            "64:ff9b::192.0.2.7",
            "64:ff9b:1::192.0.2.7",
            "2001:0:c000:201::7",
            "::7",
        ] {
            assert_eq!(Source::around(shared.parse().unwrap()), None, "{shared}");
        }
        assert!(Source::around("2001:1::7".parse().unwrap()).is_some());
    }
}
