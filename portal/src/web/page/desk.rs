//! What the desk's templates show.

use askama::Template;
use zeroize::Zeroizing;

use super::Page;
use crate::web::times::Moment;

#[derive(Debug, Template)]
#[template(path = "desk.html")]
pub(in crate::web) struct HomePage<'a> {
    pub(in crate::web) page: Page<'a>,
    pub(in crate::web) typed: String,
    /// None: nobody was asked for.
    pub(in crate::web) found: Option<Vec<String>>,
    pub(in crate::web) waiting: Vec<CaseLine<'a>>,
    pub(in crate::web) recent: Vec<CaseLine<'a>>,
}

/// A case in a list.
#[derive(Debug)]
pub(in crate::web) struct CaseLine<'a> {
    pub(in crate::web) id: String,
    pub(in crate::web) title: &'a str,
    pub(in crate::web) person: String,
    pub(in crate::web) by: String,
    pub(in crate::web) opened: Moment,
    pub(in crate::web) state: &'a str,
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) outcome: &'a str,
}

#[derive(Debug, Template)]
#[template(path = "desk_person.html")]
pub(in crate::web) struct PersonPage<'a> {
    pub(in crate::web) page: Page<'a>,
    pub(in crate::web) name: String,
    pub(in crate::web) state: &'a str,
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) groups: String,
    pub(in crate::web) codes: i64,
    pub(in crate::web) wait: String,
    pub(in crate::web) tokens: Vec<TokenLine<'a>>,
    pub(in crate::web) tickets: Vec<TicketLine<'a>>,
    pub(in crate::web) signins: Vec<SigninLine>,
    /// None: the agent does not answer.
    pub(in crate::web) open: Option<Vec<OpenLine>>,
    pub(in crate::web) cases: Vec<CaseLine<'a>>,
    /// It is the officer's own page.
    pub(in crate::web) own: bool,
    /// The officer may say whose the devices are.
    pub(in crate::web) may_say_owner: bool,
    /// Empty: nothing the officer may do.
    pub(in crate::web) forms: Vec<CaseForm<'a>>,
    pub(in crate::web) evidence: &'a [String],
}

#[derive(Debug)]
pub(in crate::web) struct TokenLine<'a> {
    pub(in crate::web) id: String,
    /// Not revoked.
    pub(in crate::web) live: bool,
    /// Whose device it is on, and the word for the form.
    pub(in crate::web) owner: &'a str,
    pub(in crate::web) said: &'static str,
    pub(in crate::web) name: String,
    pub(in crate::web) kind: String,
    pub(in crate::web) state: &'a str,
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) made: Moment,
    pub(in crate::web) used: Option<Moment>,
}

#[derive(Debug)]
pub(in crate::web) struct TicketLine<'a> {
    pub(in crate::web) id: String,
    pub(in crate::web) state: &'a str,
    pub(in crate::web) until: Moment,
    pub(in crate::web) by: String,
}

#[derive(Debug)]
pub(in crate::web) struct SigninLine {
    pub(in crate::web) at: Moment,
    pub(in crate::web) source: String,
    pub(in crate::web) outcome: String,
    pub(in crate::web) good: bool,
}

#[derive(Debug)]
pub(in crate::web) struct OpenLine {
    pub(in crate::web) service: String,
    pub(in crate::web) source: String,
    pub(in crate::web) until: Moment,
}

/// The form of a guided case.
#[derive(Debug)]
pub(in crate::web) struct CaseForm<'a> {
    pub(in crate::web) word: &'static str,
    pub(in crate::web) title: &'a str,
    pub(in crate::web) text: &'a str,
    pub(in crate::web) submit: &'a str,
    /// What a second person has to do with it.
    pub(in crate::web) second: Option<&'a str>,
    pub(in crate::web) danger: bool,
    /// Tokens to choose from, by id and name.
    pub(in crate::web) tokens: Vec<(String, String)>,
    pub(in crate::web) serial: bool,
}

#[derive(Debug, Template)]
#[template(path = "desk_case.html")]
pub(in crate::web) struct CasePage<'a> {
    pub(in crate::web) page: Page<'a>,
    pub(in crate::web) line: CaseLine<'a>,
    pub(in crate::web) evidence: String,
    pub(in crate::web) note: String,
    pub(in crate::web) subject: Option<String>,
    pub(in crate::web) until: Option<Moment>,
    pub(in crate::web) decided: Option<Moment>,
    pub(in crate::web) decided_by: String,
    pub(in crate::web) decision: String,
    pub(in crate::web) carried_out: Option<Moment>,
    pub(in crate::web) stopped: Option<Moment>,
    pub(in crate::web) enrolled: Option<Moment>,
    pub(in crate::web) may_decide: bool,
    pub(in crate::web) may_take: bool,
    pub(in crate::web) ticket: Option<ShownTicket>,
}

/// A ticket, this once.
#[derive(Debug)]
pub(in crate::web) struct ShownTicket {
    pub(in crate::web) url: String,
    pub(in crate::web) code: Zeroizing<String>,
    pub(in crate::web) until: Moment,
}

#[derive(Debug, Template)]
#[template(path = "desk_figures.html")]
pub(in crate::web) struct FiguresPage<'a> {
    pub(in crate::web) page: Page<'a>,
    /// Its word in the address of the numbers, and the picture.
    pub(in crate::web) charts: Vec<(&'static str, crate::desk::Chart)>,
    /// The directory cannot list its people.
    pub(in crate::web) no_list: bool,
}

#[derive(Debug, Template)]
#[template(path = "desk_prove.html")]
pub(in crate::web) struct ProvePage<'a> {
    pub(in crate::web) page: Page<'a>,
    pub(in crate::web) passkeys: bool,
}
