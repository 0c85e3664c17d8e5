//! Any bytes as the beginning of a connection that speaks PROXY v2: read or refused, and a source
//! is only what stands in the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../portal/src/serve/proxy_v2"]
mod proxy_v2 {
    mod header;

    use std::net::IpAddr;

    pub(super) fn read(bytes: &[u8]) {
        let Some((head, rest)) = bytes.split_first_chunk::<{ header::HEAD }>() else {
            return;
        };
        let Ok(head_read) = header::Head::parse(head) else {
            return;
        };
        assert_eq!(head[..12], header::SIGNATURE);
        let Some(body) = rest.get(..head_read.body_length()) else {
            return;
        };
        if let Ok(Some(source)) = head_read.source(body) {
            let stands_there = match source {
                IpAddr::V4(source) => body.windows(4).any(|four| four == source.octets()),
                IpAddr::V6(source) => body.starts_with(&source.octets()),
            };
            assert!(stands_there, "{source} was made up");
        }
    }
}

fuzz_target!(|bytes: &[u8]| proxy_v2::read(bytes));
