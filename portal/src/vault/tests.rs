//! Sealed secrets open at their place with their key only.

use super::*;

const HERE: Place<'static> = Place {
    table: "tokens",
    row: "t-1",
    column: "secret",
};

#[test]
fn sealed_secret_opens_at_its_place_only() {
    let vault = Vault::new(Key::random());
    let sealed = vault.seal(HERE, b"seed").unwrap();
    assert_eq!(vault.open(HERE, &sealed).unwrap().as_slice(), b"seed");
    for place in [
        Place { row: "t-2", ..HERE },
        Place {
            table: "tickets",
            ..HERE
        },
        Place {
            column: "name",
            ..HERE
        },
    ] {
        assert_eq!(vault.open(place, &sealed), Err(VaultError::Damaged));
    }
}

#[test]
fn another_key_is_named_not_guessed() {
    let first = Key::random();
    let sealed = seal(&first, HERE, b"seed").unwrap();
    let other = Vault::new(Key::random());
    assert_eq!(
        other.open(HERE, &sealed),
        Err(VaultError::OtherKey(first.id().to_owned()))
    );
}

#[test]
fn every_flipped_byte_is_noticed() {
    let vault = Vault::new(Key::random());
    let sealed = vault.seal(HERE, b"seed").unwrap();
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert!(vault.open(HERE, &damaged).is_err(), "byte {at}");
    }
    for length in 0..sealed.len() {
        assert!(
            vault.open(HERE, &sealed[..length]).is_err(),
            "length {length}"
        );
    }
}

#[test]
fn the_same_secret_is_sealed_differently_each_time() {
    let vault = Vault::new(Key::random());
    assert_ne!(
        vault.seal(HERE, b"seed").unwrap(),
        vault.seal(HERE, b"seed").unwrap()
    );
}

#[test]
fn a_pseudonym_is_the_same_for_a_name_and_a_key_only() {
    let (one, other) = (Vault::new(Key::random()), Vault::new(Key::random()));
    assert_eq!(one.pseudonym("alice"), one.pseudonym("alice"));
    assert_ne!(one.pseudonym("alice"), one.pseudonym("bob"));
    assert_ne!(one.pseudonym("alice"), other.pseudonym("alice"));
    assert_eq!(one.pseudonym("").len(), 32);
}

#[test]
fn debug_shows_no_key() {
    let key = Key::random();
    let shown = format!("{:?}", Vault::new(key.clone()));
    assert!(shown.contains(key.id()));
    let hex = data_encoding::HEXLOWER.encode(key.bytes());
    let list = format!("{:?}", key.bytes());
    assert!(!shown.contains(&hex) && !shown.contains(&list));
}
