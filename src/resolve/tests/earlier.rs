//! What lay in the container before the trace began.

use super::*;
use crate::image_fs::{FileTime, Meta};

/// The image was unpacked at 100, the container made at 1000, the trace began at 2000.
const UNPACKED: i64 = 100;
const MADE: i64 = 1000;
const BEFORE: i64 = 1500;
const STARTED: i64 = 2000;
const AFTER: i64 = 2500;

const OVERLAY: &str = "1 0 0:50 / / rw - overlay overlay rw\n";

fn at(seconds: i64) -> FileTime {
    FileTime {
        seconds,
        nanoseconds: 0,
    }
}

/// Content as old as the image, touched at `ctime`.
fn touched(ctime: i64) -> impl Fn(&mut Meta) {
    move |meta| meta.ctime = at(ctime)
}

/// Written at `time`.
fn written(time: i64) -> impl Fn(&mut Meta) {
    move |meta| (meta.ctime, meta.mtime) = (at(time), at(time))
}

/// An application that reads eight files of its image, and the directory `/run/app`, in which an
/// earlier run made something.
fn container(mark: bool, mounts: &str) -> Case {
    let mut fs = MemFs::new();
    let files: Vec<String> = (0..8).map(|number| format!("/app/{number}")).collect();
    for file in &files {
        fs = fs.file(file, "").with_meta(file, touched(UNPACKED));
    }
    fs = fs
        .file("/run/app/made", "")
        .with_meta("/run/app/made", written(BEFORE))
        .with_meta("/run/app", written(BEFORE));
    if mark {
        fs = fs
            .file("/.dockerenv", "")
            .with_meta("/.dockerenv", touched(MADE));
    }
    let files = files.iter();
    files
        .fold(Case::new(fs), |case, file| case.opens(file))
        .opens("/run/app/made")
        .mounts(mounts)
        .options(|options| options.started = Some(at(STARTED)))
}

/// Adds a file that the application reads.
fn with(mut case: Case, file: &str, change: impl Fn(&mut Meta)) -> Case {
    case.fs = case.fs.file(file, "").with_meta(file, change);
    case.opens(file)
}

fn changed_before(manifest: &Manifest) -> Vec<String> {
    let paths = manifest.changed_before.iter();
    paths.map(ToString::to_string).collect()
}

#[test]
fn what_an_earlier_run_made_is_left_out_and_its_directory_kept() {
    let manifest = container(true, OVERLAY).resolve();
    assert_eq!(
        excluded(&manifest, "/run/app/made"),
        Some(&Exclusion::Earlier)
    );
    assert_eq!(entry(&manifest, "/run/app").source, Source::Image);
    assert_eq!(entry(&manifest, "/app/0").source, Source::Image);
    assert!(manifest.changed_before.is_empty());
}

#[test]
fn the_user_can_include_what_an_earlier_run_made() {
    let mut case = container(true, OVERLAY);
    case.options.include = patterns(&["/run/app/made"]);
    assert_eq!(
        entry(&case.resolve(), "/run/app/made").source,
        Source::Image
    );
}

#[test]
fn a_file_of_a_package_is_the_images_whoever_changed_it() {
    let mut case = with(container(true, OVERLAY), "/etc/app/conf", written(BEFORE));
    case.fs = case
        .fs
        .with_meta("/etc/app", written(BEFORE))
        .file(
            "/var/lib/dpkg/status",
            "Package: app\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
        )
        .file(
            "/var/lib/dpkg/info/app.list",
            "/.\n/etc\n/etc/app\n/etc/app/conf\n",
        );
    let manifest = case.resolve();
    assert_eq!(entry(&manifest, "/etc/app/conf").source, Source::Image);
    assert_eq!(changed_before(&manifest), ["/etc/app/conf"]);
}

#[test]
fn a_name_in_a_directory_whose_entries_are_the_images_is_the_images() {
    let case = with(container(true, OVERLAY), "/srv/counter", written(BEFORE));
    let manifest = case.options(|_| {}).resolve();
    assert_eq!(entry(&manifest, "/srv/counter").source, Source::Image);
    assert_eq!(changed_before(&manifest), ["/srv/counter"]);
}

#[test]
fn what_the_trace_itself_changed_is_not_of_an_earlier_run() {
    let mut case = with(container(true, OVERLAY), "/var/app/log", written(AFTER));
    case.fs = case.fs.with_meta("/var/app", written(BEFORE));
    let manifest = case.resolve();
    assert_eq!(entry(&manifest, "/var/app/log").source, Source::Image);
    assert!(manifest.changed_before.is_empty());
}

#[test]
fn without_mark_layers_or_trace_the_age_says_nothing() {
    let plain = OVERLAY.replace("overlay", "ext4");
    let untraced = container(true, OVERLAY).options(|options| options.started = None);
    for mut case in [
        container(false, OVERLAY),
        container(true, &plain),
        container(true, ""),
        untraced,
    ] {
        let manifest = case.resolve();
        assert_eq!(entry(&manifest, "/run/app/made").source, Source::Image);
        assert!(manifest.changed_before.is_empty());
    }
}

#[test]
fn evidence_against_a_large_part_of_the_application_is_not_used_and_told() {
    let mut case = container(true, OVERLAY);
    for number in 0..3 {
        let file = format!("/app/{number}");
        case.fs = case.fs.with_meta(&file, written(BEFORE));
    }
    case.fs = case.fs.with_meta("/app", written(BEFORE));
    let manifest = case.resolve();
    for file in ["/app/0", "/run/app/made"] {
        assert_eq!(entry(&manifest, file).source, Source::Image, "{file}");
    }
    assert_eq!(
        losses(&manifest),
        [
            "4 of 9 used paths seem to be younger than the container: the clock may have been \
             set, so nothing is left out for its age; trace a fresh container"
        ]
    );
}

proptest::proptest! {
    /// An image is unpacked with the times that it was built with. Whatever the clock said when
    /// its layers were unpacked and the container was made: nothing of it may be left out.
    #[test]
    fn no_clock_takes_an_image_file_away(
        unpacked in proptest::collection::vec(0_i64..3000, 8),
        made in 0_i64..3000,
        started in 0_i64..3000,
    ) {
        let mut case = container(false, OVERLAY);
        case.fs = case.fs.file("/.dockerenv", "").with_meta("/.dockerenv", touched(made));
        for (number, ctime) in unpacked.into_iter().enumerate() {
            case.fs = case.fs.with_meta(format!("/app/{number}"), touched(ctime));
        }
        let manifest = case.options(|options| options.started = Some(at(started))).resolve();
        for number in 0..8 {
            proptest::prop_assert_eq!(
                &entry(&manifest, &format!("/app/{number}")).source,
                &Source::Image
            );
        }
    }
}
