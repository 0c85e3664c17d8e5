//! What the portal may ask of the agent. Opening consumes the proof; nothing else in this crate can
//! make the agent open anything.

use std::{fmt, future::Future, net::IpAddr, pin::Pin, time::Duration};

use agent_api::{
    AuditDraft, Client, ClientError, CloseRequest, Closed, Deny, DenyRequest, Grant, GrantPage,
    GrantQuery, GrantRequest, Problem, Service, Status,
};

use crate::{access::ServiceId, client_addr::ClientAddr, proof::FactorsPassed};

/// A person waits for the page; an agent that is slower than this counts as down.
const PATIENCE: Duration = Duration::from_secs(10);

/// The agent's reply, sometime.
pub(crate) type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, GrantsError>> + Send + 'a>>;

/// Why the agent did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantsError {
    #[error("the agent is down: {0}")]
    Down(String),
    #[error("the agent refused: {0}")]
    Refused(Problem),
}

impl From<ClientError> for GrantsError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(problem) => Self::Refused(problem),
            other => Self::Down(other.to_string()),
        }
    }
}

/// The agent, or a fake of it in tests.
pub(crate) trait Grants: Send + Sync + fmt::Debug {
    fn status(&self) -> Reply<'_, Status>;
    fn services(&self) -> Reply<'_, Vec<Service>>;
    fn grants<'a>(&'a self, query: &'a GrantQuery) -> Reply<'a, GrantPage>;
    /// Only [`open`] calls this.
    fn grant<'a>(&'a self, request: &'a GrantRequest) -> Reply<'a, Grant>;
    fn close<'a>(&'a self, request: &'a CloseRequest) -> Reply<'a, Closed>;
    /// Shuts one source out for a while.
    fn deny<'a>(&'a self, request: &'a DenyRequest) -> Reply<'a, Deny>;
    fn audit<'a>(&'a self, draft: &'a AuditDraft) -> Reply<'a, ()>;
}

async fn patient<T>(
    work: impl Future<Output = Result<T, ClientError>> + Send,
) -> Result<T, GrantsError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(GrantsError::Down(format!(
            "no reply within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

impl Grants for Client {
    fn status(&self) -> Reply<'_, Status> {
        Box::pin(patient(Client::status(self)))
    }

    fn services(&self) -> Reply<'_, Vec<Service>> {
        Box::pin(patient(Client::services(self)))
    }

    fn grants<'a>(&'a self, query: &'a GrantQuery) -> Reply<'a, GrantPage> {
        Box::pin(patient(Client::grants(self, query)))
    }

    fn grant<'a>(&'a self, request: &'a GrantRequest) -> Reply<'a, Grant> {
        Box::pin(patient(Client::grant(self, request)))
    }

    fn close<'a>(&'a self, request: &'a CloseRequest) -> Reply<'a, Closed> {
        Box::pin(patient(Client::close(self, request)))
    }

    fn deny<'a>(&'a self, request: &'a DenyRequest) -> Reply<'a, Deny> {
        Box::pin(patient(Client::deny(self, request)))
    }

    fn audit<'a>(&'a self, draft: &'a AuditDraft) -> Reply<'a, ()> {
        Box::pin(patient(Client::audit_write(self, draft)))
    }
}

/// What is asked for: a service, and for how long at most.
#[derive(Debug)]
pub(crate) struct Wanted {
    service: ServiceId,
    seconds: Option<u64>,
}

impl Wanted {
    /// Not longer than so many seconds.
    pub(crate) fn length(seconds: u64, service: ServiceId) -> Self {
        let longest = service.longest().unwrap_or(seconds);
        let seconds = Some(seconds.min(longest));
        Self { service, seconds }
    }

    /// Not longer than `longest` seconds; `default` is what the service gives when nobody says.
    pub(crate) fn at_most(self, longest: u64, default: u64) -> Self {
        match self.seconds.unwrap_or(default) > longest {
            true => Self::length(longest, self.service),
            false => self,
        }
    }

    pub(crate) fn service(&self) -> &ServiceId {
        &self.service
    }
}

/// For the service's own length, or what the rules allow.
impl From<ServiceId> for Wanted {
    fn from(service: ServiceId) -> Self {
        let seconds = service.longest();
        Self { service, seconds }
    }
}

/// How opening one service ended.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) service: ServiceId,
    pub(crate) result: Result<Grant, GrantsError>,
}

/// Opens services for the address the person proved themselves from. A grant that the agent could
/// not read back from the kernel counts as not opened.
pub(crate) async fn open(
    grants: &dyn Grants,
    proof: FactorsPassed,
    from: ClientAddr,
    services: Vec<Wanted>,
    request_id: &str,
) -> Vec<Opened> {
    let mut opened = Vec::with_capacity(services.len());
    for Wanted { service, seconds } in services {
        let request = GrantRequest {
            source: from.ip(),
            service: service.name().to_owned(),
            user: proof.user().to_owned(),
            for_seconds: seconds,
            exact: false,
            factor: Some(proof.factors().to_string()),
            reason: None,
            request_id: Some(request_id.to_owned()),
        };
        let result = grants
            .grant(&request)
            .await
            .and_then(|grant| match grant.in_kernel {
                true => Ok(grant),
                false => Err(GrantsError::Down(
                    "the grant is not in the kernel's table".into(),
                )),
            });
        opened.push(Opened { service, result });
    }
    opened
}

/// Every grant that `user` holds, from one source or from all, as far as the kernel has it: what
/// stands in the ledger only is not open.
pub(crate) async fn held_by(
    grants: &dyn Grants,
    user: &str,
    source: Option<IpAddr>,
) -> Result<Vec<Grant>, GrantsError> {
    let mut query = GrantQuery {
        user: Some(user.to_owned()),
        source: source.map(Into::into),
        ..GrantQuery::default()
    };
    let mut all = Vec::new();
    // A person holds a handful; the bound is against an agent that never ends its pages.
    for _ in 0..100 {
        let page = grants.grants(&query).await?;
        all.extend(page.grants.into_iter().filter(|grant| grant.in_kernel));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    Ok(all)
}
