//! Trying another configuration, and the ways back.

use std::fs;

use agent_api::{AuditKind, ConfigRequest, Connection, ProblemCode};

use super::world::{CONFIG, ROOT, World, ask};

/// Without `ssh`, with `mail`, and `web` on another port.
fn changed() -> String {
    CONFIG
        .replace("name = \"ssh\"", "name = \"mail\"")
        .replace("198.51.100.10 tcp/22", "198.51.100.20 tcp/25")
        .replace("198.51.100.10 tcp/80", "198.51.100.10 tcp/8080")
}

fn request(text: String, within: Option<u64>) -> ConfigRequest {
    ConfigRequest {
        text,
        name: "new.toml".into(),
        connection: None,
        force: false,
        confirm_within_seconds: within,
    }
}

fn file(world: &World) -> String {
    fs::read_to_string(world.folder.path().join("agent.toml")).unwrap()
}

async fn kinds(world: &World) -> Vec<AuditKind> {
    world.audit().await.into_iter().map(|r| r.kind).collect()
}

fn has(world: &World, service: &str) -> bool {
    world.engine.state().config.service(service).is_some()
}

#[tokio::test]
async fn a_check_says_who_would_lose_access_and_changes_nothing() {
    let world = World::new().await;
    for (service, user) in [("ssh", "alice"), ("web", "bob")] {
        world
            .engine
            .open(&ROOT, ask("192.0.2.7", service, user, 600))
            .await
            .unwrap();
    }
    let text = changed().replace("capacity = 3", "capacity = 4");
    let found = world
        .engine
        .check_config(&ROOT, &request(text, Some(60)))
        .await
        .unwrap();
    assert_eq!(
        (found.added, found.removed),
        (vec!["mail".into()], vec!["ssh".into()])
    );
    assert_eq!(found.changed[0].service, "web");
    assert_eq!(found.changed[0].holders, 1);
    assert_eq!(
        found.changed[0].changes,
        [
            "- target 198.51.100.10 tcp/80",
            "+ target 198.51.100.10 tcp/8080"
        ]
    );
    assert_eq!(
        (found.would_close, found.closing[0].user.as_str()),
        (1, "alice")
    );
    assert_eq!(found.needs_restart, ["filter.capacity"]);
    assert!(found.notes[0].contains("rollback"), "{:?}", found.notes);
    assert!(
        found.settings[0].contains("198.51.100.20/32 is protected"),
        "{:?}",
        found.settings
    );
    assert!(has(&world, "ssh") && !world.maps.table().done.contains(&"apply"));
    assert_eq!(file(&world), CONFIG);
    assert!(!world.engine.state().ids.contains_key("mail"));
}

#[tokio::test]
async fn applied_for_good_it_is_in_force_and_in_the_file() {
    let world = World::new().await;
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "ssh", "alice", 600))
        .await
        .unwrap();
    let applied = world
        .engine
        .apply_config(&ROOT, &request(changed(), None))
        .await
        .unwrap();
    assert_eq!((applied.closed, applied.trial), (1, None));
    assert!(has(&world, "mail") && !has(&world, "ssh"));
    assert_eq!(file(&world), changed());
    let error = world.engine.confirm_config(&ROOT).await.unwrap_err();
    assert_eq!(error.code, ProblemCode::Conflict);
}

#[tokio::test]
async fn on_trial_it_is_undone_when_nobody_confirms() {
    let world = World::new().await;
    let applied = world
        .engine
        .apply_config(&ROOT, &request(changed(), Some(60)))
        .await
        .unwrap();
    assert_eq!(applied.trial.unwrap().remaining_seconds, 60);
    assert!(has(&world, "mail"));
    assert_eq!(file(&world), CONFIG, "written by the confirm only");
    for refused in [
        world.engine.reload(&ROOT).await.unwrap_err(),
        world
            .engine
            .apply_config(&ROOT, &request(changed(), None))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.code, ProblemCode::Conflict);
    }
    world.clock.advance(59);
    world.engine.end_trial_when_due().await.unwrap();
    assert!(has(&world, "mail"));
    // Setting the wall clock moves nothing.
    world.clock.set_wall(-3_600);
    world.clock.advance(1);
    let late = world.engine.confirm_config(&ROOT).await.unwrap_err();
    assert_eq!(late.code, ProblemCode::Conflict);
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "mail", "carol", 600))
        .await
        .unwrap();
    world.engine.end_trial_when_due().await.unwrap();
    assert!(has(&world, "ssh") && !has(&world, "mail"));
    assert_eq!(world.engine.ledger().holder_counts().await.unwrap(), (0, 0));
    let kinds = kinds(&world).await;
    assert!(
        kinds.ends_with(&[AuditKind::Close, AuditKind::Rollback]),
        "{kinds:?}"
    );
    assert_eq!(world.engine.status(&ROOT).await.unwrap().trial, None);
    world.engine.reload(&ROOT).await.unwrap();
}

#[tokio::test]
async fn confirmed_it_stays_and_is_written() {
    let mut world = World::new().await;
    world
        .engine
        .apply_config(&ROOT, &request(changed(), Some(60)))
        .await
        .unwrap();
    let settled = world.engine.confirm_config(&ROOT).await.unwrap();
    assert!(settled.written);
    world.clock.advance(120);
    world.engine.end_trial_when_due().await.unwrap();
    assert_eq!(file(&world), changed());
    world.restart().await;
    world.engine.start().await.unwrap();
    assert!(has(&world, "mail"));
    assert_eq!(kinds(&world).await, [AuditKind::Config, AuditKind::Confirm]);
}

#[tokio::test]
async fn rolled_back_by_hand_it_is_undone_at_once() {
    let world = World::new().await;
    world
        .engine
        .apply_config(&ROOT, &request(changed(), Some(60)))
        .await
        .unwrap();
    world.engine.roll_config_back(&ROOT).await.unwrap();
    assert!(has(&world, "ssh") && !has(&world, "mail"));
    assert_eq!(
        kinds(&world).await,
        [AuditKind::Config, AuditKind::Rollback]
    );
}

#[tokio::test]
async fn an_agent_that_comes_back_goes_on_with_the_trial_and_ends_it_in_time() {
    let mut world = World::new().await;
    world
        .engine
        .apply_config(&ROOT, &request(changed(), Some(60)))
        .await
        .unwrap();
    world.restart().await;
    world.engine.start().await.unwrap();
    assert!(has(&world, "mail"), "still on trial");
    world.clock.advance(60);
    world.engine.end_trial_when_due().await.unwrap();
    assert!(has(&world, "ssh") && !has(&world, "mail"));
}

#[tokio::test]
async fn an_agent_that_comes_back_too_late_starts_with_what_was_before() {
    let mut world = World::new().await;
    world
        .engine
        .apply_config(&ROOT, &request(changed(), Some(60)))
        .await
        .unwrap();
    // The operator edited the agent's own file and applied that.
    fs::write(world.folder.path().join("agent.toml"), changed()).unwrap();
    world.clock.advance(61);
    world.restart().await;
    world.engine.start().await.unwrap();
    assert!(has(&world, "ssh") && !has(&world, "mail"));
    assert_eq!(
        file(&world),
        CONFIG,
        "the next restart must not bring it back"
    );
    let tried = world.folder.path().join("agent.toml.rolled-back");
    assert_eq!(fs::read_to_string(tried).unwrap(), changed());
    assert!(kinds(&world).await.contains(&AuditKind::Rollback));
    world.restart().await;
    assert!(world.engine.state().trial.is_none());
}

#[tokio::test]
async fn what_cuts_the_caller_needs_force() {
    let world = World::new().await;
    let connected = |server: &str, port| ConfigRequest {
        connection: Some(Connection {
            client: "192.0.2.7".parse().unwrap(),
            server: server.parse().unwrap(),
            port,
        }),
        ..request(changed(), None)
    };
    // A port of an address that becomes protected.
    let newly = connected("198.51.100.20", 22);
    let error = world.engine.apply_config(&ROOT, &newly).await.unwrap_err();
    assert_eq!(error.code, ProblemCode::CutsYou, "{error}");
    assert!(has(&world, "ssh"));
    let record = world.audit().await.pop().unwrap();
    assert_eq!(
        (record.kind, record.outcome.as_str()),
        (AuditKind::Config, "cuts-you")
    );
    // A service that needs a grant, which there is or is not.
    let web = connected("198.51.100.10", 8080);
    let error = world.engine.apply_config(&ROOT, &web).await.unwrap_err();
    assert_eq!(error.code, ProblemCode::CutsYou, "{error}");
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    let found = world.engine.check_config(&ROOT, &web).await.unwrap();
    assert!(
        found.cuts.is_none() && found.notes[0].contains("rests on a grant"),
        "{found:?}"
    );
    let forced = ConfigRequest {
        force: true,
        ..newly
    };
    let applied = world.engine.apply_config(&ROOT, &forced).await.unwrap();
    assert!(applied.difference.cuts.is_some() && has(&world, "mail"));
}

#[tokio::test]
async fn two_changes_at_once_are_not_mixed() {
    let world = World::new().await;
    let other = CONFIG.replace("name = \"ssh\"", "name = \"vpn\"");
    let (mail, vpn) = (request(changed(), None), request(other, None));
    let (first, second) = tokio::join!(
        world.engine.apply_config(&ROOT, &mail),
        world.engine.apply_config(&ROOT, &vpn)
    );
    first.unwrap();
    second.unwrap();
    let state = world.engine.state();
    assert_eq!(file(&world), *state.config.text);
    let policy = crate::policy::compile(&state.config, &state.ids).unwrap();
    assert_eq!(world.maps.table().policy, policy);
}
