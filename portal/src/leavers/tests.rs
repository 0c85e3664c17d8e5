//! The watch against a local directory and a fake agent, and against a crowd.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    directory::{
        Account, AccountState, Answer, Password, PasswordAnswer, UserName,
        users_file::{User, UsersFile},
    },
    store::TokenState,
    testing::{NOW, Site},
};

fn change(site: &Site, work: impl FnOnce(&mut Vec<User>)) {
    let path = site.folder.path().join("users.toml");
    let mut users = UsersFile::read(&path).unwrap();
    work(&mut users.users);
    users.write(&path, site.folder.path()).unwrap();
}

fn named<'a>(users: &'a mut [User], name: &str) -> &'a mut User {
    users.iter_mut().find(|user| user.name == name).unwrap()
}

async fn round(site: &Site, mode: Mode) -> Report {
    Sweep::of(&site.portal).round(mode).await.unwrap()
}

async fn state(site: &Site, token: &str) -> TokenState {
    let row = site.portal.store.token(token).await.unwrap().unwrap();
    row.state().unwrap()
}

/// Alice and bob with tokens, signed in, with what they may open.
async fn both_in() -> (Site, String, String) {
    let site = Site::new("").await;
    let (alices, alice) = site.token("alice").await;
    let (bobs, bob) = site.token("bob").await;
    site.in_as("alice", &alice).await;
    site.in_as("bob", &bob).await;
    (site, alices, bobs)
}

#[tokio::test]
async fn a_disabled_person_loses_everything_and_nobody_else_does() {
    let (site, alices, bobs) = both_in().await;
    let quiet = round(&site, Mode::Guarded).await;
    assert_eq!((quiet.people, quiet.leavers, quiet.strays), (2, 0, 0));
    change(&site, |users| named(users, "alice").disabled = true);
    let report = round(&site, Mode::Guarded).await;
    assert_eq!(report.left, [("alice".into(), "disabled".into())]);
    assert_eq!((report.ended, report.not_closed), (1, 0));
    let store = &site.portal.store;
    let token = store.token(&alices).await.unwrap().unwrap();
    assert!(token.is(TokenState::Suspended) && !token.own_suspension());
    assert!(token.secret.is_some(), "an operator may resume it");
    assert!(store.is_barred("u-alice").await.unwrap());
    assert_eq!(store.remove_cookies_of("u-alice").await.unwrap(), 0);
    assert_eq!(state(&site, &bobs).await, TokenState::Active);
    assert_eq!(store.remove_cookies_of("u-bob").await.unwrap(), 1);
    let open = site.agent.open();
    assert_eq!(open.len(), 3, "bob's: {open:?}");
    {
        let audit = site.agent.audit.lock().unwrap();
        let record = audit.last().unwrap();
        assert_eq!(record.kind, agent_api::AuditKind::Lockout);
        assert_eq!(record.outcome, "leaver");
        assert_eq!(record.reason.as_deref(), Some("leaver: disabled"));
    }
    let again = round(&site, Mode::Guarded).await;
    assert_eq!((again.people, again.leavers), (1, 0), "done with her");
}

#[tokio::test]
async fn deleted_people_and_new_ones_with_an_old_name_are_told_apart_from_renamed_ones() {
    let (site, alices, bobs) = both_in().await;
    change(&site, |users| {
        named(users, "bob").name = "robert".into();
        named(users, "alice").id = Some("u-another".into());
    });
    let report = round(&site, Mode::Guarded).await;
    let other = ("alice".into(), "other-person-of-this-name".into());
    assert_eq!(report.left, [other]);
    assert_eq!(state(&site, &alices).await, TokenState::Suspended);
    assert_eq!(state(&site, &bobs).await, TokenState::Active, "renamed");
    change(&site, |users| users.clear());
    let report = round(&site, Mode::Guarded).await;
    assert_eq!(report.left, [("bob".into(), "deleted".into())]);
    let row = site.portal.store.token(&bobs).await.unwrap().unwrap();
    assert!(row.secret.is_some(), "revoked by a verb only");
}

#[tokio::test]
async fn out_of_a_group_only_its_services_close_and_the_cookie_stays() {
    let (site, _, bobs) = both_in().await;
    change(&site, |users| {
        named(users, "bob").groups = vec!["staff".into()]
    });
    let report = round(&site, Mode::Guarded).await;
    assert_eq!(report.strayed, [("bob".into(), vec!["ssh".into()])]);
    assert_eq!((report.closed, report.leavers), (1, 0));
    let open = site.agent.open();
    assert!(
        !open.iter().any(|grant| grant.starts_with("ssh")),
        "{open:?}"
    );
    assert!(
        open.iter().any(|grant| grant.starts_with("web")),
        "{open:?}"
    );
    assert_eq!(state(&site, &bobs).await, TokenState::Active);
    assert_eq!(
        site.portal.store.remove_cookies_of("u-bob").await.unwrap(),
        1
    );
    assert!(site.agent.outcomes().contains(&"left-group".to_owned()));
}

#[tokio::test]
async fn what_an_operator_opened_by_hand_is_not_a_reason_to_close() {
    let (site, ..) = both_in().await;
    for grant in site.agent.grants.lock().unwrap().iter_mut() {
        for holder in &mut grant.holders {
            holder.opened_by = "uid 0".into();
        }
    }
    change(&site, |users| named(users, "bob").groups.clear());
    let report = round(&site, Mode::Guarded).await;
    assert_eq!(report.strays, 0);
}

#[tokio::test]
async fn a_directory_that_is_down_ends_nothing_and_the_age_grows() {
    let (site, alices, _) = both_in().await;
    let sweep = Sweep::of(&site.portal);
    Watched::begin(&site.portal.store, NOW).await.unwrap();
    sweep.watched_round().await.unwrap();
    std::fs::remove_file(site.folder.path().join("users.toml")).unwrap();
    site.clock.advance(500);
    sweep.watched_round().await.unwrap();
    assert_eq!(state(&site, &alices).await, TokenState::Active);
    assert_eq!(site.agent.open().len(), 3);
    let watched = Watched::read(&site.portal.store).await.unwrap();
    assert_eq!(watched.age(NOW + 500), 500);
    assert!(watched.failing.unwrap().contains("users.toml"));
    let condition = Watched::read(&site.portal.store).await.unwrap();
    let stale = Condition::Stale { seconds: 500 };
    assert_eq!(condition.condition(NOW + 500, &sweep.watch), stale);
}

#[tokio::test]
async fn what_the_agent_did_not_close_is_closed_by_the_next_round() {
    let (site, alices, _) = both_in().await;
    change(&site, |users| named(users, "alice").disabled = true);
    site.agent.set_down(true);
    let report = round(&site, Mode::Guarded).await;
    assert!(report.agent_failed.is_some());
    assert_eq!((report.ended, report.not_closed), (1, 1));
    assert_eq!(state(&site, &alices).await, TokenState::Suspended);
    site.agent.also_held_by("alice", "192.0.2.7");
    site.agent.set_down(false);
    let report = round(&site, Mode::Guarded).await;
    assert_eq!(report.left, [("alice".into(), "disabled".into())]);
    assert_eq!(report.not_closed, 0);
    assert!(site.agent.open().is_empty(), "the fake closes whole grants");
}

#[tokio::test]
async fn all_at_once_is_held_back_until_somebody_says_force() {
    let (site, alices, bobs) = both_in().await;
    change(&site, |users| users.clear());
    let sweep = Sweep::of(&site.portal);
    sweep.watched_round().await.unwrap();
    sweep.watched_round().await.unwrap();
    assert_eq!(state(&site, &alices).await, TokenState::Active);
    let watched = Watched::read(&site.portal.store).await.unwrap();
    assert_eq!(watched.held, Some(2));
    let held = |outcome: &&String| *outcome == "leavers-held";
    assert_eq!(site.agent.outcomes().iter().filter(held).count(), 1, "once");
    let dry = round(&site, Mode::DryRun).await;
    assert_eq!((dry.leavers, dry.ended), (2, 0));
    assert_eq!(state(&site, &bobs).await, TokenState::Active);
    let forced = round(&site, Mode::Forced).await;
    assert_eq!((forced.ended, forced.held_back), (2, 0));
    assert_eq!(state(&site, &bobs).await, TokenState::Suspended);
    assert!(site.agent.open().is_empty());
}

/// A directory of very many, which counts what it is asked.
#[derive(Debug, Default)]
struct Crowd {
    people: HashMap<String, Account>,
    questions: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
    /// One name that cannot be looked up.
    broken: Option<String>,
}

impl Crowd {
    async fn asked<T>(&self, answer: T) -> Result<T, DirectoryError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(answer)
    }
}

impl Directory for Crowd {
    fn find<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<Account>> {
        Box::pin(async move {
            if self.broken.as_deref() == Some(name.as_str()) {
                return Err(DirectoryError("an entry without an id".into()));
            }
            self.asked(self.people.get(name.as_str()).cloned()).await
        })
    }

    fn find_many<'a>(&'a self, names: &'a [UserName]) -> Answer<'a, Vec<Account>> {
        let is_broken = |name: &&UserName| self.broken.as_deref() != Some(name.as_str());
        let found = names.iter().filter(is_broken);
        let found = found.filter_map(|name| self.people.get(name.as_str()).cloned());
        Box::pin(self.asked(found.collect()))
    }

    fn find_id<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>> {
        let found = self.people.values().find(|account| account.id == id);
        Box::pin(self.asked(found.cloned()))
    }

    fn verify<'a>(&'a self, _: &'a Account, _: &'a Password) -> Answer<'a, PasswordAnswer> {
        Box::pin(async { Ok(PasswordAnswer::Right) })
    }

    fn pretend<'a>(&'a self, _: &'a Password) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A site with so many people, all with a token.
async fn crowd(count: usize) -> (Site, Crowd) {
    let site = Site::new("").await;
    let mut transaction = site.portal.store.begin().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $1)
         INSERT INTO tokens (id, user_id, user_name, name, state, origin, created)
         SELECT 't' || n, 'u' || n, 'person' || n, 'phone', 'active', 'test', 1 FROM n",
    )
    .bind(i64::try_from(count).unwrap())
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    let account = |n: usize| Account {
        id: format!("u{n}"),
        name: format!("person{n}"),
        groups: vec![],
        group_dns: vec![],
        state: AccountState::Active,
        handle: String::new(),
        mail: None,
    };
    let people = (1..=count).map(|n| (format!("person{n}"), account(n)));
    let crowd = Crowd {
        people: people.collect(),
        ..Crowd::default()
    };
    (site, crowd)
}

#[tokio::test]
async fn ten_thousand_people_are_some_two_hundred_questions_few_at_a_time() {
    let (site, mut many) = crowd(10_000).await;
    for n in 1..=20 {
        many.people.remove(&format!("person{n}"));
    }
    let many = Arc::new(many);
    let sweep = Sweep {
        directory: many.clone(),
        ..Sweep::of(&site.portal)
    };
    let report = sweep.round(Mode::Guarded).await.unwrap();
    assert_eq!((report.people, report.ended), (10_000, 20));
    let questions = many.questions.load(Ordering::SeqCst);
    assert!(questions <= 200 + 2 * 20, "{questions}");
    assert!(many.most.load(Ordering::SeqCst) <= 4);
    assert_eq!(sweep.round(Mode::DryRun).await.unwrap().people, 9_980);
}

#[tokio::test]
async fn an_unclear_answer_about_one_ends_nothing_for_them_and_stops_nobody_else() {
    let (site, mut some) = crowd(30).await;
    some.broken = Some("person7".into());
    some.people.remove("person8");
    let sweep = Sweep {
        directory: Arc::new(some),
        ..Sweep::of(&site.portal)
    };
    let report = sweep.round(Mode::Guarded).await.unwrap();
    assert_eq!((report.unclear, report.ended), (1, 1));
    assert_eq!(report.left, [("person8".into(), "deleted".into())]);
    assert_eq!(state(&site, "t7").await, TokenState::Active);
    assert_eq!(state(&site, "t8").await, TokenState::Suspended);
}

#[tokio::test]
async fn locked_people_and_those_with_an_old_password_have_not_left() {
    let (site, mut some) = crowd(3).await;
    let states = [
        AccountState::Locked,
        AccountState::MustChange,
        AccountState::Expired,
    ];
    for (n, state) in (1..).zip(states) {
        some.people.get_mut(&format!("person{n}")).unwrap().state = state;
    }
    let sweep = Sweep {
        directory: Arc::new(some),
        ..Sweep::of(&site.portal)
    };
    let report = sweep.round(Mode::Guarded).await.unwrap();
    assert_eq!(report.left, [("person3".into(), "expired".into())]);
}
