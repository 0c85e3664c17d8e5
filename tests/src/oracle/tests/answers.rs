//! Who is answered, by the text of the RFCs.

use super::*;

fn server(answer: Answer) -> Oracle {
    let mut oracle = world(Rate::NONE, Rate::NONE, AgentDown::Keep);
    for service in &mut oracle.config.services {
        service.answer = answer;
    }
    oracle
}

fn tcp(flags: u8) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment.splice(..4, [0x9c, 0x40, 0, 22]);
    segment.splice(12..14, [0x50, flags]);
    segment
}

/// A frame from a source to the server.
fn frame(source: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    crate::generate::Draft::new(ip(source), ip(SERVER), protocol, payload.to_vec()).frame()
}

fn answer(oracle: &mut Oracle, frame: &[u8]) -> Option<Reply> {
    let verdict = oracle.judge(frame, NOW);
    oracle.answer(frame, verdict)
}

#[test]
fn a_stranger_is_answered_as_the_service_wants() {
    let syn = frame(STRANGER, TCP, &tcp(2));
    for (wanted, due) in [
        (Answer::Silence, None),
        (Answer::Reset, Some(Reply::Reset)),
        (Answer::Prohibited, Some(Reply::Prohibited)),
    ] {
        assert_eq!(answer(&mut server(wanted), &syn), due);
    }
}

#[test]
fn who_gets_in_is_not_answered_and_neither_is_a_closed_port() {
    let mut oracle = server(Answer::Reset);
    assert_eq!(answer(&mut oracle, &frame(FRIEND, TCP, &tcp(2))), None);
    let mut other = tcp(2);
    other.splice(2..4, [0, 23]);
    assert_eq!(answer(&mut oracle, &frame(STRANGER, TCP, &other)), None);
    oracle.observe = true;
    assert_eq!(answer(&mut oracle, &frame(STRANGER, TCP, &tcp(2))), None);
}

#[test]
fn a_reset_is_not_reset_and_nobody_and_everybody_are_not_answered() {
    let mut oracle = server(Answer::Reset);
    assert_eq!(answer(&mut oracle, &frame(STRANGER, TCP, &tcp(4))), None);
    for source in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        assert_eq!(answer(&mut oracle, &frame(source, TCP, &tcp(2))), None);
    }
    let mut group = frame(STRANGER, TCP, &tcp(2));
    group.splice(..1, [0xff]);
    assert_eq!(answer(&mut oracle, &group), None);
}
