//! The vectors of RFC 4226 and 6238, and codes as people type them.

use super::*;

fn seed(bytes: &[u8]) -> Seed {
    Seed::from_bytes(Zeroizing::new(bytes.to_vec()))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn code(text: &str) -> Code {
    Code::parse(text).unwrap()
}

const RFC: &[u8] = b"12345678901234567890";

#[test]
fn rfc_4226_appendix_d_codes_are_those_of_our_steps() {
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for (counter, expected) in codes.into_iter().enumerate() {
        let counter = i64::try_from(counter).unwrap();
        let moment = at(counter * 30);
        assert_eq!(seed(RFC).code_at(moment), expected, "counter {counter}");
        assert_eq!(seed(RFC).step_of(&code(expected), moment, 0), Some(counter));
    }
}

#[test]
fn rfc_6238_appendix_b_codes_are_read_at_their_moments() {
    // The RFC prints eight digits; six-digit codes are their last six.
    let vectors = [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ];
    for (seconds, eight) in vectors {
        let six = &eight[2..];
        assert_eq!(seed(RFC).code_at(at(seconds)), six, "at {seconds}");
        assert_eq!(
            seed(RFC).step_of(&code(six), at(seconds), 1),
            Some(seconds / 30)
        );
    }
}

#[test]
fn only_one_step_before_and_after_is_taken() {
    let now = at(1_700_000_010);
    for offset in -3..=3 {
        let moment = at(now.as_second() + offset * 30);
        let typed = code(&seed(RFC).code_at(moment));
        let expected = (offset.abs() <= 1).then(|| step_at(moment));
        assert_eq!(
            seed(RFC).step_of(&typed, now, 1),
            expected,
            "offset {offset}"
        );
        let strict = (offset == 0).then(|| step_at(moment));
        assert_eq!(
            seed(RFC).step_of(&typed, now, 0),
            strict,
            "strict, offset {offset}"
        );
    }
}

#[test]
fn typed_codes_are_read_as_people_type_them() {
    for typed in [
        "123456",
        "123 456",
        " 123-456 ",
        "１２３４５６",
        "123\u{3000}456",
    ] {
        assert_eq!(code(typed).0.as_str(), "123456", "{typed:?}");
    }
    for typed in [
        "",
        "12345",
        "1234567",
        "12345a",
        "+12345",
        "一二三四五六",
        &"1".repeat(100),
    ] {
        assert!(Code::parse(typed).is_none(), "{typed:?}");
    }
}

#[test]
fn imported_secrets_are_read_and_short_ones_marked_weak() {
    let strong = Seed::from_base32("gezd gnbv-gy3t qojq gezd gnbv gy3t qojq").unwrap();
    assert_eq!(strong.bytes(), RFC);
    assert!(!strong.is_weak());
    assert!(Seed::from_base32("GEZDGNBVGY3TQOJQ====").unwrap().is_weak());
    assert_eq!(
        Seed::from_base32("GEZD1").unwrap_err(),
        SeedError::NotBase32
    );
    assert_eq!(
        Seed::from_base32("GEZDGNBV").unwrap_err(),
        SeedError::Length(40)
    );
    assert_eq!(Seed::from_base32("").unwrap_err(), SeedError::Length(0));
}

#[test]
fn new_seed_has_160_bits_and_reads_back_from_its_groups() {
    let seed = Seed::random();
    assert_eq!(seed.bytes().len() * 8, 160);
    assert_eq!(
        seed.grouped().split(' ').map(str::len).collect::<Vec<_>>(),
        vec![4; 8]
    );
    assert_eq!(
        Seed::from_base32(&seed.grouped()).unwrap().bytes(),
        seed.bytes()
    );
}

#[test]
fn label_is_issuer_and_account() {
    let url = seed(RFC).url("Example Corp", "alice").unwrap();
    assert!(
        url.starts_with("otpauth://totp/Example%20Corp:alice?"),
        "{}",
        *url
    );
    assert!(
        url.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        "{}",
        *url
    );
    assert!(url.contains("issuer=Example%20Corp"), "{}", *url);
}

#[test]
fn a_wrong_phone_clock_is_measured_within_ten_minutes() {
    let now = at(1_700_000_010);
    let typed = code(&seed(RFC).code_at(at(now.as_second() + 300)));
    assert_eq!(seed(RFC).clock_offset(&typed, now), Some(300));
    let typed = code(&seed(RFC).code_at(at(now.as_second() - 900)));
    assert_eq!(seed(RFC).clock_offset(&typed, now), None);
}

#[test]
fn debug_shows_neither_seed_nor_code() {
    assert_eq!(
        format!("{:?} {:?}", seed(RFC), code("123456")),
        "Seed(…) Code(…)"
    );
}
