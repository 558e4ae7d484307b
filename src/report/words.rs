//! Reasons in words.

use crate::image_path::{Escaped, ImagePath};
use crate::manifest::{Exclusion, Reason};
use crate::recording::{Access, Origin};

/// Why an entry is in the image, as the end of a sentence about it.
pub fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Used { access, first } => used(*access, first),
        Reason::Executed => "started as a program".to_owned(),
        Reason::ParentOf(of) => format!("directory above {of}"),
        Reason::LinkTo(of) => format!("symlink on the way to {of}"),
        Reason::LoaderOf(of) => format!("ELF interpreter of {of}"),
        Reason::InterpreterOf(of) => format!("#! interpreter of {of}"),
        Reason::NeededBy(of) => format!("library that {of} needs"),
        Reason::ListedIn(of) => format!("in {of}, which was listed"),
        Reason::Included(pattern) => format!("asked for by {}", Escaped(pattern.as_bytes())),
        Reason::Always => "in every image".to_owned(),
        Reason::PackageMetadata => "tells scanners the packages".to_owned(),
    }
}

/// One word for a kind of reason, to group by.
pub fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::Used { .. } => "used",
        Reason::Executed => "started",
        Reason::ParentOf(_) => "parent directory",
        Reason::LinkTo(_) => "symlink",
        Reason::LoaderOf(_) | Reason::InterpreterOf(_) => "interpreter",
        Reason::NeededBy(_) => "library",
        Reason::ListedIn(_) => "listed",
        Reason::Included(_) => "included",
        Reason::Always => "always",
        Reason::PackageMetadata => "package metadata",
    }
}

fn used(access: Access, first: &Origin) -> String {
    let ways = [
        (Access::EXEC, "executed"),
        (Access::OPEN, "opened"),
        (Access::CHANGE, "changed"),
        (Access::LIST, "listed"),
        (Access::ENTER, "entered"),
        (Access::PROBE, "looked at"),
    ];
    let told = ways.iter().filter(|(way, _)| access.contains(*way));
    let told: Vec<&str> = told.map(|(_, word)| *word).collect();
    let told = match told.as_slice() {
        [] => "used".to_owned(),
        words => words.join(" and "),
    };
    match &first.program {
        Some(program) => format!(
            "{told}, first by {program} ({}, process {})",
            first.call, first.pid
        ),
        None if first.pid == 0 => "named by a list".to_owned(),
        None => format!("{told}, first by process {} ({})", first.pid, first.call),
    }
}

/// Why something is not in the image.
pub fn exclusion(why: &Exclusion) -> String {
    match why {
        Exclusion::Mount(kind) => format!("it lies on a mount of its own ({kind})"),
        Exclusion::Created => "the application made it while it ran".to_owned(),
        Exclusion::Vanished => "it was used and is gone".to_owned(),
        Exclusion::BuiltIn => "it belongs to the kernel or to the container engine".to_owned(),
        Exclusion::Socket => "it is a socket".to_owned(),
        Exclusion::Pattern(pattern) => {
            format!("--exclude {} leaves it out", Escaped(pattern.as_bytes()))
        }
        Exclusion::Own => "it is micropacker's own".to_owned(),
        Exclusion::Earlier => {
            "it was in the container before the trace began, and may not be the image's".to_owned()
        }
        Exclusion::ListedOnly => "its directory was listed, and it was not used".to_owned(),
        Exclusion::ProbedOnly => "it was only looked at, and --probed skip was given".to_owned(),
        Exclusion::Unreadable(error) => format!("it could not be read: {error}"),
    }
}

/// What would bring it in.
pub(super) fn remedy(path: &ImagePath, why: Option<&Exclusion>) -> String {
    match why {
        None => format!("nothing used it; --include {path} brings it in"),
        Some(Exclusion::Mount(_)) => {
            format!("--include-mount {path} brings it in, where it is used")
        }
        Some(Exclusion::Created | Exclusion::Vanished | Exclusion::Earlier) => {
            format!("--include {path} brings it in, if it is there at the end")
        }
        Some(Exclusion::BuiltIn) => "a container gets it from its engine".to_owned(),
        Some(Exclusion::Socket | Exclusion::Own) => "nothing brings it in".to_owned(),
        Some(Exclusion::Pattern(_)) => "leave that --exclude away".to_owned(),
        Some(Exclusion::ListedOnly) => {
            format!("--include {path} brings it in, --listed full the whole directory")
        }
        Some(Exclusion::ProbedOnly) => "--probed full brings it in".to_owned(),
        Some(Exclusion::Unreadable(_)) => "run micropacker as a user that may read it".to_owned(),
    }
}
