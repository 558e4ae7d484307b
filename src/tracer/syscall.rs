//! Which system calls take paths, in which arguments, and what they do to them, and which serve
//! ports: data only.

mod names;
mod numbers;
#[cfg(test)]
mod tests;

use crate::recording::Access;

/// A calling convention: an architecture's own, or that of its 32-bit programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Abi {
    X86_64,
    I386,
    Aarch64,
    Arm,
}

impl Abi {
    /// The conventions a process on this machine may use, the native one first.
    #[cfg(target_arch = "x86_64")]
    pub const HERE: [Abi; 2] = [Abi::X86_64, Abi::I386];
    /// The conventions a process on this machine may use, the native one first.
    #[cfg(target_arch = "aarch64")]
    pub const HERE: [Abi; 2] = [Abi::Aarch64, Abi::Arm];

    /// AUDIT_ARCH_* of <linux/audit.h>.
    pub const fn audit_arch(self) -> u32 {
        match self {
            Abi::X86_64 => 0xC000_003E,
            Abi::I386 => 0x4000_0003,
            Abi::Aarch64 => 0xC000_00B7,
            Abi::Arm => 0x4000_0028,
        }
    }

    /// The description of a call by its name.
    pub fn call(name: &str) -> Option<&'static Call> {
        CALLS.iter().find(|call| call.name == name)
    }

    /// Numbers and names of the calls of [`CALLS`], sorted by number.
    pub const fn numbers(self) -> numbers::Numbers {
        match self {
            Abi::X86_64 => numbers::X86_64,
            Abi::I386 => numbers::I386,
            Abi::Aarch64 => numbers::AARCH64,
            Abi::Arm => numbers::ARM,
        }
    }
}

/// What the path is relative to, when it is relative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The current directory.
    Cwd,
    /// The directory descriptor in this argument, or the current directory for AT_FDCWD.
    Fd(u8),
}

/// What tells whether a symlink at the end is followed, and whether an empty path means the
/// descriptor itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Always followed.
    Yes,
    /// Never followed.
    No,
    /// AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH in this argument.
    AtFlags(u8),
    /// Not followed but for AT_SYMLINK_FOLLOW in this argument (linkat).
    AtFollow(u8),
}

/// What a call does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Uses what is there in this way.
    Use(Access, Follow),
    /// Opens, with the flags of open(2) in this argument.
    Open(u8),
    /// Opens, with a `struct open_how` behind this argument.
    OpenHow(u8),
    /// Opens as creat(2) does.
    Creat,
    /// Makes a new name; fails where there is one.
    Create,
    /// Takes the name away.
    Remove,
}

/// One path of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathArgument {
    /// What a relative path starts from.
    pub base: Base,
    /// The argument that points to the NUL-terminated path.
    pub path: u8,
    /// What is done with it.
    pub deed: Deed,
}

/// How a call names its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By paths.
    Paths(&'static [PathArgument]),
    /// By paths, and the mounts are others afterwards.
    Mounts(&'static [PathArgument]),
    /// By an open descriptor in the first argument.
    Descriptor(Access),
    /// By an old and a new name; the flags of renameat2(2) in this argument.
    Rename([PathArgument; 2], Option<u8>),
    /// By an old and a new name, which both stay.
    Link([PathArgument; 2]),
    /// By a `struct sockaddr` in the second argument, its length in the third.
    Address(Deed),
    /// listen(2) of the socket in the first argument.
    Listen,
    /// socketcall(2) of 32-bit x86: bind, connect and listen behind an array of arguments.
    Socketcall,
    /// Changes the root directory or the mounts that later paths are looked up in.
    Namespace,
    /// seccomp(2): only a second listener matters.
    Seccomp,
    /// Changes the process's IDs, after which it may not be looked at any more (prctl(2),
    /// PR_SET_DUMPABLE).
    Identity,
    /// prctl(2): only PR_SET_DUMPABLE to 0 matters.
    Prctl,
    /// io_uring_setup(2): what is opened through a ring passes by every tracer.
    IoUring,
    /// Starts a child or a thread: only CLONE_UNTRACED and CLONE_NEWNS matter.
    Spawn,
    /// ptrace(2): a process has one tracer.
    Ptrace,
}

/// A call that names files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The kernel's name for it.
    pub name: &'static str,
    /// Where its paths are.
    pub shape: Shape,
}

const fn at_cwd(path: u8, deed: Deed) -> PathArgument {
    PathArgument {
        base: Base::Cwd,
        path,
        deed,
    }
}

const fn at_fd(fd: u8, path: u8, deed: Deed) -> PathArgument {
    PathArgument {
        base: Base::Fd(fd),
        path,
        deed,
    }
}

const PROBE: Deed = Deed::Use(Access::PROBE, Follow::Yes);
const LOOK: Deed = Deed::Use(Access::PROBE, Follow::No);
const CHANGE: Deed = Deed::Use(Access::CHANGE, Follow::Yes);
const TRUNCATE: Deed = Deed::Use(Access::CHANGE.with(Access::WRITE), Follow::Yes);
const CHANGE_LINK: Deed = Deed::Use(Access::CHANGE, Follow::No);
const ENTER: Deed = Deed::Use(Access::ENTER, Follow::Yes);

const fn probe_at(flags: u8) -> Deed {
    Deed::Use(Access::PROBE, Follow::AtFlags(flags))
}

const fn change_at(flags: u8) -> Deed {
    Deed::Use(Access::CHANGE, Follow::AtFlags(flags))
}

macro_rules! calls {
    ($($name:literal $shape:ident ( $($argument:expr),* );)*) => {
        &[$(Call { name: $name, shape: calls!(@ $shape $($argument),*) }),*]
    };
    (@ paths $($argument:expr),*) => { Shape::Paths(&[$($argument),*]) };
    (@ mounts $($argument:expr),*) => { Shape::Mounts(&[$($argument),*]) };
    (@ descriptor $access:expr) => { Shape::Descriptor($access) };
    (@ rename $from:expr, $to:expr, $flags:expr) => { Shape::Rename([$from, $to], $flags) };
    (@ link $from:expr, $to:expr) => { Shape::Link([$from, $to]) };
    (@ address $deed:expr) => { Shape::Address($deed) };
    (@ listen) => { Shape::Listen };
    (@ socketcall) => { Shape::Socketcall };
    (@ namespace) => { Shape::Namespace };
    (@ seccomp) => { Shape::Seccomp };
    (@ identity) => { Shape::Identity };
    (@ prctl) => { Shape::Prctl };
    (@ spawn) => { Shape::Spawn };
    (@ ptrace) => { Shape::Ptrace };
    (@ io_uring) => { Shape::IoUring };
}

/// Every call that is followed, whatever the calling convention.
#[rustfmt::skip]
pub const CALLS: &[Call] = calls! {
    "open" paths(at_cwd(0, Deed::Open(1)));
    "openat" paths(at_fd(0, 1, Deed::Open(2)));
    "openat2" paths(at_fd(0, 1, Deed::OpenHow(2)));
    "creat" paths(at_cwd(0, Deed::Creat));
    "uselib" paths(at_cwd(0, Deed::Use(Access::OPEN, Follow::Yes)));
    "open_tree" paths(at_fd(0, 1, probe_at(2)));
    "execve" paths(at_cwd(0, Deed::Use(Access::EXEC, Follow::Yes)));
    "execveat" paths(at_fd(0, 1, Deed::Use(Access::EXEC, Follow::AtFlags(4))));
    "stat" paths(at_cwd(0, PROBE));
    "oldstat" paths(at_cwd(0, PROBE));
    "stat64" paths(at_cwd(0, PROBE));
    "lstat" paths(at_cwd(0, LOOK));
    "oldlstat" paths(at_cwd(0, LOOK));
    "lstat64" paths(at_cwd(0, LOOK));
    "newfstatat" paths(at_fd(0, 1, probe_at(3)));
    "fstatat64" paths(at_fd(0, 1, probe_at(3)));
    "statx" paths(at_fd(0, 1, probe_at(2)));
    "access" paths(at_cwd(0, PROBE));
    "faccessat" paths(at_fd(0, 1, PROBE));
    "faccessat2" paths(at_fd(0, 1, probe_at(3)));
    "readlink" paths(at_cwd(0, LOOK));
    "readlinkat" paths(at_fd(0, 1, LOOK));
    "name_to_handle_at" paths(at_fd(0, 1, probe_at(4)));
    "statfs" paths(at_cwd(0, PROBE));
    "statfs64" paths(at_cwd(0, PROBE));
    "getxattr" paths(at_cwd(0, PROBE));
    "lgetxattr" paths(at_cwd(0, LOOK));
    "getxattrat" paths(at_fd(0, 1, probe_at(2)));
    "listxattr" paths(at_cwd(0, PROBE));
    "llistxattr" paths(at_cwd(0, LOOK));
    "listxattrat" paths(at_fd(0, 1, probe_at(2)));
    "inotify_add_watch" paths(at_cwd(1, PROBE));
    "fanotify_mark" paths(at_fd(3, 4, PROBE));
    "chdir" paths(at_cwd(0, ENTER));
    "fchdir" descriptor(Access::ENTER);
    "getdents" descriptor(Access::LIST);
    "getdents64" descriptor(Access::LIST);
    "truncate" paths(at_cwd(0, TRUNCATE));
    "truncate64" paths(at_cwd(0, TRUNCATE));
    "setxattr" paths(at_cwd(0, CHANGE));
    "lsetxattr" paths(at_cwd(0, CHANGE_LINK));
    "setxattrat" paths(at_fd(0, 1, change_at(2)));
    "fsetxattr" descriptor(Access::CHANGE);
    "removexattr" paths(at_cwd(0, CHANGE));
    "lremovexattr" paths(at_cwd(0, CHANGE_LINK));
    "removexattrat" paths(at_fd(0, 1, change_at(2)));
    "fremovexattr" descriptor(Access::CHANGE);
    "chmod" paths(at_cwd(0, CHANGE));
    "fchmod" descriptor(Access::CHANGE);
    "fchmodat" paths(at_fd(0, 1, CHANGE));
    "fchmodat2" paths(at_fd(0, 1, change_at(3)));
    "chown" paths(at_cwd(0, CHANGE));
    "chown32" paths(at_cwd(0, CHANGE));
    "lchown" paths(at_cwd(0, CHANGE_LINK));
    "lchown32" paths(at_cwd(0, CHANGE_LINK));
    "fchown" descriptor(Access::CHANGE);
    "fchown32" descriptor(Access::CHANGE);
    "fchownat" paths(at_fd(0, 1, change_at(4)));
    "utime" paths(at_cwd(0, CHANGE));
    "utimes" paths(at_cwd(0, CHANGE));
    "futimesat" paths(at_fd(0, 1, CHANGE));
    "utimensat" paths(at_fd(0, 1, change_at(3)));
    "utimensat_time64" paths(at_fd(0, 1, change_at(3)));
    "mkdir" paths(at_cwd(0, Deed::Create));
    "mkdirat" paths(at_fd(0, 1, Deed::Create));
    "mknod" paths(at_cwd(0, Deed::Create));
    "mknodat" paths(at_fd(0, 1, Deed::Create));
    "symlink" paths(at_cwd(1, Deed::Create));
    "symlinkat" paths(at_fd(1, 2, Deed::Create));
    "link" link(at_cwd(0, LOOK), at_cwd(1, Deed::Create));
    "linkat" link(
        at_fd(0, 1, Deed::Use(Access::PROBE, Follow::AtFollow(4))), at_fd(2, 3, Deed::Create));
    "rename" rename(at_cwd(0, Deed::Remove), at_cwd(1, Deed::Create), None);
    "renameat" rename(at_fd(0, 1, Deed::Remove), at_fd(2, 3, Deed::Create), None);
    "renameat2" rename(at_fd(0, 1, Deed::Remove), at_fd(2, 3, Deed::Create), Some(4));
    "unlink" paths(at_cwd(0, Deed::Remove));
    "unlinkat" paths(at_fd(0, 1, Deed::Remove));
    "rmdir" paths(at_cwd(0, Deed::Remove));
    "connect" address(PROBE);
    "bind" address(Deed::Create);
    "listen" listen();
    "socketcall" socketcall();
    "mount" mounts(at_cwd(1, PROBE));
    "move_mount" mounts(at_fd(2, 3, PROBE));
    "chroot" namespace();
    "pivot_root" namespace();
    "unshare" namespace();
    "setns" namespace();
    "seccomp" seccomp();
    "setuid" identity();
    "setgid" identity();
    "setreuid" identity();
    "setregid" identity();
    "setresuid" identity();
    "setresgid" identity();
    "setfsuid" identity();
    "setfsgid" identity();
    "setuid32" identity();
    "setgid32" identity();
    "setreuid32" identity();
    "setregid32" identity();
    "setresuid32" identity();
    "setresgid32" identity();
    "setfsuid32" identity();
    "setfsgid32" identity();
    "prctl" prctl();
    "io_uring_setup" io_uring();
    "clone" spawn();
    "clone3" spawn();
    "ptrace" ptrace();
};

impl Call {
    /// Whether it may make the process one that we may not look at any more.
    pub fn hides_the_caller(&self) -> bool {
        matches!(self.shape, Shape::Identity | Shape::Prctl)
    }

    /// Whether it executes a program.
    pub fn executes(&self) -> bool {
        matches!(self.name, "execve" | "execveat")
    }
}

/// The calls of every convention of this machine, by number.
pub struct Table {
    abis: Vec<(u32, Vec<Option<&'static Call>>)>,
}

impl Table {
    /// For the conventions of this machine.
    pub fn new() -> Self {
        Self {
            abis: Abi::HERE
                .iter()
                .map(|abi| (abi.audit_arch(), by_number(abi.numbers())))
                .collect(),
        }
    }

    /// The call of this number, if it is one that names files.
    pub fn call(&self, audit_arch: u32, number: u64) -> Option<&'static Call> {
        let (_, calls) = self.abis.iter().find(|(arch, _)| *arch == audit_arch)?;
        *calls.get(usize::try_from(number).ok()?)?
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

fn by_number(numbers: numbers::Numbers) -> Vec<Option<&'static Call>> {
    let highest = numbers.last().map_or(0, |(number, _)| *number);
    let mut calls = vec![None; highest as usize + 1];
    for (number, name) in numbers {
        calls[*number as usize] = Abi::call(name);
    }
    calls
}
