//! Row 17.

use super::*;

const PEER: &str = "192.0.2.53";
const PEER6: &str = "2001:db8:1::53";

fn pairs() -> [(&'static str, &'static str); 2] {
    [(SERVER, PEER), (SERVER6, PEER6)]
}

#[test]
fn a_datagram_is_answered_for_30_seconds_and_a_conversation_for_180() {
    for (own, peer) in pairs() {
        let mut oracle = plain();
        let question = packet(own, peer, UDP, &udp(50_000, 53));
        let answer = packet(peer, own, UDP, &udp(53, 50_000));
        assert_eq!(oracle.says(&answer, NOW), Reason::NoService);
        oracle.outgoing(&question, NOW);
        for other in [udp(54, 50_000), udp(53, 50_001)] {
            let frame = packet(peer, own, UDP, &other);
            assert_eq!(oracle.says(&frame, NOW), Reason::NoService);
        }
        let late = NOW + 30 * SECOND;
        assert_eq!(oracle.clone().says(&answer, late), Reason::NoService);
        assert_eq!(oracle.says(&answer, late - 1), Reason::Reply);
        let later = late - 1 + 180 * SECOND;
        assert_eq!(oracle.clone().says(&answer, later), Reason::NoService);
        assert_eq!(oracle.says(&answer, later - 1), Reason::Reply);
    }
}

#[test]
fn a_connection_is_answered_but_never_opened_from_outside() {
    for (own, peer) in pairs() {
        let mut oracle = plain();
        let out = |flags| packet(own, peer, TCP, &tcp(50_000, 443, flags));
        let back = |flags| packet(peer, own, TCP, &tcp(443, 50_000, flags));
        oracle.outgoing(&out(ACK), NOW);
        assert_eq!(oracle.says(&back(ACK), NOW), Reason::NoService);
        oracle.outgoing(&out(SYN), NOW);
        assert_eq!(oracle.says(&back(SYN), NOW), Reason::NoService);
        // A packet before the handshake passes, and changes nothing.
        assert_eq!(oracle.says(&back(ACK), NOW + 59 * SECOND), Reason::Reply);
        let mut silent = oracle.clone();
        assert_eq!(
            silent.says(&back(ACK), NOW + 119 * SECOND),
            Reason::NoService
        );
        assert_eq!(
            oracle.says(&back(SYN | ACK), NOW + 60 * SECOND),
            Reason::Reply
        );
        let established = NOW + 7_400 * SECOND;
        assert_eq!(oracle.says(&back(ACK), established), Reason::Reply);
        assert_eq!(oracle.says(&back(FIN | ACK), established), Reason::Reply);
        let closed = established + 240 * SECOND;
        assert_eq!(oracle.says(&back(ACK), closed - 1), Reason::Reply);
        assert_eq!(
            oracle.says(&back(ACK), closed + 240 * SECOND),
            Reason::NoService
        );
    }
}

#[test]
fn a_reset_closes_from_either_side() {
    for sent in [true, false] {
        let mut oracle = plain();
        let out = |flags| packet(SERVER, PEER, TCP, &tcp(50_000, 443, flags));
        let back = |flags| packet(PEER, SERVER, TCP, &tcp(443, 50_000, flags));
        oracle.outgoing(&out(SYN), NOW);
        assert_eq!(oracle.says(&back(SYN | ACK), NOW), Reason::Reply);
        if sent {
            oracle.outgoing(&out(RST), NOW);
        } else {
            assert_eq!(oracle.says(&back(RST), NOW), Reason::Reply);
        }
        let late = NOW + 240 * SECOND;
        assert_eq!(oracle.clone().says(&back(ACK), late - 1), Reason::Reply);
        assert_eq!(oracle.says(&back(ACK), late), Reason::NoService);
    }
}

#[test]
fn an_echo_is_answered_by_its_identifier() {
    for (own, peer, protocol, request, reply) in
        [(SERVER, PEER, 1, 8, 0), (SERVER6, PEER6, 58, 128, 129)]
    {
        let mut oracle = plain();
        oracle.outgoing(
            &packet(own, peer, protocol, &[request, 0, 0, 0, 7, 7, 0, 1]),
            NOW,
        );
        let back = |kind, id| packet(peer, own, protocol, &[kind, 0, 0, 0, 7, id, 0, 1]);
        assert_eq!(oracle.says(&back(reply, 7), NOW), Reason::Reply);
        assert_eq!(oracle.says(&back(reply, 8), NOW), Reason::NoService);
        assert_eq!(oracle.says(&back(request, 7), NOW), Reason::NoService);
        let late = NOW + 30 * SECOND;
        assert_eq!(oracle.says(&back(reply, 7), late), Reason::NoService);
    }
}

#[test]
fn what_a_service_or_a_stranger_sends_opens_nothing() {
    let mut oracle = plain();
    // A service's own side: the answer is judged as the service.
    oracle.outgoing(&packet(SERVER, PEER, TCP, &tcp(22, 50_000, SYN)), NOW);
    let back = packet(PEER, SERVER, TCP, &tcp(50_000, 22, ACK));
    assert_eq!(oracle.says(&back, NOW), Reason::NoGrant);
    // Not protected: whatever it sends is not recorded.
    oracle.outgoing(&packet(STRANGER, SERVER, UDP, &udp(53, 50_000)), NOW);
    let back = packet(SERVER, STRANGER, UDP, &udp(50_000, 53));
    assert_eq!(oracle.says(&back, NOW), Reason::NotProtected);
}

#[test]
fn a_lease_is_answered_by_any_server() {
    for from in ["0.0.0.0", SERVER] {
        let mut oracle = plain();
        let offer = packet(PEER, SERVER, UDP, &udp(67, 68));
        assert_eq!(oracle.says(&offer, NOW), Reason::NoService);
        oracle.outgoing(&packet(from, "255.255.255.255", UDP, &udp(68, 67)), NOW);
        assert_eq!(oracle.says(&offer, NOW + 30 * SECOND - 1), Reason::Reply);
        let other = packet(PEER, SERVER, UDP, &udp(67, 69));
        assert_eq!(oracle.says(&other, NOW), Reason::NoService);
    }
}

#[test]
fn pieces_of_a_reply_pass_behind_their_first() {
    let mut oracle = plain();
    oracle.outgoing(&packet(SERVER, PEER, UDP, &udp(50_000, 53)), NOW);
    let mut first = packet(PEER, SERVER, UDP, &udp(53, 50_000));
    first[20] = 0x20;
    let mut later = packet(PEER, SERVER, UDP, &[0; 8]);
    later[21] = 1;
    assert_eq!(oracle.says(&later, NOW), Reason::FragmentUnknown);
    assert_eq!(oracle.says(&first, NOW), Reason::Reply);
    assert_eq!(oracle.says(&later, NOW), Reason::Fragment);
}
