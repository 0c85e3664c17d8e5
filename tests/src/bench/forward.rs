//! Part `forward`: what the filter costs those who are let through. A gateway forwards the traffic
//! of a granted source, with the filter on its outer interface and without any, in turns.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use nix::net::if_::if_nametoindex;
use xtask::{
    clock, command,
    lab::{ETH, INNER, OUTER},
};

use super::{
    Options,
    machine::{self, received},
    programs::{self, Sources},
    result::{Row, Target, ratios},
    sender::Sender,
    subject::{self, Shape, Subject, target_v4},
    sys::Attached,
};
use crate::{Rig, packet, rig::GATE_MAC};

const PART: &str = "forward";
/// A TCP stream needs a moment to find its rate.
const SLOW_START: Duration = Duration::from_millis(100);
/// Nothing on these cables takes longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The granted source.
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The cable's end at the client.
const PLUG: &str = "plug";
/// Of a card that nobody has: the server's card counts such a frame and throws it away.
const NOBODY: &str = "02:00:00:00:00:99";

/// What stands on the gateway's outer interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Open,
    /// A program that passes everything: what a virtual cable makes of having one at all.
    Pass,
    Filtered,
}

impl Path {
    const ALL: [Self; 3] = [Self::Open, Self::Pass, Self::Filtered];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "no program",
            Self::Pass => "a program that only passes",
            Self::Filtered => "sekisho",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pass => "pass",
            Self::Filtered => "sekisho",
        }
    }
}

/// A client, a gateway and a server in a row, with one of the three on the gateway.
struct Lane {
    path: Path,
    sender: Sender,
    stream_to: SocketAddr,
    listener: TcpListener,
    _attached: Option<Attached>,
    _cable: [Attached; 2],
    body: Body,
}

enum Body {
    Bare(Box<Rig>),
    Ours(Box<Subject>),
}

#[derive(Default)]
struct Figures {
    /// Millions of datagrams a second.
    packets: Vec<f64>,
    /// Gigabits a second of a TCP stream.
    stream: Vec<f64>,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let [_, services, _] = options.sizes.services;
    let shape = Shape {
        grants: options.sizes.some,
        services,
    };
    let mut lanes = Vec::new();
    for path in Path::ALL {
        options.tell(PART, &format!("a gateway with {}", path.name()));
        lanes.push((Lane::new(path, shape)?, Figures::default()));
    }
    for round in 0..options.rounds {
        options.round(PART, round);
        for (lane, figures) in &mut lanes {
            figures.packets.push(lane.datagrams(options.duration())?);
            figures.stream.push(lane.stream(options.duration())?);
        }
    }
    Ok(rows(&lanes))
}

fn rows(lanes: &[(Lane, Figures)]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, text, unit) in [
        ("udp", "datagrams forwarded", "Mpps"),
        ("tcp", "TCP stream", "Gbit/s"),
    ] {
        let of = |figures: &Figures| match id {
            "udp" => figures.packets.clone(),
            _ => figures.stream.clone(),
        };
        for (lane, figures) in lanes {
            let name = format!("{text}, {}", lane.path.name());
            let id = format!("{id}/{}", lane.path.id());
            rows.push(Row::new(PART, id, name, unit, of(figures)));
        }
        let find = |path: Path| lanes.iter().find(|(lane, _)| lane.path == path);
        for other in [Path::Open, Path::Pass] {
            let (Some((_, ours)), Some((_, theirs))) = (find(Path::Filtered), find(other)) else {
                continue;
            };
            let name = format!("{text}, sekisho against {}", other.name());
            let id = format!("{id}/against-{}", other.id());
            let row = Row::new(PART, id, name, "×", ratios(&of(ours), &of(theirs)));
            // The other one tells the filter's own share from that of having a program at all.
            rows.push(if other == Path::Open {
                row.target(Target::AtLeast(0.97))
            } else {
                row
            });
        }
    }
    rows
}

impl Lane {
    fn new(path: Path, shape: Shape) -> Result<Self> {
        let rig = Rig::quiet()?;
        let (stream, datagram) = (shape.services - 1, shape.services - 2);
        behind(&rig, stream)?;
        let cable = before(&rig)?;
        machine::receive_on_core_1(&rig.layout.gate, OUTER)?;
        let port = subject::port(stream);
        let listener = rig
            .layout
            .server
            .inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))??;
        let (target, to_port) = (target_v4(datagram), subject::port(datagram));
        let frame = packet::datagram(GATE_MAC, CLIENT.into(), target, to_port, &[0; 18])?;
        let index = rig.layout.client.inside(|| if_nametoindex(ETH))??;
        let sender = Sender::new(index, Sources::OneAnew, frame)?;
        let attached = match path {
            Path::Pass => {
                let program = programs::bare_pass()?;
                let gate = &rig.layout.gate;
                Some(gate.inside(|| program.attach(if_nametoindex(OUTER)?))??)
            }
            Path::Open | Path::Filtered => None,
        };
        let body = match path {
            Path::Open | Path::Pass => Body::Bare(Box::new(rig)),
            Path::Filtered => Body::Ours(Box::new(granted(rig, shape, [stream, datagram])?)),
        };
        let lane = Self {
            path,
            sender,
            stream_to: SocketAddr::new(target_v4(stream), port),
            listener,
            _attached: attached,
            _cable: cable,
            body,
        };
        // Attaching may have made another kernel thread.
        machine::receive_on_core_1(&lane.rig().layout.gate, OUTER)?;
        Ok(lane)
    }

    fn rig(&self) -> &Rig {
        match &self.body {
            Body::Bare(rig) => rig,
            Body::Ours(subject) => &subject.rig,
        }
    }

    /// Millions of datagrams a second that reach the server's card, at the rate that suits the
    /// gateway best.
    fn datagrams(&self, length: Duration) -> Result<f64> {
        let layout = &self.rig().layout;
        let flow = self
            .sender
            .best(&layout.client, length, || received(&layout.server, ETH))?;
        Ok(flow.arrived / 1e6)
    }

    /// Gigabits a second that a server reads from one connection.
    fn stream(&self, length: Duration) -> Result<f64> {
        let client = &self.rig().layout.neighbour;
        let out = client.inside(|| TcpStream::connect_timeout(&self.stream_to, PATIENCE))??;
        let (mut arriving, _) = self.listener.accept()?;
        out.set_write_timeout(Some(PATIENCE))?;
        arriving.set_read_timeout(Some(PATIENCE))?;
        let writer = thread::spawn(move || write_on(out));
        let rate = read_for(&mut arriving, length);
        // The writer ends when nobody reads any more.
        drop(arriving);
        writer.join().map_err(|_| anyhow::anyhow!("writer died"))?;
        rate
    }
}

fn write_on(mut out: TcpStream) {
    let block = vec![0; 1 << 17];
    while out.write_all(&block).is_ok() {}
}

fn read_for(arriving: &mut TcpStream, length: Duration) -> Result<f64> {
    let mut buffer = vec![0; 1 << 18];
    let begun = clock::instant();
    while begun.elapsed() < SLOW_START {
        ensure!(arriving.read(&mut buffer)? > 0, "the stream ended");
    }
    let (start, mut bytes) = (clock::instant(), 0_u64);
    while start.elapsed() < length {
        let count = arriving.read(&mut buffer)?;
        ensure!(count > 0, "the stream ended");
        bytes += count as u64;
    }
    Ok(bytes as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9)
}

/// Our filter on this gateway, with grants for the client.
fn granted(rig: Rig, shape: Shape, services: [u16; 2]) -> Result<Subject> {
    let subject = Subject::start_in(rig, shape)?;
    for service in services {
        let name = subject::name(service);
        let grant = subject
            .agent
            .grant(CLIENT.into(), &name, "alice", 20 * 3600)?;
        ensure!(grant.in_kernel, "the client's grant is not in force");
    }
    Ok(subject)
}

/// Makes a gateway of a quiet rig: a server behind it that has the address of service `stream`;
/// everything else goes to a card that nobody has.
fn behind(rig: &Rig, stream: u16) -> Result<()> {
    let layout = &rig.layout;
    let (gate, server) = (&layout.gate, &layout.server);
    server.create()?;
    gate.cable(INNER, server, ETH)?;
    let target = target_v4(stream);
    let (inner, beyond) = (layout.gate_inner_at.v4, layout.server_at.v4);
    let nobody = Ipv4Addr::new(198, 51, 100, 99);
    gate.ip([
        format!("address add {inner}/24 dev {INNER}").as_str(),
        format!("neighbour add {nobody} lladdr {NOBODY} nud permanent dev {INNER}").as_str(),
        format!("route add 198.18.0.0/16 via {nobody}").as_str(),
        format!("route add {target}/32 via {beyond}").as_str(),
    ])?;
    gate.sysctl(&[("net.ipv4.ip_forward", "1")])?;
    server.ip([
        format!("address add {beyond}/24 dev {ETH}").as_str(),
        format!("address add {target}/32 dev lo").as_str(),
        format!("route add default via {inner}").as_str(),
    ])?;
    Ok(())
}

/// Puts a client before a quiet rig's own one, which becomes a cable that carries bare frames, as
/// a real card delivers them. Without it the packets of a TCP stream would reach the gateway as
/// socket buffers, and a virtual card copies each of those for any program it runs.
fn before(rig: &Rig) -> Result<[Attached; 2]> {
    let layout = &rig.layout;
    let (client, cable, gate) = (&layout.neighbour, &layout.client, &layout.gate);
    client.create()?;
    cable.cable(PLUG, client, ETH)?;
    client.ip([
        format!("address add {CLIENT}/24 dev {ETH}").as_str(),
        format!("route add default via {}", layout.gate_at.v4).as_str(),
    ])?;
    // Bare frames carry whole checksums, and none is longer than the cable takes.
    for (namespace, interface) in [(client, ETH), (gate, OUTER)] {
        let settings = ["-K", interface, "tx", "off", "gro", "on"];
        command::output(namespace.command("ethtool").args(settings))?;
    }
    cable.inside(|| -> Result<_> {
        let (near, far) = (if_nametoindex(PLUG)?, if_nametoindex(ETH)?);
        let carry = |from, to| programs::sender(to, Sources::One, 0, &[])?.attach(from);
        Ok([carry(near, far)?, carry(far, near)?])
    })?
}
