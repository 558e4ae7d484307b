//! Any rounds over a tree that changes.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::symlink;

/// What happens to the tree, or to what is packed, between two rounds.
#[derive(Clone, Debug)]
enum Step {
    Use(usize),
    Write(usize, usize),
    Remove(usize),
    Link(usize, usize),
    Symlink(usize),
    /// Of the directory.
    Mode(u32),
    /// A round that ends after so many bytes.
    Round(u64),
}

/// Every other file lies in a directory.
fn name(file: usize) -> String {
    match file % 2 {
        0 => format!("/{file}"),
        _ => format!("/d/{file}"),
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..8usize).prop_map(Step::Use),
        (0..8usize, 0..300_000usize).prop_map(|(file, size)| Step::Write(file, size)),
        (0..8usize).prop_map(Step::Remove),
        (0..8usize, 0..8usize).prop_map(|(from, to)| Step::Link(from, to)),
        (0..8usize).prop_map(Step::Symlink),
        (0o700..0o1000u32).prop_map(Step::Mode),
        prop_oneof![Just(u64::MAX), 0..600_000u64].prop_map(Step::Round),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_rounds_over_any_changes_give_the_tree_of_the_end(
        steps in proptest::collection::vec(any_step(), 1..24)
    ) {
        let (tree, home) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let fs = HostFs::new(tree.path());
        let directory = tree.path().join("d");
        fs::create_dir(&directory).expect("made");
        let place = |file: usize| tree.path().join(&name(file)[1..]);
        let mut ahead = begun(&home);
        let mut used = vec!["/".to_owned(), "/d".to_owned()];
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Use(file) => used.push(name(file)),
                Step::Write(file, size) => {
                    let _ = fs::remove_file(place(file));
                    fs::write(place(file), vec![number as u8; size]).expect("written");
                }
                Step::Remove(file) => drop(fs::remove_file(place(file))),
                Step::Link(from, to) => drop(fs::hard_link(place(from), place(to))),
                Step::Symlink(file) => drop(symlink("somewhere", place(file))),
                Step::Mode(mode) => {
                    let mode = fs::Permissions::from_mode(mode);
                    fs::set_permissions(&directory, mode).expect("set");
                }
                Step::Round(most) => {
                    let manifest = manifest_of(&fs, &used);
                    let advanced = ahead.advance(&watched(&fs, most), &manifest);
                    prop_assert!(most != u64::MAX || advanced.is_ok());
                }
            }
        }
        let manifest = manifest_of(&fs, &used);
        let expected = written_at_once(&fs, &manifest);
        let links = |tarball: &[u8]| unlinked(tree_of(tarball));
        prop_assert_eq!(links(&finished(ahead, &fs, &manifest, &home)), links(&expected));
    }
}
