//! The admin verbs against a scratch site with a fake agent.

use clap::CommandFactory as _;

use super::*;
use crate::{
    cli::output::Output,
    config::Config,
    key::Key,
    portal::Portal,
    store::SuspendedBy,
    testing::{self, Site},
};

mod bulk;
mod case;
mod look;
mod policy;

async fn desk(site: &Site) -> Desk {
    let config = testing::config(site.folder.path(), "");
    Desk::open_with(
        config,
        site.agent.clone(),
        site.clock.clone(),
        Output::new(true),
    )
    .await
    .unwrap()
}

fn verb(line: &str) -> Verb {
    Arguments::try_parse_from(line.split(' ')).unwrap().verb
}

async fn user(site: &Site, line: &str) -> anyhow::Result<Done> {
    match verb(line) {
        Verb::User(verb) => user::carry_out(&desk(site).await, verb).await,
        other => panic!("{other:?}"),
    }
}

async fn token(site: &Site, line: &str) -> anyhow::Result<Done> {
    match verb(line) {
        Verb::Token(verb) => token::carry_out(&desk(site).await, verb).await,
        other => panic!("{other:?}"),
    }
}

async fn ticket(site: &Site, line: &str) -> anyhow::Result<Done> {
    match verb(line) {
        Verb::Ticket(verb) => ticket::carry_out(&desk(site).await, verb).await,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Arguments::command().debug_assert();
    for wrong in [
        "sekisho-portal ticket issue --user alice --for 25h",
        "sekisho-portal ticket issue --user alice --for 1s",
        "sekisho-portal user add alice --password x",
        "sekisho-portal token import --user alice --name n --secret x",
    ] {
        assert!(
            Arguments::try_parse_from(wrong.split(' ')).is_err(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn lock_out_ends_everything_of_a_person_at_once() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let (bobs, bob) = site.token("bob").await;
    site.in_as("alice", &seed).await;
    site.in_as("bob", &bob).await;
    ticket(&site, "sekisho-portal ticket issue --user alice")
        .await
        .unwrap();
    let done = user(&site, "sekisho-portal user lockout ALICE --reason lost")
        .await
        .unwrap();
    assert_eq!(done, Done::All);
    let store = &site.portal.store;
    let row = store.token(&id).await.unwrap().unwrap();
    assert!(row.secret.is_none() && row.is(crate::store::TokenState::Revoked));
    assert!(store.token(&bobs).await.unwrap().unwrap().secret.is_some());
    assert_eq!(
        site.agent.open(),
        ["files@192.0.2.7", "ssh@192.0.2.7", "web@192.0.2.7"],
        "bob's"
    );
    assert_eq!(
        store.tickets(Some("alice")).await.unwrap()[0]
            .state(0)
            .name(),
        "void"
    );
    assert_eq!(
        store.remove_cookies_of("u-alice").await.unwrap(),
        0,
        "ended already"
    );
    assert_eq!(store.remove_cookies_of("u-bob").await.unwrap(), 1);
    let audit = site.agent.audit.lock().unwrap();
    let record = audit.last().unwrap();
    assert_eq!(record.kind, agent_api::AuditKind::Lockout);
    assert_eq!(
        (record.outcome.as_str(), record.reason.as_deref()),
        ("ok", Some("lost"))
    );
}

#[tokio::test]
async fn lock_out_without_the_agent_does_the_rest_and_says_so() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    site.agent.set_down(true);
    let done = user(&site, "sekisho-portal user lockout alice")
        .await
        .unwrap();
    assert_eq!(done, Done::Partly);
    assert!(
        site.portal
            .store
            .token(&id)
            .await
            .unwrap()
            .unwrap()
            .secret
            .is_none()
    );
    assert_eq!(site.agent.open().len(), 2, "still open, and said");
    site.agent.set_down(false);
    assert_eq!(
        site.portal.audit.forward().await.unwrap(),
        1,
        "the record was kept"
    );
    let audit = site.agent.audit.lock().unwrap();
    let record = audit.last().unwrap();
    assert_eq!(record.outcome, "grants-not-closed");
    assert!(
        record.reason.as_deref().unwrap().contains("[by uid "),
        "{record:?}"
    );
}

#[tokio::test]
async fn lock_out_works_for_somebody_the_directory_forgot_or_cannot_tell() {
    let site = Site::new("").await;
    let (id, _) = site.token("alice").await;
    std::fs::write(site.folder.path().join("users.toml"), "").unwrap();
    user(&site, "sekisho-portal user lockout alice")
        .await
        .unwrap();
    assert!(
        site.portal
            .store
            .token(&id)
            .await
            .unwrap()
            .unwrap()
            .secret
            .is_none()
    );
    let (id, _) = site.token("bob").await;
    std::fs::write(site.folder.path().join("users.toml"), "broken").unwrap();
    user(&site, "sekisho-portal user lockout bob")
        .await
        .unwrap();
    assert!(
        site.portal
            .store
            .token(&id)
            .await
            .unwrap()
            .unwrap()
            .secret
            .is_none()
    );
}

#[tokio::test]
async fn removing_a_user_locks_them_out_too() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    user(&site, "sekisho-portal user remove alice")
        .await
        .unwrap();
    assert!(site.agent.open().is_empty());
    assert!(
        site.portal
            .store
            .token(&id)
            .await
            .unwrap()
            .unwrap()
            .secret
            .is_none()
    );
    assert!(
        user(&site, "sekisho-portal user remove alice")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn tokens_are_suspended_resumed_and_revoked_in_their_order_only() {
    let site = Site::new("").await;
    let (id, _) = site.token("alice").await;
    let step = async |word: &str| token(&site, &format!("sekisho-portal token {word} {id}")).await;
    assert!(step("resume").await.is_err());
    step("suspend").await.unwrap();
    assert!(step("suspend").await.is_err());
    assert!(
        !site
            .portal
            .store
            .resume_token(&id, SuspendedBy::User, None)
            .await
            .unwrap()
    );
    step("resume").await.unwrap();
    step("revoke").await.unwrap();
    for word in ["suspend", "resume", "revoke", "reissue"] {
        assert!(step(word).await.is_err(), "{word} after revoke");
    }
    assert_eq!(site.agent.outcomes(), ["suspended", "resumed", "revoked"]);
}

#[tokio::test]
async fn tickets_are_issued_for_people_who_exist_and_voided_once() {
    let site = Site::new("").await;
    assert!(
        ticket(&site, "sekisho-portal ticket issue --user nobody")
            .await
            .is_err()
    );
    ticket(
        &site,
        "sekisho-portal ticket issue --user alice --for 5m --note desk",
    )
    .await
    .unwrap();
    let row = site.portal.store.tickets(None).await.unwrap().remove(0);
    assert_eq!((row.expires - row.issued, row.note.as_str()), (300, "desk"));
    assert!(row.issued_by.starts_with("uid "));
    let line = format!("sekisho-portal ticket void {}", row.id);
    ticket(&site, &line).await.unwrap();
    assert!(ticket(&site, &line).await.is_err());
}

#[tokio::test]
async fn rotation_keeps_every_token_working_in_a_running_portal_too() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let key_file = site.folder.path().join("portal.key");
    let old = Key::read(&key_file).unwrap();
    key::rotate(&desk(&site).await).await.unwrap();
    let new = Key::read(&key_file).unwrap();
    assert_ne!(old.id(), new.id());
    // The running portal still has the old key and takes the new one by itself.
    site.in_as("alice", &seed).await;
    let (_, second) = site.token("bob").await;
    site.in_as("bob", &second).await;
    let reopened = reopen(&site).await.unwrap();
    assert_eq!(reopened.store.tokens(None).await.unwrap().len(), 2);
    assert!(site.agent.outcomes().contains(&"rotated".to_owned()));
}

async fn reopen(site: &Site) -> Result<Portal, crate::portal::StartError> {
    let config: Config = testing::config(site.folder.path(), "");
    Portal::open_with(config, site.agent.clone(), site.clock.clone()).await
}

#[tokio::test]
async fn a_rotation_cut_off_before_the_file_was_renamed_is_finished() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let key_file = site.folder.path().join("portal.key");
    let old = std::fs::read(&key_file).unwrap();
    key::rotate(&desk(&site).await).await.unwrap();
    let aside = crate::portal::next_key_file(&key_file);
    std::fs::rename(&key_file, &aside).unwrap();
    std::fs::write(&key_file, old).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let portal = reopen(&site).await.unwrap();
    let row = portal.store.token(&id).await.unwrap().unwrap();
    assert_eq!(portal.codes.seed(&row).unwrap().bytes(), seed.bytes());
    assert!(!aside.exists());
}

#[tokio::test]
async fn a_wrong_key_file_is_refused_at_start_with_both_ids() {
    let site = Site::new("").await;
    let key_file = site.folder.path().join("portal.key");
    let right = Key::read(&key_file).unwrap();
    std::fs::remove_file(&key_file).unwrap();
    let wrong = Key::random();
    wrong.write_new(&key_file, None).unwrap();
    let error = reopen(&site).await.unwrap_err().to_string();
    assert!(
        error.contains(right.id()) && error.contains(wrong.id()),
        "{error}"
    );
}

#[test]
fn key_files_that_others_may_read_or_that_hold_no_key_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.key");
    assert!(
        Key::read(&path)
            .unwrap_err()
            .to_string()
            .contains("key new --out")
    );
    key::new(&path).unwrap();
    assert!(key::new(&path).is_err(), "never over an existing key");
    let mode =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    assert!(
        Key::read(&path)
            .unwrap_err()
            .to_string()
            .contains("mode 640")
    );
    mode(0o600);
    for text in ["", "AAAA", "not base64!", &"A".repeat(64)] {
        std::fs::write(&path, text).unwrap();
        assert!(
            Key::read(&path)
                .unwrap_err()
                .to_string()
                .contains("32 bytes"),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn a_sweep_by_hand_says_who_left_and_ends_it_only_when_asked_to() {
    let site = Site::new("").await;
    let (id, _) = site.token("alice").await;
    site.token("bob").await;
    let path = site.folder.path().join("users.toml");
    let mut users = crate::directory::users_file::UsersFile::read(&path).unwrap();
    users.users.retain(|user| user.name != "alice");
    users.write(&path, site.folder.path()).unwrap();
    let desk = desk(&site).await;
    let is_active = async || {
        let row = site.portal.store.token(&id).await.unwrap().unwrap();
        row.is(crate::store::TokenState::Active)
    };
    let done = directory::sweep(&desk, crate::leavers::Mode::DryRun).await;
    assert_eq!(done.unwrap(), Done::All);
    assert!(is_active().await);
    let done = directory::sweep(&desk, crate::leavers::Mode::Guarded).await;
    assert_eq!(done.unwrap(), Done::All);
    assert!(!is_active().await);
    let both = "sekisho-portal directory sweep --force --dry-run";
    assert!(Arguments::try_parse_from(both.split(' ')).is_err());
}
