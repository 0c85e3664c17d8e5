//! Traffic whose every packet is accounted for: an echo server, and a flow of small numbered
//! datagrams that knows exactly which ones came back. Talks only to the address it is given.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::clock;

/// What a flow saw.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct FlowReport {
    pub sent: u64,
    pub returned: u64,
    /// Milliseconds from the start to the last echo. None: none came.
    pub last_after_ms: Option<u64>,
}

impl FlowReport {
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.returned)
    }
}

/// Answers every datagram and every byte on these ports, until it is killed.
pub fn serve_echo(udp: &[u16], tcp: &[u16]) -> Result<()> {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let mut threads = Vec::new();
    for &port in udp {
        let socket = UdpSocket::bind((any, port)).with_context(|| format!("udp/{port}"))?;
        threads.push(thread::spawn(move || echo_datagrams(&socket)));
    }
    for &port in tcp {
        let listener = TcpListener::bind((any, port)).with_context(|| format!("tcp/{port}"))?;
        threads.push(thread::spawn(move || echo_streams(&listener)));
    }
    println!("echo is listening");
    for thread in threads {
        // A thread that ended is a socket that failed; the others go on.
        drop(thread.join());
    }
    Ok(())
}

/// Answers every datagram on a socket, for ever.
pub fn echo_datagrams(socket: &UdpSocket) {
    let mut buffer = [0; 65536];
    loop {
        if let Ok((length, peer)) = socket.recv_from(&mut buffer)
            && let Some(data) = buffer.get(..length)
        {
            // A peer that is gone is no reason to stop answering the others.
            drop(socket.send_to(data, peer));
        }
    }
}

/// Answers every byte of every connection, for ever.
pub fn echo_streams(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || echo_bytes(stream));
    }
}

fn echo_bytes(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length) = stream.read(&mut buffer) {
        match buffer.get(..length) {
            Some(data) if length > 0 && stream.write_all(data).is_ok() => {}
            _ => return,
        }
    }
}

/// Sends `rate` datagrams a second for `length`, and counts the different ones that came back
/// until 500 ms after the last was sent.
pub fn flow(to: SocketAddr, rate: u32, length: Duration) -> Result<FlowReport> {
    let local: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse()?;
    let socket = UdpSocket::bind(local)?;
    socket
        .connect(to)
        .with_context(|| format!("cannot reach {to}"))?;
    let start = clock::instant();
    let receiver = {
        let socket = socket.try_clone()?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        thread::spawn(move || receive(&socket, start, length + Duration::from_millis(500)))
    };
    let pause = Duration::from_secs(1) / rate.max(1);
    let mut sent = 0_u64;
    while start.elapsed() < length {
        // An ICMP error of an earlier datagram is reported here; this one still has to go out.
        if socket.send(&sent.to_be_bytes()).is_err() {
            drop(socket.send(&sent.to_be_bytes()));
        }
        sent += 1;
        let due = pause * u32::try_from(sent).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    let (returned, last) = receiver.join().unwrap_or_default();
    let last_after_ms = last.and_then(|last| u64::try_from(last.as_millis()).ok());
    Ok(FlowReport {
        sent,
        returned,
        last_after_ms,
    })
}

fn receive(
    socket: &UdpSocket,
    start: std::time::Instant,
    until: Duration,
) -> (u64, Option<Duration>) {
    let mut seen = std::collections::HashSet::new();
    let mut last = None;
    let mut number = [0; 8];
    while start.elapsed() < until {
        if socket
            .recv(&mut number)
            .is_ok_and(|length| length == number.len())
            && seen.insert(u64::from_be_bytes(number))
        {
            last = Some(start.elapsed());
        }
    }
    (seen.len() as u64, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datagram_over_loopback_comes_back() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        thread::spawn(move || echo_datagrams(&server));
        let report = flow(to, 1000, Duration::from_millis(100)).unwrap();
        assert!(report.sent >= 50, "{report:?}");
        assert_eq!(report.lost(), 0, "{report:?}");
    }

    #[test]
    fn a_flow_to_nobody_returns_nothing() {
        let to = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let report = flow(to, 100, Duration::from_millis(50)).unwrap();
        assert_eq!(
            (report.returned, report.last_after_ms),
            (0, None),
            "{report:?}"
        );
    }
}
