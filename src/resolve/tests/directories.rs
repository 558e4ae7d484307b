//! `--listed`: what becomes of names that the application saw.

use super::*;
use crate::image_fs::FileKind;
use crate::manifest::Reason;

fn lists(fs: MemFs, directory: &str, program: Option<&str>) -> Case {
    let access = Access::OPEN.with(Access::LIST);
    Case::new(fs).uses_by(access, directory, program)
}

fn kept(fs: MemFs, directory: &str, program: Option<&str>) -> bool {
    let manifest = lists(fs, directory, program).resolve();
    let left_out = excluded(&manifest, directory) == Some(&Exclusion::ListedOnly);
    let inside = |entry: &&ImagePath| entry.parent() == Some(path(directory));
    let shipped = manifest.entries.keys().filter(inside).count();
    assert_eq!(left_out, shipped == 0, "{directory}");
    !left_out
}

fn locales() -> MemFs {
    MemFs::new()
        .file("/app/locales/de.mo", "hallo")
        .file("/app/locales/en/LC_MESSAGES/app.mo", "hello")
        .symlink("/app/locales/default", "/app/shared/en")
        .file("/app/shared/en/x", "")
        .file("/app/other", "")
}

#[test]
fn an_application_sees_the_same_names_in_its_own_directory() {
    let python = Some("/usr/bin/python3.11");
    let manifest = lists(locales(), "/app/locales", python).resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/app",
            "/app/locales",
            "/app/locales/de.mo",
            "/app/locales/default",
            "/app/locales/en",
            "/app/shared",
            "/app/shared/en"
        ]
    );
    assert_eq!(
        entry(&manifest, "/app/locales/en").reasons,
        [Reason::ListedIn(path("/app/locales"))]
    );
    assert!(manifest.excluded.is_empty());
}

#[test]
fn skip_leaves_names_out_and_full_keeps_them_everywhere() {
    let skip = lists(locales(), "/app/locales", None)
        .options(|options| options.listed = Listed::Skip)
        .resolve();
    assert_eq!(shipped(&skip), ["/app", "/app/locales"]);
    let why = Some(&Exclusion::ListedOnly);
    assert_eq!(excluded(&skip, "/app/locales"), why);
    let full = lists(MemFs::new().file("/etc/x", ""), "/etc", None)
        .options(|options| options.listed = Listed::Full)
        .resolve();
    assert_eq!(shipped(&full), ["/etc", "/etc/x"]);
}

#[test]
fn a_directory_of_the_system_is_not_the_applications() {
    for directory in [
        "/etc", "/usr/lib", "/opt", "/var/lib", "/root", "/run", "/run/x",
    ] {
        let fs = MemFs::new().file(format!("{directory}/x"), "");
        assert!(!kept(fs, directory, None), "{directory}");
    }
    assert!(kept(MemFs::new().file("/home/me/x", ""), "/home/me", None));
    assert!(kept(MemFs::new().file("/opt/app/x", ""), "/opt/app", None));
}

#[test]
fn a_directory_open_to_all_is_not_the_applications() {
    let fs = MemFs::new()
        .node("/srv/drop", FileKind::Directory, 0o1777, "")
        .file("/srv/drop/x", "");
    assert!(!kept(fs, "/srv/drop", None));
}

#[test]
fn a_directory_that_a_package_owns_is_not_the_applications() {
    let fs = |list: &str| {
        MemFs::new()
            .symlink("/lib", "usr/lib")
            .file("/usr/lib/app/x", "")
            .file("/var/lib/dpkg/info/app.list", list)
    };
    assert!(!kept(fs("/usr/lib/app\n"), "/usr/lib/app", None));
    assert!(!kept(fs("/lib/app\n"), "/usr/lib/app", None), "merged /usr");
    assert!(kept(fs("/lib/app2\n"), "/usr/lib/app", None));
}

#[test]
fn where_rpm_cannot_be_asked_its_directories_are_not_the_applications() {
    let fs = MemFs::new()
        .file("/usr/share/app/x", "")
        .file("/usr/local/app/x", "")
        .directory("/var/lib/rpm");
    assert!(!kept(fs.clone(), "/usr/share/app", None));
    assert!(kept(fs, "/usr/local/app", None));
}

#[test]
fn a_module_path_of_a_runtime_does_not_come_in_whole() {
    let python = Some("/usr/bin/python3");
    let one = |directory: &str, name: &str| MemFs::new().file(format!("{directory}/{name}"), "");
    assert!(!kept(one("/opt/py", "json.py"), "/opt/py", python));
    assert!(!kept(
        one("/opt/py/lib-dynload", "x"),
        "/opt/py/lib-dynload",
        python
    ));
    assert!(!kept(one("/opt/py", "pkg/__init__.py"), "/opt/py", python));
    assert!(!kept(
        one("/venv/site-packages", "x"),
        "/venv/site-packages",
        Some("/bin/ls")
    ));
    assert!(!kept(
        one("/app/node_modules", "x/y"),
        "/app/node_modules",
        None
    ));
    assert!(!kept(
        one("/app/lib", "a.js"),
        "/app/lib",
        Some("/usr/bin/node")
    ));
    assert!(!kept(
        one("/app/lib", "a.rb"),
        "/app/lib",
        Some("/usr/bin/ruby3.1")
    ));
    assert!(!kept(
        one("/app/lib", "A.pm"),
        "/app/lib",
        Some("/usr/bin/perl")
    ));
    assert!(!kept(
        one("/app/lib", "a.php"),
        "/app/lib",
        Some("/usr/sbin/php-fpm8.2")
    ));
    assert!(
        kept(one("/app/lib", "a.php"), "/app/lib", python),
        "not python's"
    );
    assert!(
        !kept(one("/app/lib", "a.php"), "/app/lib", None),
        "who knows"
    );
}

#[test]
fn one_lister_that_scans_for_modules_is_enough() {
    let fs = MemFs::new()
        .file("/app/lib/a.py", "")
        .symlink("/alias", "/app/lib");
    let manifest = lists(fs, "/alias", Some("/usr/bin/python3"))
        .uses_by(Access::LIST, "/app/lib", Some("/bin/ls"))
        .resolve();
    assert_eq!(
        excluded(&manifest, "/app/lib"),
        Some(&Exclusion::ListedOnly)
    );
}

#[test]
fn a_huge_directory_is_left_out() {
    let many = |count: usize| {
        (0..count).fold(MemFs::new(), |fs, number| {
            fs.file(format!("/a/b/{number}"), "")
        })
    };
    // MemFs looks at every node for a listing: the limit itself is enough to be tested.
    assert!(kept(many(1000), "/a/b", None));
    assert!(!kept(many(1001), "/a/b", None));
    let large = |size| {
        MemFs::new()
            .file("/a/b/x", "")
            .with_meta("/a/b/x", |meta| meta.size = size)
    };
    assert!(kept(large(64 << 20), "/a/b", None));
    assert!(!kept(large((64 << 20) + 1), "/a/b", None));
}

#[test]
fn a_listed_directory_of_which_all_was_used_is_not_told() {
    let fs = MemFs::new().file("/etc/x", "").file("/etc/made", "");
    let manifest = lists(fs, "/etc", None)
        .opens("/etc/x")
        .created("/etc/made")
        .resolve();
    assert_eq!(excluded(&manifest, "/etc"), None);
}

#[test]
fn listed_names_made_at_run_time_or_on_mounts_stay_out() {
    let fs = MemFs::new()
        .file("/app/d/made", "")
        .file("/app/d/own", "")
        .file("/app/d/vol/x", "");
    let manifest = lists(fs, "/app/d", None)
        .created("/app/d/made")
        .mounts("1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /app/d/vol rw - ext4 e rw\n")
        .resolve();
    assert_eq!(
        shipped(&manifest),
        ["/app", "/app/d", "/app/d/own", "/app/d/vol"]
    );
}
