//! Who takes part in the flood: our agent with few and with many grants, and what people would
//! use instead, each on a wire of its own and set up once.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use nix::net::if_::if_nametoindex;
use xtask::lab::OUTER;

use super::{
    Options, Sizes, machine, peers, programs,
    subject::{Shape, Subject, target_v4},
    sys::{Attached, Program, Table},
};
use crate::Rig;

const PART: &str = "flood";
/// Entries of a plain hash, whatever is in it.
const HASH_CAPACITY: u32 = 1_100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Bare,
    Reader,
    OursSome,
    OursMany,
    HashSome,
    HashMany,
    XdpFilter,
    Nftables,
    Ipset,
    Iptables,
}

impl Who {
    pub(super) const ALL: [Self; 10] = [
        Self::Bare,
        Self::Reader,
        Self::OursSome,
        Self::OursMany,
        Self::HashSome,
        Self::HashMany,
        Self::XdpFilter,
        Self::Nftables,
        Self::Ipset,
        Self::Iptables,
    ];

    /// The same whatever the sizes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Reader => "reader",
            Self::OursSome => "sekisho-some",
            Self::OursMany => "sekisho-many",
            Self::HashSome => "hash-some",
            Self::HashMany => "hash-many",
            Self::XdpFilter => "xdp-filter",
            Self::Nftables => "nftables",
            Self::Ipset => "iptables-ipset",
            Self::Iptables => "iptables",
        }
    }

    pub(super) fn label(self, sizes: &Sizes) -> String {
        let Sizes { some, many, .. } = sizes;
        match self {
            Self::Bare => "bare XDP_DROP".into(),
            Self::Reader => "only reads the source, drops".into(),
            Self::OursSome => format!("sekisho, {some} grants"),
            Self::OursMany => format!("sekisho, {many} grants"),
            Self::HashSome => format!("plain hash, {some} entries"),
            Self::HashMany => format!("plain hash, {many} entries"),
            Self::XdpFilter => "xdp-filter".into(),
            Self::Nftables => format!("nftables netdev, set of {}", peers::SET),
            Self::Ipset => format!("iptables raw + ipset of {}", peers::SET),
            Self::Iptables => format!("iptables, {} rules", peers::RULES),
        }
    }

    /// Whether it is one XDP program, whose run time the kernel can tell.
    pub(super) fn is_program(self) -> bool {
        !matches!(self, Self::Nftables | Self::Ipset | Self::Iptables)
    }
}

/// One of them, ready.
pub(super) struct Contestant {
    pub(super) who: Who,
    body: Body,
}

enum Body {
    Ours(Box<Subject>),
    Helper {
        program: Program,
        _attached: Attached,
        rig: Rig,
    },
    XdpFilter(peers::XdpFilter),
    Kernel(Rig),
}

impl Contestant {
    /// Its wire is polled on a core of its own, and the flood's destination is an address of this
    /// machine, whoever sends: some peers judge no other packets.
    fn prepare(&self, sizes: &Sizes) -> Result<()> {
        let gate = &self.rig().layout.gate;
        machine::receive_on_core_1(gate, OUTER)?;
        let target = target_v4(sizes.busiest());
        gate.ip([format!("address add {target}/32 dev lo").as_str()])?;
        gate.sysctl(&[
            ("net.ipv4.conf.all.rp_filter", "0"),
            (&format!("net.ipv4.conf.{OUTER}.rp_filter"), "0"),
        ])
    }

    pub(super) fn rig(&self) -> &Rig {
        match &self.body {
            Body::Ours(subject) => &subject.rig,
            Body::Helper { rig, .. } | Body::Kernel(rig) => rig,
            Body::XdpFilter(peer) => &peer.rig,
        }
    }

    pub(super) fn program(&self) -> Option<&Program> {
        match &self.body {
            Body::Ours(subject) => Some(&subject.program),
            Body::Helper { program, .. } => Some(program),
            Body::XdpFilter(peer) => Some(&peer.program),
            Body::Kernel(_) => None,
        }
    }
}

/// All that can be had here, and why the others cannot.
pub(super) fn all(options: &Options) -> Result<(Vec<Contestant>, BTreeMap<Who, String>)> {
    let mut contestants = Vec::new();
    let mut missing = BTreeMap::new();
    for who in Who::ALL {
        options.tell(PART, &format!("setting up {}", who.label(&options.sizes)));
        match (body(who, &options.sizes), who) {
            (Ok(body), _) => {
                let contestant = Contestant { who, body };
                contestant.prepare(&options.sizes)?;
                contestants.push(contestant);
            }
            // Peers may be missing; without these there is nothing to compare.
            (Err(error), Who::XdpFilter | Who::Nftables | Who::Ipset | Who::Iptables) => {
                println!("bench: {PART}: {} is not available", who.name());
                missing.insert(who, format!("{error:#}"));
            }
            (Err(error), _) => return Err(error),
        }
    }
    ensure!(!contestants.is_empty(), "nobody takes part");
    Ok((contestants, missing))
}

fn body(who: Who, sizes: &Sizes) -> Result<Body> {
    let [_, services, _] = sizes.services;
    Ok(match who {
        Who::Bare => helper(programs::bare_drop()?)?,
        Who::Reader => helper(programs::only_reads()?)?,
        Who::OursSome | Who::OursMany => {
            let grants = if who == Who::OursSome {
                sizes.some
            } else {
                sizes.many
            };
            Body::Ours(Box::new(Subject::start(Shape { grants, services })?))
        }
        Who::HashSome => helper(hash(sizes.some)?)?,
        Who::HashMany => helper(hash(sizes.many)?)?,
        Who::XdpFilter => Body::XdpFilter(peers::XdpFilter::start()?),
        Who::Nftables => Body::Kernel(peers::nftables()?),
        Who::Ipset => Body::Kernel(peers::ipset()?),
        Who::Iptables => Body::Kernel(peers::iptables()?),
    })
}

/// A plain-hash filter; the program keeps its table.
fn hash(entries: u32) -> Result<Program> {
    let table = Table::new(HASH_CAPACITY)?;
    table.fill(&peers::keys(entries), u64::MAX)?;
    programs::plain_hash(&table)
}

fn helper(program: Program) -> Result<Body> {
    let rig = Rig::quiet()?;
    let gate = &rig.layout.gate;
    let attached = gate.inside(|| program.attach(if_nametoindex(OUTER)?))??;
    Ok(Body::Helper {
        program,
        _attached: attached,
        rig,
    })
}
