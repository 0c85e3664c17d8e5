//! Packets made wrong: bits flipped, pieces moved, ends cut off.

use super::Dice;

/// As long as a jumbo frame. The kernel puts what does not fit its first page into further ones,
/// as drivers do.
pub(super) const LONGEST: usize = 9_000;
/// What leaves is run in one buffer of less than a page (`bpf_test_init` in net/bpf/test_run.c).
pub(super) const LINEAR: usize = 3_400;

/// Makes one to three things wrong.
pub(super) fn mutate(dice: &mut Dice, frame: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        match dice.below(8) {
            0..=2 => flip(dice, frame),
            3 => overwrite(dice, frame),
            4 => cut(dice, frame),
            5 => {
                let at = dice.below(frame.len() + 1);
                let count = 1 + dice.below(8);
                let more = dice.bytes(count);
                frame.splice(at..at, more);
            }
            6 => {
                let (from, count) = (dice.below(frame.len()), 1 + dice.below(16));
                let to = (from + count).min(frame.len());
                frame.drain(from..to);
            }
            _ => swap(dice, frame),
        }
    }
    frame.truncate(LONGEST);
}

/// Ends anywhere.
pub(super) fn cut(dice: &mut Dice, frame: &mut Vec<u8>) {
    let length = dice.below(frame.len() + 1);
    frame.truncate(length);
}

/// Behind the addresses of the Ethernet header, which nobody looks at.
fn place(dice: &mut Dice, frame: &[u8]) -> usize {
    (12 + dice.below(frame.len().saturating_sub(12).clamp(1, 100))).min(frame.len())
}

fn flip(dice: &mut Dice, frame: &mut [u8]) {
    let at = place(dice, frame);
    let bit = 1 << dice.below(8);
    if let Some(byte) = frame.get_mut(at) {
        *byte ^= bit;
    }
}

fn overwrite(dice: &mut Dice, frame: &mut [u8]) {
    let at = place(dice, frame);
    let value = if dice.one_in(2) {
        dice.byte()
    } else {
        dice.of([0, 1, 6, 17, 43, 44, 50, 51, 58, 59, 60, 0x7f, 0x80, 0xff])
    };
    if let Some(byte) = frame.get_mut(at) {
        *byte = value;
    }
}

/// Two neighbouring runs of eight bytes change places.
fn swap(dice: &mut Dice, frame: &mut [u8]) {
    let at = place(dice, frame);
    if let Some(run) = frame.get_mut(at..at + 16) {
        run.rotate_left(8);
    }
}
