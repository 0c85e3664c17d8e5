//! Drawings and PNGs are taken; what runs, loads or is something else is refused.

use super::*;

fn svg(inside: &str) -> Result<(), String> {
    let text = format!(
        "<svg xmlns=\"{SVG}\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 9 9\">{inside}</svg>"
    );
    check_svg(text.as_bytes())
}

#[test]
fn drawing_is_taken() {
    for inside in [
        "<path d=\"M0 0h9\" fill=\"#123456\"/>",
        "<defs><linearGradient id=\"a\"/></defs><rect fill=\"url(#a)\" width=\"9\" height=\"9\"/>",
        "<style>.a { fill: #fff }</style><use href=\"#b\"/><use xlink:href=\"#b\"/>",
        "<title>Example Corp</title><text>Once upon a time</text>",
    ] {
        assert_eq!(svg(inside), Ok(()), "{inside}");
    }
}

#[test]
fn what_runs_or_loads_is_refused() {
    for inside in [
        "<script>alert(1)</script>",
        "<SCRIPT href=\"#a\"/>",
        "<rect onload=\"alert(1)\"/>",
        "<rect ONCLICK=\"alert(1)\"/>",
        "<foreignObject/>",
        "<set attributeName=\"href\" to=\"javascript:alert(1)\"/>",
        "<animate attributeName=\"href\"/>",
        "<image href=\"https://example.com/a.png\"/>",
        "<image xlink:href=\"//example.com/a.png\"/>",
        "<image href=\"data:image/svg+xml,x\"/>",
        "<a href=\"javascript:alert(1)\"/>",
        "<style>@import 'https://example.com/a.css';</style>",
        "<style>.a { fill: url( 'https://example.com/a') }</style>",
        "<style>.a { fill: u\\72l(https://example.com/a) }</style>",
        "<rect fill=\"url(https://example.com/a#b)\"/>",
        "<rect style=\"background: url(a.png)\"/>",
        "<?xml-stylesheet href=\"a.css\"?>",
    ] {
        assert!(svg(inside).is_err(), "{inside}");
    }
}

#[test]
fn what_is_no_svg_is_refused() {
    let entity = format!("<!DOCTYPE svg [<!ENTITY a \"b\">]><svg xmlns=\"{SVG}\">&a;</svg>");
    for text in ["", "<svg/>", "<html/>", "not xml", entity.as_str(), "<svg"] {
        assert!(check_svg(text.as_bytes()).is_err(), "{text}");
    }
    assert!(check_svg(b"\xff\xfe").is_err());
}

#[test]
fn png_is_known_by_its_head_and_bounded() {
    let png = |width: u32, height: u32| {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    };
    assert_eq!(check_png(&png(200, 60)), Ok(()));
    for (width, height) in [(0, 60), (200, 0), (4097, 1), (1, u32::MAX)] {
        assert!(check_png(&png(width, height)).is_err(), "{width}×{height}");
    }
    assert!(check_png(b"GIF89a").is_err());
    assert!(check_png(&png(200, 60)[..18]).is_err());
}

#[test]
fn the_name_decides_and_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Picture::open(&path)
    };
    let drawing = format!("<svg xmlns=\"{SVG}\"/>");
    let taken = file("a.svg", drawing.as_bytes()).unwrap();
    assert_eq!(taken.kind().media_type(), "image/svg+xml");
    let other = file("a.png", drawing.as_bytes()).unwrap_err().to_string();
    assert!(
        other.contains("a.png") && other.contains("no PNG"),
        "{other}"
    );
    assert!(file("a.gif", b"GIF89a").is_err());
    let large = vec![b' '; 300 * 1024];
    assert!(
        file("b.svg", &large)
            .unwrap_err()
            .to_string()
            .contains("bytes")
    );
    assert!(Picture::open(&folder.path().join("none.svg")).is_err());
}
