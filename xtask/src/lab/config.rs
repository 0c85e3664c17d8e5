//! The two configurations of the laboratory, and its services and people.

use std::fmt::Write as _;

use anyhow::Result;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};

use super::{
    layout::{HOME, Layout, OUTER, PORTAL_UID, SECOND},
    record::{Service, User},
};

/// Ports of the echo service; the rest of the machine's ports have nobody behind them.
pub(super) const ECHO: u16 = 7;
pub(super) const SSH: u16 = 22;
pub(super) const WEB: u16 = 80;

/// People and the group each is in.
pub(super) const PEOPLE: [(&str, &str); 2] = [("alice", "staff"), ("bob", "admins")];

/// What stands on the server, and for whom.
pub(super) fn services(layout: &Layout) -> Vec<Service> {
    let service = |name: &str, ports: &[&str], group: &str| Service {
        name: name.to_owned(),
        targets: layout
            .server_at
            .both()
            .iter()
            .flat_map(|address| ports.iter().map(move |port| format!("{address} {port}")))
            .collect(),
        groups: vec![group.to_owned()],
    };
    vec![
        service("web", &["tcp/80", "tcp/443"], "staff"),
        service("ssh", &["tcp/22"], "admins"),
        service("echo", &["udp/7", "tcp/7"], "staff"),
    ]
}

pub(super) fn agent(layout: &Layout) -> Result<String> {
    let mut text = format!(
        "[agent]\nsocket = \"{HOME}/agent/agent.sock\"\nledger = \"{HOME}/agent/ledger.sqlite\"\n\n\
         [filter]\ninterfaces = [\"{OUTER}\", \"{}\"]\ncapacity = 16384\nbpffs = \"{HOME}/bpf\"\n\n\
         [portal]\nuser = {PORTAL_UID}\nendpoints = {:?}\n",
        SECOND.0,
        layout
            .portal_endpoints()
            .map(|endpoint| endpoint.to_string())
    );
    for service in services(layout) {
        write!(
            text,
            "\n[[service]]\nname = {:?}\ntargets = {:?}\ngroups = {:?}\n",
            service.name, service.targets, service.groups
        )?;
    }
    Ok(text)
}

pub(super) fn portal(layout: &Layout) -> String {
    format!(
        "[portal]\nname = \"Laboratory access\"\nissuer = \"Sekisho lab\"\n\
         contact = \"the person at this keyboard\"\nlisten = {:?}\ndata = \"{HOME}/portal\"\n\
         key_file = \"{HOME}/portal/portal.key\"\nagent_socket = \"{HOME}/agent/agent.sock\"\n\n\
         [tls]\nself_signed = \"{HOME}/portal/tls\"\n\n\
         [directory]\nkind = \"local\"\nfile = \"{HOME}/portal/users.toml\"\n",
        layout
            .portal_endpoints()
            .map(|endpoint| endpoint.to_string())
    )
}

/// Alice and bob, with a password and a secret of their own at each start.
pub(super) fn people() -> Result<Vec<User>> {
    PEOPLE
        .iter()
        .map(|(name, _)| {
            Ok(User {
                name: (*name).to_owned(),
                password: BASE64URL_NOPAD.encode(&random::<15>()?),
                totp_secret: BASE32_NOPAD.encode(&random::<20>()?),
            })
        })
        .collect()
}

fn random<const N: usize>() -> Result<[u8; N]> {
    use std::io::Read as _;
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
