//! Programs that give something to whoever executes them: set-user-ID, set-group-ID, and file
//! capabilities.

use super::Observer;
use crate::image_fs::{Meta, walk_in};
use crate::image_path::ImagePath;
use crate::recording::{Exec, Place};
use crate::sys::Tid;
use crate::tracer::gains::Gain;
use crate::tracer::tracees::Tracees;

/// A program that is about to be executed, and would gain nothing under trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtStake {
    program: ImagePath,
    gain: Gain,
    asked: Place,
}

impl<T: Tracees> Observer<T> {
    /// Tells of a set-user-ID program that has gained nothing, because of us.
    pub(super) fn check_gain(&mut self, tid: Tid, program: &ImagePath) {
        let Ok(meta) = self.fs.lstat(program) else {
            return;
        };
        let Some(gain) = self.gain_of(program, &meta) else {
            return;
        };
        let Some(now) = self.tracees.privileges(tid) else {
            return;
        };
        if gain.is_lost(&now, self.hindrance) && self.tracees.may_gain(program) {
            let remedy = if self.hindrance.ptrace {
                "run the container as root with --cap-add SYS_PTRACE, or use --keep-setuid"
            } else {
                "leave --engine out, or use --engine syscall"
            };
            self.lose(format!(
                "what {program} would do with its {gain}, which has no effect under trace; {remedy}"
            ));
        }
    }

    /// Whether the program that a thread is about to execute would gain something, but not under
    /// trace. A `#!` script gives nothing whatever its bits (execve(2)).
    pub fn at_stake(&mut self, tid: Tid) -> Option<AtStake> {
        let asked = self.asked.get(&tid)?.clone();
        let (program, meta) = walk_in(&*self.fs, &asked.root, &asked.path, true)
            .end
            .ok()?;
        let gain = self.gain_of(&program, &meta)?;
        let before = self.tracees.privileges(tid)?;
        let file = self.fs.open(&program);
        let begin = file
            .and_then(|file| file.bytes_at(0, 2))
            .unwrap_or_default();
        (begin != b"#!" && gain.is_at_stake(&before) && self.tracees.may_gain(&program)).then_some(
            AtStake {
                program,
                gain,
                asked,
            },
        )
    }

    /// A thread executes such a program without us. What that needs to start is known from its
    /// file; `known` is what is known of the rest.
    pub fn on_release(&mut self, tid: Tid, at_stake: AtStake, known: &str) {
        let AtStake {
            program,
            gain,
            asked,
        } = at_stake;
        self.lose(format!(
            "what {program} does untraced to keep its {gain} (--keep-setuid), and what it starts \
             until that can be followed: {known}; run the container as root with --cap-add \
             SYS_PTRACE, or name what is missing with --include"
        ));
        self.lose_calls(&program.to_string());
        let cwd = self.cwd_within(tid, &asked.root);
        // The loader takes nothing of its environment (ld.so(8), "Secure-execution mode").
        self.tell_start(Exec {
            root: asked.root,
            program,
            file: Some(asked.path),
            cwd,
            path: None,
            ld_library_path: None,
            ld_preload: None,
        });
        self.on_end(tid);
    }

    /// A process is followed from now on that such a program has become or has started: what it
    /// runs, has mapped and holds open counts as used.
    pub fn on_return(&mut self, tid: Tid) {
        self.on_program(tid, tid);
        self.on_holdings(tid);
    }

    fn gain_of(&self, program: &ImagePath, meta: &Meta) -> Option<Gain> {
        let attributes = self.fs.xattrs(program).unwrap_or_default();
        let capabilities = attributes
            .iter()
            .find(|(name, _)| name == b"security.capability");
        Gain::of(meta, capabilities.map(|(_, value)| &value[..]))
    }
}
