//! For labs: a CA of the portal's own and a certificate for its addresses, made when missing, for
//! other addresses, or near their end. The CA stays, so that clients who trust it go on trusting.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::config::Config;

const LIFE_DAYS: i32 = 397;
const RENEW_DAYS: i32 = 30;
const CA_YEARS: i32 = 10;

/// A day as rcgen wants it; a macro because its type is of a crate we do not name.
macro_rules! day {
    ($date:expr) => {{
        let date: Date = $date;
        let number = |n: i8| u8::try_from(n).unwrap_or(1);
        date_time_ymd(
            i32::from(date.year()),
            number(date.month()),
            number(date.day()),
        )
    }};
}

/// Where the files are and what the certificate must name.
#[derive(Debug)]
pub(super) struct SelfSigned {
    directory: PathBuf,
    names: Vec<String>,
    subject: String,
}

impl SelfSigned {
    pub(super) fn new(directory: PathBuf, config: &Config) -> Self {
        let portal = &config.portal;
        let mut names: Vec<String> = portal
            .listen
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        let host = portal
            .public_url
            .as_deref()
            .and_then(|url| url.strip_prefix("https://"));
        names.extend(host.map(|host| host.split(['/', ':']).next().unwrap_or(host).to_owned()));
        let origins = config.origins();
        names.extend(origins.iter().map(|origin| origin.host().to_owned()));
        names.push("localhost".into());
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Self {
            directory,
            names,
            subject: portal.name.clone(),
        }
    }

    /// Certificate and key.
    pub(super) fn files(&self) -> (PathBuf, PathBuf) {
        (
            self.directory.join("cert.pem"),
            self.directory.join("key.pem"),
        )
    }

    /// What `made.txt` says of a certificate: its last day and its names.
    fn note(&self, until: Date) -> String {
        format!("{until} {}\n", self.names.join(" "))
    }

    fn is_good(&self, today: Date) -> bool {
        let (certificate, key) = self.files();
        let note = fs::read_to_string(self.directory.join("made.txt")).unwrap_or_default();
        let until = note
            .split(' ')
            .next()
            .and_then(|day| day.parse::<Date>().ok());
        let Some(until) = until else { return false };
        certificate.exists()
            && key.exists()
            && note == self.note(until)
            && today
                .checked_add(RENEW_DAYS.days())
                .is_ok_and(|soon| soon < until)
    }

    /// Makes what is missing or near its end.
    pub(super) fn renew(&self, now: Timestamp) -> Result<()> {
        let today = now.to_zoned(TimeZone::UTC).date();
        if self.is_good(today) {
            return Ok(());
        }
        let directory = &self.directory;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let ca = self.authority(today)?;
        let key = KeyPair::generate()?;
        let until = today.checked_add(LIFE_DAYS.days())?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.subject.as_str());
        params.not_before = day!(today.checked_sub(1.day())?);
        params.not_after = day!(until);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = self
            .names
            .iter()
            .map(|name| san(name))
            .collect::<Result<_>>()?;
        let certificate = params.signed_by(&key, &ca)?;
        let (certificate_file, key_file) = self.files();
        write(&key_file, &key.serialize_pem(), 0o600)?;
        write(&certificate_file, &certificate.pem(), 0o644)?;
        write(&directory.join("made.txt"), &self.note(until), 0o644)
    }

    /// The CA: its key read from the file, or made. The certificate's content is always the same,
    /// so it need not be read back.
    fn authority(&self, today: Date) -> Result<Issuer<'static, KeyPair>> {
        let (file, key_file) = (
            self.directory.join("ca.pem"),
            self.directory.join("ca-key.pem"),
        );
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "sekisho lab CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if let (true, Ok(pem)) = (file.exists(), fs::read_to_string(&key_file)) {
            let key = KeyPair::from_pem(&pem)
                .with_context(|| format!("{} is no private key", key_file.display()))?;
            return Ok(Issuer::new(params, key));
        }
        let key = KeyPair::generate()?;
        params.not_before = day!(today.checked_sub(1.day())?);
        params.not_after = day!(today.checked_add(CA_YEARS.years())?);
        let certificate = params.self_signed(&key)?;
        write(&key_file, &key.serialize_pem(), 0o600)?;
        write(&file, &certificate.pem(), 0o644)?;
        Ok(Issuer::new(params, key))
    }
}

fn san(name: &str) -> Result<SanType> {
    Ok(match name.parse() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let aside = path.with_extension("new");
    let write = || {
        let _ = fs::remove_file(&aside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// For `check`: the directory can be there.
pub(super) fn check(directory: &Path) -> Result<()> {
    if directory.exists() && !directory.is_dir() {
        anyhow::bail!("{} is not a directory", directory.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_is_renewed_for_time_and_names_and_the_ca_stays() {
        let folder = tempfile::tempdir().unwrap();
        let signed = |name: &str| SelfSigned {
            directory: folder.path().to_owned(),
            names: vec![name.into(), "localhost".into()],
            subject: "Test".into(),
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let later = Timestamp::from_second(1_800_000_000 + 380 * 86_400).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        signed("192.0.2.1").renew(now).unwrap();
        let (ca, first) = (read("ca.pem"), read("cert.pem"));
        signed("192.0.2.1").renew(now).unwrap();
        assert_eq!(read("cert.pem"), first, "nothing to do");
        signed("192.0.2.2").renew(now).unwrap();
        let second = read("cert.pem");
        assert_ne!(second, first, "other names");
        signed("192.0.2.2").renew(later).unwrap();
        assert_ne!(read("cert.pem"), second, "near its end");
        assert_eq!(read("ca.pem"), ca, "clients go on trusting");
    }
}
