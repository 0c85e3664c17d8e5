//! Every word the portal says, in one file per language: two built in, others from a folder. A file
//! that lacks a key, or has one too many, does not load.

mod language;
mod own;

pub(crate) use language::Language;
pub(crate) use own::{TextsError, read};

use std::{path::Path, sync::Arc};

use serde::Deserialize;

/// What the others are compared with, and what a translator begins with.
pub(crate) const ENGLISH: &str = include_str!("../texts/en.toml");
const JAPANESE: &str = include_str!("../texts/ja.toml");

/// The texts of all languages.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    english: Arc<Words>,
    others: Vec<(Language, Arc<Words>)>,
}

impl Texts {
    /// The built-in texts, and those of a folder's files `TAG.toml`, which count before them.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, TextsError> {
        let built_in = |file: &str, text| parse(Path::new(file), text);
        let mut texts = Self {
            english: built_in("en.toml", ENGLISH)?,
            others: vec![(Language::Ja, built_in("ja.toml", JAPANESE)?)],
        };
        let Some(folder) = folder else {
            return Ok(texts);
        };
        let say = |e: std::io::Error| TextsError::new(folder, format!("cannot be read: {e}"));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(say)? {
            files.push(entry.map_err(say)?.path());
        }
        files.retain(|path| path.extension().is_some_and(|kind| kind == "toml"));
        files.sort();
        for path in files {
            let language = own::language_of(&path)?;
            texts.put(language, parse(&path, &read(&path)?)?);
        }
        Ok(texts)
    }

    fn put(&mut self, language: Language, words: Arc<Words>) {
        if language == Language::En {
            self.english = words;
            return;
        }
        match self.others.iter_mut().find(|(own, _)| *own == language) {
            Some((_, before)) => *before = words,
            None => self.others.push((language, words)),
        }
    }

    /// English where there is nothing else.
    pub(crate) fn of(&self, language: Language) -> &Words {
        let found = self.others.iter().find(|(own, _)| *own == language);
        found.map_or(&self.english, |(_, words)| words)
    }

    /// Every language there is, with its words.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Language, &Words)> {
        let others = self
            .others
            .iter()
            .map(|(own, words)| (*own, words.as_ref()));
        std::iter::once((Language::En, self.english.as_ref())).chain(others)
    }

    /// The language of a tag, if it exists here.
    pub(crate) fn known(&self, tag: &str) -> Option<Language> {
        let wanted = Language::of_tag(tag)?;
        self.all().map(|(own, _)| own).find(|own| *own == wanted)
    }

    /// The first wanted language that exists.
    pub(crate) fn negotiate(&self, accept: &str) -> Option<Language> {
        let wanted = language::wanted(accept);
        wanted.iter().find_map(|tag| self.known(tag))
    }
}

fn parse(path: &Path, text: &str) -> Result<Arc<Words>, TextsError> {
    let words = toml::from_str(text).map(Arc::new);
    words.map_err(|e| TextsError::new(path, e.to_string()))
}

/// Puts values into a text's `{name}` places.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

macro_rules! words {
    ($($part:ident: $name:ident { $($key:ident),* $(,)? })*) => {
        /// The texts of one language, by page.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Words {
            $(pub(crate) $part: $name,)*
        }
        $(
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name {
                $(pub(crate) $key: String,)*
            }
        )*
    };
}

words! {
    common: CommonWords {
        language_name, skip, menu, access, devices, logins, help, log_off, signed_in_as, language,
        contact, request, back, copy, copied, times_in, error, done, note,
    }
    login: LoginWords {
        title, lead, from, username, password, code, code_hint, code_optional, remember, submit,
        ticket, trouble, refused, wait, locked, must_change, directory_down, agent_down,
        store_down, address, address_changed, again, off, off_partly,
    }
    access: AccessWords {
        title, empty, open, closed, ending, until, left, packets, last_seen, never, elsewhere,
        extend, extend_all, close, close_all, open_selected, choose, shared, shared_listed, shared_seen, shared_short, opened, extended,
        closed_done, closed_none, failed_full, failed_lockdown, failed_down, failed_refused, soon,
        unknown, other_address, sign_in_again, try_it, answers, answers_not, over, over_do,
    }
    cross: CrossWords {
        title, open, shut, unknown, offer, working, unreachable, stale, moved, joined, joined_none,
        go_title, go_text, go, seen_title, seen, back, confirm_title, confirm, confirm_button,
    }
    follow: FollowWords {
        offer, submit, moved, moved_none, wrong,
    }
    devices: DevicesWords {
        title, lead, created, last_used, never, pending, active, suspended, suspended_operator,
        revoked, weak, suspend, resume, revoke, revoke_sure, revoke_hint, add, add_hint, too_many,
        test, test_hint, test_submit, test_right, test_used, test_wrong, suspended_done,
        resumed_done, revoked_done, added_done, not_possible, fresh, only_full,
    }
    enrol: EnrolWords {
        title, step, scan, scan_hint, picture, r#type, type_hint, confirm, confirm_hint, name,
        name_default, code, submit, once, wrong, clock, expired, done_title, done, done_codes, go,
    }
    ticket: TicketWords {
        title, lead, ticket, submit, refused,
    }
    logins: LoginsWords {
        title, lead, when, from, result, device, ok, moved, joined, refused, empty,
    }
    help: HelpWords {
        title, lead, cause, remedy, see, contents, guide, own,
    }
    message: MessageWords {
        not_found_title, not_found, too_large_title, too_large, cross_title, cross, bad_title,
        bad, down_title,
    }
    time: TimeWords {
        seconds, minutes, hours,
    }
    prove: ProveWords {
        title, text, submit, refused, replace, used,
    }
    passkey: PasskeyWords {
        kind, log_in, log_in_hint, add, add_hint, name, name_default, failed, not_made, unable,
        cancelled, not_added, already, wrong_site, unreachable, no_scripts, made,
    }
    recovery: RecoveryWords {
        title, none, left, few, make, make_again, make_hint, shown_once, owner, made, how, r#where,
        print, kept,
    }
    lost: LostWords {
        title, lead, code, code_hint, what, lost, gone, unlock, submit, no_code, refused, stopped,
        stopped_partly, go_on, elsewhere, left,
    }
    clock: ClockWords {
        wrong,
    }
    resync: ResyncWords {
        title, kind, lead, code, next, submit, refused, done, link,
    }
    not_me: NotMeWords {
        title, lead, otherwise, submit, done_title, done, grants_stay, over_title, over,
    }
    symptoms: SymptomWords {
        refused, refused_why, refused_do, never, never_why, never_do,
        sometimes, sometimes_why, sometimes_do, used, used_why, used_do,
        clock, clock_why, clock_do, accounts, accounts_why, accounts_do,
        no_code, no_code_why, no_code_do, push, push_why, push_do,
        waiting, waiting_why, waiting_do, password, password_why, password_do,
        lost, lost_why, lost_do, ticket, ticket_why, ticket_do,
        token, token_why, token_do, passkey, passkey_why, passkey_do,
        address, address_why, address_do, shut, shut_why, shut_do,
        shared, shared_why, shared_do, ended, ended_why, ended_do, down, down_why, down_do,
    }
    guide: GuideWords {
        what, what_text, set_up, set_up_text, sign_in, sign_in_text, second, second_text,
        recovery, recovery_text, backup, backup_text, update, update_text, tidy, tidy_text,
        retire, retire_text,
    }
    support: SupportWords {
        title, lead, copy, copied, time, address, browser, version, reference, page,
    }
    desk: DeskWords {
        title, lead, menu, home, figures, find, find_submit, found_none, too_many, waiting,
        recent, none, state, state_active, state_disabled, state_expired, state_locked,
        state_must_change, state_nobody, state_silent, groups, tokens, device, kind, made, used,
        never, token_active, token_pending, token_suspended, token_revoked, codes, tickets,
        ticket_open, ticket_used, ticket_void, ticket_expired, until, signins, when, source,
        result, open_now, open_unknown, service, wait, wait_none, wait_until, wait_locked,
        wait_some, cases, choose, yourself, evidence, note, note_hint, second, second_ticket,
        subject_token, subject_serial, lost, lost_text, lost_submit, enrol, enrol_text,
        enrol_submit, unlock, unlock_text, unlock_submit, resume, resume_text, resume_submit,
        lockout, lockout_text, lockout_submit, hardware, hardware_text, hardware_submit,
        codes_case, codes_text, codes_submit, case, person, by, opened, decided, decision,
        carried_out, stopped, enrolled, outcome, case_waiting, case_approved, case_refused,
        case_done, case_expired, approve, refuse, take, take_hint, ticket, ticket_once,
        ticket_where, ticket_code, said_waits, said_waits_stopped, said_decided, said_done,
        said_not_closed, said_half, out_ticket, out_unlocked, out_nothing, out_resumed,
        out_assigned, out_codes, out_locked_out, out_not_closed, out_half, out_not_possible,
        out_failed, told_lost, told_enrol, told_unlock, told_resume, told_lockout, told_hardware,
        told_codes, no_role, no_desk, no_evidence, no_note, no_self, no_own, no_person, no_active,
        no_subject, no_room, no_more, network_title, network, prove_title, prove_text,
        prove_submit,
    }
    figures: FiguresWords {
        title, lead, numbers, csv, hours, hours_about, days, days_about, r#in, refused, down,
        open, open_about, median, p95, reasons, reasons_about, count, enrolment, enrolment_about,
        enrolled, missing, enrolment_unknown, hour, day, reason, group, nothing,
    }
    owner: OwnerWords {
        question, hint, private, theirs, company, unsaid, label, decided, change, save, saved,
    }
    feedback: FeedbackWords {
        link,
    }
    enrolment: EnrolmentWords {
        not_here, not_now, places, times, and, mon, tue, wed, thu, fri, sat, sun,
    }
    passkey_busy: PasskeyBusyWords {
        say,
    }
}

#[cfg(test)]
mod tests;
