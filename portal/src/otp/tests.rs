//! The vectors of RFC 4226 and 6238, and codes as people type them.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{seed::SeedError, *};

fn seed(bytes: &[u8]) -> Seed {
    Seed::from_bytes(Zeroizing::new(bytes.to_vec()))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn code(text: &str) -> Code {
    Code::parse(text).unwrap()
}

/// The step of a code of an app, within `steps` of now.
fn step(code: &Code, now: Timestamp, steps: u16) -> Option<i64> {
    let reach = Reach { steps, ahead: 0 };
    Recipe::STANDARD.step_of(&seed(RFC), code, now, reach, START)
}

const START: Position = Position { last: 0, drift: 0 };
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
        assert_eq!(step(&code(expected), moment, 0), Some(counter));
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
        assert_eq!(step(&code(six), at(seconds), 1), Some(seconds / 30));
    }
}

#[test]
fn rfc_6238_appendix_b_codes_of_eight_digits_and_other_hashes_are_read() {
    let long = |times: usize, cut: usize| RFC.repeat(times)[..cut].to_vec();
    let vectors = [
        ("totp:sha1:8:30", RFC.to_vec(), 59, "94287082"),
        ("totp:sha256:8:30", long(2, 32), 59, "46119246"),
        ("totp:sha512:8:30", long(4, 64), 59, "90693936"),
        ("totp:sha256:8:30", long(2, 32), 1_234_567_890, "91819424"),
        ("totp:sha512:8:30", long(4, 64), 20_000_000_000, "47863826"),
    ];
    for (kind, key, seconds, typed) in vectors {
        let recipe: Recipe = kind.parse().unwrap();
        assert_eq!(recipe.to_string(), kind);
        let reach = Reach { steps: 0, ahead: 0 };
        let found = recipe.step_of(&seed(&key), &code(typed), at(seconds), reach, START);
        assert_eq!(found, Some(seconds / 30), "{kind} at {seconds}");
    }
}

#[test]
fn a_button_may_be_pressed_for_nothing_a_few_times() {
    let recipe: Recipe = "hotp:sha1:6".parse().unwrap();
    let key = seed(RFC);
    let reach = Reach { steps: 1, ahead: 3 };
    let of = |counter: i64, last: i64| {
        let typed = code(&recipe.code(&key, counter).unwrap());
        recipe.step_of(&key, &typed, at(0), reach, Position { last, drift: 0 })
    };
    assert_eq!(of(0, -1), Some(0), "the first press");
    assert_eq!(of(3, -1), Some(3));
    assert_eq!(of(4, -1), None, "too far ahead");
    assert_eq!(of(5, 5), None, "used");
    assert_eq!(of(4, 5), None, "long used");
    assert_eq!(of(6, 5), Some(6));
}

#[test]
fn two_codes_in_a_row_are_found_far_away_and_no_other_two() {
    let recipe: Recipe = "hotp:sha1:6".parse().unwrap();
    let key = seed(RFC);
    let pair = |first: i64, second: i64, last: i64| {
        let one = code(&recipe.code(&key, first).unwrap());
        let two = code(&recipe.code(&key, second).unwrap());
        recipe.step_of_pair(&key, (&one, &two), at(0), Position { last, drift: 0 })
    };
    assert_eq!(pair(700, 701, 5), Some(701));
    assert_eq!(pair(700, 702, 5), None);
    assert_eq!(pair(701, 700, 5), None);
    assert_eq!(pair(3, 4, 5), None, "behind what was used");
    assert_eq!(pair(1_200, 1_201, 5), None, "beyond all reach");
    let now = at(1_700_000_010);
    let typed = |offset: i64| code(&key.code_at(at(now.as_second() + offset * 30)));
    let found = Recipe::STANDARD.step_of_pair(&key, (&typed(7), &typed(8)), now, START);
    let step = found.unwrap();
    assert_eq!(Recipe::STANDARD.drift(step, now), 8);
    let drifted = Position {
        last: step,
        drift: 8,
    };
    let reach = Reach { steps: 1, ahead: 0 };
    let next = Recipe::STANDARD.step_of(&key, &typed(9), now, reach, drifted);
    assert_eq!(next, Some(step + 1), "its own clock counts from now on");
}

#[test]
fn unknown_ways_to_make_codes_are_refused() {
    for text in [
        "",
        "totp",
        "totp:sha1:6",
        "totp:md5:6:30",
        "totp:sha1:5:30",
        "totp:sha1:9:30",
        "totp:sha1:6:3",
        "hotp:sha1:6:30",
        "ocra:sha1:6",
    ] {
        assert!(text.parse::<Recipe>().is_err(), "{text:?}");
    }
}

#[test]
fn only_one_step_before_and_after_is_taken() {
    let now = at(1_700_000_010);
    for offset in -3..=3 {
        let moment = at(now.as_second() + offset * 30);
        let typed = code(&seed(RFC).code_at(moment));
        let expected = (offset.abs() <= 1).then(|| moment.as_second() / 30);
        assert_eq!(step(&typed, now, 1), expected, "offset {offset}");
        let strict = (offset == 0).then(|| moment.as_second() / 30);
        assert_eq!(step(&typed, now, 0), strict, "strict, offset {offset}");
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
        assert_eq!(code(typed).digits(), "123456", "{typed:?}");
    }
    for typed in [
        "",
        "12345",
        "123456789",
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
    assert_eq!(
        Recipe::STANDARD.clock_offset(&seed(RFC), &typed, now),
        Some(300)
    );
    let typed = code(&seed(RFC).code_at(at(now.as_second() - 900)));
    assert_eq!(Recipe::STANDARD.clock_offset(&seed(RFC), &typed, now), None);
}

#[test]
fn debug_shows_neither_seed_nor_code() {
    assert_eq!(
        format!("{:?} {:?}", seed(RFC), code("123456")),
        "Seed(…) Code(…)"
    );
}
