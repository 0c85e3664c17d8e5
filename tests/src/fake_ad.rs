//! A directory that answers as Active Directory does: sub-codes of a refused bind, binary GUIDs,
//! nested groups by the server's rule, attributes by pieces, referrals among results, StartTLS on
//! its plain port. It counts binds, and hangs, lies or breaks when told to.

mod answer;
mod ber;
mod filter;
mod forest;
mod house;
mod serve;
mod stream;

pub use forest::{Entry, Forest, guid};
pub use house::House;

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use xtask::net::Namespace;

use crate::slapd::Certificates;

pub const BASE: &str = "DC=example,DC=org";
pub const SEARCHER: &str = "CN=search,DC=example,DC=org";
pub const SEARCHER_PASSWORD: &str = "search secret";

/// What it does beside answering.
#[derive(Clone, Debug, Default)]
pub struct Tricks {
    /// Binds as these DNs are never answered.
    pub stalled: HashSet<String>,
    /// Nothing is answered at all.
    pub silent: bool,
    /// It saw no TLS: something in front of it ended that.
    pub saw_no_tls: bool,
    /// Most values of one attribute in one answer; 0: all.
    pub piece: usize,
    /// Pieces never end.
    pub endless: bool,
    /// Results carry a referral to this address.
    pub referral: Option<String>,
    /// A search is answered by a referral and nothing else.
    pub only_referral: bool,
    /// Entries are sent so many times, whatever the size limit says.
    pub copies: usize,
    /// Sent instead of a search's answer.
    pub garbage: Vec<u8>,
    /// StartTLS is refused, as by a server without a certificate.
    pub no_starttls: bool,
}

#[derive(Debug, Default)]
struct Inside {
    forest: Forest,
    tricks: Tricks,
    binds: HashMap<String, usize>,
    searches: usize,
    /// Passwords that were readable on the wire.
    bare: usize,
    /// Connections that went on under TLS.
    upgrades: usize,
}

/// What all connections share.
#[derive(Clone, Debug)]
struct Shared {
    inside: Arc<Mutex<Inside>>,
    tls: Arc<ServerConfig>,
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Domain,
    /// The same, in plain until StartTLS.
    Plain,
    /// Every domain, but only some attributes.
    GlobalCatalog,
}

/// A running one. Its threads end with the test's process.
#[derive(Debug)]
pub struct FakeAd {
    shared: Shared,
    domain: u16,
    plain: u16,
    catalog: u16,
}

impl FakeAd {
    /// On loopback, of a namespace if one is given, with alice, bob and their groups.
    pub fn start(certificates: &Certificates, at: Option<&Namespace>) -> Result<Self> {
        let certificate = CertificateDer::from_pem_file(&certificates.certificate)
            .context("the fake directory's certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&fs::read(&certificates.key)?)
            .context("the fake directory's key")?;
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        let inside = Inside {
            forest: Forest::usual(),
            ..Inside::default()
        };
        let shared = Shared {
            inside: Arc::new(Mutex::new(inside)),
            tls: Arc::new(tls),
        };
        let listen = |port: Port| -> Result<u16> {
            let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let listener = match at {
                Some(namespace) => namespace.inside(bind)??,
                None => bind()?,
            };
            let number = listener.local_addr()?.port();
            let shared = shared.clone();
            thread::spawn(move || serve::accept(&listener, &shared, port));
            Ok(number)
        };
        Ok(Self {
            domain: listen(Port::Domain)?,
            plain: listen(Port::Plain)?,
            catalog: listen(Port::GlobalCatalog)?,
            shared,
        })
    }

    pub fn ldaps(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.domain)
    }

    /// As port 389 is, for StartTLS.
    pub fn ldap(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.plain)
    }

    /// As port 3269 is.
    pub fn global_catalog(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.catalog)
    }

    /// Changes people and groups.
    pub fn change(&self, work: impl FnOnce(&mut Forest)) {
        work(&mut self.shared.inside().forest);
    }

    /// Changes how it behaves.
    pub fn play(&self, work: impl FnOnce(&mut Tricks)) {
        work(&mut self.shared.inside().tricks);
    }

    /// How often somebody tried to bind as this person.
    pub fn binds_of(&self, name: &str) -> usize {
        let dn = forest::person_dn(name).to_lowercase();
        self.shared.inside().binds.get(&dn).copied().unwrap_or(0)
    }

    /// Never answers a bind of this person any more.
    pub fn stall(&self, name: &str) {
        let dn = forest::person_dn(name);
        self.play(|tricks| {
            tricks.stalled.insert(dn);
        });
    }

    /// How many passwords came without TLS, right or wrong.
    pub fn bare_passwords(&self) -> usize {
        self.shared.inside().bare
    }

    /// How many connections asked for TLS and got it.
    pub fn upgrades(&self) -> usize {
        self.shared.inside().upgrades
    }

    pub fn searches(&self) -> usize {
        self.shared.inside().searches
    }

    /// The lines of a portal's `[directory]` that lead here; `folder` keeps the searcher's password.
    pub fn config(
        &self,
        folder: &std::path::Path,
        certificates: &Certificates,
        urls: &[String],
    ) -> Result<String> {
        let secret = folder.join("ad.password");
        fs::write(&secret, format!("{SEARCHER_PASSWORD}\n"))?;
        let ca = &certificates.ca;
        Ok(format!(
            "kind = \"ldap\"\nflavour = \"ad\"\nurls = {urls:?}\nca = {ca:?}\n\
             bind_dn = \"{SEARCHER}\"\nbind_password_file = {secret:?}\nbase = \"{BASE}\"\n\
             timeout = \"2s\"\n"
        ))
    }
}
