//! The audit cannot be flooded, and the portal writes only what is the portal's.

use agent_api::{AuditDraft, AuditKind, ProblemCode};

use super::world::*;

fn failed_login(user: &str) -> AuditDraft {
    AuditDraft {
        kind: AuditKind::Login,
        outcome: "wrong-code".into(),
        user: Some(user.into()),
        source: Some("192.0.2.66".parse().unwrap()),
        factor: None,
        token: None,
        reason: None,
        request_id: None,
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted_instead_of_written() {
    let world = World::new().await;
    for n in 0..5_000 {
        world
            .engine
            .write_draft(&PORTAL, failed_login(&format!("u{n}")))
            .await
            .unwrap();
    }
    let written = world.audit().await.len();
    assert!((100..=110).contains(&written), "{written}");
    world.clock.advance(11);
    world.engine.flush_folded().await.unwrap();
    let folded = world.audit().await.pop().unwrap();
    assert_eq!(
        (folded.kind, folded.outcome.as_str()),
        (AuditKind::Login, "wrong-code")
    );
    assert_eq!(folded.count + written as u64, 5_000);
    let chain = world.engine.ledger().verify().await.unwrap();
    assert!(chain.intact, "{chain:?}");
}

#[tokio::test]
async fn successes_are_never_folded() {
    let world = World::new().await;
    for n in 0..300 {
        let draft = AuditDraft {
            outcome: "ok".into(),
            ..failed_login(&format!("u{n}"))
        };
        world.engine.write_draft(&PORTAL, draft).await.unwrap();
    }
    assert_eq!(world.audit().await.len(), 300);
}

#[tokio::test]
async fn the_portal_cannot_write_the_agents_own_kinds() {
    let world = World::new().await;
    for kind in [
        AuditKind::Grant,
        AuditKind::Close,
        AuditKind::Start,
        AuditKind::Config,
    ] {
        let draft = AuditDraft {
            kind,
            ..failed_login("x")
        };
        let refusal = world.engine.write_draft(&PORTAL, draft).await.unwrap_err();
        assert_eq!(refusal.code, ProblemCode::Forbidden);
    }
    assert!(world.audit().await.is_empty());
}

#[tokio::test]
async fn texts_are_cut_and_stripped_of_control_characters() {
    let world = World::new().await;
    let long = format!("a\u{1b}[31m\n{}", "x".repeat(10_000));
    let draft = AuditDraft {
        reason: Some(long),
        ..failed_login("u")
    };
    world.engine.write_draft(&PORTAL, draft).await.unwrap();
    let reason = world.audit().await.pop().unwrap().reason.unwrap();
    assert!(
        reason.len() <= 512 && reason.starts_with("a[31mxx"),
        "{reason}"
    );
}

#[tokio::test]
async fn listeners_hear_every_record() {
    let world = World::new().await;
    let mut events = world.engine.events();
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 60))
        .await
        .unwrap();
    let heard = events.recv().await.unwrap();
    assert_eq!((heard.seq, heard.kind), (1, AuditKind::Grant));
}

#[tokio::test]
async fn what_a_desk_does_is_written_in_full_behind_a_flood() {
    let world = World::new().await;
    for n in 0..300 {
        let failed = failed_login(&format!("u{n}"));
        world.engine.write_draft(&PORTAL, failed).await.unwrap();
    }
    for (kind, outcome) in [
        (AuditKind::User, "case-opened"),
        (AuditKind::Ticket, "issued"),
        (AuditKind::Lockout, "not-me"),
        (AuditKind::Login, "one-more-proof"),
    ] {
        let draft = AuditDraft {
            kind,
            outcome: outcome.into(),
            ..failed_login("alice")
        };
        world.engine.write_draft(&PORTAL, draft).await.unwrap();
        let last = world.audit().await.pop().unwrap();
        let said = (last.kind, last.outcome.as_str(), last.user.as_deref());
        assert_eq!(said, (kind, outcome, Some("alice")));
    }
}
