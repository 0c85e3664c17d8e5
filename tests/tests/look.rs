//! A site that looks like itself: its logo, colours, help and a third language, a banner while it
//! runs, details to copy, a page to print. And a look that cannot be used, told at start.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use serde_json::{Value, json};
use tests::{
    Agent, Rig,
    browser::{self, Device, Theme, Visit},
    portal::{ALICE_PASSWORD, ALICE_SECRET, Office, portal_config},
    rig::replaced,
};
use xtask::codes::Phone;

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 120 40\">\
    <rect width=\"120\" height=\"40\" rx=\"6\" fill=\"#7a1010\"/></svg>";
const HELP: &str = "# Where we sit\n\nRoom 12, or [write to us](mailto:it@example.com).\n\n\
    - weekdays\n- <b>nine</b> to five\n";

/// Writes the files of a look, and the table that names them.
fn look(rig: &Rig, german: &str) -> Result<String> {
    let folder = rig.path("look");
    let (languages, help) = (folder.join("languages"), folder.join("help"));
    fs::create_dir_all(&languages)?;
    fs::create_dir_all(&help)?;
    let file = |path: PathBuf, text: &str| -> Result<String> {
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let light = file(folder.join("logo.svg"), LOGO)?;
    let dark = file(folder.join("dark.svg"), &LOGO.replace("#7a1010", "#ffb4ab"))?;
    file(languages.join("de.toml"), german)?;
    file(help.join("help.en.md"), HELP)?;
    Ok(format!(
        "[look]\nlogo = {light:?}\nlogo_dark = {dark:?}\naccent = \"#7a1010\"\n\
         accent_dark = \"#ffb4ab\"\nhelp = {help:?}\nlanguages = {languages:?}\n"
    ))
}

async fn style(visit: &Visit, selector: &str, property: &str) -> Result<String> {
    let script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]];";
    let said = visit
        .client
        .execute(script, vec![json!(selector), json!(property)]);
    Ok(said.await?.as_str().unwrap_or_default().to_owned())
}

/// Logo and colours in both themes.
async fn wears_its_colours(visit: &Visit) -> Result<()> {
    for (theme, accent) in [
        (Theme::Light, "rgb(122, 16, 16)"),
        (Theme::Dark, "rgb(255, 180, 171)"),
    ] {
        visit.wear(theme).await?;
        let button = style(visit, "button.primary", "backgroundColor").await?;
        ensure!(button == accent, "{theme:?}: the button is {button}");
        let shown = "return new Promise((done) => setTimeout(() => { const i = document.querySelector('img.logo'); \
                     done([i.naturalWidth > 0 && i.complete, i.currentSrc]); }, 300));";
        let shown = visit.client.execute(shown, vec![]).await?;
        let name = match theme {
            Theme::Light => "/static/logo?",
            Theme::Dark => "/static/logo-dark?",
        };
        let src = shown.get(1).and_then(Value::as_str).unwrap_or_default();
        ensure!(
            shown.get(0) == Some(&Value::Bool(true)) && src.contains(name),
            "{theme:?}: the logo is not shown: {shown}"
        );
    }
    visit.wear(Theme::Light).await
}

/// The site's own help stands below ours, and nothing in it becomes HTML.
async fn has_its_help(visit: &Visit, url: &str) -> Result<()> {
    visit.goto(&format!("{url}/help#own")).await?;
    let own = visit.text("#own").await?;
    ensure!(
        own.contains("Where we sit") && own.contains("<b>nine</b> to five"),
        "the site's help is missing: {own}"
    );
    ensure!(
        visit.count("#own a[href='mailto:it@example.com']").await? == 1
            && visit.count("#own b").await? == 0,
        "the site's help is not what was written"
    );
    visit.look("l2-own-help").await
}

/// A button of the header; the next page comes in the language.
async fn speaks_german(visit: &Visit, url: &str) -> Result<()> {
    visit.goto(url).await?;
    visit.press("button[name=lang][value=de]").await?;
    ensure!(visit.count("html[lang=de]").await? == 1, "not in German");
    ensure!(visit.text("h1").await? == "Anmelden", "not our German");
    visit.look("l3-german").await?;
    visit.press("button[name=lang][value=en]").await
}

/// What is copied is what stands there, and nothing of it is secret.
async fn copies_details(visit: &Visit, url: &str) -> Result<()> {
    let permissions = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    visit
        .chromium("Browser.grantPermissions", permissions)
        .await?;
    visit.goto(url).await?;
    visit
        .client
        .execute("document.querySelector('.support').open = true", vec![])
        .await?;
    let button = Locator::Css("[data-copy-list]");
    visit.client.find(button).await?.click().await?;
    visit.says("[data-copy-list]", "Copied").await?;
    let read = "const done = arguments[arguments.length - 1]; navigator.clipboard.readText().then(done, (e) => done(String(e)));";
    let copied = visit.client.execute_async(read, vec![]).await?;
    let copied = copied.as_str().unwrap_or_default();
    let id = visit.text("footer code").await?;
    for part in [
        id.as_str(),
        "192.0.2.10",
        "UTC",
        "Chrome",
        "Linux",
        env!("CARGO_PKG_VERSION"),
    ] {
        ensure!(
            copied.contains(part),
            "{part} is not among what was copied: {copied}"
        );
    }
    visit.look("l4-details").await
}

/// The countdown ends while somebody looks at the page.
async fn tells_that_the_time_is_over(visit: &Visit) -> Result<()> {
    let over = "for (const left of document.querySelectorAll('[data-deadline]')) left.dataset.deadline = 1;";
    visit.client.execute(over, vec![]).await?;
    visit
        .says("[role=status][data-over]", "The time is over")
        .await?;
    visit.look("l8-time-is-over").await
}

/// Paper gets the codes and whose they are, and no buttons.
async fn prints_its_codes(visit: &Visit, url: &str) -> Result<()> {
    visit.type_into("username", "alice").await?;
    visit.type_into("password", ALICE_PASSWORD).await?;
    visit
        .type_into("code", &Phone::new(ALICE_SECRET).fresh()?)
        .await?;
    visit.submit("/login").await?;
    tells_that_the_time_is_over(visit).await?;
    visit.goto(&format!("{url}/devices")).await?;
    visit.submit("/devices/recovery").await?;
    visit.look("l5-codes").await?;
    visit
        .chromium("Emulation.setEmulatedMedia", json!({ "media": "print" }))
        .await?;
    visit.picture("l6-codes-printed", Theme::Light).await?;
    for (selector, shown) in [
        ("ol.codes", true),
        (".brand", true),
        ("footer", false),
        (".screen", false),
        (".top .second", false),
    ] {
        let display = style(visit, selector, "display").await?;
        ensure!(
            (display != "none") == shown,
            "on paper {selector} is {display}"
        );
    }
    ensure!(
        style(visit, "body", "backgroundColor").await? == "rgb(255, 255, 255)",
        "paper is white"
    );
    visit
        .chromium("Emulation.setEmulatedMedia", json!({ "media": "" }))
        .await
        .map(drop)
}

fn german(office: &Office) -> Result<String> {
    let english = office.admin_ok(&["texts", "export", "en"], "")?;
    let german = english
        .replace("language_name = \"English\"", "language_name = \"Deutsch\"")
        .replace(
            "[login]\ntitle = \"Sign in\"",
            "[login]\ntitle = \"Anmelden\"",
        );
    ensure!(german.contains("Anmelden"), "the export has changed");
    Ok(german)
}

#[test]
fn site_looks_like_itself() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let plain = portal_config(&rig);
    let office = Office::open_with(&rig, &plain)?.with_people()?;
    let table = look(&rig, &german(&office)?)?;
    fs::write(&office.config, plain + &table)?;
    let portal = office.run(&rig)?;
    let url = portal.url();
    let driver = browser::driver(&rig)?;
    browser::at_client(&rig.layout.client, || async {
        let visit = browser::open(&rig, Device::Desktop, "en").await?;
        visit.goto(&url).await?;
        visit.look("l1-own-look").await?;
        wears_its_colours(&visit).await?;
        has_its_help(&visit, &url).await?;
        speaks_german(&visit, &url).await?;
        copies_details(&visit, &url).await?;
        banner_comes_and_goes(&visit, &office, &url).await?;
        prints_its_codes(&visit, &url).await?;
        visit.close().await
    })?;
    drop(driver);
    Ok(())
}

async fn banner_comes_and_goes(visit: &Visit, office: &Office, url: &str) -> Result<()> {
    let text = "Maintenance on Sunday from ten to twelve.";
    office.admin_ok(
        &["banner", "set", "--text-en", text, "--text", "de=Wartung"],
        "",
    )?;
    let shown = async |wanted: usize| -> Result<()> {
        // A portal goes by what it read for two seconds.
        for _ in 0..20 {
            visit.goto(url).await?;
            if visit.count(".banner[role=status]").await? == wanted {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        anyhow::bail!("{wanted} banners were expected")
    };
    shown(1).await?;
    ensure!(visit.text(".banner").await? == text, "another text");
    visit.look("l7-banner").await?;
    office.admin_ok(&["banner", "clear"], "")?;
    shown(0).await
}

/// Exit 64 or 1 and a sentence that names file, key and remedy.
#[test]
fn look_that_cannot_be_used_is_told_at_start() -> Result<()> {
    let rig = Rig::gateway()?;
    let plain = portal_config(&rig);
    let office = Office::open_with(&rig, &plain)?;
    let german = german(&office)?;
    let whole = look(&rig, &german)?;
    let told = |table: &str, code: i32, parts: &[&str]| -> Result<()> {
        fs::write(&office.config, format!("{plain}{table}"))?;
        let out = office.admin(&["run"])?;
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        ensure!(out.status.code() == Some(code), "{:?}: {said}", out.status);
        for part in parts {
            ensure!(said.contains(part), "{part} is not said: {said}");
        }
        Ok(())
    };
    let pale = whole.replace("\"#7a1010\"", "\"#ff9999\"");
    told(
        &pale,
        64,
        &["portal.toml:", "light pages", "4.5:1", "darker"],
    )?;

    let folder = rig.path("look");
    fs::write(
        folder.join("logo.svg"),
        LOGO.replace("<rect", "<script/><rect"),
    )?;
    told(&whole, 1, &["logo.svg", "<script>"])?;
    fs::write(folder.join("logo.svg"), LOGO)?;

    let short = german
        .replace("skip = \"Skip to content\"\n", "")
        .replace("{wait}", "{w}");
    fs::write(folder.join("languages/de.toml"), &short)?;
    told(
        &whole,
        1,
        &[
            "de.toml",
            "common.skip is missing",
            "login.wait must hold {wait}",
        ],
    )?;
    let path = folder.join("languages/de.toml").display().to_string();
    let check = office.admin(&["texts", "check", &path])?;
    ensure!(
        !check.status.success(),
        "a file with mistakes passed the check"
    );
    fs::write(folder.join("languages/de.toml"), &german)?;
    office.admin_ok(&["texts", "check", &path], "")?;

    fs::write(folder.join("help/help.en.md"), "[a](javascript:alert(1))")?;
    told(&whole, 1, &["help.en.md: line 1", "https://"])?;
    let set = office.admin(&["banner", "set"])?;
    let said = String::from_utf8(set.stderr).context("odd words")?;
    ensure!(said.contains("--text-en"), "{said}");
    Ok(())
}

/// No passkey here, and a portal opened at an address that is not its name.
#[test]
fn failing_passkeys_say_what_can_be_done() -> Result<()> {
    const NAME: &str = "access.example.com";
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let public = format!("[portal]\npublic_url = \"https://{NAME}:8443\"");
    let config = replaced(&portal_config(&rig), "[portal]", &public)?;
    let office = Office::open_with(&rig, &config)?.with_people()?;
    let portal = office.run(&rig)?;
    let [v4, _] = rig.layout.portal_endpoints();
    let key = browser::key_of(&portal.ca().with_file_name("cert.pem"))?;
    let driver = browser::driver(&rig)?;
    browser::at_client(&rig.layout.client, || async {
        let names = [(NAME, v4.ip())];
        let visit = browser::open_trusting(&rig, Device::Desktop, "en", &names, Some(&key)).await?;
        visit.add_authenticator().await?;
        let button = "[data-passkey-log-in] button";
        for (url, text) in [
            (
                format!("https://{NAME}:8443/"),
                "there is none for this portal",
            ),
            (
                portal.url(),
                "own address. Open https://access.example.com:8443",
            ),
        ] {
            visit.goto(&url).await?;
            visit
                .client
                .find(Locator::Css(button))
                .await?
                .click()
                .await?;
            visit
                .says("[data-passkey-log-in] [role=status]", text)
                .await?;
            visit.look("l9-no-passkey").await?;
        }
        visit.close().await
    })?;
    drop(driver);
    Ok(())
}
