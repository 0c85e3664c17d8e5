//! The vectors of RFC 6030, and files as people get them: damaged, half wrong, of another format.

use super::*;
use crate::otp::Moves;

/// RFC 6030, figure 6: AES-128-CBC with a key shared before.
const FIGURE_6: &str = include_str!("tests/figure6.xml");
/// RFC 6030, figure 7: the key made of a password.
const FIGURE_7: &str = include_str!("tests/figure7.xml");

fn key() -> Unlock {
    let key = data_encoding::HEXLOWER.decode(b"12345678901234567890123456789012");
    Unlock::Key(Zeroizing::new(key.unwrap()))
}

fn password(text: &str) -> Unlock {
    Unlock::Password(Zeroizing::new(text.into()))
}

fn only(read: Vec<Read>) -> Result<Imported, String> {
    let [one] = <[Read; 1]>::try_from(read).unwrap();
    one.token
}

#[test]
fn rfc_6030_figure_6_opens_with_its_key() {
    let token = only(pskc(FIGURE_6, Some(&key())).unwrap()).unwrap();
    assert_eq!(token.serial, "987654321");
    assert_eq!(token.seed.bytes(), b"12345678901234567890");
    assert_eq!(token.recipe.to_string(), "hotp:sha1:8");
    assert_eq!(token.last, -1);
}

#[test]
fn rfc_6030_figure_7_opens_with_its_password() {
    let token = only(pskc(FIGURE_7, Some(&password("qwerty"))).unwrap()).unwrap();
    assert_eq!(token.seed.bytes(), b"12345678901234567890");
}

#[test]
fn a_wrong_key_a_wrong_mac_and_no_key_are_said_as_such() {
    let said = |text: &str, unlock: Option<&Unlock>| match pskc(text, unlock) {
        Err(failure) => failure.to_string(),
        Ok(read) => only(read).unwrap_err(),
    };
    assert!(said(FIGURE_6, None).contains("--key-file"));
    assert!(said(FIGURE_7, None).contains("--password-file"));
    assert!(said(FIGURE_6, Some(&password("qwerty"))).contains("not a password"));
    let other = Unlock::Key(Zeroizing::new(vec![7; 16]));
    assert!(said(FIGURE_6, Some(&other)).contains("not the right one"));
    let short = Unlock::Key(Zeroizing::new(vec![7; 5]));
    assert!(said(FIGURE_6, Some(&short)).contains("40 bits"));
    let broken = FIGURE_6.replace("Su+NvtQf", "Su+NvtQg");
    assert_ne!(broken, FIGURE_6);
    assert!(said(&broken, Some(&key())).contains("MAC of its secret is wrong"));
    let naked = FIGURE_6.split("<ValueMAC>").next().unwrap().to_owned()
        + FIGURE_6.split("</ValueMAC>").nth(1).unwrap();
    assert!(said(&naked, Some(&key())).contains("has no MAC"));
}

#[test]
fn what_is_no_container_is_refused_as_a_whole() {
    for text in [
        "",
        "serial,secret",
        "<a/>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
    ] {
        assert!(pskc(text, None).is_err(), "{text:?}");
    }
}

#[test]
fn a_plain_container_names_what_it_cannot_take() {
    let package = |algorithm: &str, more: &str| {
        format!(
            "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\"><KeyPackage><Key Id=\"A1\" \
             Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:{algorithm}\"><AlgorithmParameters>{more}\
             </AlgorithmParameters><Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue>\
             </Secret><TimeInterval><PlainValue>60</PlainValue></TimeInterval><Counter><PlainValue>12\
             </PlainValue></Counter></Data></Key></KeyPackage></KeyContainer>"
        )
    };
    let format = "<ResponseFormat Length=\"6\" Encoding=\"DECIMAL\"/>";
    let token = only(pskc(&package("totp", format), None).unwrap()).unwrap();
    assert_eq!(token.recipe.moves(), Moves::Time(60));
    let token = only(pskc(&package("hotp", format), None).unwrap()).unwrap();
    assert_eq!((token.serial.as_str(), token.last), ("A1", 11));
    for (algorithm, more, why) in [
        ("OCRA", format, "neither HOTP nor TOTP"),
        (
            "hotp",
            "<ResponseFormat Length=\"6\" Encoding=\"HEXADECIMAL\"/>",
            "HEXADECIMAL",
        ),
        (
            "hotp",
            "<ResponseFormat Length=\"4\" Encoding=\"DECIMAL\"/>",
            "4 digits",
        ),
        ("totp", "<Suite>MD5</Suite>", "md5"),
    ] {
        let why_not = only(pskc(&package(algorithm, more), None).unwrap()).unwrap_err();
        assert!(
            why_not.to_lowercase().contains(&why.to_lowercase()),
            "{why_not}"
        );
    }
}

#[test]
fn a_list_with_half_its_lines_wrong_reports_every_line() {
    let text = "\u{feff}# from the maker\r\nserial,secret,type,digits,period\r\n\
                A1,3132333435363738393031323334353637383930,HOTP,6,\r\n\
                A2,xyz,HOTP,6,\r\n\
                A3,3132333435363738393031323334353637383930,TOTP,8,60\r\n\
                ,3132333435363738393031323334353637383930,TOTP,6,30\r\n\
                A5,3132,TOTP,6,30\r\n\
                A6,3132333435363738393031323334353637383930,mOTP,6,30\r\n";
    let read = list(text, Secrets::Hex).unwrap();
    let said: Vec<String> = read
        .iter()
        .map(|one| match &one.token {
            Ok(token) => format!("{}: {} {}", one.place, token.serial, token.recipe),
            Err(why) => format!("{}: {why}", one.place),
        })
        .collect();
    assert_eq!(said[0], "line 3: A1 hotp:sha1:6");
    assert!(
        said[1].starts_with("line 4: the secret is not hexadecimal"),
        "{}",
        said[1]
    );
    assert_eq!(said[2], "line 5: A3 totp:sha1:8:60");
    assert!(
        said[3].contains("line 6: there is no serial"),
        "{}",
        said[3]
    );
    assert!(said[4].contains("16 bits"), "{}", said[4]);
    assert!(said[5].contains("neither hotp nor totp"), "{}", said[5]);
}

#[test]
fn a_list_may_name_its_columns_in_another_order_and_no_others() {
    let text = "type,serial,counter,secret\nhotp,B1,41,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n";
    let token = only(list(text, Secrets::Base32).unwrap()).unwrap();
    assert_eq!((token.serial.as_str(), token.last), ("B1", 40));
    let failure = list("serial,colour\nA,red\n", Secrets::Hex).unwrap_err();
    assert!(failure.to_string().contains("colour"));
    assert!(list("", Secrets::Hex).is_err());
}

#[test]
fn google_authenticator_files_are_read_without_their_emergency_codes() {
    let text = "GEZDGNBVGY3TQOJQ\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\" TOTP_AUTH\n12345678\n87654321\n";
    let (token, emergency) = google(text).unwrap();
    assert_eq!(token.recipe.to_string(), "totp:sha1:6:30");
    assert!(token.seed.is_weak());
    assert_eq!(emergency, 2);
    let (token, _) = google("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" HOTP_COUNTER 7\n").unwrap();
    assert_eq!(
        (token.recipe.to_string().as_str(), token.last),
        ("hotp:sha1:6", 6)
    );
    for bad in [
        "",
        "GEZDGNBVGY3TQOJQ\n",
        "not base32!\n\" TOTP_AUTH\n",
        "GEZDGNBVGY3TQOJQ\nhello\n",
    ] {
        assert!(google(bad).is_err(), "{bad:?}");
    }
}
