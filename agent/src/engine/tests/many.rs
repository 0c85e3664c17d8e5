//! Very many at once: shut first, recorded in one step, told one by one afterwards.

use agent_api::{AuditKind, AuditQuery, AuditRecord, CloseRequest, GrantQuery, ProblemCode};

use super::world::*;
use crate::{clock::Stopwatch, engine::Moving};

const MANY: u32 = 2_500;

fn of(user: &str) -> CloseRequest {
    CloseRequest {
        user: Some(user.into()),
        reason: Some("left".into()),
        ..CloseRequest::default()
    }
}

async fn records(world: &World) -> Vec<AuditRecord> {
    let query = AuditQuery {
        after: Some(0),
        limit: Some(10_000),
        ..AuditQuery::default()
    };
    world.engine.ledger().audit(&query).await.unwrap()
}

async fn listed(world: &World) -> usize {
    let query = GrantQuery {
        limit: Some(10_000),
        ..GrantQuery::default()
    };
    world.engine.list(query).await.unwrap().grants.len()
}

async fn drain(world: &World) -> u64 {
    let mut all = 0;
    loop {
        match world.engine.drain().await.unwrap() {
            0 => return all,
            some => all += some,
        }
    }
}

#[tokio::test]
async fn very_many_are_shut_by_one_record_and_named_one_by_one_afterwards() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    world
        .engine
        .open(&ROOT, ask("10.0.0.7", "ssh", "bob", 600))
        .await
        .unwrap_err();
    let before = records(&world).await.len();
    let closed = world
        .engine
        .close(&ROOT, of("batch"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(
        (closed.count, closed.closed.len()),
        (u64::from(MANY), 1_000)
    );
    assert!(world.maps.table().grants.is_empty());
    assert!(
        world
            .maps
            .table()
            .done
            .iter()
            .all(|what| *what == "remove many")
    );
    let status = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((status.grants_v4.used, status.holders), (0, 0));
    assert_eq!(
        listed(&world).await,
        0,
        "closed is closed, before the rows go"
    );
    let mut told = records(&world).await.split_off(before);
    let summary = told.pop().unwrap();
    assert!(told.is_empty());
    assert_eq!(
        (summary.kind, summary.count, summary.user.as_deref()),
        (AuditKind::Close, u64::from(MANY), Some("batch"))
    );
    assert!(summary.reason.unwrap().ends_with(": left"));

    assert_eq!(drain(&world).await, u64::from(MANY));
    let told = records(&world).await.split_off(before + 1);
    let sources: std::collections::BTreeSet<_> = told.iter().map(|r| r.source).collect();
    assert_eq!((told.len(), sources.len()), (MANY as usize, MANY as usize));
    assert!(told.iter().all(|r| r.kind == AuditKind::Close
        && r.actor == "uid 0"
        && r.service.as_deref() == Some("web")
        && r.reason.as_deref() == Some("left")));
    assert_eq!(world.engine.ledger().counts().await.unwrap(), (0, 0, 0));
    assert!(world.engine.ledger().verify().await.unwrap().intact);
}

#[tokio::test]
async fn a_crash_right_after_the_answer_revives_none_of_very_many() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    world
        .engine
        .close(&ROOT, of("batch"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(world.engine.drain().await.unwrap(), 500);
    world.restart().await;
    world.engine.start().await.unwrap();
    world.engine.reconcile(Moving::Still).await.unwrap();
    assert!(world.maps.table().grants.is_empty());
    let status = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((status.grants_v4.used, status.holders), (0, 0));
    drain(&world).await;
    assert_eq!(world.engine.ledger().counts().await.unwrap(), (0, 0, 0));
    let named = records(&world).await;
    let named = named
        .iter()
        .filter(|r| r.kind == AuditKind::Close && r.count == 1);
    assert_eq!(named.count(), MANY as usize);
}

#[tokio::test]
async fn what_others_hold_stays_until_their_deadline_when_very_many_close() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    // Two more people behind the first source, one of them over already.
    world.crowd_one("10.0.0.0", "web", "bob", 60).await;
    world.crowd_one("10.0.0.1", "web", "carol", 0).await;
    let closed = world
        .engine
        .close(&ROOT, of("batch"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(closed.count, u64::from(MANY));
    let held: Vec<_> = closed.closed.iter().filter(|h| h.still_held).collect();
    assert_eq!(
        (held.len(), held[0].source),
        (1, "10.0.0.0".parse().unwrap())
    );
    assert_eq!(world.maps.table().grants.len(), 1);
    assert_eq!(
        world.in_kernel("10.0.0.0", "web").unwrap().deadline_ns,
        5_060 * NS
    );
    drain(&world).await;
    assert_eq!(listed(&world).await, 1);
    assert_eq!(world.engine.status(&ROOT).await.unwrap().grants_v4.used, 1);
}

#[tokio::test]
async fn a_grant_that_opens_while_very_many_wait_to_go_stays_open() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    let all = CloseRequest {
        all: true,
        ..CloseRequest::default()
    };
    world
        .engine
        .close(&ROOT, all, Stopwatch::start())
        .await
        .unwrap();
    // The same person from the same source, opened by the same side, and somebody new.
    for (source, user) in [("10.0.0.5", "batch"), ("192.0.2.7", "alice")] {
        let grant = world
            .engine
            .open(&PORTAL, ask(source, "web", user, 60))
            .await
            .unwrap();
        assert!(grant.in_kernel);
        assert_eq!(
            grant.remaining_seconds, 60,
            "no deadline is lent by what was closed"
        );
    }
    assert_eq!(listed(&world).await, 2);
    world.engine.reconcile(Moving::Running).await.unwrap();
    world.restart().await;
    world.engine.start().await.unwrap();
    world.engine.reconcile(Moving::Still).await.unwrap();
    assert_eq!(world.maps.table().grants.len(), 2);
    assert_eq!(listed(&world).await, 2);
    drain(&world).await;
    assert_eq!(listed(&world).await, 2);
    let named = records(&world).await;
    let named = named
        .iter()
        .filter(|r| r.kind == AuditKind::Close && r.count == 1);
    assert_eq!(named.count(), MANY as usize, "each is told once");
    assert!(world.engine.ledger().verify().await.unwrap().intact);
}

#[tokio::test]
async fn very_many_that_the_ledger_cannot_record_are_shut_all_the_same() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    let url = format!("sqlite://{}", world.folder.path().join("ledger").display());
    let blocker = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query(
        "CREATE TRIGGER full BEFORE INSERT ON closings BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .execute(&blocker)
    .await
    .unwrap();
    let refusal = world
        .engine
        .close(&ROOT, of("batch"), Stopwatch::start())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ProblemCode::Unavailable);
    assert!(
        refusal.message.contains("closed in the kernel"),
        "{refusal}"
    );
    assert!(world.maps.table().grants.is_empty());
    let status = world.engine.status(&ROOT).await.unwrap();
    assert!(
        status.warnings[0].starts_with("2500 closed holders"),
        "{:?}",
        status.warnings
    );
    world.engine.reconcile(Moving::Running).await.unwrap();
    assert!(world.maps.table().grants.is_empty());
    assert!(world.engine.record_unrecorded().await.is_err());
    sqlx::query("DROP TRIGGER full")
        .execute(&blocker)
        .await
        .unwrap();
    blocker.close().await;
    world.engine.record_unrecorded().await.unwrap();
    world.restart().await;
    world.engine.start().await.unwrap();
    world.engine.reconcile(Moving::Still).await.unwrap();
    assert!(world.maps.table().grants.is_empty());
}

#[tokio::test]
async fn an_agent_that_knows_no_closings_refuses_the_ledger_while_some_wait() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    let version = async |world: &World| -> i64 {
        let url = format!("sqlite://{}", world.folder.path().join("ledger").display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let version = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&pool)
            .await
            .unwrap();
        pool.close().await;
        version
    };
    assert_eq!(version(&world).await, 1);
    world
        .engine
        .close(&ROOT, of("batch"), Stopwatch::start())
        .await
        .unwrap();
    assert_eq!(version(&world).await, 2);
    drain(&world).await;
    assert_eq!(version(&world).await, 1);
}

#[tokio::test]
async fn very_many_that_end_together_are_swept_and_each_is_told() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 60).await;
    world.clock.advance(60);
    let mut swept = 0;
    while let count @ 1.. = world.engine.sweep().await.unwrap() {
        swept += count;
    }
    assert_eq!(swept, u64::from(MANY));
    assert!(world.maps.table().grants.is_empty());
    let status = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((status.grants_v4.used, status.holders), (0, 0));
    let told = records(&world).await;
    let told = told.iter().filter(|r| r.kind == AuditKind::Expire);
    assert_eq!(told.count(), MANY as usize);
}

#[tokio::test]
async fn a_close_of_very_many_that_stops_half_way_is_gone_on_with_and_reopens_nothing() {
    let mut world = World::new().await;
    world.crowd("web", MANY, "batch", 600).await;
    world.maps.table().fail_removal_after = Some(0);
    let problem = world
        .engine
        .close(&ROOT, of("batch"), Stopwatch::start())
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::Unavailable);
    assert!(problem.message.contains("not everything"), "{problem}");
    // The chore of the next second.
    world.engine.record_unrecorded().await.unwrap();
    assert!(world.maps.table().grants.is_empty());
    assert_eq!(listed(&world).await, 0);
    let status = world.engine.status(&ROOT).await.unwrap();
    assert_eq!((status.grants_v4.used, status.holders), (0, 0));
    world.engine.reconcile(Moving::Running).await.unwrap();
    assert!(world.maps.table().grants.is_empty(), "it came back");
    assert_eq!(drain(&world).await, u64::from(MANY));
}
