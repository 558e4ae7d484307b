//! The seccomp profile of what was called, in the form of the OCI runtime specification
//! (config-linux.md, "Seccomp"), which the engines' `--security-opt seccomp=FILE` takes.

use crate::recording::{Calls, Outcome};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a container's runtime calls under the profile before it has become the command, and what
/// an init below `docker run --init` does: tried with runc and crun, without and with
/// `no_new_privs`, and with tini; and what Go's runtime may do at any time.
#[rustfmt::skip]
const RUNTIME: &[&str] = &[
    "access", "arch_prctl", "brk", "capget", "capset", "chdir", "clone", "close", "close_range",
    "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2",
    "execve", "exit", "exit_group", "faccessat", "faccessat2", "fchdir", "fcntl", "fcntl64",
    "fstat", "fstat64", "fstatfs", "futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid",
    "getpgrp", "getpid", "getppid", "getrandom", "gettid", "getuid", "ioctl", "kill", "lseek",
    "lstat", "madvise", "mmap", "mmap2", "mprotect", "munmap", "nanosleep", "newfstatat", "open",
    "openat", "openat2", "pipe2", "poll", "ppoll", "prctl", "pread64", "prlimit64", "read",
    "readlink", "readlinkat", "recvmsg", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sched_getaffinity", "sched_yield",
    "seccomp", "sendmsg", "set_robust_list", "set_tid_address", "setgid", "setgroups", "setpgid",
    "setresgid", "setresuid", "setsid", "setuid", "sigaltstack", "signalfd4", "stat", "statfs",
    "statx", "tgkill", "umask", "wait4", "waitid", "write", "writev",
];

/// Calls that no trace need have seen: those that the kernel's vDSO spares a program as long as
/// the machine's clock permits, and the way back from a signal.
#[rustfmt::skip]
const UNSEEN: &[&str] = &[
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "getcpu",
    "gettimeofday", "sigreturn", "time",
];

/// The answer to what was not seen: libraries fall back from it.
const ENOSYS: i32 = 38;

/// A profile, and what it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The file.
    pub text: Vec<u8>,
    /// How many different calls were seen that it permits.
    pub seen: usize,
    /// What could not be taken in, a line each.
    pub problems: Vec<String>,
}

/// The profile of these calls. What was refused each time is refused again, by the same error:
/// the container that was traced may have had a profile too, and this one must not permit more.
pub fn profile(calls: &Calls) -> Profile {
    let mut architectures = BTreeSet::new();
    let mut allowed = BTreeSet::new();
    let mut refused = BTreeMap::new();
    let mut problems = Vec::new();
    for (call, outcome) in calls.iter() {
        let Some(architecture) = architecture(&call.abi) else {
            problems.push(format!(
                "{} calls of the convention {}, which the seccomp profile has no rules for",
                call.name, call.abi
            ));
            continue;
        };
        if call.name.starts_with('#') && outcome == Outcome::Refused(ENOSYS) {
            continue;
        }
        if call.name.starts_with('#') {
            problems.push(format!(
                "system call {} of {}: this version knows no name for it, so the seccomp profile \
                 refuses it",
                call.name, call.abi
            ));
            continue;
        }
        architectures.insert(architecture);
        match outcome {
            Outcome::Refused(errno) => drop(refused.entry(&*call.name).or_insert(errno)),
            Outcome::Begun | Outcome::Answered => drop(allowed.insert(&*call.name)),
        }
    }
    let beside = |list: &'static [&str]| -> Vec<&str> {
        let list = list.iter().copied();
        list.filter(|name| !allowed.contains(name)).collect()
    };
    let mut rules = vec![
        allow(
            "made while it was traced",
            allowed.iter().copied().collect(),
        ),
        allow(
            "the container's runtime and an init, before and beside the application",
            beside(RUNTIME),
        ),
        allow("the vDSO, the way back from signals", beside(UNSEEN)),
    ];
    refused.retain(|name, _| !allowed.contains(name) && !RUNTIME.contains(name));
    let errors: BTreeSet<i32> = refused.values().copied().collect();
    for error in errors {
        let names = refused.iter().filter(|(_, errno)| **errno == error);
        let names: Vec<&str> = names.map(|(name, _)| *name).collect();
        rules.push(json!({
            "names": names,
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": error,
            "comment": "refused so each time while it was traced",
        }));
    }
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": architectures,
        "syscalls": rules,
    });
    let mut text = serde_json::to_vec_pretty(&profile).unwrap_or_default();
    text.push(b'\n');
    Profile {
        text,
        seen: allowed.len(),
        problems,
    }
}

fn allow(comment: &str, names: Vec<&str>) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ALLOW", "comment": comment })
}

/// As libseccomp names them.
fn architecture(abi: &str) -> Option<&'static str> {
    Some(match abi {
        "x86_64" => "SCMP_ARCH_X86_64",
        "i386" => "SCMP_ARCH_X86",
        "aarch64" => "SCMP_ARCH_AARCH64",
        "arm" => "SCMP_ARCH_ARM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Call;

    fn calls(told: &[(&str, &str, Outcome)]) -> Calls {
        let mut calls = Calls::default();
        for (abi, name, outcome) in told {
            let call = Call {
                abi: (*abi).to_owned().into(),
                name: (*name).to_owned().into(),
            };
            calls.note(call, *outcome);
        }
        calls
    }

    fn read(profile: &Profile) -> Value {
        serde_json::from_slice(&profile.text).expect("JSON")
    }

    /// What the profile answers: the first rule that has the name counts, and no other may.
    fn verdict(profile: &Value, name: &str) -> (String, i64) {
        let rules = profile["syscalls"].as_array().expect("rules");
        let has = |rule: &&Value| {
            let names = rule["names"].as_array().expect("names");
            names.iter().any(|known| known == name)
        };
        let found: Vec<&Value> = rules.iter().filter(has).collect();
        assert!(found.len() <= 1, "{name} has several rules");
        match found.first() {
            None => (
                profile["defaultAction"].as_str().expect("text").to_owned(),
                profile["defaultErrnoRet"].as_i64().expect("number"),
            ),
            Some(rule) => (
                rule["action"].as_str().expect("text").to_owned(),
                rule["errnoRet"].as_i64().unwrap_or_default(),
            ),
        }
    }

    #[test]
    fn what_was_seen_is_permitted_and_nothing_that_an_application_alone_would_call() {
        let profile = read(&profile(&calls(&[
            ("x86_64", "accept4", Outcome::Answered),
            ("x86_64", "epoll_wait", Outcome::Begun),
        ])));
        let allowed = ("SCMP_ACT_ALLOW".to_owned(), 0);
        for name in ["accept4", "epoll_wait", "execve", "clock_gettime"] {
            assert_eq!(verdict(&profile, name), allowed, "{name}");
        }
        for name in ["ptrace", "mount", "bpf", "socket", "unlinkat", "clone3"] {
            let refused = ("SCMP_ACT_ERRNO".to_owned(), 38);
            assert_eq!(verdict(&profile, name), refused, "{name}");
        }
        assert_eq!(profile["architectures"], json!(["SCMP_ARCH_X86_64"]));
    }

    #[test]
    fn what_was_always_refused_is_refused_again_but_for_what_the_runtime_needs() {
        let profile = read(&profile(&calls(&[
            ("x86_64", "read", Outcome::Answered),
            ("x86_64", "clone3", Outcome::Refused(38)),
            ("x86_64", "unshare", Outcome::Refused(1)),
            ("x86_64", "setgroups", Outcome::Refused(1)),
            ("x86_64", "chown", Outcome::Refused(1)),
            ("i386", "chown", Outcome::Answered),
        ])));
        let refused = |errno| ("SCMP_ACT_ERRNO".to_owned(), errno);
        let allowed = ("SCMP_ACT_ALLOW".to_owned(), 0);
        assert_eq!(verdict(&profile, "clone3"), refused(38));
        assert_eq!(verdict(&profile, "unshare"), refused(1));
        assert_eq!(verdict(&profile, "setgroups"), allowed);
        assert_eq!(verdict(&profile, "chown"), allowed);
        let architectures = &profile["architectures"];
        assert_eq!(*architectures, json!(["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]));
    }

    #[test]
    fn what_has_no_name_or_no_rule_is_told() {
        let profile = profile(&calls(&[
            ("x86_64", "read", Outcome::Answered),
            ("x86_64", "#480", Outcome::Answered),
            ("x86_64", "#481", Outcome::Refused(ENOSYS)),
            ("x32", "read", Outcome::Answered),
        ]));
        assert_eq!((profile.seen, profile.problems.len()), (1, 2));
        assert!(profile.problems.iter().any(|line| line.contains("#480")));
    }
}
