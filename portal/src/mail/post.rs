//! The mail server: SMTP by lettre, under TLS with checked certificates. It says of each mail
//! whether it was taken, may be taken later, or never will be.

use std::{fmt, fs, pin::Pin};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{
        self, PoolConfig,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use zeroize::Zeroizing;

use super::MailError;
use crate::config::{Mail, MailTls};

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    Taken,
    /// This one not now.
    Later(String),
    /// None now: the server is down, or does not want us.
    ServerDown(String),
    /// This one never.
    Never(String),
}

/// Takes mails, or a fake of it in tests.
pub(crate) trait Post: Send + Sync + fmt::Debug {
    fn send<'a>(&'a self, mail: Message) -> Pin<Box<dyn Future<Output = Posted> + Send + 'a>>;
}

/// The configured server.
pub(crate) struct SmtpPost {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    name: String,
}

impl fmt::Debug for SmtpPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpPost({})", self.name)
    }
}

impl SmtpPost {
    /// Reads certificates and the password; connects to nothing yet.
    pub(crate) fn open(mail: &Mail) -> Result<Self, MailError> {
        crate::serve::install_crypto();
        let tls = match mail.tls {
            MailTls::NoneToLoopbackOnly => Tls::None,
            MailTls::Starttls => Tls::Required(parameters(mail)?),
            MailTls::Tls => Tls::Wrapper(parameters(mail)?),
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host())
            .port(mail.port())
            .tls(tls)
            .timeout(Some(mail.timeout.duration()))
            // Two are enough for notices; idle ones are closed by the server, not by us.
            .pool_config(PoolConfig::new().max_size(2));
        let builder = match (&mail.user, &mail.password_file) {
            (Some(user), Some(file)) => {
                let say = |what: String| MailError::File {
                    path: file.display().to_string(),
                    what,
                };
                let text = fs::read_to_string(file).map(Zeroizing::new);
                let text = text.map_err(|e| say(format!("cannot be read: {e}")))?;
                let password = text.trim_end_matches(['\r', '\n']);
                if password.is_empty() {
                    return Err(say("holds no password".into()));
                }
                builder.credentials(Credentials::new(user.clone(), password.to_owned()))
            }
            _ => builder,
        };
        Ok(Self {
            transport: builder.build(),
            name: format!("{}:{}", mail.host(), mail.port()),
        })
    }
}

fn parameters(mail: &Mail) -> Result<TlsParameters, MailError> {
    let mut builder = TlsParameters::builder(mail.host().to_owned());
    if let Some(path) = &mail.ca {
        let say = |what: String| MailError::File {
            path: path.display().to_string(),
            what,
        };
        let pem = fs::read(path).map_err(|e| say(format!("cannot be read: {e}")))?;
        if !pem.windows(10).any(|part| part == b"-----BEGIN") {
            return Err(say("holds no PEM certificate".into()));
        }
        let certificate = Certificate::from_pem(&pem).map_err(|e| say(e.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build_rustls()
        .map_err(|e| MailError::Other(e.to_string()))
}

impl Post for SmtpPost {
    fn send<'a>(&'a self, mail: Message) -> Pin<Box<dyn Future<Output = Posted> + Send + 'a>> {
        Box::pin(async move {
            match self.transport.send(mail).await {
                Ok(_) => Posted::Taken,
                Err(error) => judge(&self.name, &error),
            }
        })
    }
}

/// What an error says about the mail and about the server.
fn judge(server: &str, error: &smtp::Error) -> Posted {
    let said = format!("{server}: {}", told(error));
    match error.status().map(u16::from) {
        // 421: it is closing; 530 to 538: about our log-in or TLS, not about this mail.
        Some(421 | 454 | 530..=538) => Posted::ServerDown(said),
        Some(500..) => Posted::Never(said),
        Some(_) => Posted::Later(said),
        // An address that this server cannot be told, for instance: about this mail.
        None if error.is_client() => Posted::Later(said),
        None => Posted::ServerDown(said),
    }
}

/// The error with its causes, on one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    crate::audit::clean(&text)
}
