//! Rows 8 and 9.

use super::*;

/// A piece of a TCP packet; `offset` in bytes.
fn v4(from: &str, id: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = packet(from, SERVER, TCP, payload);
    frame[19] = id;
    let field = (offset / 8) | if more { 0x2000 } else { 0 };
    frame[20..22].copy_from_slice(&field.to_be_bytes());
    frame
}

fn v6(from: &str, id: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    let header = [TCP, 0, high, low, 0, 0, 0, id];
    packet(from, SERVER6, 44, &[&header[..], payload].concat())
}

type Piece = fn(&str, u8, u16, bool, &[u8]) -> Vec<u8>;

fn both() -> [(Piece, &'static str, &'static str); 2] {
    [(v4, FRIEND, STRANGER), (v6, FRIEND6, STRANGER6)]
}

fn first() -> Vec<u8> {
    [tcp(40_000, 22, SYN), vec![0; 4]].concat()
}

#[test]
fn later_pieces_follow_a_first_one_that_was_passed_for_30_seconds() {
    for (piece, friend, _) in both() {
        let mut oracle = plain();
        let later = piece(friend, 7, 24, false, &[0; 9]);
        assert_eq!(oracle.says(&later, NOW), Reason::FragmentUnknown);
        assert_eq!(
            oracle.says(&piece(friend, 7, 0, true, &first()), NOW),
            Reason::Granted
        );
        assert_eq!(oracle.says(&later, NOW), Reason::Fragment);
        assert_eq!(oracle.says(&later, NOW + 30 * SECOND - 1), Reason::Fragment);
        assert_eq!(
            oracle.says(&later, NOW + 30 * SECOND),
            Reason::FragmentUnknown
        );
    }
}

#[test]
fn another_id_or_source_follows_nothing() {
    for (piece, friend, stranger) in both() {
        let mut oracle = plain();
        oracle.judge(&piece(friend, 7, 0, true, &first()), NOW);
        for (from, id) in [(friend, 8), (stranger, 7)] {
            let later = piece(from, id, 24, false, &[0; 9]);
            assert_eq!(oracle.says(&later, NOW), Reason::FragmentUnknown);
        }
    }
}

#[test]
fn a_piece_over_the_first_one_or_past_the_largest_packet_drops() {
    for (piece, friend, _) in both() {
        let mut oracle = plain();
        oracle.judge(&piece(friend, 7, 0, true, &first()), NOW);
        let over = piece(friend, 7, 16, true, &[0; 16]);
        assert_eq!(oracle.says(&over, NOW), Reason::FragmentUnknown);
        let largest = piece(friend, 7, 65_528, false, &[0; 7]);
        assert_eq!(oracle.says(&largest, NOW), Reason::Fragment);
        let past = piece(friend, 7, 65_528, false, &[0; 8]);
        assert_eq!(oracle.says(&past, NOW), Reason::FragmentUnknown);
    }
}

#[test]
fn a_first_piece_that_was_dropped_admits_nothing_even_when_observe_opened_it() {
    for (piece, _, stranger) in both() {
        let mut oracle = plain();
        oracle.observe = true;
        let opened = oracle.judge(&piece(stranger, 7, 0, true, &first()), NOW);
        assert_eq!((opened.reason, opened.passes), (Reason::NoGrant, true));
        let later = oracle.judge(&piece(stranger, 7, 24, false, &[0; 9]), NOW);
        assert_eq!(
            (later.reason, later.passes),
            (Reason::FragmentUnknown, true)
        );
    }
}

#[test]
fn a_repeated_first_piece_is_the_one_that_counts() {
    for (piece, friend, _) in both() {
        let mut oracle = plain();
        oracle.judge(&piece(friend, 7, 0, true, &first()), NOW);
        let longer = [first(), vec![0; 8]].concat();
        oracle.judge(&piece(friend, 7, 0, true, &longer), NOW + 20 * SECOND);
        let later = NOW + 40 * SECOND;
        let over = piece(friend, 7, 24, false, &[0; 8]);
        assert_eq!(oracle.says(&over, later), Reason::FragmentUnknown);
        let behind = piece(friend, 7, 32, false, &[0; 8]);
        assert_eq!(oracle.says(&behind, later), Reason::Fragment);
    }
}

#[test]
fn an_atomic_fragment_is_a_whole_packet_and_admits_nothing() {
    let mut oracle = plain();
    let atomic = v6(FRIEND6, 7, 0, false, &first());
    assert_eq!(oracle.says(&atomic, NOW), Reason::Granted);
    let later = v6(FRIEND6, 7, 24, false, &[0; 8]);
    assert_eq!(oracle.says(&later, NOW), Reason::FragmentUnknown);
}

#[test]
fn sixteen_bytes_of_tcp_are_needed_in_a_first_piece() {
    for (piece, friend, _) in both() {
        let mut oracle = plain();
        let tiny = piece(friend, 7, 0, true, &first()[..15]);
        assert_eq!(oracle.says(&tiny, NOW), Reason::FragmentUnknown);
        let enough = piece(friend, 7, 0, true, &first()[..16]);
        assert_eq!(oracle.says(&enough, NOW), Reason::Granted);
    }
}
