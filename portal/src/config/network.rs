//! `[tls]` and `[proxies]`: how connections arrive.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

/// Certificate and key, or a directory for self-signed ones (labs).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    self_signed: Option<PathBuf>,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateSource {
    Files { certificate: PathBuf, key: PathBuf },
    SelfSigned { directory: PathBuf },
}

impl Tls {
    pub(crate) fn source(&self) -> Option<CertificateSource> {
        match (&self.certificate, &self.key, &self.self_signed) {
            (Some(certificate), Some(key), None) => Some(CertificateSource::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            }),
            (None, None, Some(directory)) => Some(CertificateSource::SelfSigned {
                directory: directory.clone(),
            }),
            _ => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        match self.source() {
            Some(_) => Ok(()),
            None => Err((
                "tls",
                "[tls] needs certificate and key together, or self_signed alone".into(),
            )),
        }
    }
}

/// Who may speak for somebody else's address. Empty: nobody.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Proxies {
    /// Peers whose `X-Forwarded-For` or `Forwarded` counts, and then must be there.
    pub(crate) trusted: Vec<IpNet>,
    /// Peers whose every connection must start with a PROXY v2 header.
    pub(crate) proxy_protocol: Vec<IpNet>,
}
