//! The portal against a real slapd with a password policy: locked, expired, to be changed, in grace.

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::{
    lookup::Scratch,
    slapd::{ALICE_PASSWORD, BASE, BOB_PASSWORD, Slapd},
};

/// The policy, and somebody to whom another one applies.
const POLICIES: &str = "
dn: cn=usual,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: usual
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdMustChange: TRUE

dn: cn=short,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: short
pwdAttribute: userPassword
pwdMaxAge: 1

dn: cn=graceful,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: graceful
pwdAttribute: userPassword
pwdMaxAge: 1
pwdGraceAuthNLimit: 5
";

struct Site {
    scratch: Scratch,
    slapd: Slapd,
}

impl Site {
    fn open() -> Result<Self> {
        let scratch = Scratch::open()?;
        let overlay =
            format!("overlay ppolicy\nppolicy_default \"cn=usual,{BASE}\"\nppolicy_use_lockout\n");
        let home = scratch.folder().join("slapd");
        let slapd = Slapd::start_with(&home, &scratch.certificates, None, POLICIES, &overlay)?;
        Ok(Self { scratch, slapd })
    }

    fn ask(&self, user: &str, password: &str) -> Result<Value> {
        let directory = self.slapd.config(&self.scratch.certificates)?;
        self.scratch.ask(&directory, user, password)?.json()
    }

    fn policy(&self, user: &str, policy: &str, password: &str) -> Result<()> {
        self.slapd.change(&format!(
            "dn: uid={user},ou=people,{BASE}\nchangetype: modify\n\
             replace: pwdPolicySubentry\npwdPolicySubentry: cn={policy},{BASE}\n-\n\
             replace: userPassword\nuserPassword: {password}\n"
        ))
    }
}

#[test]
fn a_locked_account_is_refused_whatever_the_password() -> Result<()> {
    let site = Site::open()?;
    ensure!(site.ask("alice", ALICE_PASSWORD)?["password"] == "right");
    for _ in 0..3 {
        ensure!(site.ask("alice", "wrong")?["password"] == "wrong-password");
    }
    for password in [ALICE_PASSWORD, "wrong"] {
        let said = site.ask("alice", password)?;
        ensure!(said["password"] == "ppolicy-locked-out", "{said}");
        ensure!(
            said["state"] == "active",
            "a lock that ends is no leave: {said}"
        );
    }
    ensure!(site.ask("bob", BOB_PASSWORD)?["password"] == "right");
    site.slapd.change(&format!(
        "dn: uid=bob,ou=people,{BASE}\nchangetype: modify\n\
         replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ))?;
    let said = site.ask("bob", BOB_PASSWORD)?;
    ensure!(said["state"] == "disabled", "locked for good: {said}");
    Ok(())
}

#[test]
fn passwords_that_are_too_old_or_were_reset_are_to_be_changed() -> Result<()> {
    let site = Site::open()?;
    site.policy("alice", "short", ALICE_PASSWORD)?;
    site.policy("bob", "graceful", BOB_PASSWORD)?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let said = site.ask("alice", ALICE_PASSWORD)?;
    ensure!(said["password"] == "ppolicy-password-expired", "{said}");
    ensure!(site.ask("alice", "wrong")?["password"] == "wrong-password");
    let said = site.ask("bob", BOB_PASSWORD)?;
    ensure!(said["password"] == "ppolicy-grace", "{said}");
    // Set by somebody else than the person, under a policy that wants it changed then.
    site.policy("alice", "usual", "chosen by the desk")?;
    site.slapd.change(&format!(
        "dn: uid=alice,ou=people,{BASE}\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n"
    ))?;
    let said = site.ask("alice", "chosen by the desk")?;
    ensure!(said["password"] == "ppolicy-change-after-reset", "{said}");
    ensure!(said["state"] == "must-change-password", "{said}");
    Ok(())
}
