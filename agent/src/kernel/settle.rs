//! Which pinned maps this version goes on with, decided before the program is loaded.
//!
//! All of ours as they are; or the tables anew and, of what traffic left behind, every map that
//! another version has with the same meaning. The running program keeps its own maps until the link
//! is updated, so nothing here changes a verdict.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::maps::MapData;

use super::{
    error::KernelError,
    layout::{Content, LAYOUTS, Layout},
    pins::Pins,
};

/// Where the pins will be of what is not there afterwards, and is made by the loader. Maps of two
/// makings are never mixed, but for those whose every entry means something by itself.
pub(super) fn settle(pins: &Pins, capacity: u32) -> Result<Vec<PathBuf>, KernelError> {
    if LAYOUTS
        .iter()
        .all(|layout| opened(layout, &pins.map(layout), capacity).is_some())
    {
        return Ok(Vec::new());
    }
    let mut made = Vec::new();
    for layout in &LAYOUTS {
        let ours = pins.map(layout);
        if layout.content == Content::Memory && opened(layout, &ours, capacity).is_some() {
            continue;
        }
        match fs::remove_file(&ours) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("removing {}", ours.display());
                return Err(KernelError::io(what, error));
            }
            _ => {}
        }
        if layout.content == Content::Tables || !adopt(pins, layout, capacity)? {
            made.push(ours);
        }
    }
    Ok(made)
}

/// The very map of another version under our name, too: what its program goes on to write until
/// the link is updated is not lost. False: no version has it.
fn adopt(pins: &Pins, layout: &Layout, capacity: u32) -> Result<bool, KernelError> {
    let theirs = pins
        .map_elsewhere(layout)
        .into_iter()
        .find_map(|path| opened(layout, &path, capacity));
    let Some(map) = theirs else {
        return Ok(false);
    };
    let ours = pins.map(layout);
    map.pin(&ours).map_err(|error| {
        KernelError::io(
            format!("pinning {}", ours.display()),
            io::Error::other(error),
        )
    })?;
    Ok(true)
}

fn opened(layout: &Layout, path: &Path, capacity: u32) -> Option<MapData> {
    let map = MapData::from_pin(path).ok()?;
    layout.fits(&map, capacity).then_some(map)
}
