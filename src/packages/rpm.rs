//! rpm's databases: SQLite's (Fedora, RHEL 9 and their like) and its own (SUSE). That of
//! Berkeley DB, which rpm left in 2020, is not read.

mod header;
mod ndb;
mod sqlite;

use super::{Installed, unreadable};
use crate::image_fs::{FileKind, ImageFs, ReadAt, walk};
use crate::image_path::ImagePath;
use sqlite::{Database, Value};
use std::io;

/// Where distributions keep it; one of them is often a symlink to the other.
const PLACES: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

/// A write-ahead log beyond this is not rpm's: it empties it when it ends.
const LOG_LIMIT: u64 = 64 << 20;

/// Calls `each` with the packages of a database's file.
type Reader = fn(&dyn ImageFs, &ImagePath, &mut dyn FnMut(&[u8])) -> io::Result<()>;

const FORMATS: [(&str, Reader); 2] = [("rpmdb.sqlite", read_sqlite), ("Packages.db", read_ndb)];

/// The installed packages and their files; `None` where no database could be read.
pub(super) fn installed(fs: &dyn ImageFs, problems: &mut Vec<String>) -> Option<Vec<Installed>> {
    for path in databases(fs) {
        let name = path.file_name().unwrap_or_default();
        let Some((_, read)) = FORMATS.iter().find(|(known, _)| known.as_bytes() == name) else {
            continue;
        };
        let mut found = Vec::new();
        match read(fs, &path, &mut |blob| found.extend(header::parse(blob))) {
            Ok(()) => return Some(found),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    None
}

/// Whether there is a place for databases at all.
pub(super) fn has_place(fs: &dyn ImageFs) -> bool {
    let mut places = PLACES.iter().filter_map(ImagePath::new);
    places.any(|place| fs.lstat(&place).is_ok())
}

/// The files, physical, that may be databases we read.
pub(super) fn databases(fs: &dyn ImageFs) -> Vec<ImagePath> {
    let mut found = Vec::new();
    for place in PLACES.iter().filter_map(ImagePath::new) {
        for (name, _) in FORMATS {
            let Some(path) = place.join(name) else {
                continue;
            };
            if let Ok((physical, meta)) = walk(fs, &path, true).end
                && meta.kind == FileKind::Regular
                && !found.contains(&physical)
            {
                found.push(physical);
            }
        }
    }
    found
}

fn read_sqlite(fs: &dyn ImageFs, path: &ImagePath, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let file: Box<dyn ReadAt> = fs.open(path)?;
    let log = ImagePath::new([path.as_bytes(), b"-wal"].concat())
        .filter(|log| fs.lstat(log).is_ok())
        .map(|log| fs.read(&log, LOG_LIMIT))
        .transpose()?;
    let database = Database::open(file.as_ref(), log.as_deref())?;
    database.rows("Packages", &mut |row| {
        if let Some(Value::Bytes(blob)) = row.get(1) {
            each(blob);
        }
        Ok(())
    })
}

fn read_ndb(fs: &dyn ImageFs, path: &ImagePath, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    ndb::headers(fs.open(path)?.as_ref(), each)
}

#[cfg(test)]
mod tests;
