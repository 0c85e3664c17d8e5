//! PROXY v2 headers, well-formed and not, and who must send them.

use std::{net::Ipv6Addr, path::Path};

use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use super::{header::SIGNATURE, *};

fn header(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.extend([version_command, family]);
    out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    out.extend(body);
    out
}

fn read(bytes: &[u8]) -> Result<Peer, HeaderError> {
    let (head, body) = bytes.split_first_chunk::<HEAD>().unwrap();
    peer_of(Head::parse(head)?, body)
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0x20, 0xfb];

fn v6(source: &str) -> Vec<u8> {
    let mut body = source.parse::<Ipv6Addr>().unwrap().octets().to_vec();
    body.extend([0; 20]);
    body
}

fn address(text: &str) -> Result<Peer, HeaderError> {
    Ok(Peer::Address(text.parse().unwrap()))
}

#[test]
fn well_formed_headers_name_the_source() {
    let mut extended = V4.to_vec();
    extended.extend([0x03, 0, 4, 1, 2, 3, 4]);
    let table = [
        (header(0x21, 0x11, &V4), address("192.0.2.7")),
        (header(0x21, 0x11, &extended), address("192.0.2.7")),
        (
            header(0x21, 0x21, &v6("2001:db8::7")),
            address("2001:db8::7"),
        ),
        (
            header(0x21, 0x21, &v6("::ffff:192.0.2.7")),
            address("192.0.2.7"),
        ),
        (header(0x20, 0x00, &[]), Ok(Peer::Nobody)),
        (header(0x20, 0x11, &V4), Ok(Peer::Nobody)),
    ];
    for (bytes, expected) in table {
        assert_eq!(read(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn everything_else_is_refused() {
    let mut v1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec();
    v1.truncate(16);
    let table = [
        (v1, HeaderError::Signature),
        (header(0x11, 0x11, &V4), HeaderError::Version),
        (header(0x31, 0x11, &V4), HeaderError::Version),
        (header(0x22, 0x11, &V4), HeaderError::Command),
        (header(0x2f, 0x11, &V4), HeaderError::Command),
        (header(0x21, 0x12, &V4), HeaderError::Family),
        (header(0x21, 0x00, &V4), HeaderError::Family),
        (header(0x21, 0x31, &[0; 216]), HeaderError::Family),
        (header(0x21, 0x11, &V4[..11]), HeaderError::Length),
        (header(0x21, 0x21, &V4), HeaderError::Length),
        (header(0x21, 0x11, &[0; 4000]), HeaderError::Length),
    ];
    for (bytes, expected) in table {
        assert_eq!(read(&bytes), Err(expected), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_listed_peer_must_send_the_header_and_others_must_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let listed = ProxyAcceptor::new(&["127.0.0.0/8".parse().unwrap()]);
    let unlisted = ProxyAcceptor::new(&["192.0.2.0/24".parse().unwrap()]);
    let proper = header(0x21, 0x11, &V4);
    for (acceptor, sent, expected) in [
        (
            &listed,
            proper.as_slice(),
            Some(address("192.0.2.7").unwrap()),
        ),
        (
            &listed,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no header",
            None,
        ),
        (&listed, b"short", None),
        (
            &unlisted,
            proper.as_slice(),
            Some(address("127.0.0.1").unwrap()),
        ),
    ] {
        let mut client = TcpStream::connect(at).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(acceptor.peer(&mut server).await.ok(), expected);
    }
}

/// The seeds of the fuzz target, and whatever it found: parsing ends, and what is taken for a
/// source stands in the bytes.
#[test]
fn inputs_of_the_fuzz_target_are_read_or_refused() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/proxy_v2");
    let mut taken = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let Some((head, body)) = bytes.split_first_chunk::<HEAD>() else {
            continue;
        };
        taken += u32::from(Head::parse(head).is_ok_and(|head| peer_of(head, body).is_ok()));
    }
    assert!(taken >= 3, "only {taken} seeds are proper headers");
}
