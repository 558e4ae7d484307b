//! Which engine: decided from what kernel, container and user allow.

use crate::sys::{self, FilterMode};
use crate::tracer::filter::{self, Policy, Verdict};
use crate::tracer::syscall::Abi;
use std::fmt;
use std::fs;

/// How path lookups reach us. ptrace follows the processes in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// seccomp user notification with synchronous wake-up (Linux 6.6): the fastest.
    Notify,
    /// seccomp stops (SECCOMP_RET_TRACE): only path calls stop.
    SeccompStop,
    /// Every system call stops; no filter, so set-user-ID programs keep working.
    SyscallStop,
}

impl Engine {
    /// As `--engine` names it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Notify => "notify",
            Engine::SeccompStop => "seccomp",
            Engine::SyscallStop => "syscall",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Notify => "seccomp user notification",
            Engine::SeccompStop => "seccomp stops",
            Engine::SyscallStop => "system call stops",
        })
    }
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// The fastest that changes nothing for the application.
    #[default]
    Auto,
    /// This one, or none.
    Only(Engine),
}

/// What kernel and container allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// no_new_privs is set already: a filter costs nothing more.
    pub no_new_privs: bool,
    /// CAP_SYS_ADMIN: a filter without no_new_privs.
    pub sys_admin: bool,
    /// CAP_SYS_PTRACE: set-user-ID programs keep their meaning under ptrace, as long as
    /// no_new_privs is off.
    pub sys_ptrace: bool,
    /// A filter can be installed at all.
    pub filter: bool,
    /// A listener wakes us synchronously.
    pub notify: bool,
    /// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is known (Linux 5.19).
    pub wait_killable: bool,
    /// PTRACE_GET_SYSCALL_INFO is known (Linux 5.3).
    pub syscall_info: bool,
}

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The engine.
    pub engine: Engine,
    /// Whether no_new_privs is set for the application, which it needs for the filter.
    pub set_no_new_privs: bool,
    /// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is used.
    pub wait_killable: bool,
    /// Processes that change their IDs would be hidden from us: they are kept visible.
    pub keep_visible: bool,
    /// The application may use io_uring, through which files are opened unseen.
    pub allow_io_uring: bool,
    /// All system calls are counted.
    pub counts_calls: bool,
    /// A program whose set-user-ID bit or file capabilities would have no effect under trace is
    /// let go when it is executed.
    pub releases_gains: bool,
    /// Why not a faster one, as one line.
    pub step_down: Option<String>,
}

/// Chooses an engine. `keep_setuid`: set-user-ID programs and file capabilities must have their
/// effect.
///
/// # Errors
/// Names what is lacking when the wished engine, or any, cannot work here.
pub fn choose(can: Capabilities, wish: Wish, keep_setuid: bool) -> Result<Choice, String> {
    // Where no_new_privs was set before, there is nothing to keep.
    let keeps = keep_setuid && !can.no_new_privs;
    let choice = |engine, step_down| Choice {
        engine,
        set_no_new_privs: engine != Engine::SyscallStop && !can.no_new_privs && !can.sys_admin,
        wait_killable: can.wait_killable,
        keep_visible: !can.sys_ptrace,
        allow_io_uring: false,
        counts_calls: false,
        releases_gains: keeps && !can.sys_ptrace,
        step_down,
    };
    let no_filter = "no seccomp filter may be installed here";
    let no_notify = "the kernel has no synchronous seccomp notification (Linux 6.6)";
    if !can.syscall_info {
        return Err(
            "this kernel does not tell a tracer of system calls (PTRACE_GET_SYSCALL_INFO): use \
             Linux 5.3 or newer"
                .to_owned(),
        );
    }
    match wish {
        Wish::Only(engine @ Engine::Notify) if !can.notify => Err(format!(
            "engine '{engine}' cannot work: {}",
            if can.filter { no_notify } else { no_filter }
        )),
        Wish::Only(engine @ Engine::SeccompStop) if !can.filter => {
            Err(format!("engine '{engine}' cannot work: {no_filter}"))
        }
        // Whoever is let go must not be left with a filter that asks for us.
        Wish::Only(engine @ (Engine::Notify | Engine::SeccompStop))
            if keeps && !(can.sys_ptrace && can.sys_admin) =>
        {
            Err(format!(
                "--keep-setuid works with engine '{}' here, not with '{}': leave --engine out",
                Engine::SyscallStop.name(),
                engine.name()
            ))
        }
        Wish::Only(engine) => Ok(choice(engine, None)),
        Wish::Auto if !can.filter => Ok(choice(
            Engine::SyscallStop,
            Some(format!(
                "{no_filter}: every system call stops, which is slower"
            )),
        )),
        Wish::Auto if keeps && !can.sys_ptrace => Ok(choice(
            Engine::SyscallStop,
            Some(
                "every system call stops for --keep-setuid, which is slower; --cap-add SYS_PTRACE \
                 keeps set-user-ID programs too, and loses nothing of what they use"
                    .to_owned(),
            ),
        )),
        // The one case in which a filter would take something away: with CAP_SYS_PTRACE alone,
        // set-user-ID programs work under ptrace, but not with no_new_privs.
        Wish::Auto if can.sys_ptrace && !can.sys_admin && !can.no_new_privs => Ok(choice(
            Engine::SyscallStop,
            Some(
                "every system call stops so that set-user-ID programs keep working; where the \
                 application has none, --engine notify is faster"
                    .to_owned(),
            ),
        )),
        Wish::Auto if can.notify => Ok(choice(Engine::Notify, None)),
        Wish::Auto => Ok(choice(
            Engine::SeccompStop,
            Some(format!(
                "{no_notify}: path lookups stop instead, which is slower"
            )),
        )),
    }
}

/// Finds out by trying, in a child process. Call it before the first thread is started.
pub fn probe() -> Capabilities {
    let effective = effective_capabilities();
    let no_new_privs = nix::sys::prctl::get_no_new_privs().unwrap_or(false);
    let has = |bit: u32| effective & (1 << bit) != 0;
    let (sys_ptrace, sys_admin) = (has(19), has(21));
    let allowed = || no_new_privs || sys_admin || nix::sys::prctl::set_no_new_privs().is_ok();
    let policy = |hit| Policy {
        hit,
        watch_identity: true,
        allow_io_uring: false,
        shielded: None,
    };
    let listener = |wait_killable| {
        let filter = filter::program(&[], policy(Verdict::Notify));
        let listener = sys::install_filter(&filter, FilterMode::Listener { wait_killable });
        matches!(listener, Ok(Some(listener)) if listener.wake_synchronously().is_ok())
    };
    let filter = sys::probe_in_child(|| {
        let filter = filter::program(&Abi::HERE, policy(Verdict::Trace));
        allowed() && sys::install_filter(&filter, FilterMode::Plain).is_ok()
    });
    let wait_killable = filter && sys::probe_in_child(|| allowed() && listener(true));
    Capabilities {
        no_new_privs,
        sys_admin,
        sys_ptrace,
        filter,
        notify: wait_killable || (filter && sys::probe_in_child(|| allowed() && listener(false))),
        wait_killable,
        syscall_info: probe_syscall_info(),
    }
}

/// Looks at a stopped child. Where it may not even be seized that is not the kernel's age:
/// starting the command will tell.
fn probe_syscall_info() -> bool {
    let Ok(child) = sys::fork() else {
        return true;
    };
    let Some(child) = child else {
        loop {
            nix::unistd::pause();
        }
    };
    let pid = nix::unistd::Pid::from_raw(child);
    let seen = sys::seize(child)
        .and_then(|()| nix::sys::ptrace::interrupt(pid))
        .and_then(|()| sys::wait_for(child))
        .and_then(|()| sys::syscall_info(child));
    let _ = sys::send_signal(child, libc::SIGKILL);
    let _ = sys::wait_for(child);
    seen != Err(nix::errno::Errno::EIO) && seen != Err(nix::errno::Errno::EINVAL)
}

/// The effective set of this thread (capabilities(7)), as bits.
fn effective_capabilities() -> u64 {
    fs::read_to_string("/proc/thread-self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Capabilities = Capabilities {
        no_new_privs: false,
        sys_admin: true,
        sys_ptrace: true,
        filter: true,
        notify: true,
        wait_killable: true,
        syscall_info: true,
    };
    const PLAIN_CONTAINER: Capabilities = Capabilities {
        sys_admin: false,
        sys_ptrace: false,
        ..ALL
    };

    fn chosen(can: Capabilities) -> (Engine, bool, bool) {
        let choice = choose(can, Wish::Auto, false).expect("auto always works");
        (
            choice.engine,
            choice.set_no_new_privs,
            choice.step_down.is_some(),
        )
    }

    #[test]
    fn full_privileges_take_the_fastest_without_touching_no_new_privs() {
        assert_eq!(chosen(ALL), (Engine::Notify, false, false));
    }

    #[test]
    fn a_plain_container_takes_the_fastest_with_no_new_privs() {
        assert_eq!(chosen(PLAIN_CONTAINER), (Engine::Notify, true, false));
    }

    #[test]
    fn cap_sys_ptrace_alone_keeps_set_user_id_programs_working() {
        let can = Capabilities {
            sys_ptrace: true,
            ..PLAIN_CONTAINER
        };
        assert_eq!(chosen(can), (Engine::SyscallStop, false, true));
        let no_loss = Capabilities {
            no_new_privs: true,
            ..can
        };
        assert_eq!(chosen(no_loss), (Engine::Notify, false, false));
    }

    #[test]
    fn each_step_down_is_said() {
        let old_kernel = Capabilities {
            notify: false,
            ..PLAIN_CONTAINER
        };
        assert_eq!(chosen(old_kernel), (Engine::SeccompStop, true, true));
        let forbidden = Capabilities {
            filter: false,
            ..old_kernel
        };
        assert_eq!(chosen(forbidden), (Engine::SyscallStop, false, true));
    }

    #[test]
    fn a_kernel_that_cannot_tell_of_calls_is_refused() {
        let ancient = Capabilities {
            syscall_info: false,
            ..ALL
        };
        assert!(choose(ancient, Wish::Auto, false).is_err());
    }

    #[test]
    fn a_wish_that_cannot_be_met_is_refused() {
        let old_kernel = Capabilities {
            notify: false,
            ..PLAIN_CONTAINER
        };
        assert!(choose(old_kernel, Wish::Only(Engine::Notify), false).is_err());
        assert!(choose(old_kernel, Wish::Only(Engine::SeccompStop), false).is_ok());
    }
    #[test]
    fn programs_are_let_go_only_to_keep_what_ptrace_alone_would_take() {
        let releases = |can| {
            let choice = choose(can, Wish::Auto, true).expect("auto always works");
            (
                choice.engine,
                choice.set_no_new_privs,
                choice.releases_gains,
            )
        };
        assert_eq!(
            releases(PLAIN_CONTAINER),
            (Engine::SyscallStop, false, true)
        );
        assert_eq!(releases(ALL), (Engine::Notify, false, false));
        let sys_admin_alone = Capabilities {
            sys_ptrace: false,
            ..ALL
        };
        assert_eq!(
            releases(sys_admin_alone),
            (Engine::SyscallStop, false, true)
        );
        let sys_ptrace_alone = Capabilities {
            sys_admin: false,
            ..ALL
        };
        assert_eq!(
            releases(sys_ptrace_alone),
            (Engine::SyscallStop, false, false)
        );
        let nothing_to_keep = Capabilities {
            no_new_privs: true,
            ..PLAIN_CONTAINER
        };
        assert_eq!(releases(nothing_to_keep), (Engine::Notify, false, false));
    }

    #[test]
    fn an_engine_that_cannot_keep_set_user_id_programs_is_refused() {
        let wished = |can, engine| choose(can, Wish::Only(engine), true).is_ok();
        assert!(!wished(PLAIN_CONTAINER, Engine::Notify));
        assert!(!wished(PLAIN_CONTAINER, Engine::SeccompStop));
        assert!(wished(PLAIN_CONTAINER, Engine::SyscallStop));
        assert!(wished(ALL, Engine::Notify));
    }
}
