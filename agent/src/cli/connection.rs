//! The SSH connection a verb is typed over, so that no configuration cuts it by mistake.
//!
//! `sudo` takes SSH_CONNECTION away, so the processes above this one are asked, too.

use std::fs;

use agent_api::Connection;

/// sshd(8): client address, client port, server address, server port.
const VARIABLE: &str = "SSH_CONNECTION";
/// Processes between a shell and us; more are not looked at.
const ANCESTORS: u32 = 64;

/// None: not over SSH, as far as one can see.
pub(super) fn own() -> Option<Connection> {
    if let Ok(text) = std::env::var(VARIABLE) {
        return parse(&text);
    }
    let mut pid = std::os::unix::process::parent_id();
    for _ in 0..ANCESTORS {
        if pid <= 1 {
            return None;
        }
        if let Some(found) = fs::read(format!("/proc/{pid}/environ"))
            .ok()
            .and_then(|environment| in_environment(&environment))
        {
            return Some(found);
        }
        pid = parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    }
    None
}

/// proc(5): `NAME=value`, each ended by a zero byte.
fn in_environment(environment: &[u8]) -> Option<Connection> {
    let mut variables = environment.split(|&byte| byte == 0);
    let text = variables.find_map(|variable| {
        let text = std::str::from_utf8(variable).ok()?;
        text.strip_prefix(VARIABLE)?.strip_prefix('=')
    })?;
    parse(text)
}

/// proc(5): the parent is the second field behind the name in parentheses, which may hold any.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn parse(text: &str) -> Option<Connection> {
    let mut words = text.split_whitespace();
    let address = |word: &str| {
        // Link-local addresses carry their interface.
        let plain = word.split('%').next().unwrap_or(word);
        plain.parse::<std::net::IpAddr>().ok()
    };
    Some(Connection {
        client: address(words.next()?)?.to_canonical(),
        server: address(words.nth(1)?)?.to_canonical(),
        port: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_is_read_as_sshd_writes_it() {
        let found = parse("::ffff:192.0.2.7 50022 2001:db8::1 22").unwrap();
        assert_eq!(found.client.to_string(), "192.0.2.7");
        assert_eq!(
            (found.server.to_string(), found.port),
            ("2001:db8::1".into(), 22)
        );
        assert!(parse("fe80::1%eth0 1 fe80::2%eth0 22").is_some());
        assert_eq!(parse("192.0.2.7 50022"), None);
        assert_eq!(
            in_environment(b"A=b\0SSH_CONNECTION=192.0.2.7 1 192.0.2.1 2\0")
                .unwrap()
                .port,
            2
        );
        assert_eq!(parent("12 (a) b) S 7 12"), Some(7));
    }
}
