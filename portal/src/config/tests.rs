//! A short file is enough; every mistake is told with line and column.

use super::*;

const GOOD: &str = r#"[portal]
name = "Example Corp access"
issuer = "Example Corp"
contact = "IT desk"
listen = ["192.0.2.1:8443", "[2001:db8:1::1]:8443"]

[tls]
certificate = "cert.pem"
key = "key.pem"

[directory]
kind = "local"
file = "users.toml"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("portal.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_short_file_is_enough_and_its_defaults_are_the_documented_ones() {
    let config = parse(GOOD).unwrap();
    let limits = &config.limits;
    assert_eq!(limits.source_per_minute.value(), 10);
    assert_eq!(limits.source_per_hour.value(), 60);
    assert_eq!(limits.free_failures.value(), 3);
    assert_eq!(limits.first_wait.seconds(), 5);
    assert_eq!(limits.longest_wait.seconds(), 900);
    assert_eq!(limits.failures_in_a_row.value(), 100);
    assert_eq!(limits.code_steps.value(), 1);
    assert_eq!(limits.ticket.seconds(), 3600);
    assert_eq!(limits.cookie_idle.seconds(), 3600);
    assert!(!config.portal.enrol_at_first_login);
    assert!(config.proxies.trusted.is_empty() && config.proxies.proxy_protocol.is_empty());
    assert_eq!(config.portal.url(), "https://192.0.2.1:8443");
    assert_eq!(
        config.portal.database(),
        Path::new("/var/lib/sekisho-portal/portal.sqlite")
    );
}

#[test]
fn names_of_one_family_are_both_there_and_no_addresses() {
    let with = |url: &str, table: &str| {
        let text = GOOD.replace("[tls]", &format!("{url}\n[tls]"));
        parse(&format!("{text}\n[dual_stack]\n{table}"))
    };
    let url = "public_url = \"https://access.example.com:8443/\"";
    let both = "ipv4 = \"https://v4.example.com\"\nipv6 = \"https://v6.example.com:8443\"";
    let config = with(url, both).unwrap();
    let origins: Vec<String> = config
        .origins()
        .iter()
        .map(|origin| format!("{} {}", origin.as_str(), origin.host()))
        .collect();
    assert_eq!(
        origins,
        [
            "https://v4.example.com v4.example.com",
            "https://v6.example.com:8443 v6.example.com",
            "https://access.example.com:8443 access.example.com",
        ]
    );
    assert!(parse(GOOD).unwrap().origins().is_empty());
    let refused = |url: &str, table: &str| with(url, table).unwrap_err();
    assert!(refused("", both).contains("needs public_url"));
    assert!(refused(url, "ipv4 = \"https://v4.example.com\"").contains("missing field `ipv6`"));
    let same = both.replace("v6.example.com:8443", "v4.example.com");
    assert!(refused(url, &same).contains("two names"));
    for odd in [
        "http://v4.example.com",
        "https://",
        "https://192.0.2.1",
        "https://[2001:db8::1]:8443",
        "https://V4.example.com",
        "https://v4.example.com/",
        "https://v4.example.com:443",
        "https://v4.example.com:08443",
        "https://a@v4.example.com",
        "https://v4.example.com;script-src",
        "https://*.example.com",
    ] {
        let error = refused(url, &both.replace("https://v4.example.com", odd));
        assert!(error.starts_with("portal.toml:17:8"), "{odd}: {error}");
    }
}

#[test]
fn a_probe_is_a_name_with_a_path() {
    let with = |url: &str| {
        parse(&format!(
            "{GOOD}\n[[probe]]\nservice = \"web\"\nurl = {url:?}\n"
        ))
    };
    for (url, origin) in [
        ("https://web.example.com", "https://web.example.com"),
        (
            "https://web.example.com:8443/a/b?c=d",
            "https://web.example.com:8443",
        ),
    ] {
        let config = with(url).unwrap();
        let probe = config.probe.first().unwrap();
        assert_eq!(probe.url.to_string(), url);
        assert_eq!(probe.url.origin().as_str(), origin);
    }
    for odd in [
        "http://web.example.com/",
        "https://198.51.100.10/",
        "https:/",
        "",
        "https://web.example.com/a b",
        "https://web.example.com;/",
    ] {
        let error = with(odd).unwrap_err();
        assert!(error.starts_with("portal.toml:17:7"), "{odd}: {error}");
    }
}

/// What is replaced in the good file, by what, where the error points, and what it says.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("contact", "contcat", "4:1", "unknown field `contcat`"),
    ("[tls]", "[tsl]", "7:2", "unknown field `tsl`"),
    (
        "contact = \"IT desk\"\n",
        "",
        "1:1",
        "missing field `contact`",
    ),
    (
        "\"192.0.2.1:8443\"",
        "\"192.0.2.1\"",
        "5:11",
        "invalid socket address",
    ),
    (
        "listen = [\"192.0.2.1:8443\", \"[2001:db8:1::1]:8443\"]",
        "listen = []",
        "5:1",
        "at least one",
    ),
    (
        "issuer = \"Example Corp\"",
        "issuer = \"a:b\"",
        "3:1",
        "must not contain ':'",
    ),
    (
        "issuer = \"Example Corp\"",
        "issuer = \" \"",
        "3:1",
        "1 to 80 characters",
    ),
    (
        "key = \"key.pem\"\n",
        "",
        "7:1",
        "certificate and key together",
    ),
    (
        "key = \"key.pem\"",
        "key = \"key.pem\"\nself_signed = \"d\"",
        "7:1",
        "self_signed alone",
    ),
    (
        "kind = \"local\"",
        "kind = \"radius\"",
        "12:8",
        "unknown variant `radius`",
    ),
    ("file = \"users.toml\"\n", "", "11:1", "needs `file`"),
    (
        "file = \"users.toml\"",
        "fiel = \"users.toml\"",
        "13:1",
        "unknown field `fiel`",
    ),
    (
        "contact",
        "time_zone = \"Mars/Base\"\ncontact",
        "4:13",
        "no time zone",
    ),
    (
        "contact",
        "public_url = \"http://x\"\ncontact",
        "4:1",
        "https://",
    ),
    (
        "contact",
        "default_language = \"de\"\ncontact",
        "4:1",
        "\"de\" is not built in",
    ),
    (
        "contact",
        "default_language = \"Deutsch\"\ncontact",
        "4:20",
        "is no language",
    ),
    (
        "[tls]",
        "[look]\naccent = \"#7fb3ff\"\n[tls]",
        "8:10",
        "cannot be read on light pages",
    ),
    ("contact", "account = \"fixed\"\ncontact", "4:1", "{user}"),
    (
        "[tls]",
        "[limits]\nsource_per_minute = 0\n[tls]",
        "8:21",
        "not within 1 to 10000",
    ),
    (
        "[tls]",
        "[limits]\ncode_steps = 2\n[tls]",
        "8:14",
        "not within 0 to 1",
    ),
    (
        "[tls]",
        "[limits]\nticket = \"25h\"\n[tls]",
        "8:10",
        "not within",
    ),
    (
        "[tls]",
        "[limits]\nticket = \"soon\"\n[tls]",
        "8:10",
        "no length of time",
    ),
    (
        "[tls]",
        "[limits]\nfailures_in_a_row = 101\n[tls]",
        "8:21",
        "not within 10 to 100",
    ),
    (
        "[tls]",
        "[limits]\nfirst_wait = \"2m\"\nlongest_wait = \"1m\"\n[tls]",
        "9:1",
        "shorter",
    ),
    (
        "[tls]",
        "[proxies]\ntrusted = [\"10.0.0.0/33\"]\n[tls]",
        "8:12",
        "",
    ),
    (
        "[tls]",
        "[[access]]\nservice = \"a\"\nfactors = [\"pwd\", \"pwd\"]\n[tls]",
        "9:1",
        "same category",
    ),
    (
        "[tls]",
        "[[access]]\nservice = \"a\"\nfactors = [\"otp\", \"otp\"]\n[tls]",
        "9:1",
        "same category",
    ),
    (
        "[tls]",
        "[[access]]\nservice = \"a\"\nfactors = [\"pwd\"]\n[tls]",
        "9:1",
        "a password alone",
    ),
    (
        "[tls]",
        "[[access]]\nservice = \"a\"\nfactors = []\n[tls]",
        "9:1",
        "must ask for \"otp\"",
    ),
    (
        "[tls]",
        "[[access]]\nservice = \"a\"\nfactors = [\"sms\"]\n[tls]",
        "9:12",
        "unknown variant `sms`",
    ),
    ("name =", "name", "2:6", ""),
];

#[test]
fn every_mistake_is_told_with_file_line_and_column() {
    for (old, new, place, words) in TABLE {
        let text = GOOD.replacen(old, new, 1);
        assert_ne!(text, GOOD, "{old} is not in the file");
        let error = parse(&text).unwrap_err();
        assert!(
            error.starts_with(&format!("portal.toml:{place}: ")),
            "{new}: {error}"
        );
        assert!(error.contains(words), "{new}: {error}");
    }
}

#[test]
fn a_missing_file_says_how_to_name_one() {
    let error = Config::load(Path::new("/nowhere/portal.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/portal.toml") && error.contains("--config"),
        "{error}"
    );
}

#[test]
fn two_item_policies_are_taken_for_listed_services() {
    let text = format!(
        "{GOOD}\n[[access]]\nservice = \"door\"\nfactors = [\"otp\"]\nsources = [\"10.0.0.0/8\"]\n"
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.access[0].factors.to_string(), "otp");
    let alice = crate::access::tests::alice();
    let covers = |source: &str| config.access[0].covers(&alice, source.parse().unwrap());
    assert!(covers("10.1.1.1"));
    assert!(!covers("192.0.2.1"));
}

#[test]
fn a_desk_names_its_people_its_networks_and_who_approves() {
    let with = |table: &str| parse(&format!("{GOOD}\n[desk]\n{table}"));
    let config = with("helpdesk_groups = [\"it\"]\nfrom = [\"192.0.2.0/24\"]").unwrap();
    let desk = config.desk.unwrap();
    assert_eq!((desk.fresh.seconds(), desk.waits.seconds()), (900, 14_400));
    assert_eq!(desk.evidence.len(), 3);
    assert!(desk.is_from("192.0.2.9".parse().unwrap()));
    assert!(!desk.is_from("198.51.100.9".parse().unwrap()));
    for (table, what) in [
        ("helpdesk_groups = [\"it\"]", "missing field `from`"),
        ("helpdesk_groups = [\"it\"]\nfrom = []", "from must name"),
        ("from = [\"::/0\"]", "nobody is the desk"),
        (
            "helpdesk_groups = [\"it\"]\nfrom = [\"::/0\"]\nsecond_approver = [\"ticket\"]",
            "nobody could approve",
        ),
        (
            "helpdesk_groups = [\"it\"]\nfrom = [\"::/0\"]\nevidence = []",
            "evidence needs",
        ),
        (
            "helpdesk_groups = [\"it\"]\nfrom = [\"::/0\"]\nfactors = [\"pwd\"]",
            "a password alone opens nothing",
        ),
    ] {
        let refused = with(table).unwrap_err();
        assert!(refused.contains(what), "{refused}");
    }
}
