//! Differences of two reports.

use super::super::testing::{item, opened, path, report};
use super::*;
use crate::manifest::Reason;
use crate::recording::Origin;

#[test]
fn the_same_files_by_other_processes_are_no_difference() {
    let other = Reason::Used {
        access: crate::recording::Access::PROBE,
        first: Origin {
            pid: 99,
            program: None,
            call: "stat".into(),
        },
    };
    let first = report(vec![item("/a", &[opened()])], &[]);
    let second = report(vec![item("/a", &[other])], &[]);
    assert!(Difference::between(&first, &second).is_empty());
}

#[test]
fn entries_of_one_alone_are_grouped_by_reason_the_largest_first() {
    let mut large = item("/large", &[opened()]);
    large.size = 100;
    let needed = item("/lib", &[Reason::NeededBy(path("/large"))]);
    let first = report(vec![item("/small", &[opened()]), large, needed], &[]);
    let difference = Difference::between(&first, &report(vec![], &[]));
    let groups: Vec<_> = by_kind(&difference.only_first)
        .into_iter()
        .map(|(kind, of, bytes)| {
            let paths: Vec<String> = of.iter().map(|one| one.path.to_string()).collect();
            format!("{kind} {bytes} {}", paths.join(" "))
        })
        .collect();
    assert_eq!(groups, ["used 110 /large /small", "library 10 /lib"]);
    assert!(difference.only_second.is_empty() && difference.changed.is_empty());
    let turned = Difference::between(&report(vec![], &[]), &first);
    assert_eq!(turned.only_second, difference.only_first);
}

#[test]
fn what_changed_is_named() {
    let one = item("/a", &[opened()]);
    let mut other = one.clone();
    other.size = 11;
    other.mode = "0600".to_owned();
    other.gid = 5;
    let what = |first: &Item, second: &Item| {
        let (first, second) = (
            report(vec![first.clone()], &[]),
            report(vec![second.clone()], &[]),
        );
        let changed = Difference::between(&first, &second).changed;
        changed
            .into_iter()
            .flat_map(|one| one.what)
            .collect::<Vec<_>>()
    };
    assert_eq!(what(&one, &other), ["content", "mode", "owner"]);
    let mut hashed = one.clone();
    hashed.sha256 = Some("0".to_owned());
    assert!(what(&one, &hashed).is_empty(), "one digest is not known");
    let mut differently = hashed.clone();
    differently.sha256 = Some("1".to_owned());
    assert_eq!(what(&hashed, &differently), ["content"]);
}
