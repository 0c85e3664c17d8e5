//! What a configuration may say, and how it is told what it may not.

use std::path::Path;

use super::*;

const GOOD: &str = r#"
[agent]
operators = [7]
[filter]
interfaces = ["eth0"]
[portal]
user = 901
endpoints = ["192.0.2.1:8443"]
[[service]]
name = "web"
targets = ["198.51.100.10 tcp/80", "198.51.100.10 tcp/8000-8010", "2001:db8::/64 any"]
groups = ["staff"]
idle = "none"
max = "2h"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("a.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_safe_and_services_inherit_the_lengths() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.filter.mode, Mode::Enforce);
    assert_eq!(config.filter.xdp_mode, XdpMode::Native);
    assert!(!config.filter.other_ports_pass);
    assert_eq!(config.filter.capacity, 262_144);
    assert_eq!(config.operators, [7]);
    let web = config.service("web").unwrap();
    assert_eq!(
        (web.default_seconds, web.max_seconds, web.idle_seconds),
        (7_200, 7_200, None)
    );
    let portal = config.service(PORTAL_SERVICE).unwrap();
    assert_eq!(portal.kind, ServiceKind::Public);
    assert_eq!(portal.targets[0].to_string(), "192.0.2.1 tcp/8443");
}

/// Replaces `from` by `to` in the good file and expects one refusal that holds `says`.
#[track_caller]
fn refused(from: &str, to: &str, says: &str) {
    assert!(GOOD.contains(from), "{from}");
    let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
    assert!(error.contains(says), "{error}");
    let place = error
        .strip_prefix("a.toml:")
        .unwrap_or_else(|| panic!("no place: {error}"));
    let mut numbers = place.split(':');
    assert!(
        numbers.next().unwrap().parse::<usize>().unwrap() >= 1,
        "{error}"
    );
    assert!(
        numbers.next().unwrap().parse::<usize>().unwrap() >= 1,
        "{error}"
    );
}

#[test]
fn each_bad_line_is_refused_with_its_place_and_advice() {
    refused(
        "operators = [7]",
        "operator = [7]",
        "unknown field `operator`",
    );
    refused("[7]", "[\"no-such-user-here\"]", "there is no user");
    refused("[\"eth0\"]", "[]", "no interface to attach to");
    refused("[\"eth0\"]", "[\"eth0\", \"eth0\"]", "listed twice");
    refused("[\"eth0\"]", "[\"a/b\"]", "cannot be the name");
    refused("[\"eth0\"]", "[\"eth0\"]\ncapacity = 0", "between 1 and");
    refused(
        "[\"eth0\"]",
        "[\"eth0\"]\nprotect = [\"10.0.0.1/8\"]",
        "did you mean 10.0.0.0/8",
    );
    refused(
        "[\"eth0\"]",
        "[\"eth0\"]\npass_ether_types = [2048]",
        "cannot be passed unread",
    );
    refused(
        "[\"eth0\"]",
        "[\"eth0\"]\nxdp_mode = \"fast\"",
        "unknown variant `fast`",
    );
    refused("[7]", "[901]", "the portal could do everything");
    refused("user = 901", "user = 0", "must not run as root");
    refused("192.0.2.1:8443\"", "192.0.2.1\"", "is not an endpoint");
    refused("192.0.2.1:8443\"", "0.0.0.0:8443\"", "not a wildcard");
    refused("\"web\"", "\"Web\"", "cannot name a service");
    refused("\"web\"", "\"portal\"", "the portal's own");
    refused("groups = [\"staff\"]", "groups = []", "names no group");
    refused("groups = [\"staff\"]", "", "names no group");
    refused(
        "groups = [\"staff\"]",
        "kind = \"public\"\ngroups = [\"x\"]",
        "is public",
    );
    refused("tcp/80\"", "tcp/0\"", "is not a protocol");
    refused("tcp/80\"", "icmp/80\"", "has no ports");
    refused("tcp/80\"", "tcp/90-80\"", "runs backwards");
    refused(
        "198.51.100.10 tcp/80",
        "::ffff:198.51.100.10 tcp/80",
        "IPv6 clothes",
    );
    refused("198.51.100.10 tcp/80", "198.51.100.10", "is not a target");
    refused(
        "198.51.100.10 tcp/80",
        "192.0.2.0/24 tcp",
        "would shut the portal",
    );
    refused("2001:db8::/64 any", "198.51.100.10 tcp/80", "listed twice");
    refused("max = \"2h\"", "max = \"8d\"", "the most there is");
    refused(
        "max = \"2h\"",
        "max = \"2h\"\ndefault = \"3h\"",
        "longer than max",
    );
}

#[test]
fn two_services_on_one_target_are_refused_but_a_more_specific_one_is_not() {
    let second = |target: &str| {
        format!("{GOOD}[[service]]\nname = \"b\"\ngroups = [\"x\"]\ntargets = [\"{target}\"]\n")
    };
    for clash in [
        "198.51.100.10 tcp/80",
        "198.51.100.10 tcp/8005-8020",
        "2001:db8::/64 any",
    ] {
        let error = parse(&second(clash)).unwrap_err();
        assert!(
            error.contains("already claimed by service `web`"),
            "{clash}: {error}"
        );
    }
    for fine in [
        "198.51.100.10 tcp/8005",
        "198.51.100.10 tcp",
        "2001:db8::5 any",
    ] {
        parse(&second(fine)).unwrap_or_else(|error| panic!("{fine}: {error}"));
    }
}

#[test]
fn all_complaints_are_reported_at_once() {
    let text = GOOD
        .replace("tcp/80\"", "tcp/0\"")
        .replace("[\"eth0\"]", "[]");
    assert_eq!(parse(&text).unwrap_err().lines().count(), 2);
}

/// The seeds of the fuzz target, and whatever it found: taken, or refused in words.
#[test]
fn inputs_of_the_fuzz_target_are_taken_or_refused() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/agent_config");
    let mut taken = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        match Config::parse(&path, &text) {
            Ok(_) => taken += 1,
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(taken >= 2, "only {taken} seeds are configurations");
}
