//! What the agent finds when it looks after itself: interfaces that lost the filter, and whether
//! map and ledger agree. Said once when it begins, in log and audit, and in `status` while it lasts.

use agent_api::{AuditKind, Interface};

use super::{AGENT_ACTOR, Engine, ProblemBox};
use crate::{
    kernel::{self, Seen, Watched},
    ledger::Entry,
};

/// What began or ended with a look.
struct News {
    outcome: &'static str,
    text: String,
}

impl Engine {
    /// Takes in what a look at the interfaces found.
    pub async fn watched(&self, watched: Vec<Watched>) -> Result<(), ProblemBox> {
        let before = self.state();
        let mut news = Vec::new();
        for now in &watched {
            let last = before.watched.iter().find(|last| last.name == now.name);
            news.extend(xdp_news(last, now));
            news.extend(other_news(last, now));
        }
        let mended: u64 = watched
            .iter()
            .map(|now| u64::from(now.seen == Seen::Mended || now.outgoing_mended))
            .sum();
        if watched != before.watched {
            self.replace_state(|state| {
                for interface in &mut state.interfaces {
                    if let Some(now) = watched.iter().find(|now| now.name == interface.name) {
                        interface.index = now.index;
                    }
                }
                state.reattached += mended;
                state.watched = watched;
            });
        } else if mended > 0 {
            self.replace_state(|state| state.reattached += mended);
        }
        for News { outcome, text } in news {
            tracing::error!(outcome, "{text}");
            self.note(Entry {
                outcome: outcome.into(),
                reason: Some(text),
                ..Entry::ok(AuditKind::Attach, AGENT_ACTOR)
            })
            .await?;
        }
        Ok(())
    }

    /// Map and ledger were compared and agree.
    pub async fn note_agreement(&self) {
        if self.turn().await.unrecorded.is_empty() {
            let now = self.now().wall;
            self.replace_state(|state| state.agreed = Some(now));
        }
    }

    /// The interfaces, and whether each carries our program at this moment.
    pub fn interfaces(&self) -> Vec<Interface> {
        let ours = |interface: &Interface| {
            kernel::running_program(interface.index) == Some(interface.program_id)
        };
        let mut interfaces = self.state().interfaces.clone();
        for interface in &mut interfaces {
            interface.attached = interface.index != 0 && ours(interface);
        }
        interfaces
    }

    /// A sentence for each interface that is not as it should be.
    pub fn lost_interfaces(&self) -> Vec<String> {
        let state = self.state();
        let mut sentences = Vec::new();
        let interfaces = self.interfaces();
        if !interfaces.is_empty() && interfaces.iter().all(|interface| interface.index == 0) {
            sentences
                .push("none of the configured interfaces is there: nothing is filtered".into());
        }
        for interface in interfaces.iter().filter(|interface| !interface.attached) {
            let name = &interface.name;
            let last = state.watched.iter().find(|last| last.name == *name);
            sentences.push(match last.map(|last| &last.seen) {
                _ if interface.index == 0 => missing(name),
                Some(Seen::Foreign(id)) => foreign(name, *id),
                Some(Seen::Failed(error)) => failed(name, error),
                _ => format!(
                    "{name} does not carry our program any more: traffic there is not filtered; the agent puts it back"
                ),
            });
        }
        for last in &state.watched {
            if let Some(error) = &last.outgoing {
                sentences.push(unwatched(&last.name, error));
            }
            if !last.pinned {
                sentences.push(unpinned(&last.name));
            }
        }
        sentences
    }
}

fn xdp_news(last: Option<&Watched>, now: &Watched) -> Option<News> {
    let name = &now.name;
    let was = last.map(|last| &last.seen);
    let (outcome, text) = match &now.seen {
        Seen::Ours => return None,
        Seen::Mended if was == Some(&Seen::Missing) => {
            let text = format!("{name} appeared and carries the filter now");
            return Some(News {
                outcome: "ok",
                text,
            });
        }
        Seen::Mended => {
            let text = format!(
                "{name} had lost the filter (taken off, or the interface was made anew) and has it again; traffic passed unfiltered for up to a second"
            );
            return Some(News {
                outcome: "ok",
                text,
            });
        }
        Seen::Missing => ("missing", missing(name)),
        Seen::Foreign(id) => ("foreign", foreign(name, *id)),
        Seen::Failed(error) => ("failed", failed(name, error)),
    };
    (was != Some(&now.seen)).then_some(News { outcome, text })
}

fn other_news(last: Option<&Watched>, now: &Watched) -> Vec<News> {
    let mut news = Vec::new();
    let mut say = |outcome, text| news.push(News { outcome, text });
    // On an interface that has just come both are new, which was said.
    if now.outgoing_mended && now.seen != Seen::Mended {
        let text = format!(
            "what leaves by {} was not watched any more, and is again",
            now.name
        );
        say("ok", text);
    }
    if let Some(error) = &now.outgoing
        && last.and_then(|last| last.outgoing.as_ref()) != Some(error)
    {
        say("failed", unwatched(&now.name, error));
    }
    if !now.pinned && last.is_none_or(|last| last.pinned) {
        say("unpinned", unpinned(&now.name));
    }
    news
}

fn missing(name: &str) -> String {
    format!("there is no interface `{name}`: it is filtered as soon as it appears")
}

fn foreign(name: &str, id: u32) -> String {
    format!(
        "{name} carries a program that is not ours (id {id}): traffic there is not filtered by us; remove it with its own tool or `ip link set dev {name} xdp off`, and the agent attaches within a second"
    )
}

fn failed(name: &str, error: &str) -> String {
    format!(
        "{name} does not carry the filter and cannot be given it, which is tried again: {error}"
    )
}

fn unwatched(name: &str, error: &str) -> String {
    format!(
        "what leaves by {name} is not watched, so answers to connections that protected hosts open do not pass: {error}"
    )
}

fn unpinned(name: &str) -> String {
    format!(
        "the pins of {name} are gone (was the bpffs unmounted?): the filter is in force only while this agent runs; mount it again and restart the agent at a quiet moment"
    )
}
