//! What can be said of LDAP without a server; a real one is asked in the end-to-end tests.

use std::collections::HashMap;

use ldap3::SearchEntry;

use super::*;
use crate::{config, directory::AccountState};

fn settings(more: &str) -> Result<LdapSettings, String> {
    let text =
        format!("kind = \"ldap\"\nurls = [\"ldaps://127.0.0.1:1\"]\nbase = \"dc=x\"\n{more}");
    match toml::from_str::<config::Directory>(&text) {
        Ok(config::Directory::Ldap(settings)) => Ok(*settings),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.message().to_owned()),
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000).unwrap()
}

fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> SearchEntry {
    let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    SearchEntry {
        dn: dn.into(),
        attrs: attributes
            .iter()
            .map(|(name, list)| ((*name).into(), values(list)))
            .collect(),
        bin_attrs: HashMap::new(),
    }
}

#[test]
fn a_person_is_read_with_id_groups_and_state() {
    let settings = settings("").unwrap();
    let groups: &[&str] = &[
        "cn=staff,ou=groups,dc=x",
        "CN=a\\, b,dc=x",
        "cn=caf\\c3\\a9+ou=z,dc=x",
        "nonsense",
        "",
    ];
    let full = entry(
        "uid=alice,dc=x",
        &[
            ("UID", &["alice"]),
            ("entryuuid", &["1-2-3"]),
            ("memberOf", groups),
        ],
    );
    let account = entry::account(&settings, &full, now()).unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_str()),
        ("ldap:1-2-3", "alice")
    );
    assert_eq!(account.groups, ["staff", "a, b", "café"]);
    assert_eq!(account.state, AccountState::Active);
    for (value, state) in [
        ("514", AccountState::Disabled),
        ("512", AccountState::Active),
    ] {
        let with = entry(
            "uid=alice,dc=x",
            &[
                ("uid", &["alice"]),
                ("entryUUID", &["1"]),
                ("userAccountControl", &[value]),
            ],
        );
        assert_eq!(
            entry::account(&settings, &with, now()).unwrap().state,
            state
        );
    }
}

#[test]
fn an_expired_account_is_noticed() {
    let settings = settings("").unwrap();
    for (expires, state) in [
        ("0", AccountState::Active),
        ("9223372036854775807", AccountState::Active),
        ("134444736010000000", AccountState::Active),
        ("134444736000000000", AccountState::Expired),
        ("never", AccountState::Active),
    ] {
        let attributes: &[(&str, &[&str])] = &[
            ("uid", &["a"]),
            ("entryUUID", &["1"]),
            ("accountExpires", &[expires]),
        ];
        let found = entry("cn=a,dc=x", attributes);
        let account = entry::account(&settings, &found, now()).unwrap();
        // 134444736010000000 ticks are one second after the moment of these tests.
        assert_eq!(account.state, state, "{expires}");
    }
}

#[test]
fn an_entry_that_lacks_what_identifies_a_person_is_refused() {
    let settings = settings("").unwrap();
    for lacking in [
        entry("uid=a,dc=x", &[("uid", &["a"])]),
        entry("uid=a,dc=x", &[("entryUUID", &["1"])]),
        entry("uid=a,dc=x", &[("uid", &[""]), ("entryUUID", &["1"])]),
        entry("uid=a,dc=x", &[("uid", &["a"]), ("entryUUID", &[""])]),
        entry("", &[("uid", &["a"]), ("entryUUID", &["1"])]),
    ] {
        assert!(
            entry::account(&settings, &lacking, now()).is_err(),
            "{lacking:?}"
        );
    }
}

#[test]
fn a_binary_id_is_the_same_whether_or_not_it_looks_like_text() {
    let settings = settings("id_attribute = \"objectGUID\"").unwrap();
    let mut binary = entry("cn=a,dc=x", &[("uid", &["a"])]);
    binary
        .bin_attrs
        .insert("objectGUID".into(), vec![b"0123456789abcdef".to_vec()]);
    let text = entry(
        "cn=a,dc=x",
        &[("uid", &["a"]), ("objectGUID", &["0123456789abcdef"])],
    );
    let id = entry::account(&settings, &binary, now()).unwrap().id;
    assert_eq!(id, entry::account(&settings, &text, now()).unwrap().id);
    assert_eq!(id, "ldap:33323130-3534-3736-3839-616263646566");
}

#[test]
fn bind_results_are_told_apart() {
    use PasswordAnswer::{MustChange, Right, Wrong};
    let ad = |code: &str| {
        format!(
            "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {code}, v2580"
        )
    };
    let table = [
        (0, String::new(), Ok(Right)),
        (49, String::new(), Ok(Wrong("wrong-password"))),
        (49, ad("52e"), Ok(Wrong("ad-52e-wrong-password"))),
        (49, ad("52E"), Ok(Wrong("ad-52e-wrong-password"))),
        (49, ad("773"), Ok(MustChange("ad-773-must-change"))),
        (49, ad("532"), Ok(MustChange("ad-532-password-expired"))),
        (49, ad("533"), Ok(Wrong("ad-533-disabled"))),
        (49, ad("701"), Ok(Wrong("ad-701-account-expired"))),
        (49, ad("775"), Ok(Wrong("ad-775-locked-out"))),
        (49, ad("999"), Ok(Wrong("wrong-password"))),
        (49, "data ".into(), Ok(Wrong("wrong-password"))),
        (49, "data é".into(), Ok(Wrong("wrong-password"))),
        (53, String::new(), Ok(Wrong("server-unwilling"))),
    ];
    for (code, text, expected) in table {
        assert_eq!(verdict::of(code, &text, None), expected, "{code} {text}");
    }
    for code in [1, 2, 8, 10, 13, 51, 52, 80, 12345] {
        assert!(verdict::of(code, "", None).is_err(), "{code} is no answer");
    }
}

#[test]
fn user_names_cannot_change_a_filter() {
    assert_eq!(escaped("*)(uid=*"), "\\2a\\29\\28uid=\\2a");
    assert_eq!(escaped("a\\b\0c"), "a\\5cb\\00c");
    let filter = "(uid={user})".replace("{user}", &escaped("*)(|(objectClass=*)"));
    assert!(ldap3::parse_filter(&filter).is_ok());
    assert!(!filter.contains("*"));
}

#[test]
fn plain_connections_and_half_settings_cannot_be_configured() {
    for (more, word) in [
        ("starttls = true", "ldap:// with starttls"),
        ("bind_dn = \"cn=x\"", "go together"),
        ("user_filter = \"(uid=x)\"", "{user}"),
        ("user_filter = \"(uid={user}\"", "no LDAP filter"),
        ("group_filter = \"(a=b)\"", "{dn}"),
        ("file = \"users.toml\"", "does not take `file`"),
        ("tls_verify = false", "unknown field"),
        ("timeout = \"2h\"", "not within"),
    ] {
        let error = settings(more).unwrap_err();
        assert!(error.contains(word), "{more}: {error}");
    }
    let plain = "kind = \"ldap\"\nurls = [\"ldap://dc1\"]\nbase = \"dc=x\"";
    let error = toml::from_str::<config::Directory>(plain)
        .unwrap_err()
        .message()
        .to_owned();
    assert!(error.contains("passwords travel only under TLS"), "{error}");
}

#[tokio::test]
async fn no_server_means_unavailable_and_not_unknown() {
    crate::serve::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca.cert.pem()).unwrap();
    let settings = settings(&format!("ca = {path:?}\ntimeout = \"1s\"")).unwrap();
    let directory = LdapDirectory::open(&settings, Clock::system()).unwrap();
    let name = UserName::parse("alice").unwrap();
    let error = directory.find(&name).await.unwrap_err().to_string();
    assert!(error.contains("ldaps://127.0.0.1:1"), "{error}");
    assert!(directory.check().await.is_err());
}

#[test]
fn first_value_of_a_dn_respects_escapes() {
    for (dn, expected) in [
        ("cn=staff,dc=x", Some("staff")),
        ("cn=a\\,b,dc=x", Some("a,b")),
        ("cn=a\\2cb", Some("a,b")),
        ("cn=a\\\\,dc=x", Some("a\\")),
        ("cn=,dc=x", None),
        ("staff", None),
        ("", None),
    ] {
        assert_eq!(entry::first_value(dn).as_deref(), expected, "{dn}");
    }
}

#[test]
fn states_are_read_in_the_words_of_several_servers() {
    use AccountState::{Active, Disabled, Expired, Locked, MustChange};
    let settings = settings("").unwrap();
    let computed = "msDS-User-Account-Control-Computed";
    let table: &[(&str, &str, AccountState)] = &[
        ("userAccountControl", "66050", Disabled),
        ("userAccountControl", "528", Active),
        ("userAccountControl", "-2147483646", Disabled),
        (computed, "16", Locked),
        (computed, "8388608", MustChange),
        ("pwdLastSet", "0", MustChange),
        ("pwdLastSet", "133000000000000000", Active),
        ("nsAccountLock", "TRUE", Disabled),
        ("pwdAccountLockedTime", "000001010000Z", Disabled),
        ("pwdAccountLockedTime", "20260101000000Z", Active),
        ("pwdReset", "TRUE", MustChange),
        ("pwdEndTime", "20270115080000Z", Expired),
        ("pwdEndTime", "20270115080001Z", Active),
        ("pwdEndTime", "soon", Active),
    ];
    for (attribute, value, state) in table {
        let values: &[&str] = &[value];
        let found = entry(
            "cn=a,dc=x",
            &[("uid", &["a"]), ("entryUUID", &["1"]), (attribute, values)],
        );
        let account = entry::account(&settings, &found, now()).unwrap();
        assert_eq!(account.state, *state, "{attribute}: {value}");
    }
}

#[test]
fn the_ad_flavour_is_a_set_of_defaults_and_each_can_be_changed() {
    let ad = settings("flavour = \"ad\"").unwrap();
    assert_eq!(ad.id_attribute, "objectGUID");
    assert_eq!(ad.name_attribute, "sAMAccountName");
    assert!(ad.user_filter.contains("userPrincipalName={user}"));
    assert_eq!(ad.group_base.as_deref(), Some("dc=x"));
    assert!(ad.group_filter.contains("1.2.840.113556.1.4.1941:={dn}"));
    let more = "flavour = \"ad\"\nnested = \"none\"\nid_attribute = \"objectSid\"";
    let changed = settings(more).unwrap();
    assert_eq!(changed.id_attribute, "objectSid");
    assert_eq!(changed.group_filter, "(member={dn})");
    assert!(
        settings("nested = \"walk\"")
            .unwrap_err()
            .contains("group_base")
    );
    let by_name = "nested = \"walk\"\ngroup_base = \"dc=x\"\ngroup_filter = \"(memberUid={user})\"";
    assert!(settings(by_name).unwrap_err().contains("{dn}"));
    assert!(
        settings("watch = \"1s\"")
            .unwrap_err()
            .contains("not within")
    );
}

#[test]
fn what_a_policy_says_beside_a_bind_counts() {
    use PasswordAnswer::{MustChange, Right, Wrong};
    use policy::Policy::{ChangeAfterReset, Expired, Grace, Locked};
    for (code, policy, expected) in [
        (
            0,
            ChangeAfterReset,
            MustChange("ppolicy-change-after-reset"),
        ),
        (0, Grace(2), MustChange("ppolicy-grace")),
        (0, Locked, Right),
        (49, Expired, MustChange("ppolicy-password-expired")),
        (49, Locked, Wrong("ppolicy-locked-out")),
        (49, Grace(1), Wrong("wrong-password")),
        (49, ChangeAfterReset, Wrong("wrong-password")),
    ] {
        let said = verdict::of(code, "", Some(policy));
        assert_eq!(said, Ok(expected), "{code} {policy:?}");
    }
}

#[test]
fn what_the_set_up_got_wrong_is_said_with_what_to_do() {
    let stronger = verdict::of(8, "", None).unwrap_err();
    assert!(stronger.contains("strongerAuthRequired") && stronger.contains("ldaps://"));
    let text = "80090308: LdapErr: DSID-0C09044E, data 775, v2580";
    let searcher = verdict::advice(49, text).unwrap();
    assert!(searcher.contains("ad-775-locked-out") && searcher.contains("bind_password_file"));
    assert_eq!(verdict::advice(52, ""), None);
}

#[test]
fn a_group_elsewhere_than_the_group_base_counts_for_nothing() {
    let listed: &[&str] = &[
        "cn=it-desk,ou=Groups,dc=x",
        "CN=admins, OU=playground,ou=people,dc=x",
        "cn=it-leads\\,ou=groups,dc=x",
        "nonsense",
    ];
    let found = entry(
        "uid=alice,dc=x",
        &[
            ("uid", &["alice"]),
            ("entryUUID", &["1"]),
            ("memberOf", listed),
        ],
    );
    let read = |more: &str| entry::account(&settings(more).unwrap(), &found, now()).unwrap();
    let anywhere = read("");
    assert_eq!(anywhere.groups, ["it-desk", "admins", "it-leads,ou=groups"]);
    let within = read("group_base = \"ou=groups,DC=x\"");
    assert_eq!(within.groups, ["it-desk"]);
    let is_in = |account: &Account, group: &str| account.is_in_any(&[group.to_owned()]);
    assert!(is_in(&within, "IT-Desk") && !is_in(&within, "admins"));
    // A full name says the place itself.
    assert!(is_in(&anywhere, "CN=IT-Desk,ou=groups,dc=X"));
    assert!(is_in(&anywhere, "cn=admins,ou=playground,ou=people,dc=x"));
    assert!(!is_in(&anywhere, "cn=admins,ou=groups,dc=x"));
    assert!(!is_in(&anywhere, "ou=groups,dc=x"));
    // The directory's default for one flavour is where to search, no more.
    assert_eq!(
        read("flavour = \"ad\"\nid_attribute = \"entryUUID\"\nname_attribute = \"uid\"")
            .groups
            .len(),
        3
    );
    let error = settings("group_base = \"groups\"").unwrap_err();
    assert!(error.contains("no DN"), "{error}");
}

#[test]
fn a_group_that_is_called_like_a_full_name_is_not_that_group() {
    let listed: &[&str] = &["cn=cn\\=admins\\,ou\\=groups\\,dc\\=x,ou=playground,dc=x"];
    let found = entry(
        "uid=alice,dc=x",
        &[
            ("uid", &["alice"]),
            ("entryUUID", &["1"]),
            ("memberOf", listed),
        ],
    );
    let account = entry::account(&settings("").unwrap(), &found, now()).unwrap();
    assert_eq!(account.groups, ["cn=admins,ou=groups,dc=x"]);
    assert!(!account.is_in_any(&["cn=admins,ou=groups,dc=x".to_owned()]));
}
