//! A mail server that keeps what it takes: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA with dots
//! undone. It can refuse, stall, and go down and come back on the same port.

mod letter;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use xtask::net::Namespace;

use crate::slapd::Certificates;
pub use letter::Letter;

/// Who may send: `user`, NUL, user, NUL, password in base64.
pub const USER: &str = "portal";
pub const PASSWORD: &str = "mail secret";
const PLAIN: &str = "AHBvcnRhbABtYWlsIHNlY3JldA==";

/// What it does with the next mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Takes,
    /// 550 to each recipient.
    NoSuchUser,
    /// 451 to each recipient.
    NotNow,
    /// Accepts connections and says nothing.
    Silent,
}

#[derive(Default)]
struct State {
    mood: Mutex<Mood>,
    letters: Mutex<Vec<Letter>>,
    /// Mails that came without TLS or without the log-in where both were there to be used.
    naked: Mutex<usize>,
    stop: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server. Down when dropped.
pub struct Sink {
    at: Namespace,
    address: SocketAddr,
    tls: Arc<ServerConfig>,
    state: Arc<State>,
    up: Option<Up>,
}

struct Up(Arc<AtomicBool>);

impl Sink {
    /// Listens on the loopback of a namespace.
    pub fn start(at: &Namespace, certificates: &Certificates) -> Result<Self> {
        let listener = at.inside(|| TcpListener::bind(("127.0.0.1", 0)))??;
        let mut sink = Self {
            at: at.clone(),
            address: listener.local_addr()?,
            tls: Arc::new(tls(certificates)?),
            state: Arc::default(),
            up: None,
        };
        sink.serve(listener)?;
        Ok(sink)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn set_mood(&self, mood: Mood) {
        *locked(&self.state.mood) = mood;
    }

    /// Connections are refused from now on.
    pub fn go_down(&mut self) {
        if let Some(Up(ended)) = self.up.take() {
            ended.store(true, Ordering::SeqCst);
            // Wakes the loop, which lets the port go.
            let address = self.address;
            drop(self.at.inside(|| TcpStream::connect(address)));
            let gone = || self.at.inside(|| TcpStream::connect(address).is_err());
            for _ in 0..100 {
                if gone().unwrap_or(true) {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// The same port again.
    pub fn come_back(&mut self) -> Result<()> {
        let address = self.address;
        let listener = self.at.inside(|| TcpListener::bind(address))??;
        self.serve(listener)
    }

    /// Takes away all that came so far.
    pub fn letters(&self) -> Vec<Letter> {
        std::mem::take(&mut *locked(&self.state.letters))
    }

    /// The first letter to an address whose text holds `text`; waits for it.
    pub fn wait_for(&self, to: &str, text: &str, patience: Duration) -> Result<Letter> {
        let tries = patience.as_millis() / 100 + 1;
        for _ in 0..tries {
            let fits = |letter: &&Letter| letter.to == to && letter.whole().contains(text);
            if let Some(letter) = locked(&self.state.letters).iter().find(fits) {
                return Ok(letter.clone());
            }
            thread::sleep(Duration::from_millis(100));
        }
        let all: Vec<String> = locked(&self.state.letters)
            .iter()
            .map(|letter| format!("to {}: {}", letter.to, letter.subject))
            .collect();
        anyhow::bail!("no mail to {to} with {text:?} within {patience:?}; there are {all:?}")
    }

    /// Mails that somebody tried to send without TLS or log-in.
    pub fn naked(&self) -> usize {
        *locked(&self.state.naked)
    }

    fn serve(&mut self, listener: TcpListener) -> Result<()> {
        let ended = Arc::new(AtomicBool::new(false));
        let (state, tls, stop) = (self.state.clone(), self.tls.clone(), ended.clone());
        thread::Builder::new()
            .name("smtp".into())
            .spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) || state.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    let (state, tls, stop) = (state.clone(), tls.clone(), stop.clone());
                    thread::spawn(move || drop(talk(stream, &state, &tls, &stop)));
                }
            })
            .context("no thread")?;
        self.up = Some(Up(ended));
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.go_down();
    }
}

fn tls(certificates: &Certificates) -> Result<ServerConfig> {
    let chain =
        CertificateDer::pem_file_iter(&certificates.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&certificates.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// One connection, plain at first.
fn talk(
    stream: TcpStream,
    state: &State,
    tls: &Arc<ServerConfig>,
    stop: &AtomicBool,
) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    if *locked(&state.mood) == Mood::Silent {
        // Until the other side gives up.
        let _ = (&stream).read(&mut [0; 64]);
        return Ok(());
    }
    let mut plain = BufReader::new(stream);
    plain.get_mut().write_all(b"220 sink ready\r\n")?;
    let mut dialogue = Dialogue::new(state, stop, Protected::Plain);
    if dialogue.run(&mut plain)? == After::StartTls {
        let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
        let mut secure = BufReader::new(StreamOwned::new(connection, plain.into_inner()));
        let mut dialogue = Dialogue::new(state, stop, Protected::Tls);
        dialogue.run(&mut secure)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protected {
    Plain,
    Tls,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    End,
    StartTls,
}

/// What was said so far.
struct Dialogue<'a> {
    state: &'a State,
    stop: &'a AtomicBool,
    protected: Protected,
    logged_in: bool,
    to: Vec<String>,
}

impl<'a> Dialogue<'a> {
    fn new(state: &'a State, stop: &'a AtomicBool, protected: Protected) -> Self {
        Self {
            state,
            stop,
            protected,
            logged_in: false,
            to: Vec::new(),
        }
    }

    fn run<S: Read + Write>(&mut self, stream: &mut BufReader<S>) -> io::Result<After> {
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 || self.stop.load(Ordering::SeqCst) {
                return Ok(After::End);
            }
            let command = line.trim_end();
            let verb = command
                .split([' ', ':'])
                .next()
                .unwrap_or("")
                .to_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => self.hello(),
                "STARTTLS" => {
                    stream.get_mut().write_all(b"220 go\r\n")?;
                    return Ok(After::StartTls);
                }
                "AUTH" => self.auth(command),
                "MAIL" => self.mail(),
                "RCPT" => self.rcpt(command),
                "DATA" => {
                    stream.get_mut().write_all(b"354 end with a dot\r\n")?;
                    self.data(stream)?
                }
                "QUIT" => {
                    stream.get_mut().write_all(b"221 bye\r\n")?;
                    return Ok(After::End);
                }
                "RSET" | "NOOP" => "250 ok\r\n".into(),
                _ => "502 no such command\r\n".into(),
            };
            stream.get_mut().write_all(reply.as_bytes())?;
            stream.get_mut().flush()?;
        }
    }

    fn hello(&self) -> String {
        match self.protected {
            Protected::Plain => "250-sink\r\n250 STARTTLS\r\n".into(),
            Protected::Tls => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n".into(),
        }
    }

    fn auth(&mut self, command: &str) -> String {
        self.logged_in = command == format!("AUTH PLAIN {PLAIN}");
        match self.logged_in {
            true => "235 welcome\r\n".into(),
            false => "535 wrong\r\n".into(),
        }
    }

    fn mail(&mut self) -> String {
        self.to.clear();
        if self.protected == Protected::Plain || !self.logged_in {
            *locked(&self.state.naked) += 1;
            return "530 not like this\r\n".into();
        }
        "250 ok\r\n".into()
    }

    fn rcpt(&mut self, command: &str) -> String {
        match *locked(&self.state.mood) {
            Mood::NoSuchUser => return "550 no such user\r\n".into(),
            Mood::NotNow => return "451 not now\r\n".into(),
            Mood::Takes | Mood::Silent => {}
        }
        let inside = command.split(['<', '>']).nth(1).unwrap_or_default();
        self.to.push(inside.to_owned());
        "250 ok\r\n".into()
    }

    fn data<S: Read>(&mut self, stream: &mut BufReader<S>) -> io::Result<String> {
        let mut raw = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == ".\r\n" {
                break;
            }
            raw.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
        let mut letters = locked(&self.state.letters);
        letters.extend(self.to.drain(..).map(|to| Letter::read(to, &raw)));
        Ok("250 taken\r\n".into())
    }
}
