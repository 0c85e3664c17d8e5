//! Files as spreadsheets and directories write them, and broken ones.

use super::*;

fn of(name: &str, bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path, None).map_err(|error| error.to_string())
}

/// `line:user` of the good ones and `line!why` of the others.
fn short(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match &entry.read {
            Ok(wish) => format!("{}:{}", entry.line, wish.user),
            Err(why) => format!("{}!{why}", entry.line),
        })
        .collect()
}

#[test]
fn csv_of_a_spreadsheet_is_read_with_mark_quotes_and_crlf() {
    let text = "\u{feff}Group,USER,note,phone\r\nstaff,alice,\"said \"\"hello\"\", in person\",1\r\n\
                ,\"bob\",,\r\n\r\n,\"carol\",\"two\nlines\",\r\n";
    let entries = of("people.csv", text.as_bytes()).unwrap();
    assert_eq!(short(&entries), ["2:alice", "3:bob", "5:carol"]);
    let alice = entries[0].read.as_ref().unwrap();
    assert_eq!(alice.group.as_deref(), Some("staff"));
    assert_eq!(alice.note.as_deref(), Some("said \"hello\", in person"));
    assert_eq!(entries[1].read.as_ref().unwrap().group, None);
}

#[test]
fn half_the_lines_wrong_leaves_the_other_half() {
    let mut text = b"user,note\nalice,x\nbob\ncarol,a,b\n\xff\xfe,x\ndave,y\n".to_vec();
    text.extend(b"\"erin,z\n");
    let entries = of("people.csv", &text).unwrap();
    let lines = short(&entries);
    assert_eq!(lines[0], "2:alice");
    assert!(lines[1].starts_with("3!1 fields instead of 2"), "{lines:?}");
    assert!(lines[2].starts_with("4!3 fields"), "{lines:?}");
    assert!(lines[3].starts_with("5!it is not UTF-8"), "{lines:?}");
    assert_eq!(lines[4], "6:dave");
    assert!(
        lines[5].starts_with("7!"),
        "a quote that never ends: {lines:?}"
    );
}

#[test]
fn a_file_without_the_column_or_too_large_is_refused_as_a_whole() {
    assert!(
        of("a.csv", b"name\nalice\n")
            .unwrap_err()
            .contains("column \"user\"")
    );
    assert!(of("a.csv", b"").unwrap_err().contains("it is empty"));
    let long = "user\n".to_owned() + &"a\n".repeat(100_001);
    assert!(
        of("a.csv", long.as_bytes())
            .unwrap_err()
            .contains("more than 100000 lines")
    );
    let large = vec![b'a'; 10 * 1024 * 1024 + 1];
    assert!(
        of("a.csv", &large)
            .unwrap_err()
            .contains("more than 10485760 bytes")
    );
    assert!(
        of("a.ldif", b"version: 2\n")
            .unwrap_err()
            .contains("another version")
    );
}

/// Examples 1, 2, 3 and 4 of RFC 2849, with names as this needs them.
#[test]
fn ldif_as_the_rfc_writes_it() {
    let text = b"version: 1\ndn: cn=Barbara Jensen, ou=Product Development, dc=airius, dc=com\n\
        objectclass: top\nobjectclass: person\ncn: Barbara Jensen\ncn: Barbara J Jensen\nsn: Jensen\n\
        uid: bjensen\ntelephonenumber: +1 408 555 1212\ndescription: Babs is a big sailing fan, and\n \
        travels extensively in search of p\n erfect sailing conditions.\n\n\
        # A comment\n#  that goes on\n  folded\ndn:: dWlkPXJvZ2FzYXdhcmEsb3U95Za25qWt6YOoLG89QWlyaXVz\r\n\
        uid:: cm9nYXNh\r\n d2FyYQ==\r\nsn;lang-ja:: 5bCP56yg5Y6f\r\ncn:rogasawara\r\n\r\n\r\n\
        dn: cn=AD,dc=example\nsAMAccountName:    carol\n\
        jpegphoto:< file:///usr/local/directory/photos/fiona.jpg\n\n\
        dn: ou=people,dc=example\nou: people\n\n\
        dn: cn=x,dc=example\nchangetype: delete\n\n\
        dn: cn=y,dc=example\nchangetype: add\nSAMACCOUNTNAME: dave\n\n\
        dn: cn=z,dc=example\nuid:: ***\n\nuid: erin\n";
    let lines = short(&of("people.ldif", text).unwrap());
    assert_eq!(lines[0], "2:bjensen");
    assert_eq!(lines[1], "17:rogasawara");
    assert!(lines[2].contains("another file"), "{lines:?}");
    assert!(lines[3].contains("neither uid nor"), "{lines:?}");
    assert!(lines[4].contains("a change"), "{lines:?}");
    assert!(lines[5].ends_with(":dave"), "{lines:?}");
    assert!(lines[6].contains("base64"), "{lines:?}");
    assert!(lines[7].contains("begin with dn"), "{lines:?}");
    assert_eq!(lines.len(), 8);
}
