//! The kernel programs. One hands each packet that arrives and the maps to `filter_core::decide`,
//! counts the reason at one exit, and answers pass or drop; the other writes down what protected
//! hosts send, so that replies pass. They decide nothing themselves.
#![no_std]
#![no_main]
#![expect(
    clippy::cast_possible_truncation,
    reason = "a BPF register has 64 bits, lengths and offsets of packets fit 32, and packed words are taken apart along the bits they were made of"
)]

mod answer;
mod clock;
mod frame;
mod maps;
mod policy;
mod probe;
mod sample;
mod skb;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use aya_log_ebpf::macro_support::{Level, level_enabled};
use filter_abi::{Cpu, Reason, Reasons, Settings};
use filter_core::{Decision, quick, table};

use crate::{
    frame::{Frame, Scattered},
    maps::Way,
    policy::{Kernel, Live, Mode},
    probe::Probing,
    skb::Skb,
};

/// Entry point, one for each packet that arrives on an interface the filter is attached to.
#[xdp(frags)]
#[inline(always)]
fn sekisho(context: XdpContext) -> u32 {
    match (maps::settings(), maps::cpu()) {
        (Some(settings), Some(cpu)) => verdict(&context, settings, cpu),
        // The agent writes the settings before it attaches; without them nobody knows what is
        // protected, so nothing passes. There is no counter to name it by, either.
        _ => xdp_action::XDP_DROP,
    }
}

#[inline(always)]
fn verdict(context: &XdpContext, settings: &Settings, cpu: *mut Cpu) -> u32 {
    let probing = Probing::of(context);
    let mut decision = None;
    if !probing.is_one() {
        let live = Kernel { cpu, mode: Live };
        if let Some(decision) = quick(&Frame::new(context, cpu), settings, &live) {
            return leave(context, settings, &live, decision);
        }
    }
    let kernel = Kernel { cpu, mode: probing };
    if kernel.mode.is_one() {
        decision = quick(&Frame::new(context, cpu), settings, &kernel);
    }
    let decision = match decision {
        Some(decision) => decision,
        None => slow(context, settings, &kernel),
    };
    kernel.mode.answer(context, &decision);
    leave(context, settings, &kernel, decision)
}

/// The one exit: counts the reason, and does what it says.
#[inline(always)]
fn leave<M: Mode>(
    context: &XdpContext,
    settings: &Settings,
    kernel: &Kernel<M>,
    decision: Decision,
) -> u32 {
    let reason = decision.number();
    // Known to the verifier, which removes what follows, unless the agent loads the program with a
    // level.
    if level_enabled(Level::Debug) {
        log(context, reason);
    }
    if Reasons::PASSED.has(reason) {
        count(kernel, reason);
        return xdp_action::XDP_PASS;
    }
    let opened = settings.has(Settings::OBSERVE) && Reasons::OPENED.has(reason);
    count(
        kernel,
        if opened {
            reason + Reason::COUNT
        } else {
            reason
        },
    );
    if sample::is_due(kernel, settings.samples) {
        sample::take(
            &Frame::new(context, kernel.cpu),
            kernel,
            decision,
            u32::from(opened),
        );
    }
    if opened {
        return xdp_action::XDP_PASS;
    }
    let target = decision.target();
    if Reasons::UNGRANTED.has(reason) && answer::is_due(kernel, target) {
        return answer::answer(context, target.flags);
    }
    xdp_action::XDP_DROP
}

#[inline(never)]
fn log(context: &XdpContext, reason: u32) {
    aya_log_ebpf::debug!(context, "reason {}", reason);
}

/// By the whole table, in a window of which the verifier knows nothing yet.
#[inline(always)]
fn slow<M: Mode>(context: &XdpContext, settings: &Settings, kernel: &Kernel<M>) -> Decision {
    let frame = Frame::new(context, kernel.cpu);
    let sheet = maps::sheet(kernel.cpu, Way::In);
    // A jumbo frame: what is not in its first buffer is not missing, so all is read by copies.
    if frame.is_scattered() {
        return table(&Scattered(&frame), settings, kernel, sheet);
    }
    table(&frame, settings, kernel, sheet)
}

#[inline(always)]
fn count<M: Mode>(kernel: &Kernel<M>, index: u32) {
    if !kernel.mode.keeps() {
        return;
    }
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned and alive while the program runs.
    let counters = unsafe { &raw mut (*kernel.cpu).counters }.cast::<u64>();
    // SAFETY: the masked number is a place of the array.
    let counter = unsafe { counters.add(index as usize & (Cpu::COUNTER_PLACES - 1)) };
    // SAFETY: as above; aligned, and nobody else's while the program runs.
    unsafe { *counter += 1 };
}

/// Entry point, one for each packet that leaves by an interface the filter is attached to.
#[classifier]
#[inline(always)]
fn sekisho_out(context: TcContext) -> i32 {
    if let (Some(settings), Some(cpu)) = (maps::settings(), maps::cpu()) {
        let kernel = Kernel { cpu, mode: Live };
        let packet = Skb {
            context: &context,
            cpu,
        };
        filter_core::outgoing(&packet, settings, &kernel, maps::sheet(cpu, Way::Out));
    }
    // Whatever else is attached has its say; what leaves is not ours to stop.
    TC_ACT_UNSPEC
}

/// The verifier rejects a program that can reach an endless loop, so a panic that is not optimised
/// away cannot be loaded.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
