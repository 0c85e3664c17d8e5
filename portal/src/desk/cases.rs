//! The life of a case: opened on evidence, where the policy says so approved by somebody else, carried
//! out once. Nobody acts on themselves, nobody approves what they asked for.

use agent_api::AuditKind;

use super::{By, CaseKind, Made, Role, Seen, Tools, Whom};
use crate::{
    audit::clean,
    directory::AccountState,
    enrol::has_room,
    portal::Failure,
    random,
    store::{CaseRow, CaseState, Decision, NewCase},
    text::DeskWords,
};

/// What somebody of the desk asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) kind: CaseKind,
    pub(crate) whom: &'a Whom,
    /// The token to resume, or the serial to assign.
    pub(crate) subject: &'a str,
    pub(crate) evidence: &'a str,
    pub(crate) note: &'a str,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Came {
    /// It waits for a second person.
    Waits { case: String },
    /// It was decided, and who asked for it goes on.
    Decided { case: String },
    /// Carried out.
    Done {
        case: String,
        ticket: Option<Made>,
        outcome: &'static str,
    },
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not for this role.
    Role,
    /// There is no `[desk]` in the configuration.
    NoDesk,
    /// The evidence is none of the listed kinds.
    Evidence,
    /// There is no note.
    Note,
    /// About the person who acts.
    Yourself,
    /// Asked for by the person who would decide.
    Own,
    /// The directory does not know the person, or does not answer.
    Nobody,
    /// The account may not log in, so a ticket is of no use.
    NotActive,
    /// Nothing the desk suspended, or no such serial in stock.
    Subject,
    /// As many tokens as allowed already.
    Full,
    /// Not waiting any more, or somebody else's to carry out.
    Over,
}

impl Refused {
    /// For whoever asked.
    pub(crate) fn sentence(self, words: &DeskWords) -> &str {
        match self {
            Self::Role => &words.no_role,
            Self::NoDesk => &words.no_desk,
            Self::Evidence => &words.no_evidence,
            Self::Note => &words.no_note,
            Self::Yourself => &words.no_self,
            Self::Own => &words.no_own,
            Self::Nobody => &words.no_person,
            Self::NotActive => &words.no_active,
            Self::Subject => &words.no_subject,
            Self::Full => &words.no_room,
            Self::Over => &words.no_more,
        }
    }
}

impl Tools<'_> {
    /// Opens a case. What a lost phone opened is shut at once, whoever has to approve the ticket.
    pub(crate) async fn open(
        &self,
        by: &By<'_>,
        wish: Wish<'_>,
    ) -> Result<Result<Came, Refused>, Failure> {
        if let Err(refused) = self.may_open(by, wish).await? {
            return Ok(Err(refused));
        }
        let Some(desk) = self.desk() else {
            return Ok(Err(Refused::NoDesk));
        };
        let second = !by.is_operator() && desk.needs_second(wish.kind.act());
        let (id, now) = (random::id('c'), self.now());
        let note = clean(wish.note.trim());
        let subject = wish.kind.has_subject().then_some(wish.subject);
        let new = NewCase {
            id: &id,
            kind: wish.kind.word(),
            user_id: wish.whom.id.as_deref(),
            user_name: &wish.whom.name,
            subject,
            evidence: wish.evidence,
            note: &note,
            opened: now,
            opened_by: by.name(),
            opened_by_id: by.id(),
            state: match second {
                true => CaseState::Waiting,
                false => CaseState::Approved,
            },
            expires: now + desk.waits.seconds(),
        };
        self.means.store.add_case(&new).await?;
        let why = format!("{id} {}: {}: {note}", wish.kind.word(), wish.evidence);
        let name = &wish.whom.name;
        let record = by.record(AuditKind::User, "case-opened", name, &why);
        self.means.audit.write(record).await?;
        let mut shut = true;
        if wish.kind == CaseKind::Lost {
            shut = self.stop(by, &id, wish.whom).await?;
        }
        if second {
            return Ok(Ok(Came::Waits { case: id }));
        }
        let came = self.carry_out(by, &id, shut).await?;
        if came.is_ok() || wish.kind != CaseKind::Lost {
            return Ok(came);
        }
        // It was stopped nevertheless, and that is the half that counts.
        let outcome = "stopped-without-ticket";
        self.means.store.finish_case(&id, outcome, None).await?;
        Ok(Ok(Came::Done {
            case: id,
            ticket: None,
            outcome,
        }))
    }

    async fn may_open(&self, by: &By<'_>, wish: Wish<'_>) -> Result<Result<(), Refused>, Failure> {
        let Some(desk) = self.desk() else {
            return Ok(Err(Refused::NoDesk));
        };
        let (kind, whom) = (wish.kind, wish.whom);
        Ok(if !by.may(Role::Helpdesk) {
            Err(Refused::Role)
        } else if by.is(whom.id.as_deref(), &whom.name) {
            Err(Refused::Yourself)
        } else if !desk.evidence.iter().any(|word| word == wish.evidence) {
            Err(Refused::Evidence)
        } else if wish.note.trim().is_empty() {
            Err(Refused::Note)
        } else if whom.account().is_none() && !kind.only_stops() && kind != CaseKind::Lost {
            Err(Refused::Nobody)
        } else if kind.is_ticket() && kind != CaseKind::Lost && !may_log_in(whom) {
            Err(Refused::NotActive)
        } else {
            self.fits(kind, whom, wish.subject).await?
        })
    }

    /// Looks at the tokens concerned.
    async fn fits(
        &self,
        kind: CaseKind,
        whom: &Whom,
        subject: &str,
    ) -> Result<Result<(), Refused>, Failure> {
        let (store, id) = (self.means.store, whom.id.as_deref().unwrap_or_default());
        Ok(match kind {
            CaseKind::Enrol if !self.has_room(id).await? => Err(Refused::Full),
            CaseKind::Resume => match store.stopped_by_desk(id).await? {
                stopped if stopped.iter().any(|token| token == subject) => Ok(()),
                _ => Err(Refused::Subject),
            },
            CaseKind::Hardware if store.in_stock(subject).await?.is_none() => Err(Refused::Subject),
            CaseKind::Hardware if !self.has_room(id).await? => Err(Refused::Full),
            _ => Ok(()),
        })
    }

    async fn has_room(&self, id: &str) -> Result<bool, Failure> {
        let tokens = self.means.store.tokens_of(id).await?;
        Ok(has_room(&self.config.limits, &tokens, None))
    }

    /// Approves or refuses what somebody else asked for.
    pub(crate) async fn decide(
        &self,
        by: &By<'_>,
        (id, decision): (&str, Decision),
        note: &str,
    ) -> Result<Result<Came, Refused>, Failure> {
        let note = clean(note.trim());
        let Some(row) = self.means.store.case(id).await? else {
            return Ok(Err(Refused::Over));
        };
        if !by.may(Role::Approver) {
            return Ok(Err(Refused::Role));
        }
        if note.is_empty() {
            return Ok(Err(Refused::Note));
        }
        if row.opened_by_id == by.id() {
            return Ok(Err(Refused::Own));
        }
        if by.is(row.user_id.as_deref(), &row.user_name) {
            return Ok(Err(Refused::Yourself));
        }
        let who = (by.id(), by.name());
        let decided = self
            .means
            .store
            .decide_case(id, decision, who, &note, self.now());
        let Some(row) = decided.await? else {
            return Ok(Err(Refused::Over));
        };
        let outcome = format!("case-{}", decision.word());
        let why = format!("{id} {} of {}: {note}", row.kind, row.opened_by);
        let record = by.record(AuditKind::User, &outcome, &row.user_name, &why);
        self.means.audit.write(record).await?;
        let kind = CaseKind::of_word(&row.kind);
        // A ticket's code is for who asked for it, and for nobody else's page.
        match (decision, kind.is_some_and(CaseKind::is_ticket)) {
            (Decision::Approve, false) => self.carry_out(by, id, true).await,
            _ => Ok(Ok(Came::Decided { case: row.id })),
        }
    }

    /// Carries out what was approved, for who asked for it.
    pub(crate) async fn take(
        &self,
        by: &By<'_>,
        id: &str,
    ) -> Result<Result<Came, Refused>, Failure> {
        if !by.may(Role::Helpdesk) {
            return Ok(Err(Refused::Role));
        }
        let row = self.means.store.case(id).await?;
        match row.filter(|row| may_take(by, row)) {
            Some(row) if by.is(row.user_id.as_deref(), &row.user_name) => {
                Ok(Err(Refused::Yourself))
            }
            Some(_) => self.carry_out(by, id, true).await,
            None => Ok(Err(Refused::Over)),
        }
    }
}

/// True: it is theirs to carry out.
pub(crate) fn may_take(by: &By<'_>, row: &CaseRow) -> bool {
    row.opened_by_id == by.id()
}

/// A locked account or one whose password must change is somebody's who comes back.
pub(super) fn may_log_in(whom: &Whom) -> bool {
    match &whom.seen {
        Seen::Here(account) => !matches!(
            account.state,
            AccountState::Disabled | AccountState::Expired
        ),
        Seen::Nobody | Seen::Silent => false,
    }
}
