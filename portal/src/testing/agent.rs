//! An agent without a kernel: it keeps grants and records in memory, can be down, and can lie.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use agent_api::{
    AuditDraft, CloseRequest, Closed, ClosedHolder, Deny, DenyRequest, Grant, GrantPage,
    GrantQuery, GrantRequest, Holder, Mode, Problem, ProblemCode, Role, Service, ServiceKind,
    Status,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::Clock,
    grants::{Grants, GrantsError, Reply},
};

/// An agent that keeps grants in memory.
#[derive(Debug)]
pub(crate) struct FakeAgent {
    clock: Clock,
    pub(crate) down: AtomicBool,
    pub(crate) lies: AtomicBool,
    pub(crate) grants: Mutex<Vec<Grant>>,
    pub(crate) audit: Mutex<Vec<AuditDraft>>,
    pub(crate) denied: Mutex<Vec<DenyRequest>>,
    pub(crate) lengths: Mutex<Vec<Option<u64>>>,
}

impl FakeAgent {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            down: AtomicBool::new(false),
            lies: AtomicBool::new(false),
            grants: Mutex::default(),
            audit: Mutex::default(),
            denied: Mutex::default(),
            lengths: Mutex::default(),
        })
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Outcomes of all records of this kind of word, in order.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        self.audit
            .lock()
            .unwrap()
            .iter()
            .map(|record| record.outcome.clone())
            .collect()
    }

    /// Somebody else joins every grant from a source.
    pub(crate) fn also_held_by(&self, user: &str, source: &str) {
        for grant in self.grants.lock().unwrap().iter_mut() {
            if grant.source.to_string() == source {
                let mut holder = grant.holders[0].clone();
                holder.user = user.to_owned();
                grant.holders.push(holder);
            }
        }
    }

    /// The length that each request for a grant named.
    pub(crate) fn lengths(&self) -> Vec<Option<u64>> {
        self.lengths.lock().unwrap().clone()
    }

    /// `service@source` of every grant.
    pub(crate) fn open(&self) -> Vec<String> {
        let mut open: Vec<String> = self
            .grants
            .lock()
            .unwrap()
            .iter()
            .map(|grant| format!("{}@{}", grant.service, grant.source))
            .collect();
        open.sort();
        open
    }

    fn answer<T: Send + 'static>(&self, make: impl FnOnce() -> T) -> Reply<'_, T> {
        let result = match self.down.load(Ordering::SeqCst) {
            true => Err(GrantsError::Down("a test says so".into())),
            false => Ok(make()),
        };
        Box::pin(async move { result })
    }

    fn service(name: &str, group: &str) -> Service {
        Service {
            name: name.into(),
            kind: ServiceKind::Granted,
            targets: vec![],
            groups: vec![group.into()],
            allow: vec!["203.0.113.0/28".into()],
            default_seconds: 8 * 3600,
            max_seconds: 24 * 3600,
            ipv6_prefix: false,
            idle_seconds: Some(1800),
        }
    }
}

impl Grants for FakeAgent {
    fn status(&self) -> Reply<'_, Status> {
        let fill = agent_api::Fill {
            used: 0,
            capacity: 1,
        };
        self.answer(|| Status {
            version: "0".into(),
            abi: 1,
            mode: Mode::Enforce,
            lockdown: false,
            started: Timestamp::UNIX_EPOCH,
            took_over: false,
            interfaces: vec![],
            services: 3,
            grants_v4: fill,
            grants_v6: fill,
            holders: 0,
            denied: 0,
            trial: None,
            reattached: 0,
            agreed: None,
            warnings: vec![],
            you_are: Role::Portal,
        })
    }

    fn services(&self) -> Reply<'_, Vec<Service>> {
        self.answer(|| {
            vec![
                Self::service("web", "staff"),
                Self::service("files", "staff"),
                Self::service("ssh", "admins"),
            ]
        })
    }

    fn grants<'a>(&'a self, query: &'a GrantQuery) -> Reply<'a, GrantPage> {
        let fits = |grant: &Grant| {
            query
                .source
                .is_none_or(|source| source.meets(&grant.source))
                && query
                    .user
                    .as_ref()
                    .is_none_or(|user| grant.holders.iter().any(|holder| holder.user == *user))
        };
        self.answer(|| GrantPage {
            grants: self
                .grants
                .lock()
                .unwrap()
                .iter()
                .filter(|g| fits(g))
                .cloned()
                .collect(),
            next: None,
        })
    }

    fn grant<'a>(&'a self, request: &'a GrantRequest) -> Reply<'a, Grant> {
        if request.service == "files" && self.lies.load(Ordering::SeqCst) {
            let message = "the table is full".into();
            let problem = Problem {
                code: ProblemCode::Full,
                message,
            };
            return Box::pin(async move { Err(GrantsError::Refused(problem)) });
        }
        self.answer(|| {
            let now = self.clock.now();
            self.lengths.lock().unwrap().push(request.for_seconds);
            let seconds = request.for_seconds.unwrap_or(8 * 3600);
            let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap());
            let deadline = now.checked_add(length).unwrap();
            let holder = Holder {
                user: request.user.clone(),
                factor: request.factor.clone(),
                opened: now,
                deadline,
                opened_by: "portal".into(),
            };
            let grant = Grant {
                source: request.source.into(),
                service: request.service.clone(),
                holders: vec![holder],
                deadline,
                remaining_seconds: seconds,
                packets: 1_234_567,
                last_seen: None,
                in_kernel: !self.lies.load(Ordering::SeqCst),
            };
            let mut grants = self.grants.lock().unwrap();
            grants.retain(|g| (g.source, &g.service) != (grant.source, &grant.service));
            grants.push(grant.clone());
            grant
        })
    }

    fn close<'a>(&'a self, request: &'a CloseRequest) -> Reply<'a, Closed> {
        self.answer(|| {
            let mut grants = self.grants.lock().unwrap();
            let fits = |grant: &Grant| {
                request
                    .source
                    .is_none_or(|source| source.meets(&grant.source))
                    && request
                        .service
                        .as_ref()
                        .is_none_or(|name| *name == grant.service)
                    && request
                        .user
                        .as_ref()
                        .is_none_or(|user| grant.holders.iter().any(|h| h.user == *user))
            };
            let closed: Vec<ClosedHolder> = grants
                .iter()
                .filter(|grant| fits(grant))
                .map(|grant| ClosedHolder {
                    source: grant.source,
                    service: grant.service.clone(),
                    user: grant.holders[0].user.clone(),
                    still_held: false,
                })
                .collect();
            grants.retain(|grant| !fits(grant));
            let count = u64::try_from(closed.len()).unwrap();
            Closed {
                count,
                closed,
                map_changed_after_us: 1,
            }
        })
    }

    fn deny<'a>(&'a self, request: &'a DenyRequest) -> Reply<'a, Deny> {
        self.answer(|| {
            self.denied.lock().unwrap().push(request.clone());
            Deny {
                prefix: request.prefix,
                deadline: self.clock.now(),
                remaining_seconds: request.for_seconds,
                reason: request.reason.clone(),
                by: "portal".into(),
            }
        })
    }

    fn audit<'a>(&'a self, draft: &'a AuditDraft) -> Reply<'a, ()> {
        self.answer(|| self.audit.lock().unwrap().push(draft.clone()))
    }
}
