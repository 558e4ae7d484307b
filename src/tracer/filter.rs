//! The seccomp filter: only calls that name files, and the few that serve a port, leave the kernel's
//! fast path.

use super::shield;
use super::syscall::{Abi, Shape};
use crate::sys::{Filter, Instruction, Tid};

/// What the filter does with a call that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// SECCOMP_RET_USER_NOTIF: a listener is told.
    Notify,
    /// SECCOMP_RET_TRACE: the ptrace tracer is told.
    Trace,
}

/// What the filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// With calls that name files, and with listen(2).
    pub hit: Verdict,
    /// Calls after which we might not be allowed to look at the process any more stop under
    /// ptrace, whatever becomes of the others.
    pub watch_identity: bool,
    /// io_uring_setup(2) works, and counts as a call that names files. Otherwise it gets ENOSYS,
    /// as on a kernel without it: what is opened through a ring would not be seen.
    pub allow_io_uring: bool,
    /// The tracer, where the command's kill(2) must not reach it; such calls stop under ptrace.
    pub shielded: Option<Tid>,
}

const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;

const RET_ALLOW: u32 = 0x7fff_0000;
const RET_TRACE: u32 = 0x7ff0_0000 | OURS;
/// What a stop of our filter tells the tracer (PTRACE_GETEVENTMSG). One of the application's own
/// filters may ask for a tracer too, and would tell something else; of two that do for the same
/// call, the application's counts, since it is the newer one.
pub const OURS: u32 = 0x6d70;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const NO_SUCH_CALL: u32 = RET_ERRNO | libc::ENOSYS as u32;

/// Offsets in `struct seccomp_data` (seccomp(2)).
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;

/// The bit that marks x32 calls on x86_64. They share the AUDIT_ARCH value of native ones but
/// not their numbers' meaning, and almost no kernel offers them, so they get ENOSYS, as there.
const X32_BIT: u32 = 0x4000_0000;

/// Where a call keeps its AT_* flags, for the two that C libraries use as fstat(2).
const FLAGS_OF: [(&str, u32); 2] = [("newfstatat", 3), ("statx", 2)];

/// Builds the filter for these calling conventions.
///
/// For calls that name no file its verdict depends on architecture and number alone, so that the
/// kernel answers them from its own bitmap without running it (Linux 5.11).
///
/// What glibc and Rust make of fstat(2), `newfstatat(fd, "", …, AT_EMPTY_PATH)` and the like, is
/// let go: one stop less for every file that is opened and then sized. The filter cannot see
/// that the path is empty, so a path that is given together with a descriptor and exactly this
/// flag is not seen either (docs/limits.md).
pub fn program(abis: &[Abi], policy: Policy) -> Filter {
    let mut filter = vec![load(OFFSET_ARCH)];
    for abi in abis {
        let body = calls_of(*abi, policy);
        // A body may be longer than a conditional jump reaches: skip the jump around it instead.
        filter.push(jump(JUMP_EQUAL, abi.audit_arch(), 1, 0));
        filter.push(Instruction {
            code: 0x05,
            jt: 0,
            jf: 0,
            k: body.len() as u32,
        });
        filter.extend(body);
    }
    filter.push(give(RET_ALLOW));
    filter
}

fn calls_of(abi: Abi, policy: Policy) -> Vec<Instruction> {
    let hit = match policy.hit {
        Verdict::Notify => RET_USER_NOTIF,
        Verdict::Trace => RET_TRACE,
    };
    let mut body = vec![load(OFFSET_NUMBER)];
    if abi == Abi::X86_64 {
        body.push(jump(JUMP_AT_LEAST, X32_BIT, 0, 1));
        body.push(give(NO_SUCH_CALL));
    }
    for (number, name) in abi.numbers() {
        let shape = Abi::call(name).map(|call| call.shape);
        let flags = FLAGS_OF.iter().find(|(known, _)| known == name);
        let verdict = match (shape, flags) {
            (Some(Shape::Identity | Shape::Prctl), _) if !policy.watch_identity => continue,
            (Some(Shape::Identity), _) => vec![give(RET_TRACE)],
            (Some(Shape::Prctl), _) => if_hiding(),
            (Some(Shape::IoUring), _) if !policy.allow_io_uring => vec![give(NO_SUCH_CALL)],
            (Some(Shape::Spawn), _) if name == &"clone3" => continue,
            (Some(Shape::Spawn), _) => if_told(hit),
            (_, Some((_, flags))) => unless_fstat(*flags, hit),
            (_, None) => vec![give(hit)],
        };
        body.push(jump(JUMP_EQUAL, *number, 0, verdict.len() as u8));
        body.extend(verdict);
    }
    if let Some(tracer) = policy.shielded {
        let verdict = if_reaching(tracer);
        body.push(jump(
            JUMP_EQUAL,
            shield::number(abi),
            0,
            verdict.len() as u8,
        ));
        body.extend(verdict);
    }
    body.push(give(RET_ALLOW));
    body
}

/// kill(2) of the tracer, by a signal that it can do nothing about.
fn if_reaching(tracer: Tid) -> Vec<Instruction> {
    let [one, other] = shield::SIGNALS.map(|signal| signal as u32);
    let [first, second, third] = shield::targets(tracer).map(|(pid, _)| pid as u32);
    vec![
        load(low_half_of_argument(1)),
        jump(JUMP_EQUAL, one, 1, 0),
        jump(JUMP_EQUAL, other, 0, 4),
        load(low_half_of_argument(0)),
        jump(JUMP_EQUAL, first, 3, 0),
        jump(JUMP_EQUAL, second, 2, 0),
        jump(JUMP_EQUAL, third, 1, 0),
        give(RET_ALLOW),
        give(RET_TRACE),
    ]
}

/// prctl(PR_SET_DUMPABLE, 0): SUID_DUMP_DISABLE.
fn if_hiding() -> Vec<Instruction> {
    vec![
        load(low_half_of_argument(0)),
        jump(JUMP_EQUAL, libc::PR_SET_DUMPABLE as u32, 0, 2),
        load(low_half_of_argument(1)),
        jump(JUMP_EQUAL, 0, 1, 0),
        give(RET_ALLOW),
        give(RET_TRACE),
    ]
}

/// What the observer has to know of a new process.
const TOLD_FLAGS: i32 = libc::CLONE_UNTRACED | libc::CLONE_NEWNS;

/// clone(2) with one of these. The flags of clone3(2) are in memory, where no filter sees them.
fn if_told(hit: u32) -> Vec<Instruction> {
    vec![
        load(low_half_of_argument(0)),
        jump(JUMP_IF_ANY, TOLD_FLAGS as u32, 0, 1),
        give(hit),
        give(RET_ALLOW),
    ]
}

fn unless_fstat(flags: u32, hit: u32) -> Vec<Instruction> {
    vec![
        load(low_half_of_argument(flags)),
        jump(JUMP_EQUAL, libc::AT_EMPTY_PATH as u32, 0, 2),
        load(low_half_of_argument(0)),
        jump(JUMP_EQUAL, libc::AT_FDCWD as u32, 0, 1),
        give(hit),
        give(RET_ALLOW),
    ]
}

/// Both architectures are little-endian: the low half comes first.
const fn low_half_of_argument(index: u32) -> u32 {
    16 + 8 * index
}

const fn load(offset: u32) -> Instruction {
    Instruction {
        code: LOAD_WORD,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

const fn jump(code: u16, value: u32, jt: u8, jf: u8) -> Instruction {
    Instruction {
        code,
        jt,
        jf,
        k: value,
    }
}

const fn give(value: u32) -> Instruction {
    Instruction {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn policy(hit: Verdict, watch_identity: bool) -> Policy {
        Policy {
            hit,
            watch_identity,
            allow_io_uring: false,
            shielded: None,
        }
    }

    /// Runs a program as the kernel would.
    fn run(filter: &Filter, arch: u32, number: u32, args: [u64; 6]) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = filter[at];
            at += 1;
            match code {
                LOAD_WORD if k == OFFSET_ARCH => accumulator = arch,
                LOAD_WORD if k == OFFSET_NUMBER => accumulator = number,
                LOAD_WORD if k % 8 == 0 => accumulator = args[(k as usize - 16) / 8] as u32,
                JUMP_EQUAL => at += usize::from(if accumulator == k { jt } else { jf }),
                JUMP_IF_ANY => at += usize::from(if accumulator & k != 0 { jt } else { jf }),
                JUMP_AT_LEAST => at += usize::from(if accumulator >= k { jt } else { jf }),
                0x05 => at += k as usize,
                RETURN => return k,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn verdict(filter: &Filter, arch: u32, number: u32) -> u32 {
        run(filter, arch, number, [0; 6])
    }

    #[test]
    fn each_convention_stops_at_its_own_numbers_only() {
        for pair in [[Abi::X86_64, Abi::I386], [Abi::Aarch64, Abi::Arm]] {
            let filter = program(&pair, policy(Verdict::Notify, false));
            for abi in pair {
                for number in 0..600 {
                    let mut numbers = abi.numbers().iter();
                    let named = numbers.find(|(known, _)| *known == number);
                    let call = named.and_then(|(_, name)| Abi::call(name));
                    let expected = match call.map(|call| call.shape) {
                        None | Some(Shape::Identity | Shape::Prctl | Shape::Spawn) => RET_ALLOW,
                        Some(Shape::IoUring) => NO_SUCH_CALL,
                        Some(_) => RET_USER_NOTIF,
                    };
                    assert_eq!(
                        verdict(&filter, abi.audit_arch(), number),
                        expected,
                        "{abi:?} {number}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_kills_that_reach_a_shielded_tracer_stop() {
        const KILL: u32 = 62;
        const EVERYBODY: u64 = u64::MAX;
        let of = |shielded, pid: u64, signal| {
            let policy = Policy {
                shielded,
                ..policy(Verdict::Notify, false)
            };
            let filter = program(&[Abi::X86_64], policy);
            let args = [pid, signal, 0, 0, 0, 0];
            run(&filter, Abi::X86_64.audit_arch(), KILL, args)
        };
        for signal in [9, 19] {
            for pid in [EVERYBODY, 7, -7_i64 as u64, -7_i32 as u32 as u64] {
                assert_eq!(of(Some(7), pid, signal), RET_TRACE);
                assert_eq!(of(None, pid, signal), RET_ALLOW);
            }
            assert_eq!(of(Some(7), 8, signal), RET_ALLOW);
            assert_eq!(of(Some(7), 0, signal), RET_ALLOW);
        }
        assert_eq!(of(Some(7), EVERYBODY, 15), RET_ALLOW);
    }

    #[test]
    fn calls_that_hide_the_caller_stop_under_ptrace_where_that_matters() {
        let filter = program(&[Abi::X86_64], policy(Verdict::Notify, true));
        let of = |number, args| run(&filter, Abi::X86_64.audit_arch(), number, args);
        const SETUID: u32 = 105;
        const PRCTL: u32 = 157;
        assert_eq!(of(SETUID, [33, 0, 0, 0, 0, 0]), RET_TRACE);
        assert_eq!(of(PRCTL, [4, 0, 0, 0, 0, 0]), RET_TRACE);
        assert_eq!(of(PRCTL, [4, 1, 0, 0, 0, 0]), RET_ALLOW);
        assert_eq!(of(PRCTL, [38, 0, 0, 0, 0, 0]), RET_ALLOW);
    }

    #[test]
    fn a_clone_that_no_tracer_may_follow_is_told() {
        for abi in [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm] {
            let filter = program(&[abi], policy(Verdict::Trace, true));
            let mut numbers = abi.numbers().iter();
            let clone = numbers.find(|(_, name)| *name == "clone").expect("known").0;
            let with = |flags: i32| {
                let args = [flags as u64, 0, 0, 0, 0, 0];
                run(&filter, abi.audit_arch(), clone, args)
            };
            assert_eq!(with(libc::CLONE_VM | libc::SIGCHLD), RET_ALLOW);
            assert_eq!(with(libc::CLONE_UNTRACED | libc::SIGCHLD), RET_TRACE);
            assert_eq!(with(libc::CLONE_NEWNS | libc::SIGCHLD), RET_TRACE);
        }
    }

    #[test]
    fn fstat_in_other_words_is_let_go() {
        for abi in [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm] {
            let filter = program(&[abi], policy(Verdict::Notify, true));
            for (name, flags_at) in FLAGS_OF {
                let Some((number, _)) = abi.numbers().iter().find(|(_, known)| *known == name)
                else {
                    continue;
                };
                let with = |fd: i32, flags: i32| {
                    let mut args = [0; 6];
                    args[0] = u64::from(fd as u32);
                    args[flags_at as usize] = flags as u64;
                    run(&filter, abi.audit_arch(), *number, args)
                };
                let empty = libc::AT_EMPTY_PATH;
                assert_eq!(with(3, empty), RET_ALLOW, "{abi:?} {name}");
                assert_eq!(with(libc::AT_FDCWD, empty), RET_USER_NOTIF);
                assert_eq!(with(3, 0), RET_USER_NOTIF);
                assert_eq!(with(3, empty | libc::AT_SYMLINK_NOFOLLOW), RET_USER_NOTIF);
            }
        }
    }

    #[test]
    fn x32_calls_get_enosys_and_unknown_architectures_pass() {
        let filter = program(&[Abi::X86_64, Abi::I386], policy(Verdict::Trace, true));
        let open = X32_BIT | 2;
        assert_eq!(
            verdict(&filter, Abi::X86_64.audit_arch(), open),
            NO_SUCH_CALL
        );
        assert_eq!(verdict(&filter, 0x1234, 2), RET_ALLOW);
    }

    #[test]
    fn io_uring_is_no_such_call_unless_it_is_allowed() {
        const IO_URING_SETUP: u32 = 425;
        for abi in [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm] {
            for (hit, told) in [
                (Verdict::Notify, RET_USER_NOTIF),
                (Verdict::Trace, RET_TRACE),
            ] {
                let of = |allow_io_uring| {
                    let policy = Policy {
                        allow_io_uring,
                        ..policy(hit, true)
                    };
                    verdict(&program(&[abi], policy), abi.audit_arch(), IO_URING_SETUP)
                };
                assert_eq!((of(false), of(true)), (NO_SUCH_CALL, told), "{abi:?}");
            }
        }
    }

    #[test]
    fn it_fits_the_kernels_limit() {
        assert!(program(&[Abi::Aarch64, Abi::Arm], policy(Verdict::Trace, true)).len() <= 4096);
    }
}
