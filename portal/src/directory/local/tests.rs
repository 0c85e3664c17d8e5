//! The users file: right and wrong passwords, changes, broken files.

use super::*;
use crate::directory::users_file::User;

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn alice() -> User {
    User {
        name: "alice".into(),
        id: Some("u-1".into()),
        groups: vec!["staff".into()],
        mail: None,
        disabled: false,
        password: hash::hash(&password("correct horse")).unwrap(),
    }
}

fn directory_of(users: Vec<User>) -> (tempfile::TempDir, PathBuf, LocalDirectory) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    UsersFile { users }.write(&path, folder.path()).unwrap();
    let directory = LocalDirectory::open(&path, 2).unwrap();
    (folder, path, directory)
}

#[tokio::test]
async fn the_right_password_is_right_and_others_are_wrong() {
    let (_folder, _, directory) = directory_of(vec![alice()]);
    let account = directory.find(&name("Alice")).await.unwrap().unwrap();
    assert_eq!(
        (account.name.as_str(), account.id.as_str()),
        ("alice", "u-1")
    );
    assert_eq!(
        directory
            .verify(&account, &password("correct horse"))
            .await
            .unwrap(),
        PasswordAnswer::Right
    );
    assert_eq!(
        directory
            .verify(&account, &password("correct Horse"))
            .await
            .unwrap(),
        PasswordAnswer::Wrong("wrong-password")
    );
    assert!(directory.find(&name("bob")).await.unwrap().is_none());
    directory.pretend(&password("correct horse")).await.unwrap();
}

#[tokio::test]
async fn a_changed_file_counts_at_once_and_a_broken_one_lets_nobody_in() {
    let (folder, path, directory) = directory_of(vec![alice()]);
    let account = directory.find(&name("alice")).await.unwrap().unwrap();
    let mut file = UsersFile::read(&path).unwrap();
    file.find_mut("alice").unwrap().disabled = true;
    file.write(&path, folder.path()).unwrap();
    let changed = directory.find(&name("alice")).await.unwrap().unwrap();
    assert_eq!(changed.state, AccountState::Disabled);
    std::fs::write(&path, "[[user]]\nname = 1").unwrap();
    assert!(directory.find(&name("alice")).await.is_err());
    assert!(
        directory
            .verify(&account, &password("correct horse"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn somebody_new_with_an_old_name_is_somebody_else() {
    let (folder, path, directory) = directory_of(vec![alice()]);
    let account = directory.find(&name("alice")).await.unwrap().unwrap();
    UsersFile {
        users: vec![User {
            id: Some("u-2".into()),
            ..alice()
        }],
    }
    .write(&path, folder.path())
    .unwrap();
    assert_eq!(
        directory
            .verify(&account, &password("correct horse"))
            .await
            .unwrap(),
        PasswordAnswer::Wrong("wrong-password")
    );
}

#[test]
fn passwords_that_a_directory_must_not_see_are_refused() {
    assert!(Password::parse("").is_none());
    assert!(Password::parse("a\0b").is_none());
    assert!(Password::parse(&"x".repeat(129)).is_none());
    assert_eq!(Password::parse(" x ").unwrap().expose(), " x ");
    assert_eq!(
        Password::parse(&"x".repeat(128)).unwrap().expose().len(),
        128
    );
}

#[test]
fn user_names_of_any_length_are_read_or_refused() {
    assert!(UserName::parse("").is_none());
    assert!(UserName::parse("  ").is_none());
    assert!(UserName::parse(&"x".repeat(10_000)).is_none());
    assert!(UserName::parse("a\nb").is_none());
    assert_eq!(UserName::parse(" *)(uid=* ").unwrap().as_str(), "*)(uid=*");
}

#[test]
fn weak_or_foreign_hashes_in_the_file_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    for hash in [
        "plain",
        "$2b$10$abcdefghijklmnopqrstuv",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    ] {
        let text = format!("[[user]]\nname = \"alice\"\npassword = \"{hash}\"\n");
        std::fs::write(&path, text).unwrap();
        let error = UsersFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("alice"), "{error}");
    }
    std::fs::write(&path, "[[user]]\nname = \"a b\"\npassword = \"x\"").unwrap();
    assert!(
        UsersFile::read(&path)
            .unwrap_err()
            .to_string()
            .contains("a b")
    );
}
