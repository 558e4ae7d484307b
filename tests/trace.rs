//! Each fixture program behaves under trace as it does alone, each path that it uses is found, and
//! what it changes is kept as it was, whichever engine traces it.

mod fixture;
mod kept;

use fixture::{Fixture, Prepared};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where the tar lists a path, its leading `/` and trailing `/` left out.
type Names = BTreeSet<Vec<u8>>;

/// With which privileges micropacker runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Privileges {
    /// All that the test has.
    All,
    /// Root, but without CAP_SYS_PTRACE and CAP_SYS_ADMIN, as in a plain container.
    PlainContainer,
    /// The same, and the program keeps the process that micropacker was started as.
    InvertedInAPlainContainer,
}

/// What takes the two capabilities away: root gets them back from the bounding set alone.
const PLAIN_CONTAINER: [&str; 4] = [
    "setpriv",
    "--bounding-set=-sys_ptrace,-sys_admin",
    "--inh-caps=-sys_ptrace,-sys_admin",
    "--",
];

fn traced_as_promised(privileges: Privileges, engine: &str, name: &str) {
    let fixture = Fixture::load(name);
    if let Some(need) = fixture.unmet_need() {
        eprintln!("{name}: not run, no {need} here");
        return;
    }
    let plain = privileges != Privileges::All;
    let inverted = privileges == Privileges::InvertedInAPlainContainer;
    if plain && !nix::unistd::geteuid().is_root() {
        eprintln!("{name}: not run, no root here");
        return;
    }
    let prepared = fixture.prepare();
    let tarball = prepared.home().join("rootfs.tar");
    let home = prepared.home().canonicalize().expect("a home");
    let micropacker = Path::new(env!("CARGO_BIN_EXE_micropacker"));
    let options = [
        micropacker.as_os_str(),
        OsStr::new("--engine"),
        OsStr::new(engine),
        OsStr::new("--debug"),
        // What lies below the scratch directory counts, be it on a mount of its own or not.
        OsStr::new("--include-mount"),
        home.as_os_str(),
        OsStr::new("--listed"),
        OsStr::new("full"),
        OsStr::new("-o"),
        tarball.as_os_str(),
        OsStr::new(if inverted { "--inverted" } else { "--verbose" }),
        OsStr::new("--"),
    ];
    let drop = PLAIN_CONTAINER.iter().filter(|_| plain);
    let front: Vec<&OsStr> = drop.map(OsStr::new).chain(options).collect();
    let kept = kept::Originals::of(&prepared);
    let outcome = prepared.run(&front);
    let end = match prepared.promised_end() {
        end if inverted => end,
        end => fixture::End::Exit(end.as_code()),
    };
    prepared.assert_as_promised(&outcome, end);
    kept.assert_in(&tarball);
    let shipped = names_in(&tarball);
    let gone = gone_in(&outcome.stderr);
    let told = || {
        outcome
            .stderr
            .lines()
            .filter(|line| !line.contains("taken:"))
            .collect::<Vec<_>>()
    };
    for wanted in &prepared.fixture().seen {
        let path = absolute(&prepared, wanted);
        let key = key_of(&path);
        assert!(
            shipped.contains(&key) || gone.contains(&shown(&path)),
            "{wanted:?} is not in the image: {:#?}",
            told()
        );
    }
    for unwanted in &prepared.fixture().never {
        let path = absolute(&prepared, unwanted);
        assert!(
            !shipped.contains(&key_of(&path)),
            "{unwanted:?} is in the image"
        );
    }
    for listed in &prepared.fixture().listed {
        let directory = absolute(&prepared, listed);
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            assert!(
                shipped.contains(&key_of(&path)),
                "{path:?} is not in the image"
            );
        }
    }
}

fn absolute(prepared: &Prepared, name: &OsStr) -> PathBuf {
    prepared.scratch().join(name)
}

fn key_of(path: &Path) -> Vec<u8> {
    let mut key = path.as_os_str().as_bytes();
    while let Some(rest) = key.strip_suffix(b"/") {
        key = rest;
    }
    // The binaries' directory may be a link of a merged /usr.
    let physical = path.parent().and_then(|parent| parent.canonicalize().ok());
    let name = Path::new(OsStr::from_bytes(key)).file_name();
    let physical = match (physical, name) {
        (Some(parent), Some(name)) => parent.join(name).into_os_string().into_vec(),
        _ => key.to_vec(),
    };
    physical.strip_prefix(b"/").unwrap_or(&physical).to_vec()
}

fn names_in(tarball: &Path) -> Names {
    let mut archive = tar::Archive::new(File::open(tarball).expect("a tarball"));
    archive
        .entries()
        .expect("entries")
        .map(|entry| {
            let name = entry.expect("an entry").path_bytes().into_owned();
            name.strip_suffix(b"/").unwrap_or(&name).to_vec()
        })
        .collect()
}

/// What was seen but cannot be shipped: sockets, and what was there and is gone.
fn gone_in(stderr: &str) -> BTreeSet<String> {
    stderr
        .lines()
        .filter_map(|line| line.strip_prefix("micropacker: left out: "))
        .filter_map(|line| {
            line.strip_suffix(": Socket")
                .or(line.strip_suffix(": Vanished"))
        })
        .map(str::to_owned)
        .collect()
}

fn shown(path: &Path) -> String {
    OsString::from(path).to_string_lossy().into_owned()
}

macro_rules! traced {
    ($module:ident $privileges:ident $engine:ident: $($name:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    super::traced_as_promised(
                        super::Privileges::$privileges,
                        stringify!($engine),
                        stringify!($name),
                    );
                }
            )*

            #[test]
            fn every_fixture_is_traced() {
                assert_eq!(super::fixture::names(), [$(stringify!($name)),*]);
            }
        }
    };
}

macro_rules! engines {
    ($($module:ident $privileges:ident $engine:ident)*; $names:tt) => {
        $(engines!(@ $module $privileges $engine $names);)*
    };
    (@ $module:ident $privileges:ident $engine:ident { $($name:ident)* }) => {
        traced!($module $privileges $engine: $($name)*);
    };
}

engines! {
    notify All notify
    seccomp All seccomp
    syscall All syscall
    notify_in_a_plain_container PlainContainer notify
    seccomp_in_a_plain_container PlainContainer seccomp
    syscall_in_a_plain_container PlainContainer syscall
    notify_inverted InvertedInAPlainContainer notify
    seccomp_inverted InvertedInAPlainContainer seccomp
    syscall_inverted InvertedInAPlainContainer syscall;
    {
        bad_pointers
        change_content
        change_metadata
        change_names
        change_originals
        chdir_relative
        chroot_open
        clone3
        create_files
        daemon
        dynamic_32_bit
        exec_from_thread
        execveat
        exit_realtime_signal
        exit_signal
        exit_status
        fchdir_relative
        fork_storm
        fuse_server
        group_stop
        int80_open
        io_uring
        keep_capabilities
        links
        list_directory
        long_path
        looks
        missing
        no_children
        odd_names
        open_calls
        orphan
        own_filter_after_drop
        own_filter_before_drop
        own_filter_errno
        own_filter_kinds
        own_filter_trace
        own_listener
        own_tracer
        page_crossing
        page_edge
        passed_dirfd
        prefix
        private_mounts
        proc_self_fd
        realtime_signal
        rewritten_path
        script_chain
        script_relative
        set_user_id_from_thread
        setuid_drop
        setuid_worker
        shared_cwd
        sigkill_storm
        signal_counter
        sigterm_reader
        threads
        unix_connect
        unreadable_program
        untraced_child
        vfork_exec
        zombie_leader
    }
}
