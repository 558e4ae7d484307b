//! Random trees of every kind of entry, made on the real file system, and what one can see of
//! such a tree.

use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// What to make.
#[derive(Clone, Debug, Default)]
pub enum NodeKind {
    #[default]
    Directory,
    /// Runs of data, and the length of the file.
    File {
        content: Vec<(u64, Vec<u8>)>,
        length: u64,
    },
    Symlink(Vec<u8>),
    Fifo,
    Device(u64, u64),
    /// A hard link to the entry that was made as number N, if that can be.
    HardLink(usize),
}

/// One entry to make, its parents with it.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub components: Vec<Vec<u8>>,
    pub kind: NodeKind,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub xattrs: Vec<(String, Vec<u8>)>,
    pub capability: Option<u8>,
    /// A user who may read, by an ACL.
    pub reader: Option<u32>,
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    let odd = vec(
        prop_oneof![
            Just(b'\n'),
            Just(b'\\'),
            Just(b' '),
            Just(b'='),
            Just(b'%'),
            Just(0xE9),
            Just(0xC3),
            1u8..=255
        ],
        1..12,
    );
    let long = (vec(b'a'..=b'e', 1..3), 60usize..=255).prop_map(|(stem, length)| {
        let mut name = stem;
        name.resize(length, b'n');
        name
    });
    prop_oneof![4 => "[a-c]{1,2}".prop_map(String::into_bytes), 3 => odd, 2 => long,
                1 => Just("grüße-日本".as_bytes().to_vec())]
    .prop_map(|name| {
        name.into_iter()
            .map(|b| if b == b'/' { b'_' } else { b })
            .collect()
    })
    .prop_filter("a name", |name: &Vec<u8>| {
        name != b"." && name != b".." && !name.starts_with(b".wh.")
    })
}

fn kind() -> impl Strategy<Value = NodeKind> {
    let run = (0u64..2_000_000, vec(any::<u8>(), 1..3000));
    let sparse = (vec(run, 0..4), 0u64..3_000_000)
        .prop_map(|(content, length)| NodeKind::File { content, length });
    let plain = vec(any::<u8>(), 0..2000).prop_map(|bytes| NodeKind::File {
        length: bytes.len() as u64,
        content: vec![(0, bytes)],
    });
    let target = prop_oneof![
        vec(component(), 1..3).prop_map(|parts| parts.join(&b'/')),
        (90usize..400).prop_map(|length| vec![b't'; length]),
        Just(b"/etc/\xE9".to_vec()),
    ];
    prop_oneof![
        2 => Just(NodeKind::Directory),
        4 => plain,
        2 => sparse,
        3 => target.prop_map(NodeKind::Symlink),
        1 => Just(NodeKind::Fifo),
        1 => (0u64..500, 0u64..100_000).prop_map(|(major, minor)| NodeKind::Device(major, minor)),
        4 => (0usize..12).prop_map(NodeKind::HardLink),
    ]
}

prop_compose! {
    fn node()(
        components in vec(component(), 1..5),
        kind in kind(),
        mode in 0u32..0o10000,
        owner in (prop_oneof![0u32..3, Just(2_097_151), 2_097_152u32..4_000_000_000], 0u32..3_000_000),
        mtime in (prop_oneof![0i64..2_000_000_000, -1_000_000i64..0, Just(9_000_000_000)],
                  prop_oneof![Just(0i64), 0i64..1_000_000_000]),
        xattrs in vec(("user\\.[a-z%]{1,8}", vec(any::<u8>(), 0..60)), 0..3),
        capability in option::weighted(0.2, 0u8..40),
        reader in option::weighted(0.2, 0u32..100_000),
    ) -> Node {
        Node { components, kind, mode, owner, mtime, xattrs, capability, reader }
    }
}

/// The entries of a tree; some cannot be made beside others, and are left out then.
pub fn nodes() -> impl Strategy<Value = Vec<Node>> {
    vec(node(), 1..16)
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Makes the tree. What cannot be made (a name twice, a path that is too long, no permission)
/// is left out: only what is there afterwards counts.
pub fn build(root: &Path, nodes: &[Node]) {
    fs::create_dir(root).expect("a root");
    let mut made: Vec<(PathBuf, &Node)> = Vec::new();
    for node in nodes {
        let names = node.components.iter().map(|name| OsStr::from_bytes(name));
        let path = root.join(names.collect::<PathBuf>());
        let Some(parent) = path.parent() else {
            continue;
        };
        if fs::create_dir_all(parent).is_err() || path.symlink_metadata().is_ok() {
            continue;
        }
        let links: Vec<&Path> = made.iter().map(|(path, _)| path.as_path()).collect();
        if make(&path, &node.kind, &links).is_some() {
            made.push((path, node));
        }
    }
    // Children first, so that a directory's time and mode come after what changes them.
    for (path, node) in made.iter().rev() {
        dress(path, node);
    }
}

fn make(path: &Path, kind: &NodeKind, made: &[&Path]) -> Option<()> {
    match kind {
        NodeKind::Directory => fs::create_dir(path).ok(),
        NodeKind::File { content, length } => {
            let file = File::create_new(path).ok()?;
            for (offset, bytes) in content {
                file.write_all_at(bytes, *offset).ok()?;
            }
            file.set_len(*length).ok()
        }
        NodeKind::Symlink(target) => symlink(OsStr::from_bytes(target), path).ok(),
        NodeKind::Fifo => mknod(path, SFlag::S_IFIFO, Mode::empty(), 0).ok(),
        NodeKind::Device(major, minor) => {
            mknod(path, SFlag::S_IFCHR, Mode::empty(), makedev(*major, *minor)).ok()
        }
        // std's follows no symlink, as link(2).
        NodeKind::HardLink(number) => fs::hard_link(made.get(*number)?, path).ok(),
    }
}

fn dress(path: &Path, node: &Node) {
    let is_symlink = path.is_symlink();
    if is_root() {
        let _ = lchown(path, Some(node.owner.0), Some(node.owner.1));
    }
    if !is_symlink {
        // Without root, what we cannot read or enter we could not compare.
        let floor = if is_root() { 0 } else { 0o700 };
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(node.mode | floor));
    }
    if !is_symlink && (path.is_file() || path.is_dir()) {
        for (name, value) in &node.xattrs {
            let _ = xattr::set(path, name, value);
        }
    }
    if let (Some(user), false) = (node.reader, path.is_symlink()) {
        let (value, is_directory) = (acl(user), path.is_dir());
        // Not every file system and kind of entry has them.
        let _ = xattr::set(path, "system.posix_acl_access", &value);
        if is_directory {
            let _ = xattr::set(path, "system.posix_acl_default", &value);
        }
    }
    if let (Some(bit), true, true) = (node.capability, path.is_file() && !is_symlink, is_root()) {
        let mut value = vec![1, 0, 0, 2];
        let bits = (1u64 << bit).to_le_bytes();
        value.extend(&bits[..4]);
        value.extend([0; 4]);
        value.extend(&bits[4..]);
        value.extend([0; 4]);
        xattr::set(path, "security.capability", &value).expect("a capability");
    }
    let time = TimeSpec::new(node.mtime.0, node.mtime.1);
    let flag = UtimensatFlags::NoFollowSymlink;
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, flag).expect("a time");
}

/// `u::rwx,u:USER:r--,g::r-x,m::r-x,o::---` as linux/posix_acl_xattr.h lays it out.
fn acl(user: u32) -> Vec<u8> {
    let nobody = u32::MAX;
    let mut value = vec![2, 0, 0, 0];
    for (tag, bits, id) in [
        (0x01, 7, nobody),
        (0x02, 4, user),
        (0x04, 5, nobody),
        (0x10, 5, nobody),
        (0x20, 0, nobody),
    ] {
        value.extend([tag, 0, bits, 0]);
        value.extend(id.to_le_bytes());
    }
    value
}

/// What can be seen of an entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    device: u64,
    content: Vec<u8>,
    is_sparse: bool,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The other names of the same inode.
    links: Vec<Vec<u8>>,
}

/// Everything at and below `root`, by path relative to it.
pub fn snapshot(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = BTreeMap::new();
    let mut names: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().expect("there");
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).expect("listed") {
                pending.push(entry.expect("an entry").path());
            }
        }
        let name = path
            .strip_prefix(root)
            .expect("below")
            .as_os_str()
            .as_bytes();
        names.entry(metadata.ino()).or_default().push(name.to_vec());
        inodes.insert(name.to_vec(), metadata.ino());
        seen.insert(name.to_vec(), look(&path, &metadata));
    }
    // libarchive does not bring back the time of a directory that it finds already there.
    if let Some(entry) = seen.get_mut(&b""[..]) {
        entry.mtime = (0, 0);
    }
    for (name, entry) in &mut seen {
        entry.links = names[&inodes[name]].clone();
        entry.links.sort();
    }
    seen
}

fn look(path: &Path, metadata: &fs::Metadata) -> Seen {
    let content = if metadata.is_file() {
        fs::read(path).expect("read")
    } else if metadata.is_symlink() {
        fs::read_link(path)
            .expect("a target")
            .into_os_string()
            .into_vec()
    } else {
        Vec::new()
    };
    let xattrs = xattr::list(path)
        .expect("attributes")
        .map(|name| {
            let value = xattr::get(path, &name).expect("read").unwrap_or_default();
            (name.into_vec(), value)
        })
        .collect();
    // Before 1970 only whole seconds survive: the readers disagree on fractions there.
    let nanoseconds = if metadata.mtime() < 0 {
        0
    } else {
        metadata.mtime_nsec()
    };
    let owner = if is_root() {
        (metadata.uid(), metadata.gid())
    } else {
        (0, 0)
    };
    Seen {
        mode: metadata.mode(),
        owner,
        mtime: (metadata.mtime(), nanoseconds),
        device: metadata.rdev(),
        content,
        // Smaller holes may be written as zeros.
        is_sparse: metadata.is_file()
            && metadata.blocks() * 512 + (1 << 20) + 65_536 < metadata.size(),
        xattrs,
        links: Vec::new(),
    }
}
