//! Grants for a whole IPv6 /64, where a service says so.

use agent_api::{CloseRequest, GrantQuery, Source};
use filter_abi::Grant;

use super::world::{CONFIG, PORTAL, ROOT, World, ask};
use crate::{engine::Moving, kernel::GrantId};

/// `web` grants prefixes, `ssh` addresses.
async fn world() -> World {
    let world = World::new().await;
    configure(&world, "prefix").await;
    world
}

async fn configure(world: &World, ipv6_grants: &str) {
    let web = "groups = [\"staff\"]";
    let text = CONFIG.replace(web, &format!("{web}\nipv6_grants = \"{ipv6_grants}\""));
    assert_ne!(text, CONFIG);
    std::fs::write(world.folder.path().join("agent.toml"), text).unwrap();
    world.engine.reload(&ROOT).await.unwrap();
}

fn in_kernel(world: &World, source: &str, service: &str) -> Option<Grant> {
    let id = GrantId {
        source: source.parse().unwrap(),
        service: world.engine.state().ids[service],
    };
    world.maps.table().grants.get(&id).copied()
}

async fn opened(world: &World, source: &str, service: &str, user: &str) -> Source {
    let request = ask(source, service, user, 600);
    world.engine.open(&PORTAL, request).await.unwrap().source
}

async fn listed(world: &World, source: &str) -> Vec<String> {
    let query = GrantQuery {
        source: Some(source.parse().unwrap()),
        ..GrantQuery::default()
    };
    let page = world.engine.list(query).await.unwrap();
    page.grants
        .iter()
        .map(|grant| format!("{} {}", grant.service, grant.source))
        .collect()
}

async fn closed(world: &World, source: &str) -> u64 {
    let request = CloseRequest {
        source: Some(source.parse().unwrap()),
        ..CloseRequest::default()
    };
    let arrived = crate::clock::Stopwatch::start();
    let closed = world.engine.close(&ROOT, request, arrived).await;
    closed.unwrap().count
}

#[tokio::test]
async fn the_service_decides_whether_a_grant_is_for_the_prefix() {
    let world = world().await;
    let prefix = "2001:db8:0:7::/64";
    let source = opened(&world, "2001:db8:0:7::a", "web", "alice").await;
    assert_eq!(source.to_string(), prefix);
    assert!(in_kernel(&world, prefix, "web").is_some());
    let source = opened(&world, "2001:db8:0:7::a", "ssh", "alice").await;
    assert_eq!(source.to_string(), "2001:db8:0:7::a");
    let source = opened(&world, "192.0.2.7", "web", "alice").await;
    assert_eq!(source.to_string(), "192.0.2.7");
    let status = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((status.grants_v4.used, status.grants_v6.used), (1, 2));
    let audit = world.audit().await;
    let said = audit.iter().any(|record| {
        let reason = record.reason.as_deref().unwrap_or_default();
        record.source == Some(prefix.parse().unwrap()) && reason.contains("2001:db8:0:7::a")
    });
    assert!(said, "{audit:?}");
}

/// Two people behind one prefix are two holders of one grant.
#[tokio::test]
async fn addresses_of_one_prefix_share_its_grant() {
    let world = world().await;
    opened(&world, "2001:db8:0:7::a", "web", "alice").await;
    opened(&world, "2001:db8:0:7::b", "web", "bob").await;
    opened(&world, "2001:db8:0:8::b", "web", "bob").await;
    assert_eq!(
        listed(&world, "2001:db8:0:7::c").await,
        ["web 2001:db8:0:7::/64"]
    );
    let status = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((status.grants_v6.used, status.holders), (2, 3));
}

/// Whoever closes an address must not leave it open by its prefix.
#[tokio::test]
async fn closing_an_address_closes_the_prefix_around_it_and_the_other_way_round() {
    let world = world().await;
    opened(&world, "2001:db8:0:7::a", "web", "alice").await;
    opened(&world, "2001:db8:0:7::a", "ssh", "alice").await;
    opened(&world, "2001:db8:0:7::b", "ssh", "alice").await;
    assert_eq!(closed(&world, "2001:db8:0:7::a").await, 2);
    assert!(in_kernel(&world, "2001:db8:0:7::/64", "web").is_none());
    assert!(in_kernel(&world, "2001:db8:0:7::b", "ssh").is_some());
    opened(&world, "2001:db8:0:7::c", "web", "alice").await;
    opened(&world, "2001:db8:0:8::a", "web", "bob").await;
    assert_eq!(closed(&world, "2001:db8:0:7::/64").await, 2);
    assert!(in_kernel(&world, "2001:db8:0:8::/64", "web").is_some());
    assert_eq!(world.maps.table().grants.len(), 1);
}

/// Of two grants that both let an address in, one would outlive, lengthen or hide the other.
#[tokio::test]
async fn address_grants_end_when_the_service_grants_prefixes() {
    let world = world().await;
    configure(&world, "address").await;
    opened(&world, "2001:db8:0:7::a", "web", "alice").await;
    opened(&world, "192.0.2.7", "web", "alice").await;
    configure(&world, "prefix").await;
    assert!(in_kernel(&world, "2001:db8:0:7::a", "web").is_none());
    assert!(in_kernel(&world, "192.0.2.7", "web").is_some());
    assert!(listed(&world, "2001:db8:0:7::a").await.is_empty());
    let shown = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((shown.grants_v6.used, shown.holders), (0, 1));
}

/// Addresses that many hosts' differ in only behind the first 64 bits.
#[tokio::test]
async fn a_prefix_that_is_not_one_customers_is_never_granted() {
    let world = world().await;
    for source in ["64:ff9b::198.51.100.7", "fe80::7", "2001:0:c000:201::7"] {
        let held = opened(&world, source, "web", "alice").await;
        assert!(matches!(held, Source::Address(_)), "{held}");
    }
}

#[tokio::test]
async fn prefix_grants_end_when_the_service_grants_addresses_only() {
    let world = world().await;
    opened(&world, "2001:db8:0:7::a", "web", "alice").await;
    opened(&world, "192.0.2.7", "web", "alice").await;
    configure(&world, "address").await;
    assert!(in_kernel(&world, "2001:db8:0:7::/64", "web").is_none());
    assert!(in_kernel(&world, "192.0.2.7", "web").is_some());
    assert!(listed(&world, "2001:db8:0:7::a").await.is_empty());
}

#[tokio::test]
async fn prefix_grants_outlive_the_agent() {
    let mut world = world().await;
    opened(&world, "2001:db8:0:7::a", "web", "alice").await;
    let before = in_kernel(&world, "2001:db8:0:7::/64", "web").unwrap();
    world.maps.table().grants.clear();
    world.restart().await;
    let done = world.engine.reconcile(Moving::Still).await.unwrap();
    assert_eq!(done.written, 1);
    let after = in_kernel(&world, "2001:db8:0:7::/64", "web").unwrap();
    assert_eq!(after.deadline_ns, before.deadline_ns);
}
