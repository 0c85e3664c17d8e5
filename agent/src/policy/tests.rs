//! The compiled tables answer as a plain reading of the configuration would.

use std::{net::IpAddr, path::Path};

use proptest::prelude::*;

use super::*;
use crate::config::Target as Claim;

fn config(services: &[(&str, &[&str])]) -> Config {
    let mut text = String::from(
        "[filter]\ninterfaces = [\"eth0\"]\nprotect = [\"203.0.113.0/24\"]\n[portal]\nuser = 901\nendpoints = [\"192.0.2.1:8443\"]\n",
    );
    for (name, targets) in services {
        text +=
            &format!("[[service]]\nname = \"{name}\"\ngroups = [\"g\"]\ntargets = {targets:?}\n");
    }
    Config::parse(Path::new("t.toml"), &text).unwrap()
}

fn ids(config: &Config) -> ServiceIds {
    (1..)
        .zip(&config.services)
        .map(|(id, service)| (service.name.clone(), id))
        .collect()
}

/// What the program would find: longest prefix, then longest match of protocol and port.
fn look_up(
    policy: &Policy,
    address: IpAddr,
    protocol: u8,
    port: u16,
) -> Option<(u32, Option<u32>)> {
    let (index, (_, flags)) = (0u16..)
        .zip(&policy.destinations)
        .filter(|(_, (prefix, _))| prefix.contains(&address))
        .max_by_key(|(_, (prefix, _))| prefix.prefix_len())?;
    let fits = |entry: &&TargetEntry| {
        entry.destination == index
            && (entry.bits == 32 || entry.protocol == protocol)
            && (entry.bits <= 48 || (entry.port ^ port).leading_zeros() + 48 >= entry.bits)
    };
    let best = policy
        .targets
        .iter()
        .filter(fits)
        .max_by_key(|entry| entry.bits);
    Some((*flags, best.map(|entry| entry.target.service)))
}

/// The same, read straight off the configuration: most specific prefix, exact port, range,
/// protocol, any.
fn plain(
    config: &Config,
    ids: &ServiceIds,
    address: IpAddr,
    protocol: u8,
    port: u16,
) -> Option<u32> {
    let covers = |claim: &Claim| {
        claim.prefix.contains(&address)
            && match claim.ports {
                Ports::Any => true,
                Ports::Protocol(p) => p == protocol,
                Ports::Range {
                    protocol: p,
                    first,
                    last,
                } => p == protocol && (first..=last).contains(&port),
            }
    };
    config
        .services
        .iter()
        .flat_map(|service| service.targets.iter().map(move |claim| (service, claim)))
        .filter(|(_, claim)| covers(claim))
        .max_by_key(|(_, claim)| (claim.prefix.prefix_len(), width(claim.ports)))
        .and_then(|(service, _)| ids.get(&service.name).copied())
}

#[test]
fn a_specific_prefix_keeps_what_the_wider_one_says_of_other_ports() {
    let config = config(&[
        ("web", &["198.51.100.0/24 tcp/80", "198.51.100.0/24 icmp"]),
        ("ssh", &["198.51.100.10 tcp/22"]),
        ("all", &["198.51.100.20 any"]),
    ]);
    let ids = ids(&config);
    let policy = compile(&config, &ids).unwrap();
    let service = |address: &str, protocol, port| {
        look_up(&policy, address.parse().unwrap(), protocol, port).and_then(|(_, service)| service)
    };
    assert_eq!(service("198.51.100.10", 6, 80), Some(ids["web"]));
    assert_eq!(service("198.51.100.10", 1, 0), Some(ids["web"]));
    assert_eq!(service("198.51.100.10", 6, 22), Some(ids["ssh"]));
    assert_eq!(service("198.51.100.11", 6, 22), None);
    assert_eq!(
        service("198.51.100.20", 6, 80),
        Some(ids["all"]),
        "any on /32 beats a port on /24"
    );
    assert_eq!(service("192.0.2.1", 6, 8443), Some(ids["portal"]));
}

#[test]
fn the_portals_address_alone_is_not_protected_and_a_listed_prefix_is() {
    let config = config(&[]);
    let policy = compile(&config, &ids(&config)).unwrap();
    let flags =
        |address: &str| look_up(&policy, address.parse().unwrap(), 17, 9).map(|(flags, _)| flags);
    assert_eq!(flags("192.0.2.1"), Some(0));
    assert_eq!(flags("203.0.113.200"), Some(Destination::PROTECTED));
    assert_eq!(flags("8.8.8.8"), None);
}

#[test]
fn a_configuration_that_shuts_a_connection_out_is_noticed() {
    let mut config = config(&[("ssh", &["198.51.100.10 tcp/22"])]);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let shut = |config: &Config, server: &str, port| match in_the_way(
        config,
        ip("192.0.2.7"),
        ip(server),
        port,
    )? {
        Cut::Grant(service) => Some(service.name.clone()),
        Cut::NoService(prefix) => Some(prefix.to_string()),
    };
    assert_eq!(shut(&config, "198.51.100.10", 22).as_deref(), Some("ssh"));
    assert_eq!(
        shut(&config, "192.0.2.1", 8443),
        None,
        "the portal is public"
    );
    assert_eq!(
        shut(&config, "192.0.2.1", 22),
        None,
        "and its address is not protected"
    );
    let protected = |text: &str| Some(text.to_owned());
    assert_eq!(
        shut(&config, "198.51.100.10", 2222),
        protected("198.51.100.10/32"),
        "a service makes its address protected"
    );
    assert_eq!(
        shut(&config, "203.0.113.9", 22),
        protected("203.0.113.0/24")
    );
    assert_eq!(shut(&config, "198.51.100.11", 22), None);
    config.services[0].allow = vec!["192.0.2.0/24".parse().unwrap()];
    assert_eq!(shut(&config, "198.51.100.10", 22), None);
    config.filter.other_ports_pass = true;
    assert_eq!(shut(&config, "198.51.100.10", 2222), None);
    assert_eq!(shut(&config, "203.0.113.9", 22), None);
}

fn claim() -> impl Strategy<Value = String> {
    let prefix = prop_oneof![
        Just("198.51.100.0/24"),
        Just("198.51.100.0/28"),
        Just("198.51.100.3"),
        Just("198.51.100.8"),
        Just("2001:db8::/32"),
        Just("2001:db8::5"),
    ];
    let ports = prop_oneof![
        Just("any".to_owned()),
        Just("tcp".to_owned()),
        Just("icmp".to_owned()),
        Just("udp".to_owned()),
        (1u16..20).prop_map(|p| format!("tcp/{p}")),
        (1u16..20, 1u16..9).prop_map(|(p, n)| format!("tcp/{p}-{}", p + n)),
        (1u16..20, 1u16..9).prop_map(|(p, n)| format!("udp/{p}-{}", p + n)),
    ];
    (prefix, ports).prop_map(|(prefix, ports)| format!("{prefix} {ports}"))
}

proptest! {
    #[test]
    fn compiled_tables_answer_as_the_configuration_reads(claims in proptest::collection::vec(claim(), 1..8)) {
        let services: Vec<(String, String)> =
            (0..).zip(&claims).map(|(n, claim)| (format!("s{n}"), claim.clone())).collect();
        let mut text = String::from("[filter]\ninterfaces = [\"eth0\"]\n");
        for (name, claim) in &services {
            text += &format!("[[service]]\nname = \"{name}\"\ngroups = [\"g\"]\ntargets = [{claim:?}]\n");
        }
        // Clashing claims are refused by the configuration; those cases say nothing here.
        let Ok(config) = Config::parse(Path::new("t.toml"), &text) else { return Ok(()) };
        let ids = ids(&config);
        let policy = compile(&config, &ids).unwrap();
        for address in ["198.51.100.3", "198.51.100.8", "198.51.100.9", "198.51.100.77", "2001:db8::5", "2001:db8::6"] {
            let address: IpAddr = address.parse().unwrap();
            for protocol in [1u8, 6, 17, 47] {
                for port in 0..32u16 {
                    let port = if matches!(protocol, 6 | 17) { port } else { 0 };
                    let found = look_up(&policy, address, protocol, port).and_then(|(_, service)| service);
                    prop_assert_eq!(found, plain(&config, &ids, address, protocol, port), "{} {}/{}", address, protocol, port);
                }
            }
        }
    }
}
