//! What opens, for how long, and what never does.

use std::sync::Arc;

use agent_api::{AuditKind, ProblemCode};

use super::world::*;
use crate::engine::Moving;

#[tokio::test]
async fn a_grant_is_in_ledger_audit_and_map_before_the_caller_hears_of_it() {
    let world = World::new().await;
    let grant = world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    assert_eq!(grant.remaining_seconds, 600);
    assert!(grant.in_kernel);
    let kernel = world.in_kernel("192.0.2.7", "web").unwrap();
    assert_eq!(kernel.deadline_ns, (5_000 + 600) * NS);
    assert_eq!(kernel.idle_ns, 1_800 * NS);
    let record = world.audit().await.pop().unwrap();
    assert_eq!(
        (record.kind, record.actor.as_str()),
        (AuditKind::Grant, "portal")
    );
    assert_eq!(record.user.as_deref(), Some("alice"));
    assert_eq!(record.request_id.as_deref(), Some("r1"));
}

#[tokio::test]
async fn the_agent_caps_what_the_portal_asks_and_refuses_what_is_meant_exactly() {
    let world = World::new().await;
    let long = ask("192.0.2.7", "web", "alice", 999_999);
    let grant = world.engine.open(&PORTAL, long.clone()).await.unwrap();
    assert_eq!(grant.remaining_seconds, 8 * 3_600);
    let exact = agent_api::GrantRequest {
        exact: true,
        ..long
    };
    for caller in [PORTAL, ROOT] {
        let refusal = world.engine.open(&caller, exact.clone()).await.unwrap_err();
        assert_eq!(refusal.code, ProblemCode::BeyondCap);
        assert!(refusal.message.contains("8h"), "{refusal}");
    }
}

#[tokio::test]
async fn sources_nobody_sends_from_and_deadlines_in_the_past_are_refused() {
    let world = World::new().await;
    for source in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "240.0.0.1",
    ] {
        let refusal = world
            .engine
            .open(&ROOT, ask(source, "web", "alice", 60))
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ProblemCode::BadRequest, "{source}");
    }
    let refusal = world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 0))
        .await
        .unwrap_err();
    assert!(refusal.message.contains("in the future"), "{refusal}");
    let refusal = world
        .engine
        .open(&ROOT, ask("192.0.2.7", "nix", "alice", 9))
        .await
        .unwrap_err();
    assert!(
        refusal.message.contains("web"),
        "names what there is: {refusal}"
    );
    let refusal = world
        .engine
        .open(&ROOT, ask("192.0.2.7", "portal", "a", 9))
        .await
        .unwrap_err();
    assert!(refusal.message.contains("public"), "{refusal}");
    for user in ["", "   ", "a\nb", &"x".repeat(10_000)] {
        let refusal = world
            .engine
            .open(&ROOT, ask("192.0.2.7", "web", user, 9))
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ProblemCode::BadRequest);
    }
    let mut bare = ask("192.0.2.7", "web", "alice", 9);
    bare.factor = None;
    let refusal = world.engine.open(&PORTAL, bare).await.unwrap_err();
    assert!(refusal.message.contains("factor"), "{refusal}");
    assert!(world.maps.table().grants.is_empty());
    let refused = world
        .audit()
        .await
        .iter()
        .filter(|r| r.kind == AuditKind::Refuse)
        .count();
    assert_eq!(refused, 18);
}

#[tokio::test]
async fn a_mapped_source_is_the_ipv4_source() {
    let world = World::new().await;
    let grant = world
        .engine
        .open(&ROOT, ask("::ffff:192.0.2.7", "web", "a", 60))
        .await
        .unwrap();
    assert_eq!(grant.source.to_string(), "192.0.2.7");
    assert!(world.in_kernel("192.0.2.7", "web").is_some());
}

#[tokio::test]
async fn a_full_table_refuses_the_next_grant_and_extends_those_it_has() {
    let world = World::new().await;
    for last in 1..=3 {
        let source = format!("192.0.2.{last}");
        world
            .engine
            .open(&ROOT, ask(&source, "web", "alice", 60))
            .await
            .unwrap();
    }
    let refusal = world
        .engine
        .open(&ROOT, ask("192.0.2.4", "web", "alice", 60))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Full);
    assert!(refusal.message.contains("filter.capacity"), "{refusal}");
    world
        .engine
        .open(&ROOT, ask("192.0.2.3", "web", "bob", 120))
        .await
        .unwrap();
    world
        .engine
        .open(&ROOT, ask("2001:db8::4", "web", "alice", 60))
        .await
        .unwrap();
    world.clock.advance(61);
    assert_eq!(world.engine.sweep().await.unwrap(), 4);
    world
        .engine
        .open(&ROOT, ask("192.0.2.4", "web", "alice", 60))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_grant_the_kernel_refuses_is_taken_back() {
    let world = World::new().await;
    world.maps.table().refuse_puts = true;
    let refusal = world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 60))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Unavailable);
    assert_eq!(world.engine.ledger().counts().await.unwrap(), (0, 0, 0));
    world.maps.table().refuse_puts = false;
    // The place is free again: all three fit.
    for last in 1..=3 {
        let source = format!("192.0.2.{last}");
        world
            .engine
            .open(&ROOT, ask(&source, "web", "alice", 60))
            .await
            .unwrap();
    }
    let kinds: Vec<AuditKind> = world.audit().await.iter().map(|r| r.kind).take(3).collect();
    assert_eq!(
        kinds,
        [AuditKind::Grant, AuditKind::Close, AuditKind::Refuse]
    );
}

#[tokio::test]
async fn two_people_behind_one_address_hold_one_grant_with_the_later_deadline() {
    let world = World::new().await;
    world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    let grant = world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "bob", 60))
        .await
        .unwrap();
    assert_eq!(grant.holders.len(), 2);
    assert_eq!(grant.remaining_seconds, 600);
    assert_eq!(world.maps.table().grants.len(), 1);
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().deadline_ns,
        (5_000 + 600) * NS
    );
}

#[tokio::test]
async fn extending_keeps_the_count_of_packets_and_wakes_an_idle_grant() {
    let world = World::new().await;
    world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    for grant in world.maps.table().grants.values_mut() {
        grant.packets = 42;
    }
    world.clock.advance(300);
    let grant = world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    assert_eq!((grant.packets, grant.remaining_seconds), (42, 600));
    assert_eq!(
        world.in_kernel("192.0.2.7", "web").unwrap().last_seen_ns,
        5_300 * NS
    );
}

#[tokio::test]
async fn lockdown_refuses_new_grants_and_survives_a_restart() {
    let mut world = World::new().await;
    world.engine.set_lockdown(&ROOT, true).await.unwrap();
    assert!(world.maps.table().switches.lockdown);
    world.restart().await;
    let refusal = world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "a", 60))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Lockdown);
    world.engine.set_lockdown(&ROOT, false).await.unwrap();
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "a", 60))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_disk_did_not_take_is_not_acknowledged_and_not_left_open() {
    let mut world = World::on_a_failing_disk().await;
    let refusal = world
        .engine
        .open(&PORTAL, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Unavailable);
    assert!(refusal.message.contains("disk"), "{refusal}");
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
    // Nor does anything else open, whatever the disk says from then on.
    world
        .engine
        .open(&PORTAL, ask("192.0.2.8", "web", "bob", 600))
        .await
        .unwrap_err();
    assert!(world.in_kernel("192.0.2.8", "web").is_none());
    // What is shut while the agent ends stays shut, and so does what was taken back.
    world.engine.set_lockdown(&ROOT, true).await.unwrap();
    world.restart().await;
    world.engine.start().await.unwrap();
    world.engine.reconcile(Moving::Still).await.unwrap();
    assert!(world.in_kernel("192.0.2.7", "web").is_none());
    assert!(world.engine.state().switches.lockdown);
}

#[tokio::test]
async fn a_hundred_who_come_at_once_all_open_and_are_all_recorded() {
    let config = CONFIG.replace("capacity = 3", "capacity = 200");
    let world = World::with(&config).await;
    let asked: Vec<_> = (1..=100)
        .map(|n| {
            let engine = Arc::clone(&world.engine);
            tokio::spawn(async move {
                let source = format!("192.0.2.{n}");
                engine
                    .open(&PORTAL, ask(&source, "web", "alice", 600))
                    .await
            })
        })
        .collect();
    for grant in asked {
        assert!(grant.await.unwrap().unwrap().in_kernel);
    }
    let records = world.audit().await;
    let granted = records.iter().filter(|r| r.kind == AuditKind::Grant);
    assert_eq!(granted.count(), 100);
    let chain = world.engine.ledger().verify().await.unwrap();
    assert!(chain.intact, "{chain:?}");
}
