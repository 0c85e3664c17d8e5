//! "Open, but down" is told from "open": a real browser looks whether the service answers.

use std::net::IpAddr;

use anyhow::Result;
use tests::{
    Agent, Portal, Rig,
    browser::{self, Device},
    portal::{ALICE_PASSWORD, ALICE_SECRET, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut},
    tools::{self, Daemon},
};
use xtask::codes::Phone;

const SERVICE: &str = "web.example.com";

/// A web server behind the filter; its certificate is the portal's, which is as good as any here.
fn serve(rig: &Rig) -> Result<Daemon> {
    let mut command = rig.layout.server.command(tools::program("openssl")?);
    command
        .args(["s_server", "-www", "-quiet", "-accept", "*:443", "-cert"])
        .arg(rig.path("portal/tls/cert.pem"))
        .arg("-key")
        .arg(rig.path("portal/tls/key.pem"));
    let mut server = Daemon::start("service", command, rig.path("service.log"))?;
    let (at, web) = (&rig.layout.server, rig.server(Family::V4, 443));
    server.ready(|| must_be_open(at, web).is_ok())?;
    Ok(server)
}

#[test]
fn a_service_that_is_open_but_down_is_told_from_one_that_answers() -> Result<()> {
    let rig = Rig::gateway()?;
    let agent = Agent::start(&rig)?;
    let probe = format!("\n[[probe]]\nservice = \"web\"\nurl = \"https://{SERVICE}/\"\n");
    let config = portal_config(&rig) + &probe;
    let portal: Portal = Office::open_with(&rig, &config)?.with_people()?.run(&rig)?;
    let mut service = serve(&rig)?;
    let (client, web) = (rig.layout.client.clone(), rig.server(Family::V4, 443));
    must_be_shut(&client, web)?;
    let driver = browser::driver(&rig)?;
    browser::at_client(&client, || async {
        let names: [(&str, IpAddr); 1] = [(SERVICE, web.ip())];
        let visit = browser::open_where(&rig, Device::Desktop, "en", &names).await?;
        visit.goto(&portal.url()).await?;
        visit.type_into("username", "alice").await?;
        visit.type_into("password", ALICE_PASSWORD).await?;
        let code = Phone::new(ALICE_SECRET).fresh()?;
        visit.type_into("code", &code).await?;
        visit.submit("/login").await?;
        visit.says("[data-probe]", "It answers.").await?;
        visit.look("probe-1-answers").await?;
        service.kill()?;
        visit.goto(&format!("{}/access", portal.url())).await?;
        let said = "Your access is open, but the service does not answer";
        visit.says("[data-probe]", said).await?;
        visit.look("probe-2-down").await?;
        visit.close().await
    })?;
    agent.close_source(rig.source(Family::V4))?;
    must_be_shut(&client, web)?;
    drop(driver);
    Ok(())
}
