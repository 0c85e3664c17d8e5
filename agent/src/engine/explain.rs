//! Why a packet passes or drops, said by the running program, and what observe mode let pass.

use std::net::{IpAddr, Ipv6Addr};

use agent_api::{
    ExplainRequest, Explained, ExplainedGrant, Impact, ImpactEntry, Mode, Problem, ProblemCode,
    Source,
};
use filter_abi::{Reason, Reasons};

use super::{Engine, ProblemBox, State, packet::Packet, problem, switch::mode_of};
use crate::{
    config::Service,
    drops::{Drops, Names},
    kernel::{Dropped, GrantId},
};

impl Engine {
    /// Asks the program on the first interface.
    pub async fn explain(&self, request: &ExplainRequest) -> Result<Explained, Problem> {
        self.try_explain(request).await.map_err(|error| error.0)
    }

    async fn try_explain(&self, request: &ExplainRequest) -> Result<Explained, ProblemBox> {
        let state = self.state();
        let packet = Packet::of(request).map_err(|text| problem(ProblemCode::BadRequest, text))?;
        let Some(interface) = state.interfaces.first() else {
            let text =
                "the filter is on no interface, so nothing is filtered; see `sekisho status`";
            return Err(problem(ProblemCode::Unavailable, text).into());
        };
        let probed = self.maps.probe(&packet.frame(), 0)?;
        let reason = named(probed.reason);
        let service = state.service_by_id(probed.service);
        let grant = match service {
            Some(_) => self.explained_grant(packet.source, probed.service).await?,
            None => None,
        };
        Ok(Explained {
            passes: probed.passes,
            reason: reason.name().into(),
            because: because(reason, service, probed.passes),
            mode: mode_of(&state.switches),
            service: service.map(|service| service.name.clone()),
            grant,
            would_open: would_open(reason, service, &packet, probed.passes),
            interface: interface.name.clone(),
        })
    }

    async fn explained_grant(
        &self,
        source: IpAddr,
        service: u32,
    ) -> Result<Option<ExplainedGrant>, ProblemBox> {
        let now = self.now();
        let mut found = None;
        for source in Source::of(source) {
            if found.is_none() {
                found = self.view(GrantId { source, service }, now).await?;
            }
        }
        Ok(found.map(|grant| ExplainedGrant {
            deadline: grant.deadline,
            remaining_seconds: grant.remaining_seconds,
            holders: grant.holders,
        }))
    }

    /// What enforce mode would have dropped since observe mode began, or since it was cleared.
    pub fn impact(&self) -> Result<Impact, Problem> {
        let state = self.state();
        let now = self.now();
        let found = self
            .maps
            .impact()
            .map_err(|error| ProblemBox::from(error).0)?;
        let mut entries: Vec<ImpactEntry> = found
            .into_iter()
            .map(|(key, impact)| ImpactEntry {
                source: Ipv6Addr::from(key.source).to_canonical(),
                service: state.service_by_id(key.service).map(|s| s.name.clone()),
                reason: named(u32::from(key.reason)).name().into(),
                protocol: key.protocol,
                port: key.port,
                outbound: key.answering != 0,
                first: now.wall_of(impact.first_ns),
                last: now.wall_of(impact.last_ns),
                packets: impact.packets,
            })
            .collect();
        entries.sort_by(|a, b| b.packets.cmp(&a.packets).then(a.source.cmp(&b.source)));
        Ok(Impact {
            mode: mode_of(&state.switches),
            entries,
        })
    }

    /// Takes note of samples of dropped packets, with the names that numbers have now.
    pub fn note_drops(&self, drops: &Drops, mut next: impl FnMut() -> Option<Dropped>) {
        let Some(first) = next() else { return };
        let (state, now) = (self.state(), self.now());
        let names = Names {
            service: &|id| state.service_by_id(id).map(|service| service.name.clone()),
            interface: &|index| {
                let mut ours = state.interfaces.iter();
                let found = ours.find(|interface| interface.index == index);
                found.map_or_else(|| format!("#{index}"), |interface| interface.name.clone())
            },
        };
        let mut dropped = Some(first);
        while let Some(sample) = dropped {
            drops.note(&sample, now, &names);
            dropped = next();
        }
    }

    /// Forgets what observe mode let pass so far.
    pub fn clear_impact(&self) -> Result<(), Problem> {
        self.maps
            .clear_impact()
            .map_err(|error| ProblemBox::from(error).0)
    }

    /// Proves by a packet that the mode is what status says: a stranger's, to a granted service,
    /// must pass in observe mode and drop in enforce. A sentence if it does not, or cannot be
    /// asked. None where there is no granted service to ask about.
    pub fn mode_unproven(&self) -> Option<String> {
        let state = self.state();
        let packet = state.config.services.iter().find_map(Packet::canary)?;
        let wanted = mode_of(&state.switches);
        match self.maps.probe(&packet.frame(), 0) {
            Ok(probed) if probed.passes == (wanted == Mode::Observe) => None,
            // A denial holds in both modes, and says nothing.
            Ok(probed) if named(probed.reason) == Reason::Denied => None,
            Ok(probed) => Some(format!(
                "mode is {}, but a stranger's packet to {} {} ({}): restart the agent, and report this",
                wanted.name(),
                packet.destination,
                if probed.passes { "passes" } else { "drops" },
                named(probed.reason).name(),
            )),
            Err(error) => Some(format!("the mode cannot be proven: {error}")),
        }
    }
}

impl State {
    pub(super) fn service_by_id(&self, id: u32) -> Option<&Service> {
        let (name, _) = self.ids.iter().find(|(_, known)| **known == id)?;
        self.config.service(name)
    }
}

pub(super) fn named(number: u32) -> Reason {
    let found = usize::try_from(number)
        .ok()
        .and_then(|n| Reason::ALL.get(n));
    found.copied().unwrap_or(Reason::Malformed)
}

/// The reason in a sentence.
fn because(reason: Reason, service: Option<&Service>, passes: bool) -> String {
    let name = service.map_or("the service", |service| service.name.as_str());
    let text = match reason {
        Reason::Control => "it is control traffic of the link, which always passes".into(),
        Reason::EtherType => "its EtherType is not looked into, or it has too many tags".into(),
        Reason::Malformed => "a header is short or contradicts the frame".into(),
        Reason::Denied => "its source is inside a deny prefix".into(),
        Reason::SourceRouted => "it names its own way".into(),
        Reason::NotProtected => "its destination is not protected".into(),
        Reason::TooDeep => "it has too many extension headers".into(),
        Reason::FragmentUnknown => "it is a fragment of a packet that did not pass".into(),
        Reason::Fragment => "it is a fragment of a packet that passed".into(),
        Reason::Public => format!("service {name} is open to everybody"),
        Reason::AlwaysAllowed => format!("service {name} always allows its source"),
        Reason::Granted => format!("its source holds a grant for {name}"),
        Reason::Expired => format!("the grant for {name} is past its deadline"),
        Reason::Idle => format!("the grant for {name} was silent for too long"),
        Reason::Lockdown => "lockdown is on".into(),
        Reason::NoGrant => format!("its source holds no grant for {name}"),
        Reason::OpenPort => "no service names this port, and such ports pass".into(),
        Reason::NoService => "no service names this port of a protected address".into(),
        Reason::IcmpError => "it is an ICMP error within the rate".into(),
        Reason::RateLimited => "there were too many such packets just before".into(),
        Reason::Reply => "it answers a flow that the protected host opened".into(),
        Reason::AgentDown => format!("the agent was not heard of, and {name} says what ends then"),
    };
    if passes && !Reasons::PASSED.has(reason as u32) {
        return format!("{text}; enforce mode would drop it, observe lets it pass");
    }
    text
}

/// What somebody who wants it to pass can do.
fn would_open(
    reason: Reason,
    service: Option<&Service>,
    packet: &Packet,
    passes: bool,
) -> Vec<String> {
    if passes {
        return Vec::new();
    }
    let name = service.map_or("", |service| service.name.as_str());
    match reason {
        Reason::NoGrant | Reason::Expired | Reason::Idle => {
            let groups = service
                .map(|service| service.groups.join(", "))
                .unwrap_or_default();
            vec![
                format!(
                    "log in at the portal from {} as a member of {groups}",
                    packet.source
                ),
                format!(
                    "sekisho grant --source {} --service {name} --user WHO",
                    packet.source
                ),
            ]
        }
        Reason::Denied => vec!["sekisho list --denied, then sekisho lift PREFIX".into()],
        Reason::Lockdown => vec!["sekisho lockdown off".into()],
        Reason::NoService => vec![
            "name the port in a service of the configuration, or set filter.other_ports".into(),
        ],
        Reason::AgentDown => vec!["start the agent: systemctl start sekisho-agent".into()],
        Reason::RateLimited => vec!["wait a moment, or raise the rate in the configuration".into()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
