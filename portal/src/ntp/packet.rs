//! Packets of SNTP (RFC 4330 §4): 48 bytes, big-endian, times in seconds since 1900 and 2⁻³² of one.

use jiff::Timestamp;

const LENGTH: usize = 48;
/// No warning, version 4, client (3).
const CLIENT: u8 = 0b00_100_011;
const SERVER_MODE: u8 = 4;
/// Seconds from 1900 to 1970.
const ERA: i64 = 2_208_988_800;
const ORIGIN: usize = 24;
const RECEIVED: usize = 32;
const SENT: usize = 40;

/// A question. What stands for our time is random: it comes back, and only in a real answer.
pub(super) fn request(nonce: [u8; 8]) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    if let Some(first) = packet.first_mut() {
        *first = CLIENT;
    }
    if let Some(place) = packet.get_mut(SENT..) {
        place.copy_from_slice(&nonce);
    }
    packet
}

/// How many milliseconds the server is ahead: ((T2 − T1) + (T3 − T4)) / 2 (RFC 4330 §5).
pub(super) fn ahead(
    reply: &[u8],
    nonce: [u8; 8],
    sent: Timestamp,
    got: Timestamp,
) -> Result<i64, String> {
    let at = |place: usize| {
        let bytes = reply.get(place..place + 8)?;
        <[u8; 8]>::try_from(bytes).ok()
    };
    let (first, stratum) = match reply {
        [first, stratum, ..] if reply.len() >= LENGTH => (*first, *stratum),
        _ => return Err("a short reply".into()),
    };
    if first & 0b111 != SERVER_MODE || at(ORIGIN) != Some(nonce) {
        return Err("no reply to our question".into());
    }
    // Stratum 0 is a refusal, 16 and more, or the warning 3, a server that has no time itself.
    if !(1..=15).contains(&stratum) || first >> 6 == 3 {
        return Err("the server does not know the time itself".into());
    }
    let times = at(RECEIVED).zip(at(SENT)).ok_or("a short reply")?;
    let (t2, t3) = (milliseconds(times.0, got), milliseconds(times.1, got));
    let (t1, t4) = (sent.as_millisecond(), got.as_millisecond());
    Ok(((t2 - t1) + (t3 - t4)) / 2)
}

/// Since 1970. The seconds of 32 bits run out in 2036 and begin again: the nearest to `near` counts.
fn milliseconds(time: [u8; 8], near: Timestamp) -> i64 {
    let [a, b, c, d, e, f, g, h] = time;
    let seconds = i64::from(u32::from_be_bytes([a, b, c, d])) - ERA;
    let fraction = i64::from(u32::from_be_bytes([e, f, g, h]));
    let round = 1_i64 << 32;
    let rounds = (near.as_second() - seconds + round / 2).div_euclid(round);
    (seconds + rounds * round) * 1_000 + ((fraction * 1_000) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 8] = *b"12345678";

    fn reply(ahead: i64, at: i64) -> Vec<u8> {
        let mut packet = vec![0b00_100_100, 2];
        packet.resize(ORIGIN, 0);
        packet.extend(NONCE);
        let seconds = u32::try_from((at + ahead + ERA).rem_euclid(1 << 32)).unwrap();
        for _ in 0..2 {
            packet.extend(seconds.to_be_bytes());
            packet.extend((1_u32 << 31).to_be_bytes());
        }
        packet
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_answer_says_how_far_ahead_it_is_also_after_2036() {
        for now in [1_800_000_000, 2_085_978_495, 2_085_978_500, 4_000_000_000] {
            for off in [-600, 0, 600] {
                let said = ahead(&reply(off, now), NONCE, at(now), at(now)).unwrap();
                assert_eq!(said, off * 1_000 + 500, "{now} {off}");
            }
        }
    }

    #[test]
    fn what_is_no_answer_to_us_is_not_believed() {
        let now = at(1_800_000_000);
        let good = reply(0, 1_800_000_000);
        let judge = |packet: &[u8]| ahead(packet, NONCE, now, now);
        assert!(judge(&good).is_ok());
        assert!(judge(&good[..47]).is_err());
        assert!(judge(&[]).is_err());
        let with = |at: usize, byte: u8| {
            let mut packet = good.clone();
            packet[at] = byte;
            packet
        };
        assert!(judge(&with(0, CLIENT)).is_err(), "our own question");
        assert!(judge(&with(0, 0b11_100_100)).is_err(), "not synchronised");
        assert!(judge(&with(1, 0)).is_err(), "a refusal");
        assert!(judge(&with(1, 16)).is_err());
        assert!(judge(&with(ORIGIN, 0)).is_err(), "to somebody else");
    }

    #[test]
    fn a_question_carries_no_time_of_ours() {
        let packet = request(NONCE);
        assert_eq!(packet.len(), 48);
        assert_eq!(packet[0], CLIENT);
        assert_eq!(&packet[SENT..], NONCE);
        assert!(packet[1..SENT].iter().all(|byte| *byte == 0));
    }
}
