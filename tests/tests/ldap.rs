//! The portal's LDAP directory against a real slapd, driven through `sekisho-portal directory
//! test`: what is found, whose password is right, and what happens when servers fail or lie.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    lookup::{Said, Scratch},
    slapd::{ALICE_PASSWORD, BASE, Certificates, SEARCHER, SEARCHER_PASSWORD, Slapd, free_port},
    tools::{self, both},
};

const GROUP_SEARCH: &str = "member_of = \"none\"\ngroup_base = \"ou=groups,dc=example,dc=org\"\n";

/// A scratch directory with certificates and one server.
struct Site {
    scratch: Scratch,
    slapd: Slapd,
}

impl Site {
    fn open() -> Result<Self> {
        let scratch = Scratch::open()?;
        let slapd = Slapd::start(&scratch.folder().join("slapd"), &scratch.certificates)?;
        Ok(Self { scratch, slapd })
    }

    fn ask(&self, urls: &[String], more: &str, user: &str, password: &str) -> Result<Said> {
        let ca = &self.scratch.certificates.ca;
        self.ask_trusting(ca, urls, more, (user, password))
    }

    fn ask_trusting(
        &self,
        ca: &Path,
        urls: &[String],
        more: &str,
        (user, password): (&str, &str),
    ) -> Result<Said> {
        let secret = self.scratch.folder().join("search.password");
        std::fs::write(&secret, format!("{SEARCHER_PASSWORD}\n"))?;
        let directory = format!(
            "kind = \"ldap\"\nurls = {urls:?}\nca = {ca:?}\nbind_dn = \"{SEARCHER}\"\n\
             bind_password_file = {secret:?}\nbase = \"{BASE}\"\ntimeout = \"2s\"\n{more}"
        );
        self.scratch.ask(&directory, user, password)
    }

    /// Over LDAPS.
    fn ask_plainly(&self, user: &str, password: &str) -> Result<Said> {
        self.ask(&[self.slapd.ldaps()], "", user, password)
    }
}

#[test]
fn ldaps_finds_a_person_with_id_and_checks_the_password() -> Result<()> {
    let site = Site::open()?;
    let said = site.ask_plainly("alice", ALICE_PASSWORD)?;
    let json = said.json()?;
    ensure!(said.output.status.success(), "{json}");
    ensure!(
        json["password"] == "right" && json["name"] == "alice",
        "{json}"
    );
    ensure!(
        json["handle"] == "uid=alice,ou=people,dc=example,dc=org",
        "{json}"
    );
    let id = json["id"].as_str().context("no id")?;
    ensure!(
        id.starts_with("ldap:") && id.len() == "ldap:".len() + 36,
        "entryUUID: {id}"
    );
    let wrong = site.ask_plainly("alice", "Correct horse")?;
    ensure!(wrong.password()? == "wrong-password");
    ensure!(!wrong.output.status.success());
    site.ask_plainly("carol", "whatever")?.is_nobody()
}

#[test]
fn starttls_does_the_same_and_no_password_travels_before_it() -> Result<()> {
    let site = Site::open()?;
    let url = [site.slapd.ldap()];
    let said = site.ask(&url, "starttls = true\n", "alice", ALICE_PASSWORD)?;
    ensure!(said.password()? == "right");
    let log = site.slapd.log();
    let starttls = log.find("STARTTLS").context("no StartTLS in the log")?;
    let bind = log.find("BIND dn=").context("no bind in the log")?;
    ensure!(starttls < bind, "{log}");
    // Without StartTLS a plain address is no configuration at all.
    let plain = site.ask(&url, "", "alice", ALICE_PASSWORD)?;
    ensure!(
        plain.output.status.code() == Some(64),
        "{}",
        both(&plain.output)
    );
    Ok(())
}

#[test]
fn groups_come_from_member_of_and_from_a_search() -> Result<()> {
    let site = Site::open()?;
    let url = [site.slapd.ldaps()];
    for more in ["", GROUP_SEARCH] {
        let alice = site.ask(&url, more, "alice", ALICE_PASSWORD)?.json()?;
        ensure!(
            alice["groups"] == serde_json::json!(["staff"]),
            "{more}: {alice}"
        );
        let bob = site.ask(&url, more, "bob", "battery staple")?.json()?;
        ensure!(
            bob["groups"] == serde_json::json!(["admins", "staff"]),
            "{more}: {bob}"
        );
    }
    Ok(())
}

/// Somebody who made a group of their own, called like the administrators'.
const PLAYGROUND: &str = "dn: ou=playground,dc=example,dc=org
objectClass: organizationalUnit
ou: playground

dn: cn=admins,ou=playground,dc=example,dc=org
objectClass: groupOfNames
cn: admins
member: uid=mallory,ou=people,dc=example,dc=org

dn: uid=mallory,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: mallory
cn: Mallory
sn: Example
userPassword: seven sly foxes
memberOf: cn=admins,ou=playground,dc=example,dc=org
memberOf: cn=staff,ou=groups,dc=example,dc=org
";

#[test]
fn with_a_group_base_a_group_elsewhere_is_none() -> Result<()> {
    let scratch = Scratch::open()?;
    let place = scratch.folder().join("slapd");
    let slapd = Slapd::start_with(&place, &scratch.certificates, None, PLAYGROUND, "")?;
    let site = Site { scratch, slapd };
    let url = [site.slapd.ldaps()];
    let base = "group_base = \"ou=groups,dc=example,dc=org\"\n";
    for (more, groups) in [
        ("", serde_json::json!(["admins", "staff"])),
        (base, serde_json::json!(["staff"])),
    ] {
        let mallory = site.ask(&url, more, "mallory", "seven sly foxes")?.json()?;
        ensure!(mallory["groups"] == groups, "{more}: {mallory}");
    }
    let bob = site.ask(&url, base, "bob", "battery staple")?.json()?;
    ensure!(
        bob["groups"] == serde_json::json!(["admins", "staff"]),
        "{bob}"
    );
    Ok(())
}

#[test]
fn an_empty_password_never_reaches_the_server() -> Result<()> {
    let site = Site::open()?;
    for password in ["", "\n", "a\0b", &"x".repeat(129)] {
        let said = site.ask_plainly("alice", password)?;
        ensure!(
            said.password()? == "refused-before-the-bind",
            "{password:?}"
        );
        ensure!(!said.output.status.success());
    }
    ensure!(site.slapd.binds_of_people() == 0, "{}", site.slapd.log());
    site.ask_plainly("alice", "wrong")?;
    ensure!(site.slapd.binds_of_people() == 1, "one attempt, one bind");
    Ok(())
}

#[test]
fn injection_characters_find_nobody() -> Result<()> {
    let site = Site::open()?;
    let names = [
        "*",
        "al*",
        "*)(uid=*",
        "alice)(|(uid=bob",
        "alice)(objectClass=*))(&(a=b",
        "(alice)",
        "alice\\2a",
        "\\61lice",
        "&",
        "アリス",
        "alice,ou=people",
    ];
    for name in names {
        for more in ["", GROUP_SEARCH] {
            let url = [site.slapd.ldaps()];
            site.ask(&url, more, name, ALICE_PASSWORD)?
                .is_nobody()
                .with_context(|| format!("{name:?}"))?;
        }
    }
    ensure!(site.slapd.binds_of_people() == 0, "{}", site.slapd.log());
    Ok(())
}

#[test]
fn a_name_that_fits_two_people_is_nobody() -> Result<()> {
    let site = Site::open()?;
    let url = [site.slapd.ldaps()];
    let by_mail = "user_filter = \"(mail={user})\"\n";
    site.ask(&url, by_mail, "shared@example.org", ALICE_PASSWORD)?
        .is_nobody()
}

#[test]
fn the_next_server_is_asked_when_one_is_down() -> Result<()> {
    let site = Site::open()?;
    let second = Slapd::start(
        &site.scratch.folder().join("second"),
        &site.scratch.certificates,
    )?;
    let nobody = format!("ldaps://127.0.0.1:{}", free_port()?);
    let urls = [nobody.clone(), second.ldaps(), site.slapd.ldaps()];
    ensure!(site.ask(&urls, "", "alice", ALICE_PASSWORD)?.password()? == "right");
    second.stop()?;
    ensure!(site.ask(&urls, "", "alice", ALICE_PASSWORD)?.password()? == "right");
    ensure!(site.slapd.binds_of_people() == 1, "{}", site.slapd.log());
    let said = site.ask(std::slice::from_ref(&nobody), "", "alice", ALICE_PASSWORD)?;
    ensure!(both(&said.output).contains(&nobody), "the server is named");
    said.is_unavailable().map(drop)
}

#[test]
fn certificates_are_checked() -> Result<()> {
    let site = Site::open()?;
    let folder = site.scratch.folder();
    let alice = ("alice", ALICE_PASSWORD);
    let other = Certificates::make(&folder.join("other"), "IP:127.0.0.1")?;
    for (url, more) in [
        (site.slapd.ldaps(), ""),
        (site.slapd.ldap(), "starttls = true\n"),
    ] {
        site.ask_trusting(&other.ca, &[url], more, alice)?
            .is_unavailable()?;
    }
    let misnamed = Certificates::make(&folder.join("misnamed"), "DNS:elsewhere.example")?;
    let impostor = Slapd::start(&folder.join("impostor"), &misnamed)?;
    site.ask_trusting(&misnamed.ca, &[impostor.ldaps()], "", alice)?
        .is_unavailable()?;
    ensure!(
        !impostor.log().contains("BIND"),
        "no password was shown to it"
    );
    Ok(())
}

/// Answers every connection with `reply`, then says nothing more.
fn liar(reply: &'static [u8]) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    // Ends with the test's process; at most these few connections come.
    thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 512];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(reply);
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(30));
                drop(stream);
            });
        }
    });
    Ok(port)
}

#[test]
fn garbage_before_tls_means_unavailable() -> Result<()> {
    let site = Site::open()?;
    for reply in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x01",
        b"\x30\x03\x02\x01\x01\x30\x03\x02\x01\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"",
    ] {
        let port = liar(reply)?;
        for (url, more) in [
            (format!("ldap://127.0.0.1:{port}"), "starttls = true\n"),
            (format!("ldaps://127.0.0.1:{port}"), ""),
        ] {
            site.ask(&[url], more, "alice", ALICE_PASSWORD)?
                .is_unavailable()
                .with_context(|| format!("{reply:?}"))?;
        }
    }
    Ok(())
}

#[test]
fn garbage_inside_tls_means_unavailable() -> Result<()> {
    let site = Site::open()?;
    for garbage in [
        &b"this is not LDAP at all, but quite long for what it says\n"[..],
        // A bind response for message 1 with result "success", cut in the middle of the next one.
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x84\x7f\xff\xff\xff\x02",
        // Message 1 answered by a search entry where a bind response belongs.
        b"\x30\x09\x02\x01\x01\x64\x04\x04\x00\x30\x00",
        b"\x30\x80\x02\x01\x01\x00\x00",
    ] {
        let port = free_port()?;
        let mut server = Command::new(tools::program("openssl")?);
        server
            .args(["s_server", "-quiet", "-naccept", "4", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("-cert")
            .arg(&site.scratch.certificates.certificate)
            .arg("-key")
            .arg(&site.scratch.certificates.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = server.spawn()?;
        let mut stdin = server.stdin.take().context("no stdin")?;
        // What is written before a client comes waits in the pipe.
        stdin.write_all(garbage)?;
        thread::sleep(Duration::from_millis(300));
        let url = format!("ldaps://127.0.0.1:{port}");
        let said = site.ask(&[url], "", "alice", ALICE_PASSWORD);
        server.kill()?;
        server.wait()?;
        said?
            .is_unavailable()
            .with_context(|| format!("{garbage:?}"))?;
    }
    Ok(())
}
