//! Reports for tests.

use super::model::{Item, LeftOut, Report};
use crate::image_fs::FileKind;
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, Reason};
use crate::recording::{Access, Origin};

pub(super) fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

pub(super) fn opened() -> Reason {
    Reason::Used {
        access: Access::OPEN,
        first: Origin {
            pid: 7,
            program: Some(path("/bin/app")),
            call: "openat".into(),
        },
    }
}

pub(super) fn item(at: &str, reasons: &[Reason]) -> Item {
    Item {
        path: path(at),
        kind: FileKind::Regular,
        size: 10,
        sha256: None,
        mode: "0644".to_owned(),
        uid: 0,
        gid: 0,
        target: None,
        package: None,
        reasons: reasons.to_vec(),
    }
}

pub(super) fn report(entries: Vec<Item>, excluded: &[(&str, Exclusion)]) -> Report {
    let left_out = |(at, why): &(&str, Exclusion)| LeftOut {
        path: path(at),
        why: why.clone(),
    };
    Report {
        entries,
        excluded: excluded.iter().map(left_out).collect(),
        ..Report::default()
    }
}
