//! Codes against tokens: once, of the right person, even by two hundred at once.

use std::sync::Arc;

use super::*;
use crate::testing::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_at_once_with_the_same_code_exactly_one_passes() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let (portal, typed, now) = (site.portal.clone(), site.code(&seed), site.clock.now());
    let typed = Arc::new(typed);
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (portal, typed) = (portal.clone(), typed.clone());
            tokio::spawn(async move {
                let code = Code::parse(&typed);
                portal
                    .codes
                    .check("u-alice", code.as_ref(), now)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let (mut passed, mut used) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => passed += 1,
            Err(CodeRefused::Used) => used += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((passed, used), (1, 199));
}

#[tokio::test]
async fn an_earlier_step_is_used_up_with_a_later_one() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let now = site.clock.now();
    let check = async |offset: i64| {
        let step = 30;
        let at = Timestamp::from_second(now.as_second() + offset * step).unwrap();
        let code = Code::parse(&seed.code_at(at));
        let result = site
            .portal
            .codes
            .check("u-alice", code.as_ref(), now)
            .await
            .unwrap();
        result.map(|passed| passed.note().to_owned())
    };
    assert_eq!(check(2).await, Err(CodeRefused::Wrong));
    assert_eq!(check(0).await, Ok("step +0".into()));
    assert_eq!(check(0).await, Err(CodeRefused::Used));
    assert_eq!(check(-1).await, Err(CodeRefused::Used));
    assert_eq!(check(1).await, Ok("step +1".into()));
}

#[tokio::test]
async fn any_active_token_of_the_person_counts_and_nobody_elses() {
    let site = Site::new("").await;
    let (first, seed) = site.token("alice").await;
    let (second, other) = site.token("alice").await;
    let now = site.clock.now();
    let check = async |user: &str, seed: &Seed| {
        let code = Code::parse(&seed.code_at(now));
        let result = site
            .portal
            .codes
            .check(user, code.as_ref(), now)
            .await
            .unwrap();
        result.map(|passed| passed.token().to_owned())
    };
    assert_eq!(check("u-bob", &seed).await, Err(CodeRefused::NoToken));
    assert_eq!(check("u-alice", &other).await, Ok(second.clone()));
    assert_eq!(check("u-alice", &seed).await, Ok(first));
    site.portal
        .store
        .suspend_token(&second, crate::store::SuspendedBy::User, None)
        .await
        .unwrap();
    site.clock.advance(60);
    let code = Code::parse(&site.code(&other));
    let result = site
        .portal
        .codes
        .check("u-alice", code.as_ref(), site.clock.now())
        .await
        .unwrap();
    assert_eq!(result.unwrap_err(), CodeRefused::Wrong);
}

#[tokio::test]
async fn a_seed_copied_to_another_row_does_not_open() {
    let site = Site::new("").await;
    let (first, _) = site.token("alice").await;
    let (second, _) = site.token("bob").await;
    let mut row = site.portal.store.token(&second).await.unwrap().unwrap();
    row.secret = site
        .portal
        .store
        .token(&first)
        .await
        .unwrap()
        .unwrap()
        .secret;
    assert!(matches!(
        site.portal.codes.seed(&row),
        Err(CodesError::Vault(_, VaultError::Damaged))
    ));
}
