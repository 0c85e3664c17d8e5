//! A real directory server on loopback: two people, two groups, TLS by a CA of its own. It lives
//! in a scratch directory, of a namespace if one is given, and ends with its value.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use xtask::{command, net::Namespace};

use crate::tools::{self, Daemon};

pub const BASE: &str = "dc=example,dc=org";
pub const SEARCHER: &str = "cn=search,dc=example,dc=org";
pub const SEARCHER_PASSWORD: &str = "search secret";
pub const ALICE_PASSWORD: &str = "correct horse";
pub const BOB_PASSWORD: &str = "battery staple";
/// Who may change entries.
const ROOT: &str = "cn=root,dc=example,dc=org";
const ROOT_PASSWORD: &str = "root secret";

/// `memberOf` is written by hand: slapadd runs no overlays.
const SEED: &str = r#"dn: dc=example,dc=org
objectClass: domain
dc: example

dn: cn=search,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: search
userPassword: search secret

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Example
mail: shared@example.org
userPassword: correct horse
memberOf: cn=staff,ou=groups,dc=example,dc=org

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Example
mail: shared@example.org
userPassword: battery staple
memberOf: cn=staff,ou=groups,dc=example,dc=org
memberOf: cn=admins,ou=groups,dc=example,dc=org

dn: cn=staff,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: staff
member: uid=alice,ou=people,dc=example,dc=org
member: uid=bob,ou=people,dc=example,dc=org

dn: cn=admins,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: admins
member: uid=bob,ou=people,dc=example,dc=org
"#;

/// A CA and a certificate for 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Certificates {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`, for the given subject alternative name.
    pub fn make(folder: &Path, name: &str) -> Result<Self> {
        let openssl = tools::program("openssl")?;
        let path = |name: &str| folder.join(name);
        let run = |arguments: &[&str]| {
            command::output(Command::new(&openssl).args(arguments).current_dir(folder)).map(|_| ())
        };
        fs::create_dir_all(folder)?;
        fs::write(
            path("leaf.ext"),
            format!("subjectAltName={name}\nbasicConstraints=CA:FALSE\n"),
        )?;
        let curve = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        let own = [
            "req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        ];
        run(&[&own[..], &curve, &["-subj", "/CN=test CA"]].concat())?;
        let ask = [
            "req",
            "-keyout",
            "key.pem",
            "-out",
            "leaf.csr",
            "-subj",
            "/CN=directory",
        ];
        run(&[&ask[..], &curve].concat())?;
        run(&[
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "leaf.ext",
            "-out",
            "cert.pem",
        ])?;
        Ok(Self {
            ca: path("ca.pem"),
            certificate: path("cert.pem"),
            key: path("key.pem"),
        })
    }
}

/// A running server.
#[derive(Debug)]
pub struct Slapd {
    daemon: Daemon,
    at: Option<Namespace>,
    folder: PathBuf,
    plain: u16,
    tls: u16,
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

impl Slapd {
    /// Starts one that keeps its files in `folder`.
    pub fn start(folder: &Path, certificates: &Certificates) -> Result<Self> {
        Self::start_with(folder, certificates, None, "", "")
    }

    /// Starts one on loopback of a namespace, with more entries and more lines of configuration for
    /// the database.
    pub fn start_with(
        folder: &Path,
        certificates: &Certificates,
        at: Option<&Namespace>,
        entries: &str,
        more: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder.join("db"))?;
        let config = folder.join("slapd.conf");
        fs::write(&config, configuration(folder, certificates)? + more)?;
        let seed = folder.join("seed.ldif");
        fs::write(&seed, format!("{SEED}\n{entries}"))?;
        // The same program fills the database when it is called by another name.
        let mut add = tools::slapd()?;
        add.arg("-Ta").arg("-f").arg(&config).arg("-l").arg(&seed);
        let added = add.output().context("cannot run slapd")?;
        ensure!(added.status.success(), "slapadd: {}", tools::both(&added));

        let (plain, tls) = match at {
            Some(namespace) => namespace.inside(|| Ok((free_port()?, free_port()?)))?,
            None => Ok::<_, anyhow::Error>((free_port()?, free_port()?)),
        }?;
        let mut serve = tools::slapd()?;
        if let Some(namespace) = at {
            let library = tools::slapd_root()?.join("usr/lib/x86_64-linux-gnu");
            serve = namespace.command(serve.get_program());
            serve.env("LD_LIBRARY_PATH", library);
        }
        serve
            .arg("-f")
            .arg(&config)
            .arg("-h")
            .arg(format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/"))
            // Connections, operations and results, on standard error.
            .args(["-d", "stats"]);
        let mut daemon = Daemon::start("slapd", serve, folder.join("slapd.log"))?;
        let answers = || {
            [plain, tls]
                .iter()
                .all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        };
        daemon.ready(|| match at {
            Some(namespace) => namespace.inside(answers).unwrap_or(false),
            None => answers(),
        })?;
        Ok(Self {
            daemon,
            at: at.cloned(),
            folder: folder.to_owned(),
            plain,
            tls,
        })
    }

    /// Carries out LDIF changes, as the root of the directory.
    pub fn change(&self, ldif: &str) -> Result<()> {
        let file = self.folder.join("change.ldif");
        fs::write(&file, ldif)?;
        let program = tools::program("ldapmodify")?;
        let mut modify = match &self.at {
            Some(namespace) => namespace.command(program),
            None => Command::new(program),
        };
        modify.args(["-x", "-H", &self.ldap(), "-D", ROOT, "-w", ROOT_PASSWORD]);
        let changed = modify.arg("-f").arg(&file).output()?;
        ensure!(changed.status.success(), "{}", tools::both(&changed));
        Ok(())
    }

    /// The lines of a portal's `[directory]` that lead here.
    pub fn config(&self, certificates: &Certificates) -> Result<String> {
        let secret = self.folder.join("search.password");
        fs::write(&secret, format!("{SEARCHER_PASSWORD}\n"))?;
        let (url, ca) = (self.ldaps(), &certificates.ca);
        Ok(format!(
            "kind = \"ldap\"\nurls = [{url:?}]\nca = {ca:?}\nbind_dn = \"{SEARCHER}\"\n\
             bind_password_file = {secret:?}\nbase = \"{BASE}\"\ntimeout = \"2s\"\n"
        ))
    }

    pub fn ldaps(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls)
    }

    /// For StartTLS.
    pub fn ldap(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.plain)
    }

    /// How often somebody tried to bind as a person.
    pub fn binds_of_people(&self) -> usize {
        let log = self.daemon.log();
        log.lines()
            .filter(|line| line.contains(" BIND dn=\"uid=") && line.contains("method="))
            .count()
    }

    /// All it wrote so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    pub fn stop(mut self) -> Result<()> {
        self.daemon.stop().map(|_| ())
    }
}

fn configuration(folder: &Path, certificates: &Certificates) -> Result<String> {
    let root = tools::slapd_root()?;
    let schema = root.join("etc/ldap/schema");
    let folder = folder.display();
    Ok(format!(
        "include {schema}/core.schema\ninclude {schema}/cosine.schema\n\
         include {schema}/inetorgperson.schema\n\
         modulepath {modules}\nmoduleload back_mdb\nmoduleload memberof\n\
         pidfile {folder}/slapd.pid\n\
         TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n\
         disallow bind_anon\n\
         moduleload ppolicy\n\
         database mdb\nmaxsize 67108864\nsuffix \"{BASE}\"\ndirectory {folder}/db\n\
         rootdn \"{ROOT}\"\nrootpw \"{ROOT_PASSWORD}\"\n\
         overlay memberof\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{SEARCHER}\" read by anonymous auth by * none\n",
        schema = schema.display(),
        modules = root.join("usr/lib/ldap").display(),
        certificate = certificates.certificate.display(),
        key = certificates.key.display(),
    ))
}
