//! What the loaded program remembers and shows, in the oracle's words.

use anyhow::{Context as _, Result, ensure};
use filter_abi::{FlowKey, FlowRecord, Impact, ImpactKey, V4, V6, names};

use super::super::{Memory, flows};
use crate::{
    loaded::{self, Loaded},
    oracle::{Cut, Often, Reason, Report, Sample},
};

pub(super) fn memory(loaded: &mut Loaded, now_ns: u64) -> Result<Memory> {
    let ebpf = &mut loaded.ebpf;
    let v4: Vec<(FlowKey<V4>, FlowRecord)> = loaded::all(ebpf, names::FLOWS_V4)?;
    let v6: Vec<(FlowKey<V6>, FlowRecord)> = loaded::all(ebpf, names::FLOWS_V6)?;
    let mut living = flows::living(v4, now_ns)?;
    living.extend(flows::living(v6, now_ns)?);
    let mut report = Report::new();
    for (key, often) in loaded::all(ebpf, names::IMPACT)? {
        let (cut, often) = line(key, often)?;
        report.insert(cut, often);
    }
    let samples = loaded::samples(ebpf)?.into_iter().map(sample);
    Ok(Memory {
        flows: Some(living),
        report: Some(report),
        samples: Some(samples.collect::<Result<_>>()?),
    })
}

fn line(key: ImpactKey, impact: Impact) -> Result<(Cut, Often)> {
    let cut = Cut {
        source: key.source.into(),
        service: key.service,
        reason: Reason::of_number(key.reason.into()).context("an unknown reason")?,
        protocol: key.protocol,
        port: key.port,
        answering: key.answering != 0,
    };
    let often = Often {
        first_ns: impact.first_ns,
        last_ns: impact.last_ns,
        packets: impact.packets,
    };
    Ok((cut, often))
}

fn sample(sample: loaded::Sample) -> Result<Sample> {
    ensure!(sample.observed <= 1, "observed is {}", sample.observed);
    Ok(Sample {
        now_ns: sample.now_ns,
        reason: Reason::of_number(sample.reason).context("an unknown reason")?,
        service: sample.service,
        length: usize::try_from(sample.length)?,
        observed: sample.observed == 1,
        start: sample.start,
    })
}
