//! What is written is there again, deadlines survive a reboot, and the chain notices a change.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::{holders::*, *};
use crate::kernel::GrantId;

pub(crate) fn moment(wall_s: i64, boot_s: u64) -> Moment {
    Moment {
        wall: Timestamp::from_second(wall_s).unwrap(),
        boot_ns: boot_s * 1_000_000_000,
    }
}

const S: u64 = 1_000_000_000;

fn holder(last: u8, user: &str, now: Moment, seconds: u64) -> HolderRow {
    HolderRow {
        id: GrantId {
            source: std::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)).into(),
            service: 1,
        },
        user: user.into(),
        factor: Some("pwd otp".into()),
        opened_ms: now.wall.as_millisecond(),
        opened_by: "portal".into(),
        deadline_ms: now.wall.as_millisecond() + i64::try_from(seconds).unwrap() * 1_000,
        deadline_boot_ns: now.boot_ns + seconds * S,
        idle_ns: 60 * S,
    }
}

async fn put(ledger: &Ledger, row: &HolderRow) {
    let mut writing = ledger.write().await.unwrap();
    put_holder(&mut writing, row).await.unwrap();
    writing.commit().await.unwrap();
}

#[tokio::test]
async fn the_latest_holder_decides_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&folder.path().join("l"), "b1", now)
        .await
        .unwrap();
    put(&ledger, &holder(7, "alice", now, 60)).await;
    put(
        &ledger,
        &HolderRow {
            idle_ns: 0,
            ..holder(7, "bob", now, 600)
        },
    )
    .await;
    let id = holder(7, "alice", now, 0).id;
    let grant = ledger.grant(id, now.boot_ns).await.unwrap().unwrap();
    assert_eq!(
        (grant.deadline_boot_ns, grant.idle_ns),
        (now.boot_ns + 600 * S, 0)
    );
    let later = ledger.grant(id, now.boot_ns + 600 * S).await.unwrap();
    assert_eq!(later, None);
    assert_eq!(ledger.counts().await.unwrap(), (1, 0, 2));
    assert_eq!(
        ledger.ended(now.boot_ns + 61 * S, 10).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn asking_again_never_brings_a_deadline_closer() {
    let folder = tempfile::tempdir().unwrap();
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&folder.path().join("l"), "b1", now)
        .await
        .unwrap();
    put(&ledger, &holder(7, "alice", now, 600)).await;
    put(&ledger, &holder(7, "alice", now, 60)).await;
    let held = ledger.holders(&Selection::default()).await.unwrap();
    assert_eq!(held[0].deadline_boot_ns, now.boot_ns + 600 * S);
}

#[tokio::test]
async fn deadlines_survive_a_reboot_and_a_clock_set_back_extends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&path, "b1", now).await.unwrap();
    put(&ledger, &holder(7, "alice", now, 600)).await;
    ledger.note_time(now).await.unwrap();
    ledger.close().await;
    let only = |rows: Vec<HolderRow>| rows[0].deadline_boot_ns;

    // The same boot, the wall clock set back by an hour: the boot clock still counts.
    let ledger = Ledger::open(&path, "b1", moment(1_000_000 - 3_600, 510))
        .await
        .unwrap();
    assert_eq!(
        only(ledger.holders(&Selection::default()).await.unwrap()),
        (500 + 600) * S
    );
    ledger.close().await;

    // Another boot 100 s later: 500 s are left.
    let ledger = Ledger::open(&path, "b2", moment(1_000_100, 20))
        .await
        .unwrap();
    assert_eq!(
        only(ledger.holders(&Selection::default()).await.unwrap()),
        (20 + 500) * S
    );
    ledger.note_time(moment(1_000_100, 20)).await.unwrap();
    ledger.close().await;

    // Another boot with a clock that stands an hour behind: it counts as the last time seen.
    let ledger = Ledger::open(&path, "b3", moment(1_000_100 - 3_600, 30))
        .await
        .unwrap();
    assert_eq!(
        only(ledger.holders(&Selection::default()).await.unwrap()),
        (30 + 500) * S
    );
}

#[tokio::test]
async fn a_clock_that_ran_ahead_and_was_corrected_extends_nothing_over_a_reboot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let ahead = moment(2_000_000, 500);
    let ledger = Ledger::open(&path, "b1", ahead).await.unwrap();
    put(&ledger, &holder(7, "alice", ahead, 600)).await;
    // Corrected by more than eleven days, noted 100 s later, then a reboot.
    ledger.note_time(moment(1_000_100, 600)).await.unwrap();
    ledger.close().await;
    let ledger = Ledger::open(&path, "b2", moment(1_000_110, 20))
        .await
        .unwrap();
    // 500 s were left then, and 10 s have gone since.
    let held = ledger.holders(&Selection::default()).await.unwrap();
    assert_eq!(held[0].deadline_boot_ns, (20 + 490) * S);
}

/// Seconds that one grant of 600 has left over a reboot, 100 seconds after it was opened at wall
/// 1,000,000. Before the reboot the wall clock showed `noted`, after it `found`.
async fn left_over_a_reboot(noted: &[i64], found: i64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&path, "b1", now).await.unwrap();
    put(&ledger, &holder(7, "alice", now, 600)).await;
    for wall in noted {
        ledger.note_time(moment(*wall, 600)).await.unwrap();
    }
    ledger.close().await;
    let ledger = Ledger::open(&path, "b2", moment(found, 0)).await.unwrap();
    let held = ledger.holders(&Selection::default()).await.unwrap();
    held[0].deadline_boot_ns / S
}

#[tokio::test]
async fn a_clock_that_is_set_while_a_boot_runs_cuts_nobody_at_the_next() {
    let hours = 6 * 3_600;
    // Right all the time; forth and back again; back and forth again; back for good.
    assert_eq!(left_over_a_reboot(&[1_000_100], 1_000_110).await, 490);
    let forth = [1_000_050 + hours, 1_000_100];
    assert_eq!(left_over_a_reboot(&forth, 1_000_110).await, 490);
    let back = [1_000_050 - hours, 1_000_100];
    assert_eq!(left_over_a_reboot(&back, 1_000_110).await, 490);
    let set_back = [1_000_100 - hours];
    assert!(left_over_a_reboot(&set_back, 1_000_110 - hours).await <= 500);
    // Set forth for good.
    assert_eq!(
        left_over_a_reboot(&[1_000_100 + hours], 1_000_110 + hours).await,
        490
    );
}

#[tokio::test]
async fn a_machine_that_was_off_for_longer_than_a_grant_ends_it_whatever_its_clock_showed() {
    let hours = 6 * 3_600;
    assert_eq!(left_over_a_reboot(&[1_000_100], 1_001_000).await, 0);
    let forth = [1_000_050 + hours, 1_000_100];
    assert_eq!(left_over_a_reboot(&forth, 1_001_000).await, 0);
    // It was forth and right again, and now it is as late as it once wrongly showed.
    assert_eq!(left_over_a_reboot(&forth, 1_000_051 + hours).await, 0);
    // A clock that woke up in the past knows nothing of it: what was left is all there can be.
    assert_eq!(left_over_a_reboot(&[1_000_100], 0).await, 500);
}

#[tokio::test]
async fn a_second_reboot_before_anything_is_noted_neither_cuts_nor_extends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let now = moment(1_000_000, 5_000);
    let ledger = Ledger::open(&path, "b1", now).await.unwrap();
    put(&ledger, &holder(7, "alice", now, 600)).await;
    ledger.close().await;
    for (boot, wall, left) in [("b2", 1_000_100, 500), ("b3", 1_000_200, 400)] {
        let ledger = Ledger::open(&path, boot, moment(wall, 7)).await.unwrap();
        let held = ledger.holders(&Selection::default()).await.unwrap();
        assert_eq!(held[0].deadline_boot_ns, (7 + left) * S, "{boot}");
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_full_read_sums_the_holders_of_each_grant_across_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&folder.path().join("l"), "b1", now)
        .await
        .unwrap();
    // 30,000 holders of 10,000 grants, and one grant with more holders than fit a piece.
    for sql in [
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29999) \
         INSERT INTO holders SELECT unhex(printf('0a%06x', i / 3)), 1, 'u' || i, NULL, 0, 'portal', \
         0, $1 + i % 3, 7 FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
         INSERT INTO holders SELECT unhex('20010db8000000000000000000000007'), 2, 'u' || i, NULL, 0, \
         'portal', 0, $1 + i, i FROM n",
    ] {
        sqlx::query(sql)
            .bind(1_000_000_000_000i64)
            .execute(&ledger.writer)
            .await
            .unwrap();
    }
    let mut all = std::collections::BTreeMap::new();
    ledger
        .each_grant(now.boot_ns, |rows| {
            for row in rows {
                let before = all.insert(row.id, (row.deadline_boot_ns, row.idle_ns));
                assert_eq!(before, None, "a grant came twice");
            }
        })
        .await
        .unwrap();
    assert_eq!(all.len(), 10_001);
    let crowd = GrantId {
        source: "2001:db8::7".parse().unwrap(),
        service: 2,
    };
    assert_eq!(all.remove(&crowd), Some((1_000_000_009_999, 0)));
    assert!(all.values().all(|row| *row == (1_000_000_000_002, 7)));
}

#[tokio::test]
async fn any_byte_of_a_source_survives_a_full_read() {
    let folder = tempfile::tempdir().unwrap();
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&folder.path().join("l"), "b1", now)
        .await
        .unwrap();
    // Zeros, blanks, digits and bytes that are no text, in front and at the end.
    let sources = [
        "0.32.49.0",
        "32.32.52.32",
        "255.254.49.48",
        "54.52.32.0",
        "::",
        "3434:2020::3430",
        "3634:ff00::3120",
        "2001:db8::2031",
    ];
    let mut wanted = std::collections::BTreeSet::new();
    for (source, service) in sources
        .iter()
        .flat_map(|source| [(source, 1), (source, 4_000_000_000)])
    {
        let id = GrantId {
            source: source.parse().unwrap(),
            service,
        };
        put(
            &ledger,
            &HolderRow {
                id,
                ..holder(7, "alice", now, 60)
            },
        )
        .await;
        put(
            &ledger,
            &HolderRow {
                id,
                ..holder(7, "bob", now, 90)
            },
        )
        .await;
        wanted.insert(id);
    }
    let mut all = std::collections::BTreeSet::new();
    ledger
        .each_grant(now.boot_ns, |rows| {
            for row in rows {
                assert_eq!(
                    (row.deadline_boot_ns, row.holders),
                    (now.boot_ns + 90 * S, 2)
                );
                assert!(all.insert(row.id));
            }
        })
        .await
        .unwrap();
    assert_eq!(all, wanted);
    let of_alice = Selection {
        user: Some("alice".into()),
        ..Selection::default()
    };
    let mut pieces = ledger.matching(&of_alice).await.unwrap();
    let mut matching = std::collections::BTreeSet::new();
    while let Some(piece) = pieces.recv().await {
        matching.extend(piece.unwrap().iter().map(|row| (row.id, row.holders)));
    }
    assert_eq!(matching, wanted.iter().map(|id| (*id, 1)).collect());
}

async fn chain_of_five(folder: &Path) -> Ledger {
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&folder.join("l"), "b1", now).await.unwrap();
    let mut head = Head::default();
    for n in 1..=5u8 {
        let mut writing = ledger.write().await.unwrap();
        let entry = Entry {
            user: Some(format!("user{n}")),
            ..Entry::ok(agent_api::AuditKind::Grant, "uid 0")
        };
        head.append(&mut writing, now.wall, vec![entry])
            .await
            .unwrap();
        writing.commit().await.unwrap();
    }
    let mut writing = ledger.write().await.unwrap();
    assert_eq!(Head::read(&mut writing).await.unwrap(), head);
    drop(writing);
    ledger
}

#[tokio::test]
async fn the_chain_is_append_only_and_notices_every_change() {
    for tamper in [
        "UPDATE audit SET record = replace(record, 'user3', 'user9') WHERE seq = 3",
        "UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 3",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ledger = chain_of_five(folder.path()).await;
        let chain = ledger.verify().await.unwrap();
        assert!(chain.intact && chain.records == 5, "{chain:?}");
        let refused = sqlx::query(tamper)
            .execute(&ledger.writer)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
        for trigger in ["update", "delete"] {
            let sql = format!("DROP TRIGGER audit_is_append_only_{trigger}");
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(&ledger.writer)
                .await
                .unwrap();
        }
        sqlx::query(tamper).execute(&ledger.writer).await.unwrap();
        let chain = ledger.verify().await.unwrap();
        assert!(!chain.intact, "{tamper}");
        assert!(chain.problem.unwrap().contains("record 3"), "{tamper}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    std::fs::write(
        &path,
        "this is not a database, not at all, by no means whatsoever",
    )
    .unwrap();
    let error = Ledger::open(&path, "b1", moment(1, 1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("this is not")
    );
}

/// What an address reaches by the /64 around it, and what is held from inside a /64, belongs to a
/// closing of either, as long as its rows wait to go.
#[tokio::test]
async fn a_closing_by_source_covers_prefixes_and_their_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&folder.path().join("l"), "b1", now)
        .await
        .unwrap();
    let sources = [
        "2001:db8:0:7::/64",
        "2001:db8:0:7::a",
        "2001:db8:0:7::b",
        "2001:db8:0:8::/64",
        "192.0.2.7",
    ];
    for source in sources {
        let mut row = holder(7, "alice", now, 60);
        row.id.source = source.parse().unwrap();
        put(&ledger, &row).await;
    }
    for (closed, left) in [
        ("2001:db8:0:7::a", vec![2, 3, 4]),
        ("2001:db8:0:7::/64", vec![3, 4]),
    ] {
        let selection = Selection {
            source: Some(closed.parse().unwrap()),
            ..Selection::default()
        };
        let closing = ClosingRow {
            id: 0,
            selection: selection.clone(),
            actor: "uid 0".into(),
            reason: None,
            request_id: None,
        };
        let selected = ledger.holders(&selection).await.unwrap();
        assert!(selected.iter().all(|row| selection.covers(row)));
        let mut writing = ledger.write().await.unwrap();
        put_closing(&mut writing, &closing).await.unwrap();
        writing.commit().await.unwrap();
        let mut open: Vec<String> = ledger
            .holders(&Selection::default())
            .await
            .unwrap()
            .iter()
            .map(|row| row.id.source.to_string())
            .collect();
        open.sort();
        let mut expected: Vec<&str> = left.iter().map(|at: &usize| sources[*at]).collect();
        expected.sort_unstable();
        assert_eq!(open, expected, "after closing {closed}");
        let mut writing = ledger.write().await.unwrap();
        let first = first_closing(&mut writing).await.unwrap().unwrap();
        let gone = closed_holders(&mut writing, &first, 10).await.unwrap();
        assert!(!gone.is_empty());
        writing.commit().await.unwrap();
    }
    // One grant's holders are not those of another one that meets it.
    let mut id = holder(7, "alice", now, 60).id;
    for (source, holders) in [(sources[3], 1), ("2001:db8:0:8::a", 0)] {
        id.source = source.parse().unwrap();
        assert_eq!(ledger.holders_of(id).await.unwrap().len(), holders);
    }
    // Opened again after both: only this one is there again.
    let mut row = holder(7, "alice", now, 60);
    row.id.source = sources[0].parse().unwrap();
    let mut writing = ledger.write().await.unwrap();
    assert!(reopen(&mut writing, &row).await.unwrap().is_some());
    put_holder(&mut writing, &row).await.unwrap();
    writing.commit().await.unwrap();
    let open = ledger.holders(&Selection::default()).await.unwrap();
    assert_eq!(open.len(), 3, "{open:?}");
}

/// An agent that cannot read a prefix must not read the ledger, for as long as there is one.
#[tokio::test]
async fn a_ledger_with_prefixes_is_for_agents_that_know_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let now = moment(1_000_000, 500);
    let ledger = Ledger::open(&path, "b1", now).await.unwrap();
    let version = async |ledger: &Ledger| -> i64 {
        let version = sqlx::query_scalar("PRAGMA user_version");
        version.fetch_one(&ledger.readers).await.unwrap()
    };
    assert_eq!(version(&ledger).await, SCHEMA_VERSION);
    let mut row = holder(7, "alice", now, 60);
    row.id.source = "2001:db8:0:7::/64".parse().unwrap();
    put(&ledger, &row).await;
    assert_eq!(version(&ledger).await, PREFIX_VERSION);
    let mut writing = ledger.write().await.unwrap();
    remove_holder(&mut writing, &row).await.unwrap();
    writing.commit().await.unwrap();
    ledger.close().await;
    let ledger = Ledger::open(&path, "b1", now).await.unwrap();
    assert_eq!(version(&ledger).await, SCHEMA_VERSION);
}
