//! What holds of every manifest, over random trees, uses and mounts.

use super::*;
use crate::image_fs::{FileKind, ImageFs, walk};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "ab", "b", "c"];

fn any_path(depth: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&NAMES[..]), depth)
        .prop_map(|names| format!("/{}", names.join("/")))
}

#[derive(Clone, Debug)]
enum Node {
    File(&'static [u8]),
    Directory,
    Socket,
    Link(String),
}

fn any_node() -> impl Strategy<Value = Node> {
    prop_oneof![
        3 => Just(Node::File(b"text")),
        1 => Just(Node::File(b"#!/a/b\n")),
        2 => Just(Node::Directory),
        1 => Just(Node::Socket),
        2 => any_path(1..4).prop_map(Node::Link),
        1 => any_path(1..3).prop_map(|path| Node::Link(format!("..{path}"))),
        1 => any_path(1..3).prop_map(|path| Node::Link(path[1..].to_owned())),
    ]
}

/// A tree as a file system could hold it: nothing lies below a file or a symlink.
fn tree(nodes: &[(String, Node)]) -> MemFs {
    let mut fs = MemFs::new();
    for (name, node) in nodes {
        let place = path(name);
        let above = std::iter::successors(place.parent(), ImagePath::parent);
        let fits = above.into_iter().all(|parent| {
            fs.lstat(&parent)
                .map_or(true, |meta| meta.kind == FileKind::Directory)
        });
        if !fits || fs.lstat(&place).is_ok() {
            continue;
        }
        fs = match node {
            Node::File(content) => fs.program(name, content),
            Node::Directory => fs.directory(name),
            Node::Socket => fs.node(name, FileKind::Socket, 0o600, ""),
            Node::Link(target) => fs.symlink(name, target),
        };
    }
    fs
}

#[derive(Clone, Debug)]
struct Scene {
    nodes: Vec<(String, Node)>,
    uses: Vec<(String, u8)>,
    created: Vec<String>,
    kept: Vec<String>,
    mounts: Vec<String>,
    includes: Vec<String>,
    excludes: Vec<String>,
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let paths = |count| proptest::collection::vec(any_path(1..4), 0..count);
    (
        proptest::collection::vec((any_path(1..5), any_node()), 0..25),
        proptest::collection::vec((any_path(1..5), 0u8..5), 0..12),
        paths(3),
        paths(2),
        paths(3),
        paths(2),
        paths(2),
    )
        .prop_map(
            |(nodes, uses, created, kept, mounts, includes, excludes)| Scene {
                nodes,
                uses,
                created,
                kept,
                mounts,
                includes,
                excludes,
            },
        )
}

/// Whether there could have been a file here when all else was as it is.
fn could_be_a_file(case: &Case, place: &ImagePath) -> bool {
    let kind = |path: &ImagePath| case.fs.lstat(path).map(|meta| meta.kind).ok();
    let mut above = std::iter::successors(place.parent(), ImagePath::parent);
    let lies_in_directories =
        above.all(|parent| kind(&parent).is_none_or(|kind| kind == FileKind::Directory));
    let mut others = case.recording.originals.keys();
    lies_in_directories
        && kind(place) != Some(FileKind::Directory)
        && !others.any(|other| other.is_at_or_below(place) || place.is_at_or_below(other))
}

fn case(scene: &Scene) -> Case {
    let accesses = [
        Access::PROBE,
        Access::OPEN,
        Access::EXEC,
        Access::OPEN.with(Access::LIST),
        Access::PROBE.with(Access::NO_FOLLOW),
    ];
    let mut case = Case::new(tree(&scene.nodes));
    for (name, access) in &scene.uses {
        case = case.uses(accesses[usize::from(*access)], name);
    }
    for name in &scene.created {
        case = case.created(name);
    }
    for name in &scene.kept {
        if could_be_a_file(&case, &path(name)) {
            case = case.kept(name, "was");
        }
    }
    let mut table = "1 0 0:1 / / rw - overlay o rw\n".to_owned();
    for (number, point) in scene.mounts.iter().enumerate() {
        table += &format!("{} 1 0:2 / {point} rw - ext4 e rw\n", number + 2);
    }
    case.mounts(&table).options(|options| {
        options.include = Patterns::new(&scene.includes).expect("names");
        options.exclude = Patterns::new(&scene.excludes).expect("names");
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_parent_is_shipped_as_a_directory(scene in any_scene()) {
        let manifest = case(&scene).resolve();
        for place in manifest.entries.keys() {
            if let Some(parent) = place.parent() {
                let kind = manifest.entries.get(&parent).map(|entry| entry.kind);
                prop_assert_eq!(kind, Some(FileKind::Directory), "{}", place);
            }
        }
        prop_assert!(manifest.entries.values().all(|entry| !entry.reasons.is_empty()));
    }

    #[test]
    fn every_step_of_a_used_path_is_shipped_or_excluded(scene in any_scene()) {
        let mut case = case(&scene);
        let manifest = case.resolve();
        let accounted = |place: &ImagePath| {
            std::iter::successors(Some(place.clone()), ImagePath::parent).any(|place| {
                manifest.excluded.contains_key(&place)
            }) || manifest.entries.contains_key(place)
        };
        for (place, used) in &case.recording.uses {
            let followed = !used.access.contains(Access::NO_FOLLOW);
            let before = Before::new(&case.fs, &case.spool, &case.recording);
            let walk = walk(&before, &place.path, followed);
            // Of what may not be shipped the directory need not be either.
            let left_out = manifest.excluded.get(&walk.last);
            let kept = left_out.is_none_or(|why| *why == Exclusion::Vanished);
            let deepest = kept.then_some(&walk.deepest);
            for step in walk.links.iter().chain(deepest).chain([&walk.last]) {
                let spelled = manifest.excluded.contains_key(&place.path);
                let mounted = case.options.mounts.of(step).is_some_and(|of| of.id != 1);
                prop_assert!(accounted(step) || spelled || mounted, "{} of {}", step, place.path);
            }
        }
    }

    #[test]
    fn on_a_foreign_mount_there_are_only_empty_directories(scene in any_scene()) {
        let mut case = case(&scene);
        let manifest = case.resolve();
        for (place, entry) in &manifest.entries {
            if case.options.mounts.of(place).is_some_and(|of| of.id != 1) {
                let made = matches!(entry.source, Source::EmptyDirectory { .. });
                prop_assert!(made, "{}", place);
            }
        }
    }

    #[test]
    fn nothing_excluded_by_pattern_and_nothing_made_is_shipped(scene in any_scene()) {
        let mut case = case(&scene);
        case.options.include = Patterns::none();
        case.options.mounts = Mounts::none();
        case.recording.originals.clear();
        let manifest = case.resolve();
        for (place, entry) in &manifest.entries {
            let made = case.recording.created.iter().any(|made| place.is_at_or_below(made));
            let always = entry.meta.is_none();
            prop_assert!(always || !made, "made: {}", place);
            prop_assert!(case.options.exclude.covering(place).is_none(), "excluded: {}", place);
        }
    }

    #[test]
    fn the_order_of_insertion_does_not_matter(scene in any_scene()) {
        let mut turned = scene.clone();
        turned.uses.dedup_by(|left, right| left.0 == right.0);
        turned.uses.sort();
        turned.uses.dedup_by(|left, right| left.0 == right.0);
        let straight = Scene { uses: turned.uses.clone(), ..scene };
        turned.uses.reverse();
        turned.created.reverse();
        turned.kept.reverse();
        turned.excludes.reverse();
        let (left, right) = (case(&straight).resolve(), case(&turned).resolve());
        prop_assert_eq!(left.entries, right.entries);
        prop_assert_eq!(left.losses, right.losses);
    }

    #[test]
    fn a_second_look_at_the_shipped_paths_ships_the_same(scene in any_scene()) {
        let mut first = case(&Scene { created: vec![], kept: vec![], ..scene });
        let manifest = first.resolve();
        for place in manifest.entries.keys() {
            let looked = Access::PROBE.with(Access::NO_FOLLOW);
            first = first.uses(looked, place.as_bytes());
        }
        let again: Vec<_> = first.resolve().entries.into_keys().collect();
        let before: Vec<_> = manifest.entries.into_keys().collect();
        prop_assert!(again.iter().all(|place| before.contains(place)), "{:?} {:?}", before, again);
    }

    #[test]
    fn foreign_bytes_break_no_parser(bytes in proptest::collection::vec(
        prop_oneof![3 => proptest::sample::select(&b"#!/ \t\n\\-S:=env'\"*[{0123PVFR"[..]),
            1 => any::<u8>()], 0..300)) {
        let _ = Mounts::parse(&bytes);
        let _ = Patterns::new([&bytes]);
        let _ = patterns::parse_file(&bytes);
        let script = [b"#!/usr/bin/env ", bytes.as_slice()].concat();
        for head in [&bytes, &script] {
            let _ = script::Shebang::parse(head).and_then(|line| line.env_command());
        }
        let fs = MemFs::new()
            .file("/var/lib/dpkg/status", &bytes)
            .file("/var/lib/dpkg/info/x.list", &bytes)
            .file("/var/lib/dpkg/status.d/y", &bytes)
            .file("/var/lib/dpkg/status.d/y.md5sums", &bytes)
            .file("/lib/apk/db/installed", &bytes)
            .program("/job", &script);
        let _ = crate::packages::Owners::load(&fs);
        let (recording, _) = from_list(&fs, &bytes, &bytes, &path("/var"));
        let mut table = Table::default();
        resolve_with(&fs, &recording, &Options::default(), &mut table);
        Case::new(fs).starts("/job", None).resolve();
    }
}
