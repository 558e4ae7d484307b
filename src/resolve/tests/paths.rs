//! Walking used paths: links, parents, ends.

use super::*;
use crate::image_fs::{FileKind, ImageFs, Meta, ReadAt};
use crate::manifest::Reason;
use nix::errno::Errno;
use std::io;

#[test]
fn every_link_every_parent_and_the_end_are_shipped_with_their_reasons() {
    let fs = MemFs::new()
        .symlink("/etc/alternatives/app", "/opt/app/bin/app-2")
        .symlink("/usr/bin/app", "/etc/alternatives/app")
        .file("/opt/app/bin/app-2", "data")
        .file("/opt/app/bin/app-1", "unused");
    let manifest = Case::new(fs).opens("/usr/bin/app").resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/etc",
            "/etc/alternatives",
            "/etc/alternatives/app",
            "/opt",
            "/opt/app",
            "/opt/app/bin",
            "/opt/app/bin/app-2",
            "/usr",
            "/usr/bin",
            "/usr/bin/app"
        ]
    );
    let end = path("/opt/app/bin/app-2");
    assert_eq!(
        entry(&manifest, "/usr/bin/app").reasons,
        [Reason::LinkTo(end.clone())]
    );
    assert_eq!(
        entry(&manifest, "/opt/app/bin").reasons,
        [Reason::ParentOf(end.clone())]
    );
    assert!(matches!(
        entry(&manifest, "/opt/app/bin/app-2").reasons[..],
        [Reason::Used {
            access: Access::OPEN,
            ..
        }]
    ));
}

#[test]
fn a_link_that_was_only_looked_at_is_shipped_without_its_target() {
    let fs = MemFs::new().symlink("/l", "/t").file("/t", "");
    let looked = Access::PROBE.with(Access::NO_FOLLOW);
    let manifest = Case::new(fs.clone()).uses(looked, "/l").resolve();
    assert_eq!(shipped(&manifest), ["/l"]);
    let opened = looked.with(Access::OPEN);
    let manifest = Case::new(fs).uses(opened, "/l").resolve();
    assert_eq!(shipped(&manifest), ["/l", "/t"]);
}

#[test]
fn a_directory_that_dotdot_steps_out_of_is_shipped() {
    let fs = MemFs::new()
        .directory("/usr/lib/gcc/12")
        .file("/usr/lib/crt1.o", "");
    let manifest = Case::new(fs)
        .opens("/usr/lib/gcc/12/../../crt1.o")
        .resolve();
    assert_eq!(
        entry(&manifest, "/usr/lib/gcc/12").kind,
        FileKind::Directory
    );
}

#[test]
fn of_a_path_whose_end_is_gone_the_links_and_the_deepest_directory_stay() {
    let fs = MemFs::new()
        .symlink("/app/current", "releases/5/x")
        .directory("/app/releases");
    let manifest = Case::new(fs).opens("/app/current").resolve();
    assert_eq!(
        shipped(&manifest),
        ["/app", "/app/current", "/app/releases"]
    );
    assert_eq!(
        excluded(&manifest, "/app/releases/5"),
        Some(&Exclusion::Vanished)
    );
}

#[test]
fn a_file_where_a_directory_was_is_told_as_it_was_spelled() {
    let fs = MemFs::new().file("/f", "");
    let manifest = Case::new(fs).opens("/f").opens("/f/x").resolve();
    assert_eq!(excluded(&manifest, "/f/x"), Some(&Exclusion::Vanished));
}

#[test]
fn a_directory_is_shipped_without_its_content() {
    let fs = MemFs::new().file("/srv/www/index.html", "");
    let manifest = Case::new(fs).uses(Access::ENTER, "/srv/www").resolve();
    assert_eq!(shipped(&manifest), ["/srv", "/srv/www"]);
}

#[test]
fn paths_of_a_chroot_are_walked_below_it() {
    let fs = MemFs::new()
        .symlink("/jail/etc/l", "/etc/real")
        .file("/jail/etc/real", "")
        .file("/etc/real", "");
    let mut case = Case::new(fs).opens("/unused");
    let (_, used) = case.recording.uses.pop_first().expect("one");
    let place = Place {
        root: path("/jail"),
        path: path("/etc/l"),
    };
    case.recording.uses.insert(place, used);
    let manifest = case.resolve();
    assert_eq!(
        shipped(&manifest),
        ["/jail", "/jail/etc", "/jail/etc/l", "/jail/etc/real"]
    );
}

#[test]
fn sockets_stay_out_and_pipes_and_devices_stay_in() {
    let fs = MemFs::new()
        .node("/srv/s", FileKind::Socket, 0o600, "")
        .node("/srv/p", FileKind::Fifo, 0o600, "")
        .node("/srv/d", FileKind::CharDevice, 0o600, "");
    let manifest = Case::new(fs)
        .opens("/srv/s")
        .opens("/srv/p")
        .opens("/srv/d")
        .resolve();
    assert_eq!(shipped(&manifest), ["/srv", "/srv/d", "/srv/p"]);
    assert_eq!(excluded(&manifest, "/srv/s"), Some(&Exclusion::Socket));
}

#[test]
fn without_probed_files_directories_stay_and_opened_files_too() {
    let fs = MemFs::new()
        .file("/a/probed", "")
        .file("/a/both", "")
        .symlink("/b/both", "/a/both")
        .directory("/d");
    let case = || {
        Case::new(fs.clone())
            .uses(Access::PROBE, "/a/probed")
            .uses(Access::PROBE, "/a/both")
            .opens("/b/both")
            .uses(Access::PROBE, "/d")
    };
    assert!(shipped(&case().resolve()).contains(&"/a/probed".to_owned()));
    let manifest = case()
        .options(|options| options.probed = Probed::Skip)
        .resolve();
    assert_eq!(shipped(&manifest), ["/a", "/a/both", "/b", "/b/both", "/d"]);
    assert_eq!(
        excluded(&manifest, "/a/probed"),
        Some(&Exclusion::ProbedOnly)
    );
}

#[test]
fn every_image_has_its_temporary_directories() {
    let manifest = Case::new(MemFs::new()).resolve();
    assert_eq!(entry(&manifest, "/tmp").source, empty(0o1777));
    assert_eq!(entry(&manifest, "/var/tmp").source, empty(0o1777));
    assert_eq!(entry(&manifest, "/var").source, empty(0o755));
    let dangling = Case::new(MemFs::new().symlink("/tmp", "/scratch")).resolve();
    assert_eq!(entry(&dangling, "/tmp").kind, FileKind::Symlink);
    assert_eq!(entry(&dangling, "/scratch").source, empty(0o1777));
    let fs = MemFs::new()
        .node("/tmp", FileKind::Directory, 0o1775, "")
        .symlink("/var/tmp", "../tmp");
    let manifest = Case::new(fs.clone()).resolve();
    assert_eq!(entry(&manifest, "/tmp").source, empty(0o1775));
    assert_eq!(entry(&manifest, "/var/tmp").kind, FileKind::Symlink);
    // With the image's time, where nobody else writes there.
    let manifest = Case::new(fs.file("/.dockerenv", "")).resolve();
    assert_eq!(entry(&manifest, "/tmp").source, Source::Image);
}

#[test]
fn the_working_directory_of_the_command_is_shipped() {
    let mut case = Case::new(MemFs::new().file("/srv/app/x", ""));
    case.recording.context.cwd = Some(path("/srv/app"));
    assert_eq!(shipped(&case.resolve()), ["/srv", "/srv/app"]);
}

/// Refuses what its list names.
struct Refusing(MemFs, Vec<ImagePath>, Errno);

impl Refusing {
    fn ask(&self, path: &ImagePath) -> io::Result<()> {
        let refused = self.1.contains(path);
        refused
            .then_some(())
            .map_or(Ok(()), |()| Err(self.2.into()))
    }
}

impl ImageFs for Refusing {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.ask(&path.parent().unwrap_or_else(ImagePath::root))?;
        self.0.lstat(path)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.0.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.ask(path)?;
        self.0.list(path)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        self.ask(path)?;
        self.0.open(path)
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.xattrs(path)
    }
}

#[test]
fn what_cannot_be_read_is_excluded_and_told() {
    let tree = MemFs::new()
        .file("/a/secret", "x")
        .symlink("/b", "/a")
        .file("/closed/f", "x");
    let fs = Refusing(
        tree,
        vec![path("/a/secret"), path("/closed")],
        Errno::EACCES,
    );
    let mut case = Case::new(MemFs::new())
        .opens("/a/secret")
        .opens("/b/secret")
        .opens("/closed/f")
        .uses(Access::LIST, "/closed");
    let manifest = resolve_with(&fs, &case.recording, &case.options, &mut case.table);
    for file in ["/a/secret", "/closed/f", "/closed"] {
        let why = excluded(&manifest, file);
        assert!(
            matches!(why, Some(Exclusion::Unreadable(_))),
            "{file}: {why:?}"
        );
        let told = losses(&manifest);
        assert!(
            told.iter()
                .any(|line| line.starts_with(&format!("{file} cannot"))),
            "{told:?}"
        );
    }
    assert!(!shipped(&manifest).contains(&"/a/secret".to_owned()));
}

#[test]
fn what_a_failing_disk_does_not_give_is_a_failure_and_no_mere_loss() {
    let tree = MemFs::new()
        .file("/a", "x")
        .file("/d/f", "x")
        .file("/b", "x");
    let fs = Refusing(tree, vec![path("/a"), path("/d")], Errno::EIO);
    let mut case = Case::new(MemFs::new())
        .opens("/a")
        .opens("/b")
        .opens("/d/f")
        .uses(Access::LIST, "/d");
    let manifest = resolve_with(&fs, &case.recording, &case.options, &mut case.table);
    let failed: Vec<String> = manifest.failures.keys().map(ToString::to_string).collect();
    assert_eq!(failed, ["/a", "/d", "/d/f"]);
    case.options.exclude = Patterns::new(["/a", "/d"]).expect("patterns");
    let manifest = resolve_with(&fs, &case.recording, &case.options, &mut case.table);
    assert!(manifest.failures.is_empty(), "{:?}", manifest.failures);
}
