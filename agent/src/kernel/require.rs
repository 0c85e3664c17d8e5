//! What the kernel must offer, asked before anything is touched.

use std::path::Path;

use super::error::KernelError;

/// `bpf_xdp_load_bytes` came with 5.18 (kernel commit 3f364222d032).
const OLDEST: (u32, u32) = (5, 18);

/// Root, a kernel that is new enough, and its BTF.
pub fn require() -> Result<(), KernelError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(KernelError::NotPermitted);
    }
    let found = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    if version(&found).is_some_and(|version| version < OLDEST) {
        return Err(KernelError::TooOld { found });
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Err(KernelError::NoBtf);
    }
    Ok(())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.18.44-x-v445"), Some((6, 18)));
        assert!(version("5.10.0-23-amd64").unwrap() < OLDEST);
        assert!(version("10.0").unwrap() > OLDEST);
    }
}
