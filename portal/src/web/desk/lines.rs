//! A case, a token or a ticket as a line with words.

use crate::{
    desk::CaseKind,
    portal::Portal,
    store::{CaseRow, CaseState, Owner, TokenRow, TokenState},
    text::{DeskWords, Language},
    web::{
        owner::name_of_theirs,
        page::desk::{CaseLine, TokenLine},
        times::Moment,
    },
};

/// A moment as the page shows it.
pub(super) fn moment(portal: &Portal, language: Language, second: i64) -> Moment {
    Moment::of_second(second, portal.now(), &portal.zone, language)
}

pub(super) fn case<'a>(portal: &'a Portal, language: Language, row: &CaseRow) -> CaseLine<'a> {
    let words = &portal.texts.of(language).desk;
    let (state, tone) = match row.state(portal.now().as_second()) {
        CaseState::Waiting => (&words.case_waiting, "warn"),
        CaseState::Approved => (&words.case_approved, "info"),
        CaseState::Refused => (&words.case_refused, "bad"),
        CaseState::Done => (&words.case_done, "good"),
        CaseState::Expired => (&words.case_expired, "off"),
    };
    CaseLine {
        id: row.id.clone(),
        title: CaseKind::of_word(&row.kind).map_or("", |kind| kind.title(words)),
        person: row.user_name.clone(),
        by: row.opened_by.clone(),
        opened: moment(portal, language, row.opened),
        state,
        tone,
        outcome: row
            .outcome
            .as_deref()
            .map_or("", |word| outcome(word, words)),
    }
}

/// The words of what came of a case.
fn outcome<'a>(word: &str, words: &'a DeskWords) -> &'a str {
    match word {
        "ticket" => &words.out_ticket,
        "unlocked" => &words.out_unlocked,
        "nothing-to-do" => &words.out_nothing,
        "resumed" => &words.out_resumed,
        "assigned" => &words.out_assigned,
        "recovery-codes-void" => &words.out_codes,
        "locked-out" => &words.out_locked_out,
        "grants-not-closed" => &words.out_not_closed,
        "stopped-without-ticket" => &words.out_half,
        "not-possible" => &words.out_not_possible,
        _ => &words.out_failed,
    }
}

/// What a case will do, and its button.
pub(super) fn about(kind: CaseKind, words: &DeskWords) -> (&str, &str) {
    match kind {
        CaseKind::Lost => (&words.lost_text, &words.lost_submit),
        CaseKind::Enrol => (&words.enrol_text, &words.enrol_submit),
        CaseKind::Unlock => (&words.unlock_text, &words.unlock_submit),
        CaseKind::Resume => (&words.resume_text, &words.resume_submit),
        CaseKind::Lockout => (&words.lockout_text, &words.lockout_submit),
        CaseKind::Hardware => (&words.hardware_text, &words.hardware_submit),
        CaseKind::Codes => (&words.codes_text, &words.codes_submit),
    }
}

pub(super) fn token<'a>(portal: &'a Portal, language: Language, row: &TokenRow) -> TokenLine<'a> {
    let words = &portal.texts.of(language).desk;
    let (state, tone) = if row.is(TokenState::Active) {
        (&words.token_active, "good")
    } else if row.is(TokenState::Pending) {
        (&words.token_pending, "info")
    } else if row.is(TokenState::Suspended) {
        (&words.token_suspended, "warn")
    } else {
        (&words.token_revoked, "off")
    };
    let all = portal.texts.of(language);
    TokenLine {
        id: row.id.clone(),
        live: !row.is(TokenState::Revoked),
        owner: row
            .owner()
            .map_or(&all.owner.unsaid, |owner| name_of_theirs(owner, all)),
        said: row.owner().map_or("", Owner::word),
        name: row.name.clone(),
        kind: match &row.serial {
            Some(serial) => format!("{} {serial}", row.kind_word()),
            None => row.kind_word().to_owned(),
        },
        state,
        tone,
        made: moment(portal, language, row.created),
        used: row.last_used.map(|at| moment(portal, language, at)),
    }
}
