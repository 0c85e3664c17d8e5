//! How long refusals take, over a real network, with a real directory behind: nobody learns from
//! the time whether a person exists, or which of password and code was wrong.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Result, ensure};
use tests::{
    Agent, Rig,
    portal::{ALICE_SECRET, Office, portal_config},
    rig::replaced,
    slapd::{BASE, Certificates, Slapd},
};
use xtask::codes::Phone;

/// People, each of whom may fail a few times before anybody must wait.
const PEOPLE: usize = 6;
const ROUNDS: usize = 3;

fn median(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    took.get(took.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

#[test]
fn an_unknown_user_a_wrong_password_and_a_wrong_code_take_the_same_time() -> Result<()> {
    let rig = Rig::gateway()?;
    let _agent = Agent::start(&rig)?;
    let certificates = Certificates::make(&rig.path("tls"), "IP:127.0.0.1")?;
    let mut people = String::new();
    for n in 0..PEOPLE {
        writeln!(
            people,
            "\ndn: uid=p{n},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: P\nsn: P\n\
             userPassword: right {n}\nmemberOf: cn=staff,ou=groups,{BASE}"
        )?;
    }
    let gate = Some(&rig.layout.gate);
    let slapd = Slapd::start_with(&rig.path("slapd"), &certificates, gate, &people, "")?;
    let local = format!(
        "kind = \"local\"\nfile = \"{}/portal/users.toml\"\n",
        rig.folder().display()
    );
    let limits =
        "\n[limits]\nfree_failures = 10\nsource_per_minute = 1000\nsource_per_hour = 10000\n";
    let config = replaced(&portal_config(&rig), &local, &slapd.config(&certificates)?)? + limits;
    let office = Office::open_with(&rig, &config)?;
    for n in 0..PEOPLE {
        office.token(&format!("p{n}"), ALICE_SECRET)?;
    }
    let portal = office.run(&rig)?;
    let browser = portal.browser(&rig.layout.client, "somebody");
    let mut phones: Vec<Phone> = (0..PEOPLE).map(|_| Phone::new(ALICE_SECRET)).collect();
    let mut took: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        for (n, phone) in phones.iter_mut().enumerate() {
            let (name, right) = (format!("p{n}"), format!("right {n}"));
            let nobody = format!("nobody{round}{n}");
            let tries = [
                (&nobody, &right, phone.wrong()?),
                (&name, &nobody, phone.fresh()?),
                (&name, &right, phone.wrong()?),
            ];
            for (kind, (name, password, code)) in tries.into_iter().enumerate() {
                let page = portal.log_in(&browser, name, password, &code)?;
                ensure!(page.status == 401, "{}", page.body);
                if let Some(kind) = took.get_mut(kind) {
                    kind.push(page.took);
                }
            }
        }
    }
    let binds = slapd.binds_of_people();
    ensure!(binds == PEOPLE * ROUNDS, "{binds} passwords were looked at");
    let medians = took.map(median);
    let (least, most) = medians
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), one| {
            (least.min(*one), most.max(*one))
        });
    eprintln!("unknown user, wrong password, wrong code: {medians:.3?} s");
    ensure!(
        most <= least * 1.1,
        "medians differ by more than a tenth: {medians:.3?}"
    );
    Ok(())
}
