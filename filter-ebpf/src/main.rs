//! The kernel program. It hands the packet and the maps to `filter_core::decide`, counts the
//! reason at one exit, and answers pass or drop. It decides nothing itself.
#![no_std]
#![no_main]

mod clock;
mod frame;
mod maps;
mod policy;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_abi::{Action, Reason, Settings};
use filter_core::decide;

use crate::{frame::Frame, policy::Kernel};

/// Entry point, one for each packet that arrives on an interface the filter is attached to.
#[xdp]
fn sekisho(context: XdpContext) -> u32 {
    match maps::settings() {
        Some(settings) => verdict(&context, &settings),
        // The agent writes the settings before it attaches; without them nobody knows what is
        // protected, so nothing passes. There is no counter to name it by, either.
        None => xdp_action::XDP_DROP,
    }
}

#[inline(always)]
fn verdict(context: &XdpContext, settings: &Settings) -> u32 {
    let reason = decide(&Frame::new(context), settings, &Kernel).admit();
    let opened = settings.has(Settings::OBSERVE) && reason.opened_by_observe();
    // Dead code to the verifier, which removes it, unless the agent loads the program with a level.
    aya_log_ebpf::debug!(context, "reason {}", reason as u32);
    maps::count(if opened {
        reason as u32 + Reason::COUNT
    } else {
        reason as u32
    });
    match reason.action() {
        Action::Drop if !opened => xdp_action::XDP_DROP,
        _ => xdp_action::XDP_PASS,
    }
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
