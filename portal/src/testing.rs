//! For tests only: a portal in a scratch directory with a fake agent, a fixed clock and two people,
//! and requests against its router.

pub(crate) mod authenticator;
pub(crate) mod desk;
mod got;

pub(crate) use got::Got;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use agent_api::{
    AuditDraft, CloseRequest, Closed, ClosedHolder, Deny, DenyRequest, Grant, GrantPage,
    GrantQuery, GrantRequest, Holder, Mode, Problem, ProblemCode, Role, Service, ServiceKind,
    Status,
};
use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use tower::ServiceExt as _;

use crate::{
    client_addr::Peer,
    clock::Clock,
    config::Config,
    directory::{
        self,
        users_file::{User, UsersFile},
    },
    grants::{Grants, GrantsError, Reply},
    key::Key,
    otp::Seed,
    portal::Portal,
    random,
    store::{Kind, NewToken, TokenState},
    web,
};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const SOURCE: &str = "192.0.2.7";

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

/// A portal with alice (staff) and bob (staff, admins), whose password is `password of NAME`.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) portal: Arc<Portal>,
    pub(crate) agent: Arc<FakeAgent>,
    pub(crate) clock: Clock,
    pub(crate) router: Router,
}

/// `more` is added to the configuration's end.
pub(crate) fn config(folder: &std::path::Path, more: &str) -> Config {
    let portal_keys: String = more
        .lines()
        .take_while(|line| !line.starts_with('['))
        .map(|l| format!("{l}\n"))
        .collect();
    let tables = &more[portal_keys.trim_end().len()..];
    let text = format!(
        "[portal]\nname = \"Test site\"\nissuer = \"Test Corp\"\ncontact = \"desk 42\"\n\
         listen = [\"127.0.0.1:0\"]\ndata = {folder:?}\nkey_file = {:?}\ntime_zone = \"UTC\"\n\
         {portal_keys}\n[tls]\nself_signed = {:?}\n[directory]\nkind = \"local\"\nfile = {:?}\n{tables}",
        folder.join("portal.key"),
        folder.join("tls"),
        folder.join("users.toml"),
    );
    Config::parse(std::path::Path::new("portal.toml"), &text).unwrap()
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        name: name.into(),
        id: Some(format!("u-{name}")),
        groups: groups.iter().map(ToString::to_string).collect(),
        mail: Some(format!("{name}@example.org")),
        disabled: false,
        password: directory::cheap(&format!("password of {name}")),
    }
}

impl Site {
    pub(crate) async fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), more);
        Key::random()
            .write_new(&config.portal.key_file, None)
            .unwrap();
        UsersFile {
            users: vec![user("alice", &["staff"]), user("bob", &["staff", "admins"])],
        }
        .write(&folder.path().join("users.toml"), folder.path())
        .unwrap();
        let clock = Clock::fixed(Timestamp::from_second(NOW).unwrap());
        let agent = FakeAgent::new(clock.clone());
        let portal = Portal::open_with(config, agent.clone(), clock.clone())
            .await
            .unwrap();
        let portal = Arc::new(portal);
        let router = web::router(portal.clone());
        Self {
            folder,
            portal,
            agent,
            clock,
            router,
        }
    }

    /// Gives a person an active token.
    pub(crate) async fn token(&self, name: &str) -> (String, Seed) {
        let (id, seed) = (random::id('t'), Seed::random());
        let (sealed, key_id) = self.portal.codes.seal(&id, &seed).unwrap();
        let new = NewToken {
            id: &id,
            user_id: &format!("u-{name}"),
            user_name: name,
            name: "Phone",
            state: TokenState::Active,
            secret: &sealed,
            key_id: &key_id,
            weak: false,
            origin: "test",
            handle: None,
            replaces: None,
            created: NOW,
            expires: None,
            kind: Kind::App,
        };
        assert!(self.portal.store.add_token(&new).await.unwrap());
        (id, seed)
    }

    /// The code of now.
    pub(crate) fn code(&self, seed: &Seed) -> String {
        seed.code_at(self.clock.now())
    }

    pub(crate) async fn send(&self, request: Ask<'_>) -> Got {
        let mut builder = Request::builder().uri(request.path);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if let Some(cookie) = request.cookie {
            builder = builder.header(header::COOKIE, cookie);
        }
        let body = match request.form {
            None => Body::empty(),
            Some(fields) => {
                builder = builder
                    .method("POST")
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields);
                Body::from(form.finish())
            }
        };
        let mut asked = builder.body(body).unwrap();
        let peer = Peer::Address(request.source.parse().unwrap());
        asked.extensions_mut().insert(peer);
        let response = self.router.clone().oneshot(asked).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn log_in(&self, name: &str, password: &str, code: &str) -> Got {
        let form = [("username", name), ("password", password), ("code", code)];
        self.send(Ask::post("/login", &form)).await
    }

    /// Logs in with everything right; gives the cookie.
    pub(crate) async fn in_as(&self, name: &str, seed: &Seed) -> String {
        let password = format!("password of {name}");
        let got = self.log_in(name, &password, &self.code(seed)).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
        got.cookie().unwrap()
    }
}

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) form: Option<&'a [(&'a str, &'a str)]>,
    pub(crate) cookie: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) source: &'a str,
}

impl<'a> Ask<'a> {
    pub(crate) fn page(path: &'a str) -> Self {
        Self {
            path,
            form: None,
            cookie: None,
            headers: &[],
            source: SOURCE,
        }
    }

    pub(crate) fn post(path: &'a str, form: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            form: Some(form),
            ..Self::page(path)
        }
    }

    pub(crate) fn as_(self, cookie: &'a str) -> Self {
        Self {
            cookie: Some(cookie),
            ..self
        }
    }

    pub(crate) fn from(self, source: &'a str) -> Self {
        Self { source, ..self }
    }

    pub(crate) fn with(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }
}
