//! How many answers and samples one processor gives away in a second: a forged source must not
//! make the filter send to somebody else without end, and a flood must not fill what is shown.

use anyhow::{Result, ensure};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use tests::{
    compare::entries,
    generate::{Draft, site},
    loaded::{self, Loaded, XDP_DROP, XDP_TX},
    oracle::Oracle,
};

/// Answers of one processor in a second, which is 2^30 ns here.
const ANSWERS: usize = 1_000;
const SAMPLES: usize = 7;
const SECOND: u64 = 1 << 30;

/// A SYN to the web server from somebody who holds nothing.
fn knock() -> Vec<u8> {
    let segment = [
        &[0x9c, 0x40, 0, 80][..],
        &[0; 8],
        &[0x50, 2, 0xff, 0xff],
        &[0; 4],
    ]
    .concat();
    let (from, to) = ([192, 0, 2, 77], [198, 51, 100, 10]);
    Draft::new(from.into(), to.into(), 6, segment).frame()
}

/// What comes of knocking so often at one moment: answers, silence, samples.
fn knock_often(loaded: &mut Loaded, times: usize, now_ns: u64) -> Result<(usize, usize, usize)> {
    let frame = knock();
    let (mut answered, mut silent) = (0, 0);
    for _ in 0..times {
        match loaded.probe(&frame, now_ns)?.returned {
            XDP_TX => answered += 1,
            XDP_DROP => silent += 1,
            other => anyhow::bail!("the program said {other}"),
        }
    }
    Ok((answered, silent, loaded::samples(&mut loaded.ebpf)?.len()))
}

#[test]
fn answers_and_samples_of_a_second_are_bounded_and_begin_again_in_the_next() -> Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &here)?;
    let start = 1_000_000 * SECOND;
    let mut world = entries(&Oracle::new(site()), start);
    world.settings.samples = u32::try_from(SAMPLES)?;
    let mut loaded = Loaded::with(&loaded::object()?, &world)?;
    for second in 0..3 {
        let first = start + second * SECOND;
        let early = knock_often(&mut loaded, 600, first)?;
        ensure!(early == (600, 0, SAMPLES), "{early:?}");
        let late = knock_often(&mut loaded, 600, first + SECOND - 1)?;
        ensure!(late == (ANSWERS - 600, 1_200 - ANSWERS, 0), "{late:?}");
    }
    world.settings.samples = 0;
    loaded.settings(&world.settings)?;
    let hidden = knock_often(&mut loaded, 3, start + 4 * SECOND)?;
    ensure!(hidden == (3, 0, 0), "{hidden:?}");
    Ok(())
}
