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

fn alice() -> Account {
    Account {
        id: "1".into(),
        name: "alice".into(),
        groups: vec!["Staff".into()],
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
    let factors = Factors::of(factors);
    allowed(
        services,
        &alice(),
        access,
        source.parse().unwrap(),
        &factors,
    )
    .iter()
    .map(|id| id.name().to_owned())
    .collect()
}

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
    let access: Vec<Access> = vec![Access {
        service: "door".into(),
        factors: CODE.to_vec(),
        sources: vec![],
    }];
    assert_eq!(names(&services, &access, "192.0.2.1", CODE), ["door"]);
    assert_eq!(
        names(&services, &access, "192.0.2.1", BOTH),
        ["web", "door"]
    );
    assert!(code_alone_is_used(&access));
    assert!(!code_alone_is_used(&[]));
}

#[test]
fn the_first_entry_that_covers_the_source_decides() {
    let services = [service("web", &["staff"])];
    let entry = |sources: &[&str], factors: &[FactorKind]| Access {
        service: "web".into(),
        factors: factors.to_vec(),
        sources: sources.iter().map(|s| s.parse().unwrap()).collect(),
    };
    let access = [entry(&["10.0.0.0/8"], CODE), entry(&["192.0.2.0/24"], BOTH)];
    assert_eq!(names(&services, &access, "10.1.2.3", CODE), ["web"]);
    assert!(names(&services, &access, "192.0.2.1", CODE).is_empty());
    assert_eq!(names(&services, &access, "192.0.2.1", BOTH), ["web"]);
    assert!(
        names(&services, &access, "203.0.113.1", BOTH).is_empty(),
        "not from anywhere else"
    );
}
