//! rpm's databases: those that rpm 4.18 and SQLite 3.40 made (`tests/databases`, without the
//! tables of indexes), and garbage.

use super::*;
use crate::image_fs::MemFs;
use crate::packages::{Manager, Owners};
use proptest::prelude::*;

const DATABASE: &[u8] = include_bytes!("../../../tests/databases/rpmdb.sqlite");
/// A log over it of two transactions: `tool1` is removed, and another `tool9` is added.
const LOG: &[u8] = include_bytes!("../../../tests/databases/rpmdb.sqlite-wal");

const PLACE: &str = "/usr/lib/sysimage/rpm/rpmdb.sqlite";

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn owner(owners: &Owners, of: &str) -> String {
    owners
        .package_of(&path(of))
        .map(|package| format!("{} {} {}", package.name, package.version, package.arch))
        .unwrap_or_default()
}

#[test]
fn a_database_of_sqlite_names_the_owner_with_epoch_and_architecture() {
    let fs = MemFs::new()
        .file(PLACE, DATABASE)
        .symlink("/var/lib/rpm", "../../usr/lib/sysimage/rpm");
    let owners = Owners::load(&fs);
    assert_eq!(owners.packages().len(), 9);
    assert!(owners.problems().is_empty(), "{:?}", owners.problems());
    assert!(!owners.has_unread_database());
    assert_eq!(owner(&owners, "/usr/bin/tool2"), "tool2 1:1.2-2.el9 noarch");
    assert_eq!(
        owner(&owners, "/usr/bin/tool1-link"),
        "tool1 1.1-1.el9 noarch"
    );
    assert_eq!(owner(&owners, "/usr/bin"), "");
    let package = owners.package_of(&path("/usr/share/tool4")).expect("owned");
    assert_eq!(package.manager, Manager::Rpm);
    assert_eq!(package.license, "MIT AND GPL-2.0-or-later");
    assert_eq!(package.size, 7);
    assert_eq!(package.maintainer, "Jane Doe <jane@example.org>");
    assert_eq!(
        (package.source.as_str(), package.source_version.as_str()),
        ("tool4", "1.4-4.el9")
    );
}

#[test]
fn a_header_that_fills_many_pages_is_read_whole() {
    let owners = Owners::load(&MemFs::new().file("/var/lib/rpm/rpmdb.sqlite", DATABASE));
    for number in 1..=150 {
        let file = format!("/usr/share/tool3/data-file-{number}");
        assert_eq!(owner(&owners, &file), "tool3 1.3-3.el9 x86_64");
    }
}

#[test]
fn what_is_committed_in_the_log_counts() {
    let log = [PLACE, "-wal"].concat();
    let names = |wal: &[u8]| {
        let owners = Owners::load(&MemFs::new().file(PLACE, DATABASE).file(&log, wal));
        let mut names: Vec<String> = owners
            .packages()
            .iter()
            .map(|one| one.name.clone())
            .collect();
        names.sort();
        names.join(" ")
    };
    let before = "tool1 tool2 tool3 tool4 tool5 tool6 tool7 tool8 tool9";
    assert_eq!(names(b""), before);
    let after = "tool2 tool3 tool4 tool5 tool6 tool7 tool8 tool9 tool9";
    assert_eq!(names(LOG), after);
    // The second transaction was not written to its end.
    let first = "tool2 tool3 tool4 tool5 tool6 tool7 tool8 tool9";
    assert_eq!(names(&LOG[..LOG.len() - 1]), first);
    let mut damaged = LOG.to_vec();
    damaged[100] ^= 1;
    assert_eq!(names(&damaged), before);
}

/// The format of rpm's `rpmpkg.c`, put together by hand.
fn ndb(header: &[u8]) -> Vec<u8> {
    let words = |words: [u32; 4]| words.map(u32::to_le_bytes).concat();
    let mut file = words([u32::from_le_bytes(*b"RpmP"), 0, 7, 1]);
    file.extend(words([0; 4]));
    let slot = u32::from_le_bytes(*b"Slot");
    file.extend(words([slot, 0, 0, 0]));
    file.extend(words([slot, 5, 4096 / 16, 200]));
    while file.len() < 4096 {
        file.extend(words([slot, 0, 0, 0]));
    }
    let blob = u32::from_le_bytes(*b"BlbS");
    file.extend(words([blob, 5, 7, header.len() as u32]));
    file.extend(header);
    file
}

fn first_header() -> Vec<u8> {
    let fs = MemFs::new().file(PLACE, DATABASE);
    let mut headers = Vec::new();
    read_sqlite(&fs, &path(PLACE), &mut |blob| headers.push(blob.to_vec())).expect("reads");
    headers.swap_remove(0)
}

#[test]
fn rpms_own_database_names_the_owner() {
    let file = ndb(&first_header());
    let owners = Owners::load(&MemFs::new().file("/usr/lib/sysimage/rpm/Packages.db", file));
    assert_eq!(owner(&owners, "/usr/bin/tool3"), "tool3 1.3-3.el9 x86_64");
    assert!(!owners.has_unread_database());
}

#[test]
fn a_database_that_is_damaged_or_of_berkeley_db_is_told() {
    let owners = Owners::load(&MemFs::new().file(PLACE, &DATABASE[..5000]));
    assert!(owners.has_unread_database());
    let problem = owners.problems().concat();
    assert!(
        problem.contains(PLACE) && problem.contains("cut short"),
        "{problem}"
    );
    let owners = Owners::load(&MemFs::new().file("/var/lib/rpm/Packages", "\0"));
    assert!(owners.has_unread_database());
}

fn read_any(database: &[u8], name: &str) {
    let fs = MemFs::new().file(format!("/var/lib/rpm/{name}"), database);
    // Whatever it holds: an answer, in bounded time, and no panic.
    let owners = Owners::load(&fs);
    assert!(owners.packages().len() <= database.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_makes_a_reader_panic(
        changes in proptest::collection::vec((0..DATABASE.len(), any::<u8>()), 1..40),
        near in proptest::collection::vec((0..200_usize, any::<u8>()), 0..4),
        length in 0..DATABASE.len(),
    ) {
        let mut sqlite = DATABASE.to_vec();
        let mut own = ndb(&first_header());
        for (at, byte) in changes.into_iter().chain(near) {
            sqlite[at] = byte;
            let at = at % own.len();
            own[at] = byte;
        }
        read_any(&sqlite, "rpmdb.sqlite");
        read_any(&sqlite[..length], "rpmdb.sqlite");
        read_any(&own, "Packages.db");
    }
}
