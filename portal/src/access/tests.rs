//! Which services the rules allow to whom, from where, with which factors.

use super::*;
use crate::directory::AccountState;

fn service(name: &str, groups: &[&str]) -> Service {
    Service {
        name: name.into(),
        kind: ServiceKind::Granted,
        targets: vec![],
        groups: groups.iter().map(ToString::to_string).collect(),
        allow: vec![],
        default_seconds: 60,
        max_seconds: 60,
        ipv6_prefix: false,
        idle_seconds: None,
    }
}

pub(crate) fn alice() -> Account {
    Account {
        id: "1".into(),
        name: "alice".into(),
        groups: vec!["Staff".into()],
        group_dns: vec![],
        state: AccountState::Active,
        handle: String::new(),
        mail: None,
    }
}

fn names(
    services: &[Service],
    access: &[Access],
    source: &str,
    factors: &[FactorKind],
) -> Vec<String> {
    let shown = shown(factors, 0);
    let source = source.parse().unwrap();
    allowed(services, &alice(), access, source, &shown)
        .iter()
        .map(|id| id.name().to_owned())
        .collect()
}

fn shown(factors: &[FactorKind], age: i64) -> Shown {
    Shown {
        factors: Factors::of(factors),
        age,
        exceptions: vec![],
        now: 0,
    }
}

fn entry(text: &str) -> Access {
    toml::from_str(text).unwrap()
}

const KEY: &[FactorKind] = &[FactorKind::Passkey];
const BOTH: &[FactorKind] = &[FactorKind::Pwd, FactorKind::Otp];
const CODE: &[FactorKind] = &[FactorKind::Otp];

#[test]
fn only_granted_services_of_ones_groups_are_allowed() {
    let services = [
        service("web", &["staff"]),
        service("ssh", &["admins"]),
        service("none", &[]),
        Service {
            kind: ServiceKind::Public,
            ..service("portal", &["staff"])
        },
    ];
    assert_eq!(names(&services, &[], "192.0.2.1", BOTH), ["web"]);
    assert!(names(&services, &[], "192.0.2.1", CODE).is_empty());
    assert!(names(&services, &[], "192.0.2.1", &[FactorKind::Pwd]).is_empty());
}

#[test]
fn a_code_alone_opens_only_what_is_listed_so() {
    let services = [service("web", &["staff"]), service("door", &["staff"])];
    let access = [entry("service = \"door\"\nfactors = [\"otp\"]")];
    assert_eq!(names(&services, &access, "192.0.2.1", CODE), ["door"]);
    assert_eq!(
        names(&services, &access, "192.0.2.1", BOTH),
        ["web", "door"]
    );
    assert!(alone_is_used(&access, FactorKind::Otp));
    assert!(!alone_is_used(&[], FactorKind::Otp));
}

#[test]
fn the_first_entry_that_covers_the_source_decides() {
    let services = [service("web", &["staff"])];
    let access = [
        entry("service = \"web\"\nsources = [\"10.0.0.0/8\"]\nfactors = [\"otp\"]"),
        entry("service = \"web\"\nsources = [\"192.0.2.0/24\"]"),
    ];
    assert_eq!(names(&services, &access, "10.1.2.3", CODE), ["web"]);
    assert!(names(&services, &access, "192.0.2.1", CODE).is_empty());
    assert_eq!(names(&services, &access, "192.0.2.1", BOTH), ["web"]);
    assert!(
        names(&services, &access, "203.0.113.1", BOTH).is_empty(),
        "not from anywhere else"
    );
}

fn standing(access: &[Access], factors: &[FactorKind], age: i64) -> Standing {
    let shown = shown(factors, age);
    let services = [service("web", &["staff"])];
    let source = "192.0.2.1".parse().unwrap();
    let mut all = standings(&services, &alice(), access, source, &shown);
    all.pop().unwrap()
}

fn lacks(factors: &[FactorKind]) -> Standing {
    Standing::Lacks {
        service: "web".into(),
        factors: factors.to_vec(),
    }
}

#[test]
fn any_of_several_lists_is_enough_and_the_shortest_way_is_asked_for() {
    let access = [entry(
        "service = \"web\"\nfactors = [[\"pwd\", \"otp\"], [\"passkey\"]]",
    )];
    for enough in [BOTH, KEY] {
        assert!(matches!(standing(&access, enough, 0), Standing::Allowed(_)));
    }
    assert_eq!(standing(&access, CODE, 0), lacks(&[FactorKind::Pwd]));
    assert_eq!(standing(&[], KEY, 0), lacks(&[FactorKind::Pwd]));
}

#[test]
fn a_stale_proof_is_asked_for_again_but_not_the_password() {
    let access = [entry(
        "service = \"web\"\nfresh = \"10m\"\nlongest = \"30s\""
            .replace("30s", "1m")
            .as_str(),
    )];
    assert!(matches!(standing(&access, BOTH, 600), Standing::Allowed(_)));
    assert_eq!(standing(&access, BOTH, 601), lacks(&[FactorKind::Otp]));
}

#[test]
fn an_entry_for_a_group_is_not_for_others() {
    let access = [
        entry("service = \"web\"\ngroups = [\"admins\"]\nfactors = [\"passkey\"]"),
        entry("service = \"web\""),
    ];
    assert!(matches!(standing(&access, BOTH, 0), Standing::Allowed(_)));
    let access = [
        entry("service = \"web\"\ngroups = [\"STAFF\"]\nfactors = [\"passkey\"]"),
        entry("service = \"web\""),
    ];
    assert_eq!(standing(&access, BOTH, 0), lacks(&[FactorKind::Passkey]));
}

#[test]
fn a_recovery_code_that_was_let_in_stands_for_the_app_and_for_no_passkey() {
    let shown = [FactorKind::Pwd, FactorKind::Recovery];
    assert!(matches!(standing(&[], &shown, 0), Standing::Allowed(_)));
    let access = [entry("service = \"web\"\nfactors = [\"pwd\", \"passkey\"]")];
    assert_eq!(standing(&access, &shown, 0), lacks(&[FactorKind::Passkey]));
    assert!(!Factors::of(&shown).are_full());
}

#[test]
fn what_the_rules_allow_is_not_longer_than_they_say() {
    let longest = |text: &str| match standing(&[entry(text)], BOTH, 0) {
        Standing::Allowed(id) => id.longest(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        longest("service = \"web\"\nlongest = \"1m\""),
        None,
        "as long as the service's own"
    );
    let mut long = service("web", &["staff"]);
    long.default_seconds = 3600;
    let shown = shown(BOTH, 0);
    let access = [entry("service = \"web\"\nlongest = \"10m\"")];
    let ids = allowed(
        &[long],
        &alice(),
        &access,
        "192.0.2.1".parse().unwrap(),
        &shown,
    );
    assert_eq!(ids[0].longest(), Some(600));
}
