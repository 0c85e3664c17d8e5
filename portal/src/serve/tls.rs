//! TLS 1.2 and 1.3 with rustls and ring. Certificates are checked before they are used; new files
//! replace the old ones in running listeners, broken ones are reported and the old ones go on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::self_signed::{self, SelfSigned};
use crate::{
    clock::Clock,
    config::{CertificateSource, Config},
};

/// Makes ring the one provider of this process. A second call changes nothing.
pub(crate) fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificate in use and the files it came from.
pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    own: Option<SelfSigned>,
    seen: Option<(SystemTime, SystemTime)>,
    config: RustlsConfig,
}

impl Certificates {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let (certificate, key, own) = match config.tls.source() {
            Some(CertificateSource::Files { certificate, key }) => (certificate, key, None),
            Some(CertificateSource::SelfSigned { directory }) => {
                let own = SelfSigned::new(directory, config);
                own.renew(Clock::system().now())?;
                let (certificate, key) = own.files();
                (certificate, key, Some(own))
            }
            None => bail!("[tls] names no certificate"),
        };
        let seen = changed(&certificate, &key);
        let config = RustlsConfig::from_config(read(&certificate, &key)?);
        Ok(Self {
            certificate,
            key,
            own,
            seen,
            config,
        })
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Takes changed files.
    pub(super) fn look(&mut self) {
        if let Some(own) = &self.own
            && let Err(failure) = own.renew(Clock::system().now())
        {
            tracing::error!("the self-signed certificate cannot be renewed: {failure:#}");
        }
        let now = changed(&self.certificate, &self.key);
        if now == self.seen {
            return;
        }
        match read(&self.certificate, &self.key) {
            Ok(config) => {
                self.config.reload_from_config(config);
                self.seen = now;
                tracing::info!(certificate = %self.certificate.display(), "new certificate in use");
            }
            // Tried again: the key may be written after the certificate.
            Err(failure) => tracing::error!("the new certificate is not used: {failure:#}"),
        }
    }
}

fn changed(certificate: &Path, key: &Path) -> Option<(SystemTime, SystemTime)> {
    let when = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|meta| meta.modified())
            .ok()
    };
    Some((when(certificate)?, when(key)?))
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read certificates from {}", certificate.display()))?;
    if chain.is_empty() {
        bail!("{} holds no PEM certificate", certificate.display());
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| {
            format!(
                "{} and {} do not fit together",
                certificate.display(),
                key.display()
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// For `check`: the files are there and fit, without making anything.
pub(crate) fn check(config: &Config) -> Result<()> {
    install_crypto();
    match config.tls.source() {
        Some(CertificateSource::Files { certificate, key }) => read(&certificate, &key).map(|_| ()),
        Some(CertificateSource::SelfSigned { directory }) => self_signed::check(&directory),
        None => bail!("[tls] names no certificate"),
    }
}
