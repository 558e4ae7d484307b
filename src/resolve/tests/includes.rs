//! What the user names: includes, excludes, programs.

use super::*;
use crate::image_fs::FileKind;
use crate::manifest::Reason;

fn including(fs: MemFs, texts: &[&str]) -> Case {
    Case::new(fs).options(|options| options.include = patterns(texts))
}

fn tree() -> MemFs {
    MemFs::new()
        .file("/app/a.conf", "")
        .file("/app/d/b.conf", "")
        .file("/app/d/e/c.txt", "")
        .symlink("/app/d/out", "/srv/x")
        .file("/srv/x", "")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/nss_files.so", "")
        .file("/usr/lib/nss_dns.so", "")
        .file("/usr/lib/other.so", "")
}

#[test]
fn a_directory_brings_all_below_it_and_what_its_links_lead_to() {
    let manifest = including(tree(), &["/app/d"]).resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/app",
            "/app/d",
            "/app/d/b.conf",
            "/app/d/e",
            "/app/d/e/c.txt",
            "/app/d/out",
            "/srv",
            "/srv/x"
        ]
    );
    assert_eq!(
        entry(&manifest, "/app/d/e/c.txt").reasons,
        [Reason::Included("/app/d".to_owned())]
    );
}

#[test]
fn a_glob_goes_through_links_as_a_shell_does() {
    let manifest = including(tree(), &["/li*/nss_*.so"]).resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/lib",
            "/usr",
            "/usr/lib",
            "/usr/lib/nss_dns.so",
            "/usr/lib/nss_files.so"
        ]
    );
}

#[test]
fn two_stars_reach_every_depth_and_braces_choose() {
    let manifest = including(tree(), &["/app/**/*.{conf,txt}"]).resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/app",
            "/app/a.conf",
            "/app/d",
            "/app/d/b.conf",
            "/app/d/e",
            "/app/d/e/c.txt"
        ]
    );
}

#[test]
fn a_pattern_that_names_nothing_is_told() {
    let manifest = including(tree(), &["/app/*.toml", "/none"]).resolve();
    assert_eq!(
        losses(&manifest),
        [
            "nothing matches --include /app/*.toml: mend or drop the pattern",
            "nothing matches --include /none: mend or drop the pattern"
        ]
    );
}

#[test]
fn an_include_wins_over_made_listed_and_probed() {
    let fs = MemFs::new().file("/etc/made", "").file("/etc/probed", "");
    let manifest = including(fs, &["/etc/made", "/etc/probed"])
        .uses(Access::PROBE, "/etc/probed")
        .uses(Access::LIST, "/etc")
        .created("/etc/made")
        .options(|options| options.probed = Probed::Skip)
        .resolve();
    assert_eq!(shipped(&manifest), ["/etc", "/etc/made", "/etc/probed"]);
    assert!(manifest.excluded.is_empty(), "{:?}", manifest.excluded);
}

#[test]
fn an_include_on_a_mount_is_told_and_taken_only_with_the_mount() {
    let fs = MemFs::new().file("/data/x", "").file("/data/y/z", "");
    let case = |wanted: &[&str]| {
        including(fs.clone(), &["/data/x", "/data/*/z", "/data"])
            .mounts("1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /data rw - ext4 e rw\n")
            .options(|options| options.include_mounts = wanted.iter().map(path).collect())
            .resolve()
    };
    let manifest = case(&[]);
    assert_eq!(shipped(&manifest), ["/data"]);
    let told = losses(&manifest);
    let hint = |line: &&str| line.ends_with("a mount (ext4): add --include-mount /data");
    assert_eq!(told.iter().filter(|line| hint(line)).count(), 2, "{told:?}");
    assert_eq!(
        shipped(&case(&["/data"])),
        ["/data", "/data/x", "/data/y", "/data/y/z"]
    );
}

#[test]
fn an_exclude_wins_over_everything_and_takes_all_below() {
    let fs = tree().program("/app/run", "#!/srv/x\n");
    let manifest = including(fs, &["/app"])
        .opens("/app/d/b.conf")
        .starts("/srv/x", Some("/app/run"))
        .options(|options| options.exclude = patterns(&["/app/d", "/srv/*"]))
        .resolve();
    assert_eq!(
        shipped(&manifest),
        ["/app", "/app/a.conf", "/app/run", "/srv"]
    );
    let pattern = Exclusion::Pattern("/app/d".to_owned());
    assert_eq!(excluded(&manifest, "/app/d/b.conf"), Some(&pattern));
    assert_eq!(
        excluded(&manifest, "/srv/x"),
        Some(&Exclusion::Pattern("/srv/*".to_owned()))
    );
}

#[test]
fn an_excluded_file_leaves_the_directory_it_was_used_in() {
    let fs = MemFs::new().file("/var/log/app/x.log", "");
    let manifest = Case::new(fs)
        .opens("/var/log/app/x.log")
        .options(|options| options.exclude = patterns(&["**/*.log"]))
        .resolve();
    assert_eq!(shipped(&manifest), ["/var/log", "/var/log/app"]);
}

#[test]
fn a_program_comes_by_name_along_path_with_all_it_needs() {
    let fs = MemFs::new()
        .file("/opt/bin/tool", "not executable")
        .program("/usr/bin/tool", "#!/bin/sh\n")
        .program("/bin/sh", "\x7fELF");
    let mut case = Case::new(fs).options(|options| {
        options.include_exe = vec![b"tool".to_vec(), b"/bin/none".to_vec()];
    });
    case.recording.context.env = vec![b"PATH=/opt/bin:/usr/bin".to_vec()];
    let manifest = case.resolve();
    assert_eq!(
        shipped(&manifest),
        ["/bin", "/bin/sh", "/usr", "/usr/bin", "/usr/bin/tool"]
    );
    assert_eq!(
        losses(&manifest),
        ["--include-exe /bin/none: no such program along PATH: give its path"]
    );
}

#[test]
fn an_included_socket_stays_out() {
    let fs = MemFs::new().node("/srv/s", FileKind::Socket, 0o600, "");
    let manifest = including(fs, &["/srv"]).resolve();
    assert_eq!(shipped(&manifest), ["/srv"]);
}

const STATUS_D: &str = "/var/lib/dpkg/status.d/app";

fn packaged() -> Case {
    let fs = MemFs::new()
        .file("/opt/app", "")
        .file("/usr/lib/os-release", "ID=debian\n")
        .symlink("/etc/os-release", "../usr/lib/os-release")
        .file("/var/lib/dpkg/status", "Package: app\nVersion: 1\n")
        .file("/var/lib/dpkg/info/app.list", "/opt/app\n");
    Case::new(fs)
        .opens("/opt/app")
        .options(|options| options.package_metadata = PackageMetadata::Auto)
}

#[test]
fn package_metadata_is_made_with_its_directories_and_the_release_follows_its_link() {
    let manifest = packaged().resolve();
    let made = entry(&manifest, STATUS_D);
    assert_eq!(made.reasons, [Reason::PackageMetadata]);
    let content = b"Package: app\nVersion: 1\n".to_vec();
    let mode = 0o644;
    assert_eq!(made.source, Source::Bytes { mode, content });
    assert_eq!(
        entry(&manifest, "/var/lib/dpkg/status.d").source,
        empty(0o755)
    );
    assert_eq!(entry(&manifest, "/var/lib/dpkg").source, Source::Image);
    entry(&manifest, "/etc/os-release");
    entry(&manifest, "/usr/lib/os-release");
    assert_eq!(excluded(&manifest, "/etc/lsb-release"), None);
}

#[test]
fn package_metadata_stays_out_where_the_user_or_a_mount_forbids_it() {
    let excluded = |options: &mut Options| options.exclude = patterns(&["/var/lib/dpkg"]);
    let manifest = packaged().options(excluded).resolve();
    assert!(!manifest.entries.contains_key(&path(STATUS_D)));
    let mounts = "1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /var/lib rw - ext4 d rw\n";
    let mut case = packaged().mounts(mounts);
    case.fs = case.fs.file("/.dockerenv", "");
    assert!(!case.resolve().entries.contains_key(&path(STATUS_D)));
}
