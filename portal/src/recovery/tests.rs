//! Recovery codes: once, of the present set, of the right person, even by a hundred at once.

use super::*;
use crate::testing::Site;

const ALICE: (&str, &str) = ("u-alice", "alice");

#[tokio::test]
async fn a_code_works_once_however_it_is_typed() {
    let site = Site::new("").await;
    let codes = site
        .portal
        .new_recovery_codes(ALICE, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(codes.len(), CODES);
    let typed = codes[3].to_lowercase().replace('-', " ");
    let fits = site.portal.recovery_fits("u-alice", &typed).await.unwrap();
    let passed = site.portal.use_recovery_code(fits.unwrap()).await.unwrap();
    assert_eq!(passed.unwrap().left(), 9);
    assert!(
        site.portal
            .recovery_fits("u-alice", &typed)
            .await
            .unwrap()
            .is_none()
    );
    for wrong in ["", "AAAA-AAAA-AAAA-AAAA", codes[4].split_at(10).0] {
        let fits = site.portal.recovery_fits("u-alice", wrong).await.unwrap();
        assert!(fits.is_none(), "{wrong:?}");
    }
    let other = site.portal.recovery_fits("u-bob", &codes[4]).await.unwrap();
    assert!(other.is_none(), "bob's codes are others");
}

#[tokio::test]
async fn a_new_set_makes_the_old_one_void() {
    let site = Site::new("").await;
    let old = site
        .portal
        .new_recovery_codes(ALICE, None)
        .await
        .unwrap()
        .unwrap();
    let fits = site.portal.recovery_fits("u-alice", &old[0]).await.unwrap();
    let new = site
        .portal
        .new_recovery_codes(ALICE, None)
        .await
        .unwrap()
        .unwrap();
    let late = site.portal.use_recovery_code(fits.unwrap()).await.unwrap();
    assert!(late.is_none(), "looked at before, used after");
    assert!(
        site.portal
            .recovery_fits("u-alice", &old[1])
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        site.portal
            .recovery_fits("u-alice", &new[1])
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_at_once_with_the_same_code_exactly_one_passes() {
    let site = Site::new("").await;
    let codes = site
        .portal
        .new_recovery_codes(ALICE, None)
        .await
        .unwrap()
        .unwrap();
    let mut fits = Vec::new();
    for _ in 0..100 {
        let one = site
            .portal
            .recovery_fits("u-alice", &codes[0])
            .await
            .unwrap();
        fits.push(one.unwrap());
    }
    let tasks: Vec<_> = fits
        .into_iter()
        .map(|one| {
            let portal = site.portal.clone();
            tokio::spawn(async move { portal.use_recovery_code(one).await.unwrap().is_some() })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += i32::from(task.await.unwrap());
    }
    assert_eq!(passed, 1);
}

#[tokio::test]
async fn no_code_stands_in_the_database() {
    let site = Site::new("").await;
    let codes = site
        .portal
        .new_recovery_codes(ALICE, None)
        .await
        .unwrap()
        .unwrap();
    site.portal.store.close().await;
    for entry in std::fs::read_dir(site.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for code in &codes {
            let plain = code.replace('-', "");
            for needle in [code.as_bytes(), plain.as_bytes()] {
                let found = bytes.windows(needle.len()).any(|window| window == needle);
                assert!(!found, "{}", path.display());
            }
        }
    }
}
