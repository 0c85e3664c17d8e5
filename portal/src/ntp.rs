//! Watches the machine's clock by asking NTP servers (SNTP, RFC 4330). It never sets the clock; it
//! says how wrong it is, and while it is wrong nobody is let in: codes would be judged by it.

mod packet;

use std::{
    sync::Arc,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::net::UdpSocket;

use crate::{clock::Clock, portal::Portal};

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A clock that seems wrong is looked at again so soon, before it counts as wrong.
const AGAIN: Duration = Duration::from_secs(2);
/// How soon servers are asked again while something is not right.
const SOON: Duration = Duration::from_secs(10);

/// What is known of the clock; 0: nothing that is wrong.
#[derive(Debug, Default)]
pub(crate) struct TimeWatch {
    /// Milliseconds that the servers are ahead.
    ahead: AtomicI64,
    /// Seconds that the clock stands before a time already seen.
    behind: AtomicI64,
}

impl TimeWatch {
    pub(crate) fn set_behind(&self, seconds: Option<i64>) {
        self.behind.store(seconds.unwrap_or(0), Ordering::Relaxed);
    }

    fn set_ahead(&self, milliseconds: i64) {
        self.ahead.store(milliseconds, Ordering::Relaxed);
    }
}

impl Portal {
    /// How many seconds the clock is wrong, if that is too much to judge codes by: negative when it
    /// is behind.
    pub(crate) fn clock_is_off(&self) -> Option<i64> {
        let most = self.config.clock.most_off.seconds();
        let behind = self.time.behind.load(Ordering::Relaxed);
        let ahead = self.time.ahead.load(Ordering::Relaxed) / 1_000;
        [behind, ahead]
            .into_iter()
            .find(|seconds| seconds.abs() > most)
            .map(|seconds| -seconds)
    }
}

/// Asks now and then, for as long as the portal runs.
pub(crate) async fn watch(portal: Arc<Portal>) {
    let settings = &portal.config.clock;
    if settings.servers.is_empty() {
        return;
    }
    let most = settings.most_off.seconds() * 1_000;
    loop {
        let mut ahead = ask_all(&settings.servers, &portal.clock).await;
        if ahead.is_some_and(|ahead| ahead.abs() > most) {
            tokio::time::sleep(AGAIN).await;
            ahead = ask_all(&settings.servers, &portal.clock).await.or(ahead);
        }
        let fine = match ahead {
            None => {
                tracing::warn!("no NTP server of [clock] answers; the clock is not checked");
                false
            }
            Some(ahead) => {
                let was = portal.clock_is_off().is_some();
                portal.time.set_ahead(ahead);
                let seconds = -ahead / 1_000;
                match (ahead.abs() > most, was) {
                    (true, _) => tracing::error!(
                        seconds,
                        "the clock is wrong by so much: nobody is let in until it is right; check NTP \
                         on this machine"
                    ),
                    (false, true) => tracing::info!("the clock is right again"),
                    (false, false) => {}
                }
                ahead.abs() <= most
            }
        };
        let pause = if fine {
            settings.every.duration()
        } else {
            SOON
        };
        tokio::time::sleep(pause).await;
    }
}

/// The median of what the servers say, in milliseconds ahead of us. None: nobody answers.
pub(crate) async fn ask_all(servers: &[String], clock: &Clock) -> Option<i64> {
    let mut said = Vec::new();
    for server in servers {
        match ask(server, clock).await {
            Ok(ahead) => said.push(ahead),
            Err(why) => tracing::debug!(server, why, "an NTP server is of no use"),
        }
    }
    said.sort_unstable();
    said.get(said.len().saturating_sub(1) / 2).copied()
}

async fn ask(server: &str, clock: &Clock) -> Result<i64, String> {
    let text = |e: std::io::Error| e.to_string();
    let has_port = server.parse::<std::net::SocketAddr>().is_ok()
        || (server.matches(':').count() == 1 && !server.ends_with(':'));
    let server = match has_port {
        true => server.to_owned(),
        false if server.contains(':') => format!("[{server}]:123"),
        false => format!("{server}:123"),
    };
    let work = async {
        let mut found = tokio::net::lookup_host(&server).await.map_err(text)?;
        let address = found.next().ok_or("no such name")?;
        let any: std::net::IpAddr = match address.is_ipv4() {
            true => std::net::Ipv4Addr::UNSPECIFIED.into(),
            false => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await.map_err(text)?;
        // Replies from elsewhere are not even read.
        socket.connect(address).await.map_err(text)?;
        let nonce = crate::random::bytes::<8>();
        let sent: Timestamp = clock.now();
        socket.send(&packet::request(nonce)).await.map_err(text)?;
        let mut reply = [0; 128];
        let length = socket.recv(&mut reply).await.map_err(text)?;
        let got = clock.now();
        packet::ahead(reply.get(..length).unwrap_or_default(), nonce, sent, got)
    };
    let in_time = tokio::time::timeout(PATIENCE, work).await;
    in_time.map_err(|_| "no answer in time".to_owned())?
}
