//! Stopped threads as the kernel has them, for [`crate::tracer::visible`].

use crate::sys::{self, Registers, Tid};
use crate::tracer::credentials::as_tracee;
use crate::tracer::visible::{Saved, Threads};
use std::fs::{self, File};

/// Threads of the application.
pub struct ProcThreads {
    /// How many seccomp filters the command was started under.
    filters: Option<u32>,
}

impl ProcThreads {
    /// `main` has its filter already and has not run yet.
    pub fn new(main: Tid) -> Self {
        Self {
            filters: filters_of(main),
        }
    }
}

impl Threads for ProcThreads {
    fn is_visible(&mut self, tid: Tid) -> bool {
        as_tracee(tid, || File::open(format!("/proc/{tid}/mem"))).is_ok()
    }

    fn filters_itself(&mut self, tid: Tid) -> bool {
        filters_of(tid) > self.filters
    }

    fn save(&mut self, tid: Tid) -> nix::Result<Saved> {
        Ok(Saved {
            registers: sys::registers(tid)?,
            mask: sys::signal_mask(tid)?,
        })
    }

    fn set(&mut self, tid: Tid, state: Saved) -> nix::Result<()> {
        sys::set_signal_mask(tid, state.mask)?;
        sys::set_registers(tid, state.registers)
    }

    fn set_number(&mut self, tid: Tid, registers: &Registers) -> nix::Result<()> {
        sys::set_number(tid, registers)
    }
}

/// `Seccomp_filters` of proc_pid_status(5), Linux 5.9; `None` before.
fn filters_of(tid: Tid) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp_filters:"))?;
    line.trim().parse().ok()
}
