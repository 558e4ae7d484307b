//! What two runs kept differently.

use super::model::{Item, Report};
use super::words;
use crate::image_path::ImagePath;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The difference, each list sorted by size, the largest first, then by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Entries of the first alone.
    pub only_first: Vec<One>,
    /// Entries of the second alone.
    pub only_second: Vec<One>,
    /// Entries of both that are not the same.
    pub changed: Vec<Changed>,
}

/// An entry of one report alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct One {
    /// Its path.
    pub path: ImagePath,
    /// Bytes of a regular file.
    pub size: u64,
    /// The kind of its first reason.
    pub kind: &'static str,
    /// Its first reason in words.
    pub reason: String,
}

/// An entry of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its path.
    pub path: ImagePath,
    /// Bytes in the first and in the second.
    pub sizes: (u64, u64),
    /// Which of `kind`, `content`, `mode`, `owner`, `target` differ.
    pub what: Vec<&'static str>,
}

impl Difference {
    /// Compares two reports. Who used a file, and when, is no difference.
    pub fn between(first: &Report, second: &Report) -> Self {
        let index = |report: &'_ Report| -> BTreeMap<ImagePath, Item> {
            let items = report.entries.iter().cloned();
            items.map(|item| (item.path.clone(), item)).collect()
        };
        let (first, second) = (index(first), index(second));
        let mut difference = Self {
            only_first: only(&first, &second),
            only_second: only(&second, &first),
            changed: Vec::new(),
        };
        for (path, one) in &first {
            let Some(other) = second.get(path) else {
                continue;
            };
            let what = changes(one, other);
            if !what.is_empty() {
                difference.changed.push(Changed {
                    path: path.clone(),
                    sizes: (one.size, other.size),
                    what,
                });
            }
        }
        difference
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.only_first.is_empty() && self.only_second.is_empty() && self.changed.is_empty()
    }
}

/// Entries and bytes of each kind of reason, the most bytes first.
pub fn by_kind(entries: &[One]) -> Vec<(&'static str, Vec<&One>, u64)> {
    let kinds: BTreeSet<&str> = entries.iter().map(|one| one.kind).collect();
    let mut groups: Vec<_> = kinds
        .into_iter()
        .map(|kind| {
            let of: Vec<&One> = entries.iter().filter(|one| one.kind == kind).collect();
            let bytes = of.iter().map(|one| one.size).sum();
            (kind, of, bytes)
        })
        .collect();
    groups.sort_by_key(|(kind, _, bytes)| (std::cmp::Reverse(*bytes), *kind));
    groups
}

fn only(of: &BTreeMap<ImagePath, Item>, other: &BTreeMap<ImagePath, Item>) -> Vec<One> {
    let mut alone: Vec<One> = of
        .values()
        .filter(|item| !other.contains_key(&item.path))
        .map(|item| One {
            path: item.path.clone(),
            size: item.size,
            kind: item.reasons.first().map_or("unknown", words::kind),
            reason: item.reasons.first().map(words::reason).unwrap_or_default(),
        })
        .collect();
    alone.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    alone
}

fn changes(one: &Item, other: &Item) -> Vec<&'static str> {
    // A digest may be missing: then the size tells.
    let content = match (&one.sha256, &other.sha256) {
        (Some(one), Some(other)) => one != other,
        _ => one.size != other.size,
    };
    [
        ("kind", one.kind != other.kind),
        ("content", content),
        ("mode", one.mode != other.mode),
        ("owner", (one.uid, one.gid) != (other.uid, other.gid)),
        ("target", one.target != other.target),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}

#[cfg(test)]
mod tests;
