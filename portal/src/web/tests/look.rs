//! The site's own look on its pages: files under `/static/`, languages, banner, help, and the links
//! by which errors lead to it.

use http::StatusCode;

use crate::{
    banner::Banner,
    testing::{Ask, NOW, Site},
    text::ENGLISH,
};

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";

/// A site with everything of its own, and the folder that must outlive it.
async fn dressed() -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("logo.svg", LOGO);
    write(
        "help.en.md",
        "# Desk\n\n<script>x</script> [mail](mailto:it@example.com)",
    );
    write("de.toml", &ENGLISH.replace("\"English\"", "\"Deutsch\""));
    let path = folder.path();
    let more = format!(
        "[look]\nlogo = {:?}\naccent = \"#7a1010\"\nhelp = {path:?}\nlanguages = {path:?}\n",
        path.join("logo.svg")
    );
    (Site::new(&more).await, folder)
}

#[tokio::test]
async fn logo_and_colours_are_files_with_their_own_types() {
    let (site, _folder) = dressed().await;
    let page = site.send(Ask::page("/")).await.body;
    assert!(page.contains("<img class=\"logo\" src=\"/static/logo?"));
    assert!(!page.contains("class=\"mark\"") && !page.contains("logo-dark"));
    for (path, kind, part) in [
        ("/static/look.css", "text/css; charset=utf-8", "#7a1010"),
        ("/static/logo", "image/svg+xml", LOGO),
    ] {
        let linked = format!("{path}?{}", site.portal.look.version());
        assert!(page.contains(&linked), "{linked}: {page}");
        let got = site.send(Ask::page(&linked)).await;
        assert_eq!(got.headers["content-type"], kind);
        assert!(got.body.contains(part));
        let policy = got.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
    }
    let plain = Site::new("").await;
    let page = plain.send(Ask::page("/")).await.body;
    assert!(!page.contains("look.css") && page.contains("class=\"mark\""));
    for path in ["/static/look.css", "/static/logo", "/static/logo-dark"] {
        let got = plain.send(Ask::page(path)).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn third_language_is_offered_negotiated_and_chosen() {
    let (site, _folder) = dressed().await;
    let english = site.send(Ask::page("/")).await.body;
    assert!(english.contains("value=\"de\" lang=\"de\">Deutsch</button>"));
    let wanted = [("accept-language", "de-AT,en;q=0.5")];
    let german = site.send(Ask::page("/").with(&wanted)).await.body;
    assert!(german.contains("<html lang=\"de\""));
    let form = [("lang", "de"), ("to", "/help")];
    let got = site.send(Ask::post("/language", &form)).await;
    let cookie = got.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("__Host-sekisho-lang=de;"), "{cookie}");
    let chosen = site
        .send(Ask::page("/").as_("__Host-sekisho-lang=de"))
        .await;
    assert!(chosen.body.contains("<html lang=\"de\""));
    // A cookie of a language that is gone, or never was.
    let gone = site
        .send(Ask::page("/").as_("__Host-sekisho-lang=fr"))
        .await;
    assert!(gone.body.contains("<html lang=\"en\""));
    let none = [("lang", "fr"), ("to", "/")];
    let got = site.send(Ask::post("/language", &none)).await;
    assert!(!got.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn own_help_is_words_and_links_only() {
    let (site, _folder) = dressed().await;
    let page = site.send(Ask::page("/help")).await.body;
    assert!(page.contains("<h3>Desk</h3>") && page.contains("href=\"mailto:it@example.com\""));
    assert!(page.contains("&#60;script&#62;x") && !page.contains("<script>x"));
    assert_eq!(page.matches("<h1").count(), 1);
}

#[tokio::test]
async fn every_error_leads_to_a_part_of_the_help_page() {
    let site = Site::new("").await;
    let help = site.send(Ask::page("/help")).await.body;
    for part in [
        "refused", "used", "password", "waiting", "down", "lost", "token", "ticket", "clock",
        "never", "shut", "address",
    ] {
        assert_eq!(
            help.matches(&format!(" id=\"{part}\"")).count(),
            1,
            "{part}"
        );
        assert!(help.contains(&format!("href=\"#{part}\"")), "{part}");
    }
    let refused = site.log_in("nobody", "x", "123456").await.body;
    assert!(refused.contains("href=\"/help#refused\""), "{refused}");
    site.agent.set_down(true);
    let down = site.log_in("alice", "x", "123456").await.body;
    assert!(down.contains("href=\"/help#down\""), "{down}");
}

#[tokio::test]
async fn banner_stands_on_every_page_until_it_is_over() {
    let site = Site::new("").await;
    let text = "Down <b>tonight</b>".to_owned();
    let banner = Banner {
        texts: [("en".to_owned(), text)].into(),
        until: Some(NOW + 600),
    };
    banner.set(&site.portal.store).await.unwrap();
    for path in ["/", "/help", "/ticket", "/lost", "/nowhere"] {
        let body = site.send(Ask::page(path)).await.body;
        assert_eq!(
            body.matches("class=\"banner\" role=\"status\"").count(),
            1,
            "{path}"
        );
        assert!(
            body.contains("<p lang=\"en\">Down &#60;b&#62;tonight"),
            "{path}"
        );
    }
    site.clock.advance(600);
    assert!(
        !site
            .send(Ask::page("/"))
            .await
            .body
            .contains("class=\"banner\"")
    );
}

#[tokio::test]
async fn details_for_support_are_on_the_page_without_a_script_and_hold_no_secret() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let page = site.send(Ask::page("/access").as_(&cookie)).await.body;
    let details = page.split("<dl id=\"support\">").nth(1).unwrap();
    let details = details.split("</dl>").next().unwrap();
    for part in [
        "2027-01-15 08:00:00 UTC",
        "192.0.2.7",
        "/access",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(details.contains(part), "{part}: {details}");
    }
    let value = cookie.split_once('=').unwrap().1;
    assert!(!page.contains(value) && !details.contains("alice"));
}

#[tokio::test]
async fn used_code_is_told_to_who_is_in_and_to_nobody_else() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    let cookie = site.in_as("alice", &seed).await;
    let outside = site.log_in("alice", "password of alice", &code).await;
    let wrong = site.log_in("alice", "password of alice", "000000").await;
    let text = |body: &str| {
        let rest = body.split("role=\"alert\"").nth(1).unwrap();
        let rest = rest.split("<p>").nth(1).unwrap();
        rest.split("</p>").next().unwrap().to_owned()
    };
    assert_eq!(text(&outside.body), text(&wrong.body));
    let form = [("service", "ssh"), ("code", code.as_str())];
    let raised = site
        .send(Ask::post("/access/prove", &form).as_(&cookie))
        .await;
    let page = site.send(Ask::page(raised.to()).as_(&cookie)).await.body;
    assert!(
        page.contains("was used already") && page.contains("/help#used"),
        "{page}"
    );
}

#[tokio::test]
async fn every_page_links_an_icon_of_the_right_type_that_browsers_may_keep() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("icon.svg");
    std::fs::write(&own, LOGO).unwrap();
    let png = folder.path().join("icon.png");
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x20\0\0\0\x20";
    std::fs::write(&png, head).unwrap();
    for (look, path, kind) in [
        (String::new(), "/static/icon.svg?", "image/svg+xml"),
        (
            format!("[look]\nfavicon = {own:?}\n"),
            "/static/favicon?",
            "image/svg+xml",
        ),
        (
            format!("[look]\nfavicon = {png:?}\n"),
            "/static/favicon?",
            "image/png",
        ),
    ] {
        let site = Site::new(&look).await;
        let (_, seed) = site.token("alice").await;
        let cookie = site.in_as("alice", &seed).await;
        let mut linked = String::new();
        for page in [
            "/", "/access", "/devices", "/logins", "/help", "/ticket", "/lost", "/resync",
            "/nowhere",
        ] {
            let got = site.send(Ask::page(page).as_(&cookie)).await;
            let got = match got.status.is_redirection() {
                true => site.send(Ask::page(page)).await,
                false => got,
            };
            assert_eq!(got.body.matches("rel=\"icon\"").count(), 1, "{page}");
            let tag = got.between("<link rel=\"icon\" href=\"", ">");
            assert!(tag.starts_with(path), "{page}: {tag}");
            assert!(tag.ends_with(&format!("type=\"{kind}\"")), "{page}: {tag}");
            linked = tag.split('"').next().unwrap().to_owned();
        }
        let icon = site.send(Ask::page(&linked)).await;
        assert_eq!(icon.status, StatusCode::OK);
        assert_eq!(icon.headers["content-type"], kind);
        assert_eq!(
            icon.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(icon.headers["x-content-type-options"], "nosniff");
        let policy = icon.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("img-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn link_for_feedback_is_in_every_footer_where_it_is_set() {
    let to = "mailto:it@example.org?subject=Portal&body=\u{3042}";
    let site = Site::new(&format!("[look]\nfeedback = {to:?}\n")).await;
    for page in ["/", "/help", "/ticket", "/lost", "/nowhere"] {
        let body = site.send(Ask::page(page)).await.body;
        let foot = body.split("<footer>").nth(1).unwrap();
        let link =
            "<a href=\"mailto:it@example.org?subject=Portal&#38;body=\u{3042}\">Feedback</a>";
        assert!(foot.contains(link), "{page}: {foot}");
    }
    let japanese = [("accept-language", "ja")];
    let page = site.send(Ask::page("/").with(&japanese)).await.body;
    assert!(page.contains(">ご意見</a>"), "{page}");
    let plain = Site::new("").await.send(Ask::page("/")).await.body;
    assert!(!plain.contains("Feedback"));
}
