//! Every word the portal says, in one file per language. A file that lacks a key, or has one too
//! many, does not load; a test loads them all and compares their placeholders.

use std::sync::Arc;

use serde::Deserialize;

/// A language the pages exist in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    #[default]
    En,
    Ja,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::En, Self::Ja];

    /// The BCP 47 tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }

    pub(crate) fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The first wanted language that exists, by weight (RFC 9110 §12.5.4).
    pub(crate) fn negotiate(accept: &str) -> Option<Self> {
        let mut wanted: Vec<(f32, Self)> = Vec::new();
        for part in accept.split(',').take(20) {
            let (range, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let primary = range
                .trim()
                .split('-')
                .next()
                .unwrap_or("")
                .to_ascii_lowercase();
            let weight = weight
                .trim()
                .strip_prefix("q=")
                .and_then(|q| q.parse().ok());
            if let (Some(language), Some(weight)) = (Self::of_tag(&primary), weight)
                && weight > 0.0
            {
                wanted.push((weight, language));
            }
        }
        // Stable: of equal weights the first written stays first.
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        wanted.first().map(|(_, language)| *language)
    }

    fn source(self) -> &'static str {
        match self {
            Self::En => include_str!("../texts/en.toml"),
            Self::Ja => include_str!("../texts/ja.toml"),
        }
    }
}

/// The texts of all languages.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    en: Arc<Words>,
    ja: Arc<Words>,
}

impl Texts {
    pub(crate) fn load() -> Result<Self, String> {
        let load = |language: Language| {
            toml::from_str::<Words>(language.source())
                .map(Arc::new)
                .map_err(|e| format!("texts/{}.toml: {e}", language.tag()))
        };
        Ok(Self {
            en: load(Language::En)?,
            ja: load(Language::Ja)?,
        })
    }

    pub(crate) fn of(&self, language: Language) -> &Words {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }
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
        unknown, other_address, sign_in_again, try_it, answers, answers_not,
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
        name_default, code, submit, once, wrong, clock, expired, done_title, done, go,
    }
    ticket: TicketWords {
        title, lead, ticket, submit, refused,
    }
    logins: LoginsWords {
        title, lead, when, from, result, device, ok, moved, joined, refused, empty,
    }
    help: HelpWords {
        title, lead, symptom, cause, remedy, s1, c1, r1, s2, c2, r2, s3, c3, r3, s4, c4, r4, s5,
        c5, r5, s6, c6, r6,
    }
    message: MessageWords {
        not_found_title, not_found, too_large_title, too_large, cross_title, cross, bad_title,
        bad, down_title,
    }
    time: TimeWords {
        seconds, minutes, hours,
    }
    prove: ProveWords {
        title, text, submit, refused, replace,
    }
    passkey: PasskeyWords {
        kind, log_in, log_in_hint, add, add_hint, name, name_default, failed, not_made, unable,
    }
    recovery: RecoveryWords {
        title, none, left, few, make, make_again, make_hint, shown_once, owner, made, how, r#where,
        print, kept,
    }
    lost: LostWords {
        title, lead, code, code_hint, what, lost, gone, unlock, submit, no_code, refused, stopped,
        stopped_partly, go_on, left,
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
}

#[cfg(test)]
mod tests;
