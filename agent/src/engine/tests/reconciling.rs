//! After a crash at any point the map says what the ledger says, and it shuts before it opens.

use filter_abi::Grant;

use super::world::*;
use crate::{engine::Moving, kernel::GrantId};

#[tokio::test]
async fn a_reboot_restores_what_was_open_and_nothing_else() {
    let mut world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("192.0.2.8", "web", "alice", 60))
        .await
        .unwrap();
    world.maps.table().grants.clear();
    world.clock.advance(61);
    world.restart().await;
    let done = world.engine.reconcile(Moving::Still).await.unwrap();
    assert_eq!((done.removed, done.written), (0, 1));
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().deadline_ns,
        5_600 * NS
    );
    assert!(world.in_kernel("192.0.2.8", "web").is_none());
}

#[tokio::test]
async fn a_take_over_removes_before_it_adds_and_keeps_what_is_right() {
    let mut world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("192.0.2.8", "web", "alice", 600))
        .await
        .unwrap();
    let web = world.engine.state().ids["web"];
    let id = |last: u8| GrantId {
        source: std::net::IpAddr::from([192, 0, 2, last]).into(),
        service: web,
    };
    {
        let mut table = world.maps.table();
        // One the ledger does not know, one that is missing, one that lasts too long.
        let stray = Grant {
            deadline_ns: u64::MAX,
            ..Grant::default()
        };
        table.grants.insert(id(99), stray);
        table.grants.remove(&id(8));
        let long = table.grants.get_mut(&id(7)).unwrap();
        long.deadline_ns = u64::MAX;
        long.packets = 5;
    }
    world.restart().await;
    let done = world.engine.reconcile(Moving::Still).await.unwrap();
    assert_eq!((done.removed, done.written), (1, 2));
    assert_eq!(
        world.maps.table().done,
        ["remove many", "put many", "put many"]
    );
    assert!(!world.maps.table().grants.contains_key(&id(99)));
    let kept = world.maps.table().grants[&id(7)];
    assert_eq!((kept.deadline_ns, kept.packets), (5_600 * NS, 5));
}

#[tokio::test]
async fn a_running_reconcile_mends_and_records_what_differs() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    let quiet = world.engine.reconcile(Moving::Running).await.unwrap();
    assert_eq!((quiet.removed, quiet.written), (0, 0));
    let web = world.engine.state().ids["web"];
    let stray = GrantId {
        source: "192.0.2.66".parse().unwrap(),
        service: web,
    };
    let forever = Grant {
        deadline_ns: u64::MAX,
        ..Grant::default()
    };
    world.maps.table().grants.insert(stray, forever);
    let done = world.engine.reconcile(Moving::Running).await.unwrap();
    assert_eq!((done.removed, done.written), (1, 0));
    assert!(!world.maps.table().grants.contains_key(&stray));
    let record = world.audit().await.pop().unwrap();
    assert_eq!(record.kind, agent_api::AuditKind::Reconcile);
}
