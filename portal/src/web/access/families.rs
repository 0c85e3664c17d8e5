//! "IPv4 open, IPv6 open": what is known of each address family, and the offer to prove the other.

use agent_api::Grant;

use super::super::{
    page::{FamiliesPart, FamilyRow},
    visit::Visit,
};
use crate::{
    client_addr::ClientAddr, family::Family, live::LiveCookie, portal::Portal, text::fill,
};

/// The part of the page; None: the site has no names for it, or nothing is proven here yet.
pub(super) fn part(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    held: &[Grant],
    from: ClientAddr,
) -> Option<FamiliesPart> {
    portal.config.dual_stack.as_ref()?;
    let words = &portal.texts.of(visit.language).cross;
    let here = Family::of(from.ip());
    let row = |family: Family| {
        let known = cookie
            .addresses()
            .chain((family == here).then_some(from))
            .find(|address| Family::of(address.ip()) == family);
        let mut services: Vec<&str> = held
            .iter()
            .filter(|grant| known.is_some_and(|address| grant.source.covers(address.ip())))
            .map(|grant| grant.service.as_str())
            .collect();
        services.sort_unstable();
        services.dedup();
        let text = match (known, services.is_empty()) {
            (Some(_), false) => &words.open,
            (Some(_), true) => &words.shut,
            (None, _) => &words.unknown,
        };
        FamilyRow {
            label: fill(text, &[("family", family.name())]),
            address: known.map(|a| a.ip().to_string()).unwrap_or_default(),
            services: services.join(", "),
            open: !services.is_empty(),
            other: family != here,
        }
    };
    let named = |text: &str| fill(text, &[("family", here.other().name())]);
    let rows = Family::BOTH.map(row);
    // Once after opening or extending; not again after a crossing, or it would never end.
    let said = visit.notice.as_deref().and_then(|id| cookie.notice(id));
    let auto = rows.iter().any(|row| row.open && !row.other)
        && said.is_some_and(|said| {
            let begun = ["opened:", "extended:", "moved:"];
            begun.iter().any(|word| said.contains(word))
        });
    Some(FamiliesPart {
        rows,
        auto,
        offer: named(&words.offer),
        open: named(&words.open),
        working: named(&words.working),
        unreachable: named(&words.unreachable),
        refused: named(&words.stale),
    })
}
