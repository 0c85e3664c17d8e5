//! What closes, who may close it, and what ends by itself.

use agent_api::{AuditKind, CloseRequest, ProblemCode};

use super::world::*;
use crate::clock::Stopwatch;

fn by_user(user: &str) -> CloseRequest {
    CloseRequest {
        user: Some(user.into()),
        ..CloseRequest::default()
    }
}

#[tokio::test]
async fn closing_one_person_leaves_the_others_deadline() {
    let world = World::new().await;
    world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "bob", 60))
        .await
        .unwrap();
    let closed = world
        .engine
        .close(&ROOT, by_user("alice"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(closed.count, 1);
    assert!(closed.closed[0].still_held);
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().deadline_ns,
        5_060 * NS
    );
    let closed = world
        .engine
        .close(&ROOT, by_user("bob"), Stopwatch::start())
        .await
        .unwrap();
    assert!(!closed.closed[0].still_held);
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
}

#[tokio::test]
async fn the_portal_closes_only_what_it_opened() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&PORTAL, ask("192.0.2.8", "web", "alice", 600))
        .await
        .unwrap();
    let closed = world
        .engine
        .close(&PORTAL, by_user("alice"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(closed.count, 1);
    assert!(world.in_kernel("192.0.2.7", "web").is_some());
    assert!(world.in_kernel("192.0.2.8", "web").is_none());
}

#[tokio::test]
async fn a_log_off_leaves_what_an_operator_opened_for_the_same_person() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 60))
        .await
        .unwrap();
    world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().deadline_ns,
        5_600 * NS
    );
    let closed = world
        .engine
        .close(&PORTAL, by_user("alice"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(closed.count, 1);
    assert!(closed.closed[0].still_held);
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().deadline_ns,
        5_060 * NS
    );
}

#[tokio::test]
async fn the_portal_cannot_shorten_an_operators_denial() {
    let world = World::new().await;
    let deny = |seconds| agent_api::DenyRequest {
        prefix: "203.0.113.9/32".parse().unwrap(),
        for_seconds: seconds,
        reason: None,
    };
    world.engine.deny(&ROOT, deny(600)).await.unwrap();
    world.engine.deny(&PORTAL, deny(1)).await.unwrap();
    let denied = world.engine.denies().await.unwrap();
    assert_eq!(
        (
            denied.len(),
            denied[0].remaining_seconds,
            denied[0].by.as_str()
        ),
        (1, 600, "uid 0")
    );
}

#[tokio::test]
async fn lockdown_shuts_even_if_the_ledger_cannot_record_it() {
    let world = World::new().await;
    world.engine.ledger().close().await;
    let refusal = world.engine.set_lockdown(&ROOT, true).await.unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Unavailable);
    assert!(refusal.message.contains("in force"), "{refusal}");
    assert!(world.maps.table().switches.lockdown);
    assert!(world.engine.set_lockdown(&ROOT, false).await.is_err());
    assert!(
        world.maps.table().switches.lockdown,
        "opening is recorded first"
    );
}

#[tokio::test]
async fn a_close_without_a_word_about_what_is_refused() {
    let world = World::new().await;
    let refusal = world
        .engine
        .close(&ROOT, CloseRequest::default(), Stopwatch::start())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::BadRequest);
    let all = CloseRequest {
        all: true,
        ..CloseRequest::default()
    };
    assert_eq!(
        world
            .engine
            .close(&ROOT, all, Stopwatch::start())
            .await
            .unwrap()
            .count,
        0
    );
}

#[tokio::test]
async fn by_service_and_by_source_close_across_people() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "ssh", "bob", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("2001:db8::7", "web", "carol", 600))
        .await
        .unwrap();
    let service = CloseRequest {
        service: Some("web".into()),
        ..CloseRequest::default()
    };
    assert_eq!(
        world
            .engine
            .close(&ROOT, service, Stopwatch::start())
            .await
            .unwrap()
            .count,
        2
    );
    let source = CloseRequest {
        source: Some("192.0.2.7".parse().unwrap()),
        ..CloseRequest::default()
    };
    assert_eq!(
        world
            .engine
            .close(&ROOT, source, Stopwatch::start())
            .await
            .unwrap()
            .count,
        1
    );
    assert!(world.maps.table().grants.is_empty());
}

#[tokio::test]
async fn a_close_the_ledger_cannot_record_is_shut_all_the_same_and_said_aloud() {
    let mut world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    // A reader that does not let go: the writer gives up after its patience.
    let url = format!("sqlite://{}", world.folder.path().join("ledger").display());
    let blocker = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query(
        "CREATE TRIGGER full BEFORE DELETE ON holders BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .execute(&blocker)
    .await
    .unwrap();
    let refusal = world
        .engine
        .close(&ROOT, by_user("alice"), Stopwatch::start())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Unavailable);
    assert!(
        refusal.message.contains("closed in the kernel"),
        "{refusal}"
    );
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
    // A reconcile must not bring it back, and the record is made good once it can be.
    world
        .engine
        .reconcile(crate::engine::Moving::Running)
        .await
        .unwrap();
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
    assert!(world.engine.record_unrecorded().await.is_err());
    sqlx::query("DROP TRIGGER full")
        .execute(&blocker)
        .await
        .unwrap();
    blocker.close().await;
    world.engine.record_unrecorded().await.unwrap();
    world.restart().await;
    world
        .engine
        .reconcile(crate::engine::Moving::Still)
        .await
        .unwrap();
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
}

#[tokio::test]
async fn what_has_ended_is_swept_and_recorded_once() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 60))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "bob", 120))
        .await
        .unwrap();
    world.clock.advance(60);
    assert_eq!(world.engine.sweep().await.unwrap(), 1);
    assert!(
        world.in_kernel("192.0.2.7", "web").is_some(),
        "bob still holds it"
    );
    world.clock.advance(60);
    assert_eq!(world.engine.sweep().await.unwrap(), 1);
    assert_eq!(world.engine.sweep().await.unwrap(), 0);
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
    let expired = world
        .audit()
        .await
        .iter()
        .filter(|r| r.kind == AuditKind::Expire)
        .count();
    assert_eq!(expired, 2);
}

#[tokio::test]
async fn a_wall_clock_set_back_extends_nothing() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 60))
        .await
        .unwrap();
    world.clock.set_wall(-3_600);
    world
        .engine
        .reconcile(crate::engine::Moving::Running)
        .await
        .unwrap();
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().deadline_ns,
        5_060 * NS
    );
    world.clock.advance(60);
    assert_eq!(world.engine.sweep().await.unwrap(), 1);
}

#[tokio::test]
async fn a_silent_grant_is_swept_after_its_idle_limit() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 7_200))
        .await
        .unwrap();
    world.clock.advance(1_800);
    assert_eq!(world.engine.sweep_idle().await.unwrap(), 0);
    world.clock.advance(1);
    assert_eq!(world.engine.sweep_idle().await.unwrap(), 1);
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
    assert_eq!(
        world.audit().await.pop().unwrap().reason.as_deref(),
        Some("idle")
    );
}

#[tokio::test]
async fn a_service_that_leaves_the_configuration_takes_its_grants_with_it() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "ssh", "bob", 600))
        .await
        .unwrap();
    let path = world.folder.path().join("agent.toml");
    let without = CONFIG
        .replace("\"ssh\"", "\"shell\"")
        .replace("eth0", "eth1");
    std::fs::write(&path, without).unwrap();
    let applied = world.engine.reload(&ROOT).await.unwrap();
    assert_eq!(
        (applied.added, applied.removed),
        (vec!["shell".into()], vec!["ssh".into()])
    );
    assert_eq!(applied.closed, 1);
    assert_eq!(applied.needs_restart, ["filter.interfaces"]);
    assert!(world.in_kernel("192.0.2.7", "ssh").is_none());
    assert!(world.in_kernel("192.0.2.7", "web").is_some());
    std::fs::write(&path, "nonsense").unwrap();
    let refusal = world.engine.reload(&ROOT).await.unwrap_err();
    assert!(refusal.message.contains(":1:"), "{refusal}");
    assert!(
        world
            .engine
            .services()
            .iter()
            .any(|service| service.name == "shell")
    );
}

#[tokio::test]
async fn denials_reach_the_kernel_flattened_and_end_by_themselves() {
    let world = World::new().await;
    let deny = |prefix: &str, seconds| agent_api::DenyRequest {
        prefix: prefix.parse().unwrap(),
        for_seconds: seconds,
        reason: None,
    };
    world
        .engine
        .deny(&ROOT, deny("203.0.113.0/24", 600))
        .await
        .unwrap();
    world
        .engine
        .deny(&PORTAL, deny("203.0.113.9/32", 60))
        .await
        .unwrap();
    let table = |prefix: &str| {
        world
            .maps
            .table()
            .denies
            .get(&prefix.parse().unwrap())
            .copied()
    };
    assert_eq!(
        table("203.0.113.9/32"),
        Some(5_600 * NS),
        "the wider one lasts longer"
    );
    for (prefix, seconds) in [("203.0.113.0/25", 60), ("203.0.113.8/32", 90_000)] {
        let refusal = world
            .engine
            .deny(&PORTAL, deny(prefix, seconds))
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ProblemCode::BeyondCap, "{prefix}");
    }
    assert!(
        world
            .engine
            .deny(&ROOT, deny("0.0.0.0/0", 60))
            .await
            .is_err()
    );
    world
        .engine
        .lift(&ROOT, "203.0.113.0/24".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(table("203.0.113.9/32"), Some(5_060 * NS));
    world.clock.advance(61);
    assert_eq!(world.engine.sweep_denies().await.unwrap(), 1);
    assert!(world.maps.table().denies.is_empty());
}
