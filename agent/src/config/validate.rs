//! From the file as written to the configuration as meant. Collects every complaint.

use std::{collections::HashSet, net::SocketAddr, ops::Range, str::FromStr as _};

use agent_api::ServiceKind;
use ipnet::IpNet;
use toml::Spanned;

use super::{
    Config, Filter, PORTAL_SERVICE, Portal, Service,
    duration::{parse_seconds, seconds_text},
    file::{self, OtherPorts, User},
    target::{Ports, Target, parse_prefix},
    traffic::{self, AgentDown, Answer},
};

const HOUR: u64 = 3_600;
const DEFAULT_SECONDS: u64 = 8 * HOUR;
const MAX_SECONDS: u64 = 24 * HOUR;
const IDLE_SECONDS: u64 = 30 * 60;
/// No grant outlives a week, whatever is configured.
const CAP_SECONDS: u64 = 7 * 24 * HOUR;
const CAPACITY: u32 = 262_144;
const CAPACITY_MAX: u32 = 16_777_216;
const SERVICES_MAX: usize = 4_096;
/// IFNAMSIZ less its NUL (include/uapi/linux/if.h).
const INTERFACE_NAME_MAX: usize = 15;
const ETHER_TYPES_MAX: usize = 4;

type Found = Vec<(Range<usize>, String)>;

pub(super) fn validate(file: file::File) -> Result<Config, Found> {
    let mut found = Found::new();
    let lengths = lengths(&file.grants, &mut found);
    let operators: Vec<u32> = file
        .agent
        .operators
        .iter()
        .filter_map(|u| uid(u, &mut found))
        .collect();
    let filter = filter(file.filter, &mut found);
    let portal = file
        .portal
        .and_then(|portal| self::portal(portal, &mut found));
    let mut claims = Claims::default();
    let mut services: Vec<Service> = Vec::new();
    if file.service.len() > SERVICES_MAX {
        found.push((
            0..0,
            format!("more than {SERVICES_MAX} services; merge some"),
        ));
    }
    for written in file.service.into_iter().take(SERVICES_MAX) {
        let service = service(
            written,
            lengths,
            &services,
            portal.as_ref(),
            &mut claims,
            &mut found,
        );
        services.push(service);
    }
    if let Some(portal) = portal
        .as_ref()
        .filter(|portal| !portal.endpoints.is_empty())
    {
        services.push(portal_service(portal));
    }
    if let Some(portal) = portal
        .as_ref()
        .filter(|portal| operators.contains(&portal.uid))
    {
        let text = format!(
            "the portal's uid {} is listed under operators, so the portal could do everything; remove it there",
            portal.uid
        );
        found.push((0..0, text));
    }
    if !found.is_empty() {
        return Err(found);
    }
    Ok(Config {
        socket: file
            .agent
            .socket
            .unwrap_or_else(|| agent_api::DEFAULT_SOCKET.into()),
        ledger: file
            .agent
            .ledger
            .unwrap_or_else(|| "/var/lib/sekisho/ledger.sqlite".into()),
        operators,
        filter,
        portal,
        services,
        text: std::sync::Arc::default(),
    })
}

fn filter(written: file::Filter, found: &mut Found) -> Filter {
    let all = written.interfaces.span();
    let mut interfaces = Vec::new();
    for name in written.interfaces.into_inner() {
        let (span, name) = (name.span(), name.into_inner());
        if name.is_empty()
            || name.len() > INTERFACE_NAME_MAX
            || name.contains(|c: char| c == '/' || c.is_whitespace())
        {
            found.push((span, format!("`{name}` cannot be the name of an interface")));
        } else if interfaces.contains(&name) {
            found.push((span, format!("interface `{name}` is listed twice")));
        } else {
            interfaces.push(name);
        }
    }
    if interfaces.is_empty() {
        found.push((
            all,
            "no interface to attach to; list the outer one, e.g. [\"eth0\"]".into(),
        ));
    }
    let capacity = written.capacity.map_or(CAPACITY, |capacity| {
        let (span, capacity) = (capacity.span(), capacity.into_inner());
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            found.push((
                span,
                format!("capacity must be between 1 and {CAPACITY_MAX}"),
            ));
        }
        capacity
    });
    let ether_types_span = written
        .pass_ether_types
        .as_ref()
        .map_or(0..0, Spanned::span);
    let pass_ether_types = written
        .pass_ether_types
        .map(Spanned::into_inner)
        .unwrap_or_default();
    if pass_ether_types.len() > ETHER_TYPES_MAX {
        found.push((
            ether_types_span.clone(),
            format!("at most {ETHER_TYPES_MAX} EtherTypes"),
        ));
    }
    for ether_type in &pass_ether_types {
        if *ether_type < 0x0600 || matches!(ether_type, 0x0800 | 0x86dd | 0x8100 | 0x88a8) {
            let message = format!("EtherType {ether_type:#06x} cannot be passed unread");
            found.push((ether_types_span.clone(), message));
        }
    }
    Filter {
        interfaces,
        xdp_mode: written.xdp_mode,
        mode: written.mode,
        capacity,
        other_ports_pass: written.other_ports == OtherPorts::Pass,
        protect: written
            .protect
            .iter()
            .filter_map(|p| prefix(p, found))
            .collect(),
        pass_ether_types,
        icmp_errors: traffic::rate(&written.icmp_errors, &None, found)
            .unwrap_or(traffic::ICMP_ERRORS),
        drop_samples: written.drop_samples,
        bpffs: written.bpffs.unwrap_or_else(|| "/sys/fs/bpf".into()),
        debug_log: written.debug_log,
    }
}

fn prefix(written: &Spanned<String>, found: &mut Found) -> Option<IpNet> {
    parse_prefix(written.get_ref())
        .map_err(|message| found.push((written.span(), message)))
        .ok()
}

/// The uid of a user written by name or number.
fn uid(written: &Spanned<User>, found: &mut Found) -> Option<u32> {
    user(written, found).map(|(uid, _)| uid)
}

fn user(written: &Spanned<User>, found: &mut Found) -> Option<(u32, u32)> {
    match written.get_ref() {
        User::Number(number) => {
            let known = nix::unistd::User::from_uid((*number).into()).ok().flatten();
            Some((*number, known.map_or(*number, |user| user.gid.as_raw())))
        }
        User::Name(name) => match nix::unistd::User::from_name(name) {
            Ok(Some(user)) => Some((user.uid.as_raw(), user.gid.as_raw())),
            _ => {
                let message = format!("there is no user `{name}` here; create it or give a uid");
                found.push((written.span(), message));
                None
            }
        },
    }
}

fn portal(written: file::Portal, found: &mut Found) -> Option<Portal> {
    let mut endpoints: Vec<SocketAddr> = Vec::new();
    for endpoint in &written.endpoints {
        match SocketAddr::from_str(endpoint.get_ref()) {
            Ok(address) if address.ip().is_unspecified() || address.port() == 0 => {
                let message =
                    "an endpoint is the very address and port people type, not a wildcard";
                found.push((endpoint.span(), message.into()));
            }
            Ok(address) if endpoints.contains(&address) => {
                found.push((
                    endpoint.span(),
                    format!("endpoint {address} is listed twice"),
                ));
            }
            Ok(address) => endpoints.push(address),
            Err(_) => {
                let message = format!(
                    "`{}` is not an endpoint; write 192.0.2.1:443 or [2001:db8::1]:443",
                    endpoint.get_ref()
                );
                found.push((endpoint.span(), message));
            }
        }
    }
    let (uid, gid) = user(&written.user, found)?;
    if uid == 0 {
        let message = "the portal must not run as root: give it a user of its own";
        found.push((written.user.span(), message.into()));
    }
    Some(Portal {
        uid,
        gid,
        endpoints,
        rate: traffic::rate(&written.rate, &written.burst, found).unwrap_or(traffic::PORTAL),
    })
}

/// The portal's endpoints as a public service, so that log-in is always reachable.
fn portal_service(portal: &Portal) -> Service {
    let target = |endpoint: &SocketAddr| Target {
        prefix: endpoint.ip().into(),
        ports: Ports::Range {
            protocol: 6,
            first: endpoint.port(),
            last: endpoint.port(),
        },
    };
    Service {
        name: PORTAL_SERVICE.into(),
        kind: ServiceKind::Public,
        targets: portal.endpoints.iter().map(target).collect(),
        groups: Vec::new(),
        allow: Vec::new(),
        default_seconds: 0,
        max_seconds: 0,
        idle_seconds: None,
        rate: Some(portal.rate),
        answer: Answer::default(),
        agent_down: AgentDown::default(),
        ipv6_prefix: false,
    }
}

#[derive(Clone, Copy)]
struct Lengths {
    default: u64,
    max: u64,
    idle: Option<u64>,
}

fn lengths(written: &file::Grants, found: &mut Found) -> Lengths {
    let base = Lengths {
        default: DEFAULT_SECONDS,
        max: MAX_SECONDS,
        idle: Some(IDLE_SECONDS),
    };
    override_lengths(base, &written.default, &written.max, &written.idle, found)
}

fn override_lengths(
    base: Lengths,
    default: &Option<Spanned<String>>,
    max: &Option<Spanned<String>>,
    idle: &Option<Spanned<String>>,
    found: &mut Found,
) -> Lengths {
    let mut length = |written: &Spanned<String>| {
        let seconds = parse_seconds(written.get_ref()).and_then(|seconds| {
            if seconds <= CAP_SECONDS {
                Ok(seconds)
            } else {
                Err(format!(
                    "longer than {}, the most there is",
                    seconds_text(CAP_SECONDS)
                ))
            }
        });
        seconds
            .map_err(|message| found.push((written.span(), message)))
            .ok()
    };
    let max_seconds = max.as_ref().and_then(&mut length).unwrap_or(base.max);
    let idle_seconds = match idle {
        None => base.idle,
        Some(written) if written.get_ref() == "none" => None,
        Some(written) => length(written),
    };
    let default_seconds = match default.as_ref().and_then(&mut length) {
        Some(seconds) => seconds,
        None => base.default.min(max_seconds),
    };
    if let Some(written) = default.as_ref().filter(|_| default_seconds > max_seconds) {
        let message = format!(
            "the default is longer than max ({})",
            seconds_text(max_seconds)
        );
        found.push((written.span(), message));
    }
    Lengths {
        default: default_seconds,
        max: max_seconds,
        idle: idle_seconds,
    }
}

fn service(
    written: file::Service,
    lengths: Lengths,
    earlier: &[Service],
    portal: Option<&Portal>,
    claims: &mut Claims,
    found: &mut Found,
) -> Service {
    let name = written.name.get_ref().clone();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
        let message = format!("`{name}` cannot name a service; use 1 to 32 of a-z, 0-9 and -");
        found.push((written.name.span(), message));
    } else if name == PORTAL_SERVICE {
        let message =
            "the name `portal` is the portal's own; list its address under [portal] endpoints";
        found.push((written.name.span(), message.into()));
    } else if earlier.iter().any(|service| service.name == name) {
        found.push((
            written.name.span(),
            format!("there are two services named `{name}`"),
        ));
    }
    let targets_span = written.targets.span();
    let mut targets = Vec::new();
    for target in written.targets.get_ref() {
        match Target::from_str(target.get_ref()) {
            Ok(parsed) => {
                claims.claim(&name, parsed, target.span(), found);
                refuse_portal_inside(&name, parsed, target.span(), portal, found);
                targets.push(parsed);
            }
            Err(message) => found.push((target.span(), message)),
        }
    }
    if targets.is_empty() {
        let message = format!("service `{name}` has no target; write [\"192.0.2.10 tcp/443\"]");
        found.push((targets_span.clone(), message));
    }
    let groups_span = written.groups.as_ref().map_or(targets_span, Spanned::span);
    let groups = written
        .groups
        .as_ref()
        .map(|groups| groups.get_ref().clone())
        .unwrap_or_default();
    match written.kind {
        ServiceKind::Granted if groups.iter().all(|group| group.trim().is_empty()) => {
            let message = format!(
                "service `{name}` names no group, so nobody could ever open it; write groups = [\"staff\"]"
            );
            found.push((groups_span, message));
        }
        ServiceKind::Public if !groups.is_empty() => {
            let message = format!("service `{name}` is public; groups would do nothing");
            found.push((groups_span, message));
        }
        _ => {}
    }
    let lengths = override_lengths(
        lengths,
        &written.default,
        &written.max,
        &written.idle,
        found,
    );
    let mut service = Service {
        name,
        kind: written.kind,
        targets,
        groups,
        allow: written
            .allow
            .iter()
            .filter_map(|p| prefix(p, found))
            .collect(),
        default_seconds: lengths.default,
        max_seconds: lengths.max,
        idle_seconds: lengths.idle,
        rate: None,
        answer: Answer::default(),
        agent_down: AgentDown::default(),
        ipv6_prefix: false,
    };
    traffic::apply(&written, &mut service, found);
    service
}

/// Nobody could log in to open it any more.
fn refuse_portal_inside(
    name: &str,
    target: Target,
    span: Range<usize>,
    portal: Option<&Portal>,
    found: &mut Found,
) {
    let inside = |endpoint: &&SocketAddr| {
        target.prefix.contains(&endpoint.ip())
            && match target.ports {
                Ports::Any | Ports::Protocol(6) => true,
                Ports::Protocol(_) => false,
                Ports::Range {
                    protocol,
                    first,
                    last,
                } => protocol == 6 && (first..=last).contains(&endpoint.port()),
            }
    };
    if let Some(endpoint) = portal.and_then(|portal| portal.endpoints.iter().find(inside)) {
        let message = format!(
            "service `{name}` would shut the portal's own endpoint {endpoint}; narrow this target or move the portal"
        );
        found.push((span, message));
    }
}

/// Who claimed what so far.
#[derive(Default)]
struct Claims {
    /// Everything claimed on a prefix and protocol, with the service's name.
    taken: std::collections::HashMap<IpNet, Vec<(Ports, String)>>,
    reported: HashSet<(IpNet, String)>,
}

impl Claims {
    /// Two claims clash when neither is more specific than the other: the same protocol (or any)
    /// on the same prefix, the same port, or two ranges that overlap.
    fn claim(&mut self, name: &str, target: Target, span: Range<usize>, found: &mut Found) {
        let taken = self.taken.entry(target.prefix).or_default();
        let clash = taken
            .iter()
            .find(|(ports, _)| clashes(*ports, target.ports));
        if let Some((ports, other)) = clash
            && self.reported.insert((target.prefix, name.to_owned()))
        {
            let message = if other == name {
                format!("`{target}` is listed twice for service `{name}`")
            } else {
                let theirs = Target {
                    prefix: target.prefix,
                    ports: *ports,
                };
                format!(
                    "`{target}` is already claimed by service `{other}` (`{theirs}`); a target belongs to one service"
                )
            };
            found.push((span, message));
        }
        taken.push((target.ports, name.to_owned()));
    }
}

fn clashes(a: Ports, b: Ports) -> bool {
    match (a, b) {
        (Ports::Any, Ports::Any) => true,
        (Ports::Protocol(a), Ports::Protocol(b)) => a == b,
        (
            Ports::Range {
                protocol: p,
                first: f,
                last: l,
            },
            Ports::Range {
                protocol: q,
                first: g,
                last: m,
            },
        ) => p == q && f <= m && g <= l && (f == l) == (g == m),
        _ => false,
    }
}
