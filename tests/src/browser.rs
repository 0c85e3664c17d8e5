//! A real Chromium at the client, driven through chromedriver. It sees only the test's network,
//! and its pictures are kept under `target/screenshots`.

mod axe;
mod keys;

pub use axe::Theme;
pub use keys::Key;

use std::{
    fs,
    net::{IpAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use fantoccini::{
    Client, ClientBuilder, Locator,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::Url;
use xtask::{command, net::Namespace};

use crate::{
    Rig,
    tools::{self, Daemon},
};

const PORT: u16 = 9515;

/// What the browser runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A narrow screen, as narrow as people have.
    Phone,
    Desktop,
    /// A desktop whose browser runs no script of any page.
    DesktopWithoutScripts,
    /// A desktop whose browser asks before a page may reach another address of the local network.
    /// Nobody answers.
    DesktopThatAsks,
}

impl Device {
    fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Desktop => "desktop",
            Self::DesktopWithoutScripts => "scriptless",
            Self::DesktopThatAsks => "asking",
        }
    }
}

/// Starts chromedriver in the client's namespace. Ended, with its browsers, when dropped.
pub fn driver(rig: &Rig) -> Result<Daemon> {
    // In a process namespace of its own: the browsers it starts cannot outlive it.
    let mut command = rig.layout.client.command("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
        .arg(tools::program("chromedriver")?)
        .arg(format!("--port={PORT}"));
    let home = rig.path("browser");
    fs::create_dir_all(&home)?;
    command.env("HOME", &home).env("TMPDIR", &home);
    let mut driver = Daemon::start("chromedriver", command, rig.path("chromedriver.log"))?;
    let client = rig.layout.client.clone();
    driver.ready(|| {
        let answers = client.inside(|| TcpStream::connect(("127.0.0.1", PORT)).is_ok());
        answers.unwrap_or(false)
    })?;
    Ok(driver)
}

/// Opens a browser of this device and language. Call inside [`at_client`].
pub async fn open(rig: &Rig, device: Device, language: &str) -> Result<Visit> {
    open_where(rig, device, language, &[]).await
}

/// The same where names stand for these addresses, as DNS would say.
pub async fn open_where(
    rig: &Rig,
    device: Device,
    language: &str,
    names: &[(&str, IpAddr)],
) -> Result<Visit> {
    open_trusting(rig, device, language, names, None).await
}

/// The same, and the certificate with this key counts as good: browsers show no passkeys to a site
/// whose certificate they doubt, even where the doubt is overlooked.
pub async fn open_trusting(
    rig: &Rig,
    device: Device,
    language: &str,
    names: &[(&str, IpAddr)],
    key: Option<&str>,
) -> Result<Visit> {
    let rules = names.iter().map(|(name, address)| match address {
        IpAddr::V4(ip) => format!("MAP {name} {ip}"),
        IpAddr::V6(ip) => format!("MAP {name} [{ip}]"),
    });
    let rules = rules.collect::<Vec<_>>().join(", ");
    let profile = rig.path("browser").join("profile");
    let mut options = json!({
        "binary": tools::program("chromium")?,
        "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--window-size=1280,900",
            format!("--user-data-dir={}", profile.display()), format!("--lang={language}"),
            format!("--host-resolver-rules={rules}"),
        ],
        "prefs": { "intl.accept_languages": language },
    });
    if let Some(key) = key
        && let Some(arguments) = options.pointer_mut("/args").and_then(Value::as_array_mut)
    {
        arguments.push(json!(format!(
            "--ignore-certificate-errors-spki-list={key}"
        )));
    }
    if device != Device::DesktopThatAsks
        && let Some(arguments) = options.pointer_mut("/args").and_then(Value::as_array_mut)
    {
        // Chromium takes addresses set aside for documentation for local ones.
        arguments.push(json!("--disable-features=LocalNetworkAccessChecks"));
    }
    if device == Device::Phone {
        let metrics = json!({ "width": 320, "height": 640, "pixelRatio": 2.0, "mobile": true });
        if let Some(options) = options.as_object_mut() {
            options.insert(
                "mobileEmulation".into(),
                json!({ "deviceMetrics": metrics }),
            );
        }
    }
    let mut capabilities = Capabilities::new();
    capabilities.insert("goog:chromeOptions".into(), options);
    // The certificate is the laboratory's own; curl checks it, in other tests.
    capabilities.insert("acceptInsecureCerts".into(), json!(true));
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{PORT}"))
        .await
        .context("no browser; see `cargo xtask setup tests`")?;
    let visit = Visit {
        client,
        device,
        language: language.to_owned(),
    };
    if device == Device::DesktopWithoutScripts {
        visit.let_scripts_run(false).await?;
    }
    Ok(visit)
}

/// Runs async work on a thread in the client's namespace.
pub fn at_client<T, F>(client: &Namespace, work: impl FnOnce() -> F + Send) -> Result<T>
where
    T: Send,
    F: Future<Output = Result<T>>,
{
    client.inside(|| tools::block_on(work()))??
}

/// The SHA-256 of a certificate's public key, as Chromium names it.
pub fn key_of(certificate: &Path) -> Result<String> {
    let openssl = tools::program("openssl")?;
    let script = "\"$0\" x509 -in \"$1\" -noout -pubkey | \"$0\" pkey -pubin -outform der \
        | \"$0\" dgst -sha256 -binary | \"$0\" base64";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(openssl).arg(certificate);
    Ok(command::output(&mut shell)?.trim().to_owned())
}

/// WebDriver's command for a passkey in software (WebAuthn level 3, §11.3).
#[derive(Debug)]
struct AddAuthenticator;

impl WebDriverCompatibleCommand for AddAuthenticator {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/webauthn/authenticator"))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        let what = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true,
        });
        (http::Method::POST, Some(what.to_string()))
    }
}

/// One browser window.
pub struct Visit {
    pub client: Client,
    device: Device,
    language: String,
}

impl Visit {
    /// Takes a picture of the page in each theme and checks what every page must hold.
    pub async fn look(&self, name: &str) -> Result<()> {
        self.measure(name).await?;
        for theme in Theme::ALL {
            self.wear(theme).await?;
            self.picture(name, theme).await?;
            let name = format!("{name}, {}, {}", self.device.name(), theme.name());
            self.examine(&name).await?;
        }
        self.wear(Theme::Light).await?;
        self.enlarge(name).await
    }

    pub async fn picture(&self, name: &str, theme: Theme) -> Result<()> {
        let folder = command::target_dir().join("screenshots");
        fs::create_dir_all(&folder)?;
        let dark = match theme {
            Theme::Light => "",
            Theme::Dark => "-dark",
        };
        let file: PathBuf = folder.join(format!(
            "{name}-{}-{}{dark}.png",
            self.device.name(),
            self.language
        ));
        // The whole page, not only what fits into the window.
        let height = "return document.documentElement.scrollHeight;";
        let height = self.client.execute(height, Vec::new()).await?;
        self.size(height.as_u64().unwrap_or(0)).await?;
        fs::write(file, self.client.screenshot().await?)?;
        self.size(0).await
    }

    /// Gives the browser something that keeps passkeys and asks for a finger, which is always shown.
    pub async fn add_authenticator(&self) -> Result<()> {
        let added = self.client.issue_cmd(AddAuthenticator).await;
        added.context("no virtual authenticator").map(drop)
    }

    /// Presses a button that a script answers to, and waits for the next page.
    pub async fn press(&self, button: &str) -> Result<()> {
        let found = self.client.find(Locator::Css(button)).await;
        let found = found.with_context(|| format!("no button {button}"))?;
        let before = self.request_id().await?;
        found.click().await?;
        self.next_page(&before)
            .await
            .with_context(|| format!("after pressing {button}"))
    }

    pub fn runs_scripts(&self) -> bool {
        self.device != Device::DesktopWithoutScripts
    }

    pub async fn goto(&self, url: &str) -> Result<()> {
        self.client
            .goto(url)
            .await
            .with_context(|| format!("cannot open {url}"))
    }

    pub async fn path(&self) -> Result<String> {
        Ok(self.client.current_url().await?.path().to_owned())
    }

    /// Types into the field with this id.
    pub async fn type_into(&self, id: &str, text: &str) -> Result<()> {
        let field = self.client.find(Locator::Id(id)).await;
        let field = field.with_context(|| format!("no field {id}"))?;
        field.clear().await?;
        field
            .send_keys(text)
            .await
            .with_context(|| format!("cannot type into {id}"))
    }

    /// Presses the one button of the form that goes to `action`, and waits for the next page.
    pub async fn submit(&self, action: &str) -> Result<()> {
        let button = format!("form[action='{action}'] button:not([type=button])");
        let found = self.client.find(Locator::Css(&button)).await;
        let found = found.with_context(|| format!("no button to {action}"))?;
        let before = self.request_id().await?;
        found.click().await?;
        self.next_page(&before)
            .await
            .with_context(|| format!("after pressing {action}"))
    }

    async fn next_page(&self, before: &str) -> Result<()> {
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if self.request_id().await.is_ok_and(|id| id != before) {
                return Ok(());
            }
        }
        let said = self.text("main").await?;
        anyhow::bail!("nothing happened; the page says: {said}")
    }

    /// Each reply of the portal has another.
    async fn request_id(&self) -> Result<String> {
        let body = self.client.find(Locator::Css("body")).await?;
        body.attr("data-request-id").await?.context("no request id")
    }

    /// The text of the first element that a selector finds.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let found = self.client.find(Locator::Css(selector)).await;
        Ok(found
            .with_context(|| format!("no {selector} on the page"))?
            .text()
            .await?)
    }

    /// Waits up to ten seconds until the first element that a selector finds says this.
    pub async fn says(&self, selector: &str, text: &str) -> Result<()> {
        for _ in 0..200 {
            if self
                .text(selector)
                .await
                .is_ok_and(|said| said.contains(text))
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let said = self.text(selector).await?;
        anyhow::bail!("{selector} does not say {text:?} but {said:?}")
    }

    pub async fn count(&self, selector: &str) -> Result<usize> {
        Ok(self.client.find_all(Locator::Css(selector)).await?.len())
    }

    pub async fn close(self) -> Result<()> {
        self.client
            .close()
            .await
            .context("the browser did not close")
    }
}
