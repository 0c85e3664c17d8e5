//! Connections for the pools: TLS always, verified against the machine's certificates and the one
//! CA that may be added, the next server when one does not answer.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Scope};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{
    circuit::Circuit,
    contain::{Fault, contain},
};

use crate::{
    clock::{Clock, Stopwatch},
    config::LdapSettings,
    directory::{DirectoryError, Password},
};

/// A connection unused for longer is asked for a sign of life first. AD closes idle ones.
const IDLE: Duration = Duration::from_secs(20);

/// As whom a connection is bound when it enters the pool.
pub(super) enum Identity {
    Anonymous,
    Searcher { dn: String, password: Password },
}

/// Makes and checks connections.
pub(super) struct Connector {
    urls: Vec<String>,
    starttls: bool,
    timeout: Duration,
    tls: Arc<ClientConfig>,
    identity: Identity,
    /// The server that answered last; tried first.
    good: AtomicUsize,
    circuit: Arc<Circuit>,
    clock: Clock,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.urls.join(" "))
    }
}

/// A connection and when it was last used.
pub(super) struct Pooled {
    pub(super) ldap: Ldap,
    /// Its place in the configuration.
    pub(super) server: usize,
    used: Stopwatch,
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pooled")
    }
}

impl Connector {
    pub(super) fn new(
        settings: &LdapSettings,
        identity: Identity,
        circuit: Arc<Circuit>,
        clock: Clock,
    ) -> Result<Self, DirectoryError> {
        Ok(Self {
            circuit,
            clock,
            urls: settings.urls.clone(),
            starttls: settings.starttls,
            timeout: settings.timeout.duration(),
            tls: tls(settings)?,
            identity,
            good: AtomicUsize::new(0),
        })
    }

    async fn connect(&self, url: &str) -> Result<Ldap, Fault> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(self.timeout)
            .set_config(self.tls.clone())
            // With StartTLS nothing is sent before TLS stands; without it the address is ldaps.
            .set_starttls(self.starttls);
        let (address, patience) = (url.to_owned(), self.timeout);
        // The library's own limit leaves out some of the steps.
        let (connection, ldap) = contain(async move {
            let connect = LdapConnAsync::with_settings(settings, &address);
            tokio::time::timeout(patience, connect).await?
        })
        .await?;
        // Ends with the connection; what breaks it is told to whoever waits for an answer.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "an LDAP connection ended");
            }
        });
        if let Identity::Searcher { dn, password } = &self.identity {
            let (mut bound, dn) = (ldap.clone(), dn.clone());
            let secret = Zeroizing::new(password.expose().to_owned());
            contain(async move {
                bound
                    .with_timeout(patience)
                    .simple_bind(&dn, &secret)
                    .await?
                    .success()
            })
            .await?;
        }
        Ok(ldap)
    }
}

impl managed::Manager for Connector {
    type Type = Pooled;
    type Error = DirectoryError;

    async fn create(&self) -> Result<Pooled, DirectoryError> {
        let first = self.good.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..self.urls.len() {
            let index = (first + offset) % self.urls.len();
            let Some(url) = self.urls.get(index) else {
                continue;
            };
            if let Err(left) = self.circuit.may_try(index, self.clock.monotonic()) {
                let left = left.as_secs() + 1;
                failures.push(format!("{url}: did not answer, asked again in {left} s"));
                continue;
            }
            match self.connect(url).await {
                Ok(ldap) => {
                    self.circuit.answered(index);
                    if index != first {
                        tracing::warn!(%url, "the directory is reached at another server");
                        self.good.store(index, Ordering::Relaxed);
                    }
                    return Ok(Pooled {
                        ldap,
                        server: index,
                        used: Stopwatch::started(),
                    });
                }
                Err(error) => {
                    self.circuit.failed(index, self.clock.monotonic());
                    failures.push(format!("{url}: {error}"));
                }
            }
        }
        Err(DirectoryError(failures.join("; ")))
    }

    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<DirectoryError> {
        if pooled.ldap.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        if self.circuit.is_dead(pooled.server) {
            return Err(RecycleError::message("its server does not answer"));
        }
        if pooled.used.elapsed() > IDLE {
            probe(&pooled.ldap, self.timeout)
                .await
                .map_err(|e| RecycleError::message(e.to_string()))?;
        }
        pooled.used = Stopwatch::started();
        Ok(())
    }
}

/// Reads the root entry, which every server shows.
pub(super) async fn probe(ldap: &Ldap, limit: Duration) -> Result<(), Fault> {
    let mut ldap = ldap.clone();
    contain(async move {
        ldap.with_timeout(limit)
            .search("", Scope::Base, "(objectClass=*)", ["1.1"])
            .await?
            .success()
            .map(|_| ())
    })
    .await
}

fn tls(settings: &LdapSettings) -> Result<Arc<ClientConfig>, DirectoryError> {
    let mut roots = RootCertStore::empty();
    let machine = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(machine.certs);
    if let Some(path) = &settings.ca {
        let say = |what: String| DirectoryError(format!("ca {}: {what}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| say(e.to_string()))?;
        if certificates.is_empty() {
            return Err(say("holds no PEM certificate".into()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|e| say(e.to_string()))?;
        }
    }
    if roots.is_empty() {
        return Err(DirectoryError(
            "no certificate to trust; install ca-certificates or name `ca` under [directory]"
                .into(),
        ));
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
