//! What became of each service, kept as words over the redirect and said as sentences after it.

use agent_api::ProblemCode;

use crate::{
    family::Family,
    grants::{GrantsError, Opened},
    text::{Words, fill},
    web::{page::Notice, times},
};

/// What became of each service, as words for [`notices`]: `opened:web,ssh full:db`.
pub(in crate::web) fn opened_words(word: &str, opened: &[Opened]) -> String {
    let mut words: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in opened {
        let key = match &one.result {
            Ok(_) => word,
            Err(failure) => {
                tracing::warn!(service = one.service.name(), %failure, "a service was not opened");
                match failure {
                    GrantsError::Down(_) => "down",
                    GrantsError::Refused(problem) => match problem.code {
                        ProblemCode::Full => "full",
                        ProblemCode::Lockdown => "lockdown",
                        ProblemCode::Unavailable => "down",
                        _ => "refused",
                    },
                }
            }
        };
        match words.iter_mut().find(|(found, _)| *found == key) {
            Some((_, names)) => names.push(one.service.name()),
            None => words.push((key, vec![one.service.name()])),
        }
    }
    let joined: Vec<String> = words
        .iter()
        .map(|(key, names)| format!("{key}:{}", names.join(",")))
        .collect();
    joined.join(" ")
}

/// The sentences for kept words.
pub(in crate::web) fn notices(said: &str, words: &Words) -> Vec<Notice> {
    let access = &words.access;
    said.split(' ')
        .filter_map(|part| part.split_once(':'))
        .filter_map(|(key, names)| {
            let names = names.replace(',', ", ");
            let text = |text: &str| fill(text, &[("services", &names)]);
            Some(match key {
                "opened" => Notice::good(text(&access.opened)),
                "extended" => Notice::good(text(&access.extended)),
                "closed" if names.is_empty() => Notice::info(&access.closed_none),
                "closed" => Notice::good(text(&access.closed_done)),
                "full" => Notice::bad(text(&access.failed_full)),
                "lockdown" => Notice::bad(text(&access.failed_lockdown)).see("down"),
                "down" => Notice::bad(text(&access.failed_down)).see("down"),
                "joined-v4" => joined(words, Family::V4, &names),
                "joined-v6" => joined(words, Family::V6, &names),
                "moved" if names.is_empty() => Notice::good(&words.follow.moved_none),
                "moved" => Notice::good(text(&words.follow.moved)),
                "move-code" => Notice::bad(&words.follow.wrong).see("used"),
                "move-wait" => {
                    let wait = times::length(names.parse().unwrap_or(1), words);
                    Notice::bad(fill(&words.login.wait, &[("wait", &wait)])).see("waiting")
                }
                "cross-stale" => Notice::bad(&words.cross.stale).see("shut"),
                "cross-moved" => Notice::bad(&words.cross.moved).see("address"),
                key if key.starts_with("proof-") => {
                    return crate::web::prove::notice(key.trim_start_matches("proof-"), words);
                }
                "refused" => Notice::bad(text(&access.failed_refused)),
                _ => return None,
            })
        })
        .collect()
}

fn joined(words: &Words, family: Family, names: &str) -> Notice {
    let text = match names.is_empty() {
        true => &words.cross.joined_none,
        false => &words.cross.joined,
    };
    let values = [("family", family.name()), ("services", names)];
    Notice::good(fill(text, &values))
}
