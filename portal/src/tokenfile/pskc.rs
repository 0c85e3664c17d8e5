//! Portable Symmetric Key Container (RFC 6030): tokens in XML, their secrets plain, or encrypted
//! with a key or a password that came another way. Encrypted secrets are taken only when their MAC
//! is right; documents with a DTD are refused by the reader.

mod secret;

pub(crate) use secret::Unlock;

use roxmltree::{Document, Node};

use super::{FileError, Imported, Read, before, seed, serial};
use crate::otp::{Algorithm, Moves, Recipe};
use secret::Secrets;

const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
const HOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:hotp";
const TOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:totp";

/// Reads every key package. `unlock`: what opens the secrets, if they are encrypted.
pub(crate) fn read(text: &str, unlock: Option<&Unlock>) -> Result<Vec<Read>, FileError> {
    let document = Document::parse(text).map_err(|e| FileError(format!("this is not XML: {e}")))?;
    let root = document.root_element();
    if !root.has_tag_name((PSKC, "KeyContainer")) {
        return Err(FileError(
            "this is no key container of RFC 6030 (its root element is another one)".into(),
        ));
    }
    let secrets = Secrets::of(root, unlock).map_err(FileError)?;
    let packages: Vec<Node<'_, '_>> = root
        .children()
        .filter(|node| node.has_tag_name((PSKC, "KeyPackage")))
        .collect();
    if packages.is_empty() {
        return Err(FileError("there is no token in it".into()));
    }
    Ok(packages
        .into_iter()
        .enumerate()
        .map(|(index, package)| {
            let place = format!("package {}", index + 1);
            let token = one(package, &secrets);
            Read { place, token }
        })
        .collect())
}

/// The first descendant of this name.
fn find<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.descendants()
        .find(|node| node.tag_name().name() == name)
}

fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = find(node, name)?.text()?.trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// The number under `Data/<name>/PlainValue`.
fn number(key: Node<'_, '_>, name: &str, default: i64) -> Result<i64, String> {
    let Some(node) = find(key, name) else {
        return Ok(default);
    };
    let value = text(node, "PlainValue");
    let value = value.ok_or_else(|| format!("{name} is encrypted, which is not read"))?;
    value
        .parse()
        .map_err(|_| format!("{name}: {value:?} is no number"))
}

fn one(package: Node<'_, '_>, secrets: &Secrets<'_>) -> Result<Imported, String> {
    let key = find(package, "Key").ok_or("there is no Key in it")?;
    let device = find(package, "DeviceInfo").and_then(|info| text(info, "SerialNo"));
    let own = || key.attribute("Id").map(str::to_owned);
    let serial = serial(
        &device
            .or_else(own)
            .ok_or("there is neither SerialNo nor Key Id")?,
    )?;
    let (moves, last) = match key.attribute("Algorithm") {
        Some(HOTP) => (Moves::Press, before(number(key, "Counter", 0)?)?),
        Some(TOTP) => {
            let period = number(key, "TimeInterval", 30)?;
            let seconds = u32::try_from(period).map_err(|_| format!("TimeInterval: {period} s"))?;
            (Moves::Time(seconds), 0)
        }
        other => {
            let other = other.unwrap_or("no algorithm");
            return Err(format!("{other} is neither HOTP nor TOTP"));
        }
    };
    let format = find(key, "ResponseFormat");
    if let Some(encoding) = format.and_then(|format| format.attribute("Encoding"))
        && encoding != "DECIMAL"
    {
        return Err(format!("codes in {encoding} are not typed by people"));
    }
    let digits = format
        .and_then(|format| format.attribute("Length"))
        .unwrap_or("6");
    let algorithm = match text(key, "Suite") {
        Some(suite) => suite.parse::<Algorithm>()?,
        None => Algorithm::Sha1,
    };
    let recipe = digits
        .parse()
        .ok()
        .and_then(|n| Recipe::new(moves, algorithm, n));
    let recipe =
        recipe.ok_or_else(|| format!("there are no tokens of {digits} digits like this"))?;
    let secret = find(key, "Secret").ok_or("there is no Secret in it")?;
    Ok(Imported {
        serial,
        seed: seed(secrets.open(secret)?)?,
        recipe,
        last,
    })
}
