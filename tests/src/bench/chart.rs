//! The result as a picture: one panel of bars for each part and unit. An SVG without scripts,
//! fonts or links, readable on light and dark ground.

use std::fmt::Write as _;

use super::{
    result::{Row, Target},
    table::number,
};

/// Sizes in pixels.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 430.0;
const BARS: f64 = 400.0;
const LINE: f64 = 18.0;
const HEAD: f64 = 40.0;

const STYLE: &str = "<style>text{font:12px sans-serif;fill:#1f2933}.head{font-weight:bold;\
font-size:14px}.ours{fill:#0b7285}.peer{fill:#adb5bd}.spread{stroke:#212529;stroke-width:1}\
.target{stroke:#c92a2a;stroke-width:2}.missing{fill:#868e96;font-style:italic}</style>";

/// All rows, in their order.
pub(super) fn chart(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut top = 8.0;
    for panel in panels(rows) {
        top = draw(&mut body, &panel, top);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" \
         width=\"{WIDTH}\" height=\"{top}\">\n{STYLE}\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Rows that can share an axis. A unit may come back within a part; its rows stay together.
fn panels(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut panels: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let same = |panel: &&mut Vec<&Row>| {
            panel
                .first()
                .is_some_and(|first| first.part == row.part && first.unit == row.unit)
        };
        match panels.iter_mut().find(same) {
            Some(panel) => panel.push(row),
            None => panels.push(vec![row]),
        }
    }
    panels
}

/// Draws a panel and says where the next one begins.
fn draw(body: &mut String, panel: &[&Row], top: f64) -> f64 {
    let Some(first) = panel.first() else {
        return top;
    };
    let highest = panel
        .iter()
        .filter_map(|row| row.max)
        .fold(f64::MIN_POSITIVE, f64::max);
    let place = |value: f64| NAMES + (value / highest).clamp(0.0, 1.0) * BARS;
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "<text class=\"head\" x=\"8\" y=\"{:.0}\">{}: {}</text>",
        top + 22.0,
        escaped(first.part),
        escaped(first.unit)
    );
    let mut y = top + HEAD;
    for row in panel {
        line(body, row, y, &place);
        y += LINE;
    }
    y + 12.0
}

fn line(body: &mut String, row: &Row, y: f64, place: &dyn Fn(f64) -> f64) {
    let text = y + 12.0;
    let _ = writeln!(
        body,
        "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>",
        NAMES - 8.0,
        escaped(&row.name)
    );
    let (Some(median), Some(min), Some(max)) = (row.median, row.min, row.max) else {
        let _ = writeln!(
            body,
            "<text class=\"missing\" x=\"{NAMES}\" y=\"{text:.0}\">not available</text>"
        );
        return;
    };
    let (end, low, high) = (place(median), place(min), place(max));
    let class = if is_peer(row) { "peer" } else { "ours" };
    let middle = y + 7.0;
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{NAMES}\" y=\"{:.0}\" width=\"{:.1}\" height=\"12\"/>\
         <line class=\"spread\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.0}\" y2=\"{middle:.0}\"/>\
         <text x=\"{:.1}\" y=\"{text:.0}\">{}</text>",
        y + 1.0,
        end - NAMES,
        high + 6.0,
        number(median)
    );
    if let Some(Target::AtMost(at) | Target::AtLeast(at)) = row.target {
        let x = place(at);
        let _ = writeln!(
            body,
            "<line class=\"target\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.0}\" y2=\"{:.0}\"/>",
            y - 1.0,
            y + 15.0
        );
    }
}

/// What is not ours, by its name: it is grey.
fn is_peer(row: &Row) -> bool {
    const PEERS: [&str; 8] = [
        "bare",
        "reader",
        "hash",
        "xdp-filter",
        "nftables",
        "iptables",
        "empty",
        "/open",
    ];
    row.unit != "×" && PEERS.iter().any(|peer| row.id.contains(peer))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_line_and_no_name_breaks_the_picture() {
        let rows = [
            Row::new("a", "x", "one <&> two", "ns", vec![1.0, 2.0]).target(Target::AtMost(3.0)),
            Row::unavailable("a", "y", "peer", "ns", "no module"),
            Row::new("b", "z", "three", "×", vec![1.0]),
        ];
        let svg = chart(&rows);
        assert_eq!(svg.matches("class=\"head\"").count(), 2, "{svg}");
        assert!(svg.contains("one &lt;&amp;&gt; two"), "{svg}");
        assert!(svg.contains("not available"), "{svg}");
    }
}
