//! A client for the agent's socket: one connection a request, nothing kept between them.

use std::{
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{
    Applied, AuditChain, AuditDraft, AuditPage, AuditQuery, AuditRecord, CloseRequest, Closed,
    ConfigApplied, ConfigRequest, ConfigSettled, Counters, Deny, DenyRequest, Difference,
    DroppedPacket, ExplainRequest, Explained, Grant, GrantPage, GrantQuery, GrantRequest, Impact,
    Lockdown, Mode, ModeRequest, Problem, Service, Status, Talkers,
};

/// The largest reply that is read into memory (a page of 10,000 grants is about 4 MiB).
const REPLY_MAX: usize = 64 << 20;
/// Longest wait for a reply. Closing a million holders takes seconds; a dead agent must not hang
/// its callers for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a request to the agent gave no answer, or a refusal.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or this user may not connect.
    #[error(
        "cannot reach the agent at {socket}: {source}; is `sekisho run` running, and may this user open the socket?"
    )]
    Connect { socket: PathBuf, source: io::Error },
    /// The connection broke or did not speak HTTP.
    #[error("the agent at {socket} broke off: {reason}; see its log")]
    Broken { socket: PathBuf, reason: String },
    /// The agent refused, with a code and a sentence.
    #[error("{0}")]
    Refused(Problem),
}

/// Speaks to one agent.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client for the agent listening at `socket`. Connects at each request.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status", &()).await
    }

    pub async fn services(&self) -> Result<Vec<Service>, ClientError> {
        self.get("/v1/services", &()).await
    }

    pub async fn grants(&self, query: &GrantQuery) -> Result<GrantPage, ClientError> {
        self.get("/v1/grants", query).await
    }

    /// Opens or extends; returns the grant as read back from the kernel map.
    pub async fn grant(&self, request: &GrantRequest) -> Result<Grant, ClientError> {
        self.send(Method::POST, "/v1/grants", request).await
    }

    pub async fn close(&self, request: &CloseRequest) -> Result<Closed, ClientError> {
        self.send(Method::POST, "/v1/grants/close", request).await
    }

    pub async fn denies(&self) -> Result<Vec<Deny>, ClientError> {
        self.get("/v1/denies", &()).await
    }

    pub async fn deny(&self, request: &DenyRequest) -> Result<Deny, ClientError> {
        self.send(Method::POST, "/v1/denies", request).await
    }

    pub async fn lift(&self, prefix: ipnet::IpNet) -> Result<(), ClientError> {
        let body = serde_json::json!({ "prefix": prefix });
        self.send(Method::POST, "/v1/denies/lift", &body).await
    }

    pub async fn counters(&self) -> Result<Counters, ClientError> {
        self.get("/v1/counters", &()).await
    }

    /// What the running filter says of one packet; it is not counted.
    pub async fn explain(&self, request: &ExplainRequest) -> Result<Explained, ClientError> {
        self.send(Method::POST, "/v1/explain", request).await
    }

    /// What observe mode let pass.
    pub async fn impact(&self) -> Result<Impact, ClientError> {
        self.get("/v1/impact", &()).await
    }

    /// Forgets what observe mode let pass so far.
    pub async fn clear_impact(&self) -> Result<(), ClientError> {
        self.send(Method::POST, "/v1/impact/clear", &serde_json::json!({}))
            .await
    }

    pub async fn set_mode(&self, mode: Mode) -> Result<ModeRequest, ClientError> {
        self.send(Method::PUT, "/v1/mode", &ModeRequest { mode })
            .await
    }

    pub async fn set_lockdown(&self, lockdown: Lockdown) -> Result<Lockdown, ClientError> {
        self.send(Method::PUT, "/v1/lockdown", &lockdown).await
    }

    pub async fn reload(&self) -> Result<Applied, ClientError> {
        self.send(Method::POST, "/v1/reload", &serde_json::json!({}))
            .await
    }

    /// What applying a configuration would change; nothing is.
    pub async fn check_config(&self, request: &ConfigRequest) -> Result<Difference, ClientError> {
        self.send(Method::POST, "/v1/config/check", request).await
    }

    pub async fn apply_config(
        &self,
        request: &ConfigRequest,
    ) -> Result<ConfigApplied, ClientError> {
        self.send(Method::POST, "/v1/config/apply", request).await
    }

    pub async fn confirm_config(&self) -> Result<ConfigSettled, ClientError> {
        self.send(Method::POST, "/v1/config/confirm", &serde_json::json!({}))
            .await
    }

    pub async fn roll_config_back(&self) -> Result<ConfigSettled, ClientError> {
        self.send(Method::POST, "/v1/config/rollback", &serde_json::json!({}))
            .await
    }

    pub async fn detach(&self) -> Result<Vec<String>, ClientError> {
        self.send(Method::POST, "/v1/detach", &serde_json::json!({}))
            .await
    }

    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        self.get("/v1/audit", query).await
    }

    pub async fn audit_verify(&self) -> Result<AuditChain, ClientError> {
        self.get("/v1/audit/verify", &()).await
    }

    pub async fn audit_write(&self, draft: &AuditDraft) -> Result<(), ClientError> {
        self.send(Method::POST, "/v1/audit", draft).await
    }

    /// Every audit record from now on, as it is written.
    pub async fn events(&self) -> Result<Events<AuditRecord>, ClientError> {
        self.stream("/v1/events").await
    }

    /// Who is dropped most.
    pub async fn talkers(&self) -> Result<Talkers, ClientError> {
        self.get("/v1/drops", &()).await
    }

    /// Samples of dropped packets from now on.
    pub async fn drops(&self) -> Result<Events<DroppedPacket>, ClientError> {
        self.stream("/v1/drops/events").await
    }

    async fn stream<T>(&self, path: &str) -> Result<Events<T>, ClientError> {
        let response = self.request(Method::GET, path, Bytes::new()).await?;
        Ok(Events {
            body: response.into_body(),
            buffer: Vec::new(),
            socket: self.socket.clone(),
            _item: PhantomData,
        })
    }

    async fn get<Q: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        query: &Q,
    ) -> Result<R, ClientError> {
        let query = query_string(query).map_err(|reason| self.broken(reason))?;
        let path = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let response = self
            .patient(self.request(Method::GET, &path, Bytes::new()))
            .await?;
        self.json(response).await
    }

    async fn send<B: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.broken(e))?;
        let response = self
            .patient(self.request(method, path, body.into()))
            .await?;
        self.json(response).await
    }

    async fn patient<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(result) => result,
            Err(_) => Err(self.broken(format!("no reply within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let stream =
            UnixStream::connect(&self.socket)
                .await
                .map_err(|source| ClientError::Connect {
                    socket: self.socket.clone(),
                    source,
                })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.broken(e))?;
        // The task ends with the connection: when the reply is read, or when either side hangs up.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "agent")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| self.broken(e))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|e| self.broken(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.patient(self.collect(response)).await?;
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => self.broken(format!("HTTP {status} without a reason")),
        })
    }

    async fn collect(&self, response: http::Response<Incoming>) -> Result<Bytes, ClientError> {
        let limited = http_body_util::Limited::new(response.into_body(), REPLY_MAX);
        Ok(limited
            .collect()
            .await
            .map_err(|e| self.broken(e))?
            .to_bytes())
    }

    async fn json<R: DeserializeOwned>(
        &self,
        response: http::Response<Incoming>,
    ) -> Result<R, ClientError> {
        let status = response.status();
        let body = self.patient(self.collect(response)).await?;
        let body = if status == StatusCode::NO_CONTENT {
            Bytes::from_static(b"null")
        } else {
            body
        };
        serde_json::from_slice(&body).map_err(|e| self.broken(format!("unreadable reply: {e}")))
    }

    fn broken(&self, reason: impl ToString) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            reason: reason.to_string(),
        }
    }
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Events<T> {
    body: Incoming,
    buffer: Vec<u8>,
    socket: PathBuf,
    _item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Events<T> {
    /// The next one; None when the agent closed the stream (it is stopping, or this reader was
    /// too slow and must read the gap from `GET /v1/audit`).
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            while let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if let Some(data) = line.strip_prefix(b"data:") {
                    return Some(
                        serde_json::from_slice(data).map_err(|e| ClientError::Broken {
                            socket: self.socket.clone(),
                            reason: format!("unreadable event: {e}"),
                        }),
                    );
                }
            }
            let frame = match self.body.frame().await? {
                Ok(frame) => frame,
                Err(e) => {
                    return Some(Err(ClientError::Broken {
                        socket: self.socket.clone(),
                        reason: e.to_string(),
                    }));
                }
            };
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

/// Flat structs of scalars only, which all queries are.
fn query_string(query: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    if let serde_json::Value::Object(fields) = serde_json::to_value(query)? {
        for (name, value) in fields {
            let value = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&name);
            out.push('=');
            for byte in value.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        out.push(char::from(byte));
                    }
                    other => out.push_str(&format!("%{other:02X}")),
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_leaves_out_what_is_not_asked_and_escapes_the_rest() {
        let query = GrantQuery {
            user: Some("a&b=c d".into()),
            limit: Some(5),
            ..GrantQuery::default()
        };
        assert_eq!(query_string(&query).unwrap(), "limit=5&user=a%26b%3Dc%20d");
        assert_eq!(query_string(&()).unwrap(), "");
    }
}
