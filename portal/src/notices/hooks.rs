//! What other parts call in one line when something happened that somebody should know.

use std::net::IpAddr;

use agent_api::Source;

use super::{Kind, Notices, Person};
use crate::{store::TokenRow, text::Language};

/// A network not seen for so long is new again: 90 days, in seconds.
const FORGOTTEN: i64 = 90 * 24 * 3600;
/// How often a network's last sight is written down, in seconds.
const WRITE_EVERY: i64 = 24 * 3600;

/// The network around an address: /24 of IPv4, /48 of IPv6. Where the agent says that an IPv6
/// prefix is not one customer's (translators, tunnels), the address itself.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(_) if Source::around(address).is_none() => address.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

impl Notices {
    /// Somebody got in: remembers language and network, and tells them if the network is new.
    pub(crate) async fn got_in<'a>(
        &self,
        who: impl Into<Person<'a>>,
        from: IpAddr,
        language: Language,
    ) {
        let who: Person<'_> = who.into();
        let (Some(id), Some(_)) = (who.id, &self.mail) else {
            return;
        };
        let now = self.clock.now().as_second();
        let remembered = async {
            self.store.set_language(id, language.tag()).await?;
            let network = network(from);
            let seen = self.store.network_seen(id, &network).await?;
            if seen.is_none_or(|at| now - at >= WRITE_EVERY) {
                self.store.note_network(id, &network, now).await?;
            }
            Ok::<bool, crate::store::StoreError>(seen.is_none_or(|at| now - at > FORGOTTEN))
        };
        match remembered.await {
            Ok(true) => {
                let from = from.to_string();
                self.tell(who, Kind::NewNetwork, &[("address", &from)])
                    .await;
            }
            Ok(false) => {}
            Err(failure) => tracing::error!(%failure, "a log-in's network cannot be noted"),
        }
    }

    /// A token changed: enrolled, imported, suspended or revoked. Other words say nothing.
    pub(crate) async fn token(&self, token: &TokenRow, name: &str, word: &str) {
        let kind = match word {
            "enrolled" | "imported" => Kind::NewDevice,
            "suspended" => Kind::DeviceSuspended,
            "revoked" => Kind::DeviceRevoked,
            _ => return,
        };
        self.tell(Person::from(token), kind, &[("device", name)])
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_24_or_a_48() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(of("192.0.2.250"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2::3"), "2001:db8:1::/48");
        assert_eq!(of("fe80::1"), "fe80::1", "the link itself");
    }
}
