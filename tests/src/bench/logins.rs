//! Part `logins`: how many whole log-ins a second the portal does, with a real directory beside it:
//! limits, code and its step, bind, rules, grants that the kernel has, record, cookie. Each person
//! logs in once for each step that is accepted, from one of several addresses.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpSocket,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use xtask::{clock, codes::Phone, curl, lab::ETH};

use super::{
    Options,
    result::{Row, Target, median, quantile},
};
use crate::{
    Agent, Portal, Rig,
    portal::{ALICE_SECRET, Office, portal_config},
    rig::replaced,
    slapd::{BASE, Certificates, Slapd},
    tools,
};

const PART: &str = "logins";
/// Browsers at the same time, each at an address of its own.
const BROWSERS: usize = 32;
/// Steps of which a code is accepted: before, present, next.
const STEPS: usize = 3;

type Stream = BufReader<TlsStream<tokio::net::TcpStream>>;

struct Site {
    rig: Rig,
    portal: Portal,
    people: usize,
    _slapd: Slapd,
    _agent: Agent,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let people = if options.quick { 64 } else { 1_024 };
    options.tell(PART, &format!("making {people} people with a token each"));
    let site = Site::open(people)?;
    let (mut rates, mut slow, mut middle) = (Vec::new(), Vec::new(), Vec::new());
    // A round uses up all three steps; the next waits until there are new ones.
    for round in 0..options.rounds.min(3) {
        options.round(PART, round);
        let phone = Phone::new(ALICE_SECRET);
        if round > 0 {
            std::thread::sleep(Duration::from_secs(91));
        }
        // The codes of the step before are used first, and are over with this one.
        while clock::unix_seconds() % 30 > 2 {
            std::thread::sleep(Duration::from_millis(200));
        }
        let codes: Vec<String> = (-1..=1)
            .map(|step| phone.steps_from_now(step))
            .collect::<Result<_>>()?;
        let client = site.rig.layout.client.clone();
        let start = clock::instant();
        let took = client.inside(|| tools::block_on(site.storm(codes)))???;
        let seconds = start.elapsed().as_secs_f64();
        let count = f64::from(u32::try_from(took.len())?);
        rates.push(count / seconds);
        middle.extend(median(&took));
        slow.extend(quantile(&took, 0.99));
    }
    Ok(vec![
        Row::new(
            PART,
            "rate",
            "whole log-ins, directory beside it",
            "/s",
            rates,
        )
        .target(Target::AtLeast(300.0)),
        Row::new(
            PART,
            "middle",
            "one log-in, 32 at the same time",
            "ms",
            middle,
        ),
        Row::new(
            PART,
            "slow",
            "one log-in, 32 at the same time, p99",
            "ms",
            slow,
        ),
    ])
}

fn address(browser: usize) -> Result<IpAddr> {
    Ok(IpAddr::from([192, 0, 2, u8::try_from(100 + browser)?]))
}

impl Site {
    fn open(people: usize) -> Result<Self> {
        let rig = Rig::gateway()?;
        let agent = Agent::start(&rig)?;
        let certificates = Certificates::make(&rig.path("tls"), "IP:127.0.0.1")?;
        let mut entries = String::new();
        for n in 0..people {
            writeln!(
                entries,
                "\ndn: uid=p{n},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: P\n\
                 sn: P\nuserPassword: right {n}\nmemberOf: cn=staff,ou=groups,{BASE}"
            )?;
        }
        let gate = Some(&rig.layout.gate);
        let slapd = Slapd::start_with(&rig.path("slapd"), &certificates, gate, &entries, "")?;
        let local = format!(
            "kind = \"local\"\nfile = \"{}/portal/users.toml\"\n",
            rig.folder().display()
        );
        let limits = "\n[limits]\nsource_per_minute = 10000\nsource_per_hour = 100000\n\
                      global_per_minute = 1000000\n";
        let directory = slapd.config(&certificates)? + "connections = 32\n";
        let config = replaced(&portal_config(&rig), &local, &directory)? + limits;
        let office = Office::open_with(&rig, &config)?;
        for n in 0..people {
            office.token(&format!("p{n}"), ALICE_SECRET)?;
        }
        for browser in 0..BROWSERS {
            let add = format!("address add {}/24 dev {ETH}", address(browser)?);
            rig.layout.client.ip([add.as_str()])?;
        }
        let portal = office.run(&rig)?;
        Ok(Self {
            rig,
            portal,
            people,
            _slapd: slapd,
            _agent: agent,
        })
    }

    /// Everybody once for each code, in order; milliseconds of each.
    async fn storm(&self, codes: Vec<String>) -> Result<Vec<f64>> {
        let [portal, _] = self.rig.layout.portal_endpoints();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.portal.ca())?)?;
        let tls =
            ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let (tls, next) = (
            TlsConnector::from(Arc::new(tls)),
            Arc::new(AtomicUsize::new(0)),
        );
        let codes = Arc::new(codes);
        let mut browsers = JoinSet::new();
        for browser in 0..BROWSERS {
            let (tls, next, codes) = (tls.clone(), next.clone(), codes.clone());
            let (from, people) = (address(browser)?, self.people);
            browsers.spawn(async move {
                let mut stream = connect(&tls, from, portal).await?;
                let mut took = Vec::new();
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let (step, person) = (turn / people, turn % people);
                    let Some(code) = codes.get(step).filter(|_| step < STEPS) else {
                        return Ok::<_, anyhow::Error>(took);
                    };
                    let start = clock::instant();
                    log_in(&mut stream, portal, person, code).await?;
                    took.push(start.elapsed().as_secs_f64() * 1e3);
                }
            });
        }
        let mut all = Vec::new();
        while let Some(took) = browsers.join_next().await {
            all.extend(took??);
        }
        Ok(all)
    }
}

async fn connect(tls: &TlsConnector, from: IpAddr, to: SocketAddr) -> Result<Stream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::new(from, 0))?;
    let stream = socket.connect(to).await?;
    let name = ServerName::IpAddress(to.ip().into());
    Ok(BufReader::new(tls.connect(name, stream).await?))
}

/// One posted form on a kept connection; an error unless it let the person in.
async fn log_in(stream: &mut Stream, portal: SocketAddr, person: usize, code: &str) -> Result<()> {
    let form = curl::encoded(&[
        ("username", &format!("p{person}")),
        ("password", &format!("right {person}")),
        ("code", code),
    ]);
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: {portal}\r\nOrigin: https://{portal}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 16_384, "an endless head");
        head.push(stream.read_u8().await.context("the portal hung up")?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(Ok(0), |length| length.trim().parse::<usize>())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if !head.starts_with("http/1.1 303") {
        bail!("p{person}: {head}\n{}", String::from_utf8_lossy(&body));
    }
    Ok(())
}
