//! The life of a case with time as a parameter: who may open, decide and carry out, until when, and
//! that of a hundred at the same moment one gets through.

use std::sync::Arc;

use agent_api::AuditKind;

use super::*;
use crate::{
    config::Act,
    store::{CaseState, Decision, TokenState},
    testing::{NOW, Site, desk},
};

const LEADS: [Role; 1] = [Role::Approver];
const DESK: [Role; 1] = [Role::Helpdesk];
const BOTH: [Role; 2] = [Role::Helpdesk, Role::Approver];
const AUDIT: [Role; 1] = [Role::Auditor];

fn by<'a>(name: &'a str, id: &'a str, roles: &'a [Role]) -> By<'a> {
    By::officer((id, name), roles, "192.0.2.7".parse().unwrap(), "REQ")
}

fn carol() -> By<'static> {
    by("carol", "u-carol", &DESK)
}

fn dave() -> By<'static> {
    by("dave", "u-dave", &LEADS)
}

fn frank() -> By<'static> {
    by("frank", "u-frank", &BOTH)
}

async fn open(
    site: &Site,
    by: &By<'_>,
    kind: CaseKind,
    user: &str,
    subject: &str,
) -> Result<Came, Refused> {
    let tools = site.portal.tools();
    let whom = tools.whom(user).await.unwrap().unwrap();
    let wish = Wish {
        kind,
        whom: &whom,
        subject,
        evidence: "seen in person",
        note: "at the counter",
    };
    tools.open(by, wish).await.unwrap()
}

async fn decide(site: &Site, by: &By<'_>, id: &str, decision: Decision) -> Result<Came, Refused> {
    let tools = site.portal.tools();
    tools.decide(by, (id, decision), "checked").await.unwrap()
}

async fn take(site: &Site, by: &By<'_>, id: &str) -> Result<Came, Refused> {
    site.portal.tools().take(by, id).await.unwrap()
}

fn waits(came: Result<Came, Refused>) -> String {
    match came {
        Ok(Came::Waits { case }) => case,
        other => panic!("{other:?}"),
    }
}

fn code(came: Result<Came, Refused>) -> String {
    match came {
        Ok(Came::Done {
            ticket: Some(made), ..
        }) => made.code.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn state(site: &Site, id: &str) -> CaseState {
    let row = site.portal.store.case(id).await.unwrap().unwrap();
    row.state(site.clock.now().as_second())
}

#[tokio::test]
async fn a_lost_phone_stops_everything_and_the_ticket_waits_for_somebody_else() {
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let (token, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    assert_eq!(site.agent.open().len(), 2);
    let case = waits(open(&site, &carol(), CaseKind::Lost, "alice", "").await);
    assert!(site.agent.open().is_empty(), "shut at once");
    let row = site.portal.store.token(&token).await.unwrap().unwrap();
    assert!(row.is(TokenState::Suspended) && !row.own_suspension());
    assert!(
        site.portal
            .store
            .tickets(Some("alice"))
            .await
            .unwrap()
            .is_empty()
    );

    assert_eq!(
        take(&site, &carol(), &case).await.unwrap_err(),
        Refused::Over
    );
    assert!(matches!(
        decide(&site, &dave(), &case, Decision::Approve).await,
        Ok(Came::Decided { .. })
    ));
    assert_eq!(state(&site, &case).await, CaseState::Approved);
    assert_eq!(
        take(&site, &frank(), &case).await.unwrap_err(),
        Refused::Over,
        "the code is for who asked for it"
    );
    site.clock.advance(60);
    code(take(&site, &carol(), &case).await);
    assert_eq!(
        take(&site, &carol(), &case).await.unwrap_err(),
        Refused::Over
    );
    let ticket = &site.portal.store.tickets(Some("alice")).await.unwrap()[0];
    assert_eq!(ticket.replaces.as_deref(), Some(token.as_str()));
    let row = site.portal.store.case(&case).await.unwrap().unwrap();
    assert_eq!(row.ticket.as_deref(), Some(ticket.id.as_str()));
    assert_eq!((row.stopped, row.carried_out), (Some(NOW), Some(NOW + 60)));
    let records = site.agent.audit.lock().unwrap().clone();
    let opened = records.iter().find(|r| r.outcome == "case-opened").unwrap();
    assert_eq!(opened.kind, AuditKind::User);
    let why = opened.reason.as_deref().unwrap();
    assert!(
        why.starts_with("by carol: c-") && why.ends_with("lost: seen in person: at the counter"),
        "{why}"
    );
    assert_eq!(opened.request_id.as_deref(), Some("REQ"));
}

#[tokio::test]
async fn nobody_acts_on_themselves_and_nobody_approves_what_they_asked_for() {
    let site = desk::site("second_approver = [\"ticket\", \"lockout\"]").await;
    for kind in CaseKind::ALL {
        assert_eq!(
            open(&site, &carol(), kind, "carol", "").await.unwrap_err(),
            Refused::Yourself,
            "{kind:?}"
        );
    }
    let case = waits(open(&site, &frank(), CaseKind::Enrol, "alice", "").await);
    let own = decide(&site, &frank(), &case, Decision::Approve).await;
    assert_eq!(own.unwrap_err(), Refused::Own);
    let about = waits(open(&site, &carol(), CaseKind::Lockout, "dave", "").await);
    for decision in [Decision::Approve, Decision::Refuse] {
        let himself = decide(&site, &dave(), &about, decision).await;
        assert_eq!(himself.unwrap_err(), Refused::Yourself);
    }
    // Another spelling of the name is nobody else.
    assert_eq!(
        open(&site, &carol(), CaseKind::Unlock, "CAROL", "")
            .await
            .unwrap_err(),
        Refused::Yourself
    );
}

#[tokio::test]
async fn each_role_does_its_part_and_no_more() {
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let case = waits(open(&site, &carol(), CaseKind::Enrol, "alice", "").await);
    for (who, may_open, may_decide) in [
        (by("erin", "u-erin", &AUDIT), false, false),
        (by("gina", "u-gina", &DESK), true, false),
        (by("dave", "u-dave", &LEADS), false, true),
    ] {
        let opened = open(&site, &who, CaseKind::Unlock, "alice", "").await;
        assert_eq!(opened.is_ok(), may_open, "{who:?}");
        let taken = take(&site, &who, &case).await.unwrap_err();
        assert_eq!(taken == Refused::Role, !may_open, "{who:?}");
        let decided = decide(&site, &who, &case, Decision::Refuse).await;
        assert_eq!(decided.is_ok(), may_decide, "{who:?}");
    }
    assert_eq!(state(&site, &case).await, CaseState::Refused);
    assert_eq!(
        take(&site, &carol(), &case).await.unwrap_err(),
        Refused::Over
    );
}

#[tokio::test]
async fn what_nobody_decided_or_carried_out_in_time_is_over() {
    let site = desk::site("second_approver = [\"ticket\"]\nwaits = \"1h\"").await;
    let (first, second) = (
        waits(open(&site, &carol(), CaseKind::Enrol, "alice", "").await),
        waits(open(&site, &carol(), CaseKind::Enrol, "bob", "").await),
    );
    site.clock.advance(3599);
    decide(&site, &dave(), &first, Decision::Approve)
        .await
        .unwrap();
    site.clock.advance(1);
    assert_eq!(state(&site, &second).await, CaseState::Expired);
    let late = decide(&site, &dave(), &second, Decision::Approve).await;
    assert_eq!(late.unwrap_err(), Refused::Over);
    assert_eq!(
        take(&site, &carol(), &first).await.unwrap_err(),
        Refused::Over
    );
    assert!(site.portal.store.tickets(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn without_evidence_or_a_note_nothing_is_done() {
    let site = desk::site("").await;
    let tools = site.portal.tools();
    let whom = tools.whom("alice").await.unwrap().unwrap();
    let wish = |evidence, note| Wish {
        kind: CaseKind::Lockout,
        whom: &whom,
        subject: "",
        evidence,
        note,
    };
    for (evidence, note, refused) in [
        ("", "a note", Refused::Evidence),
        ("a feeling", "a note", Refused::Evidence),
        ("seen in person", "  \n", Refused::Note),
    ] {
        let opened = tools.open(&carol(), wish(evidence, note)).await.unwrap();
        assert_eq!(opened.unwrap_err(), refused);
    }
    assert!(site.portal.store.cases(None, 10).await.unwrap().is_empty());
}

async fn race<F>(make: impl Fn(Arc<crate::portal::Portal>) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    // The site's own portal is made here, so that its folder outlives the tasks.
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let case = waits(open(&site, &carol(), CaseKind::Enrol, "alice", "").await);
    assert!(case.starts_with("c-"));
    let tasks: Vec<_> = (0..100)
        .map(|_| tokio::spawn(make(site.portal.clone())))
        .collect();
    let mut through = 0;
    for task in tasks {
        through += usize::from(task.await.unwrap());
    }
    assert!(site.portal.store.tickets(None).await.unwrap().len() <= 1);
    through
}

async fn only_case(portal: &crate::portal::Portal) -> String {
    portal.store.cases(None, 1).await.unwrap()[0].id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_approvals_at_the_same_moment_count_once() {
    let through = race(|portal| async move {
        let case = only_case(&portal).await;
        let tools = portal.tools();
        let dave = dave();
        let decided = tools.decide(&dave, (&case, Decision::Approve), "checked");
        decided.await.unwrap().is_ok()
    })
    .await;
    assert_eq!(through, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_takings_of_an_approved_case_issue_one_ticket() {
    let through = race(|portal| async move {
        let case = only_case(&portal).await;
        let tools = portal.tools();
        let _ = tools
            .decide(&dave(), (&case, Decision::Approve), "checked")
            .await;
        tools.take(&carol(), &case).await.unwrap().is_ok()
    })
    .await;
    assert_eq!(through, 1);
}

#[tokio::test]
async fn the_desk_resumes_only_what_the_desk_suspended() {
    let site = desk::site("").await;
    let (token, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    code(open(&site, &carol(), CaseKind::Lost, "alice", "").await);
    let (other, _) = site.token("alice").await;
    let store = &site.portal.store;
    store
        .suspend_token(&other, crate::store::SuspendedBy::Operator, None)
        .await
        .unwrap();
    let wrong = open(&site, &carol(), CaseKind::Resume, "alice", &other).await;
    assert_eq!(wrong.unwrap_err(), Refused::Subject, "an operator's");
    let foreign = open(&site, &carol(), CaseKind::Resume, "bob", &token).await;
    assert_eq!(foreign.unwrap_err(), Refused::Subject, "another person's");
    let done = open(&site, &carol(), CaseKind::Resume, "alice", &token).await;
    assert!(matches!(
        done,
        Ok(Came::Done {
            outcome: "resumed",
            ..
        })
    ));
    let row = store.token(&token).await.unwrap().unwrap();
    assert!(row.is(TokenState::Active));
}

#[tokio::test]
async fn somebody_the_directory_does_not_know_any_more_can_be_ended_and_gets_no_ticket() {
    let site = desk::site("").await;
    let (token, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    crate::directory::users_file::UsersFile { users: vec![] }
        .write(&site.folder.path().join("users.toml"), site.folder.path())
        .unwrap();
    for kind in [CaseKind::Enrol, CaseKind::Unlock, CaseKind::Codes] {
        let refused = open(&site, &carol(), kind, "alice", "").await;
        assert_eq!(refused.unwrap_err(), Refused::Nobody, "{kind:?}");
    }
    let half = open(&site, &carol(), CaseKind::Lost, "alice", "").await;
    assert!(
        matches!(
            half,
            Ok(Came::Done {
                outcome: "stopped-without-ticket",
                ticket: None,
                ..
            })
        ),
        "{half:?}"
    );
    assert!(site.agent.open().is_empty());
    let ended = open(&site, &carol(), CaseKind::Lockout, "alice", "").await;
    assert!(matches!(
        ended,
        Ok(Came::Done {
            outcome: "locked-out",
            ..
        })
    ));
    let row = site.portal.store.token(&token).await.unwrap().unwrap();
    assert!(row.is(TokenState::Revoked) && row.secret.is_none());
}

#[tokio::test]
async fn an_agent_that_is_down_is_said_and_the_rest_is_done() {
    let site = desk::site("").await;
    let (token, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    site.agent.set_down(true);
    let came = open(&site, &carol(), CaseKind::Lockout, "alice", "").await;
    assert!(matches!(
        came,
        Ok(Came::Done {
            outcome: "grants-not-closed",
            ..
        })
    ));
    let row = site.portal.store.token(&token).await.unwrap().unwrap();
    assert!(row.is(TokenState::Revoked));
}

#[tokio::test]
async fn an_operator_needs_no_role_and_no_second_person_but_evidence() {
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let operator = By::operator("uid 0");
    code(open(&site, &operator, CaseKind::Enrol, "alice", "").await);
    let row = &site.portal.store.cases(None, 1).await.unwrap()[0];
    assert_eq!(
        (row.opened_by.as_str(), row.state(NOW)),
        ("uid 0", CaseState::Done)
    );
}

#[tokio::test]
async fn the_report_says_how_long_until_stopped_ticket_and_another_token() {
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let (_, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    let case = waits(open(&site, &carol(), CaseKind::Lost, "alice", "").await);
    site.clock.advance(300);
    decide(&site, &dave(), &case, Decision::Approve)
        .await
        .unwrap();
    let code = code(take(&site, &carol(), &case).await);
    site.clock.advance(120);
    let seed = site.redeem("alice", &code).await;
    let report = recoveries(&site.portal.store, 0).await.unwrap();
    let json = report.json();
    assert_eq!(json[0]["stopped_after_seconds"], 0);
    assert_eq!(json[0]["ticket_after_seconds"], 300);
    assert_eq!(json[0]["enrolled_after_seconds"], 420);
    assert_eq!(json[1]["case"], "median");
    assert_eq!(json[1]["enrolled_after_seconds"], 420);
    site.clock.advance(30);
    site.in_as("alice", &seed).await;
}

#[tokio::test]
async fn a_wait_is_lifted_and_recovery_codes_are_void() {
    let site = desk::site("").await;
    let (_, seed) = site.token("alice").await;
    for _ in 0..4 {
        site.log_in("alice", "x", "000000").await;
    }
    let (code, right) = (site.code(&seed), "password of alice");
    assert_eq!(site.log_in("alice", right, &code).await.status, 429);
    let done = open(&site, &carol(), CaseKind::Unlock, "ALICE", "").await;
    assert!(matches!(
        done,
        Ok(Came::Done {
            outcome: "unlocked",
            ..
        })
    ));
    assert_eq!(site.log_in("alice", right, &code).await.status, 303);
    let again = open(&site, &carol(), CaseKind::Unlock, "alice", "").await;
    assert!(matches!(
        again,
        Ok(Came::Done {
            outcome: "nothing-to-do",
            ..
        })
    ));

    let store = &site.portal.store;
    store
        .replace_recovery_set(
            "r-1",
            ("u-alice", "alice"),
            (b"salt", &[b"hash".to_vec()]),
            None,
            NOW,
        )
        .await
        .unwrap();
    let done = open(&site, &carol(), CaseKind::Codes, "alice", "").await;
    assert!(matches!(
        done,
        Ok(Came::Done {
            outcome: "recovery-codes-void",
            ..
        })
    ));
    assert!(store.recovery_set("u-alice").await.unwrap().is_none());
}

#[tokio::test]
async fn a_hardware_token_comes_from_stock_and_goes_to_one_person() {
    use crate::{codes::stock_place, otp::Seed, store::StockRow};
    let site = desk::site("").await;
    let codes = &site.portal.codes;
    let seed = Seed::random();
    let (secret, key) = codes.seal_at(stock_place("HW-1"), seed.bytes()).unwrap();
    let row = StockRow {
        serial: "HW-1".into(),
        secret,
        kind: "totp:sha1:6:30".into(),
        last: 0,
        weak: false,
        imported: NOW,
    };
    site.portal.store.add_stock(&row, &key).await.unwrap();
    let none = open(&site, &carol(), CaseKind::Hardware, "alice", "HW-2").await;
    assert_eq!(none.unwrap_err(), Refused::Subject);
    let done = open(&site, &carol(), CaseKind::Hardware, "alice", "HW-1").await;
    assert!(
        matches!(
            done,
            Ok(Came::Done {
                outcome: "assigned",
                ..
            })
        ),
        "{done:?}"
    );
    let taken = open(&site, &carol(), CaseKind::Hardware, "bob", "HW-1").await;
    assert_eq!(taken.unwrap_err(), Refused::Subject);
    site.in_as("alice", &seed).await;
}

#[test]
fn every_act_is_of_some_case() {
    for act in [
        Act::Ticket,
        Act::Unlock,
        Act::Resume,
        Act::Lockout,
        Act::Hardware,
        Act::RecoveryCodes,
    ] {
        assert!(
            CaseKind::ALL.iter().any(|kind| kind.act() == act),
            "{act:?}"
        );
    }
    for kind in CaseKind::ALL {
        assert_eq!(CaseKind::of_word(kind.word()), Some(kind));
    }
}

#[tokio::test]
async fn what_was_asked_for_before_a_lock_out_is_not_carried_out_after_it() {
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let case = waits(open(&site, &carol(), CaseKind::Enrol, "alice", "").await);
    let store = &site.portal.store;
    store
        .suspend_all("u-alice", "this was not me", NOW)
        .await
        .unwrap();
    assert_eq!(state(&site, &case).await, CaseState::Refused);
    let late = decide(&site, &dave(), &case, Decision::Approve).await;
    assert_eq!(late.unwrap_err(), Refused::Over);
}

#[tokio::test]
async fn the_desk_resumes_only_what_it_stopped_itself_and_nobody_stopped_since() {
    let site = desk::site("").await;
    let (own, _) = site.token("alice").await;
    let (other, _) = site.token("alice").await;
    let store = &site.portal.store;
    let by = crate::store::SuspendedBy::User;
    assert!(store.suspend_token(&own, by, None).await.unwrap());
    open(&site, &carol(), CaseKind::Lost, "alice", "")
        .await
        .unwrap();
    let stopped = store.stopped_by_desk("u-alice").await.unwrap();
    assert_eq!(
        stopped,
        std::slice::from_ref(&other),
        "not what she reported stolen herself"
    );
    store.suspend_all("u-alice", "leaver", NOW).await.unwrap();
    assert!(store.stopped_by_desk("u-alice").await.unwrap().is_empty());
    assert!(!store.resume_for_desk(&other, "u-alice").await.unwrap());
}
