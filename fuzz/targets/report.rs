//! Reports, which `pack`, `explain` and `diff` read.

use super::path;
use micropacker::image_fs::MemFs;
use micropacker::report::Report;
use micropacker::report::diff::{Difference, by_kind};
use micropacker::report::explain::Index;
use micropacker::report::html::page;
use micropacker::resolve::{Options, resolve};

pub fn run(data: &[u8]) {
    let _ = Report::is_one(data);
    let Ok(report) = Report::read(data) else {
        return;
    };
    let mut text = Vec::new();
    report.write(&mut text).expect("in memory");
    assert!(Report::is_one(&text));
    assert_eq!(Report::read(&text).ok().as_ref(), Some(&report));
    let index = Index::new(&report);
    let named = report.entries.iter().map(|item| item.path.clone());
    for of in named.take(16).chain([path("/etc/passwd")]) {
        let _ = index.explain(&of);
    }
    assert!(Difference::between(&report, &report).is_empty());
    let none = Report::default();
    let _ = by_kind(&Difference::between(&none, &report).only_second);
    assert!(!page(&report).is_empty());
    let fs = MemFs::new().file("/etc/passwd", "").symlink("/link", "etc");
    resolve(&fs, &report.into_recording(), &Options::default());
}
