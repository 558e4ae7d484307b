//! Program starts: the kernel opens the binary, its loader and `#!` interpreters by itself, so
//! they are known from the exec event alone.

use super::Observer;
use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recording::Exec;
use crate::sys::Tid;
use crate::tracer::tracees::{Link, Tracees};

impl<T: Tracees> Observer<T> {
    /// A process runs a new program, and may not be looked at.
    pub fn on_hidden_exec(&mut self, tid: Tid, former: Tid) {
        if let Some(asked) = self.asked.get(&former) {
            let program = asked.path.clone();
            self.lose(format!(
                "the environment of {program}: it may not be looked at, and its PATH and \
                 LD_LIBRARY_PATH are taken as empty; run the container with --cap-add SYS_PTRACE"
            ));
        }
        self.on_exec(tid, former);
    }

    /// A process runs a new program. `former` is the thread that asked for it: after an exec by
    /// another thread than the leader it goes on under the leader's ID.
    pub fn on_exec(&mut self, tid: Tid, former: Tid) {
        self.on_program(tid, former);
        let program = self.tracees.link(tid, Link::Program).ok();
        if let Some(program) = program.and_then(|program| self.here(tid, program)) {
            self.check_gain(tid, &program);
        }
    }

    /// As [`Self::on_exec`], of a program that was not started under trace.
    pub(super) fn on_program(&mut self, tid: Tid, former: Tid) {
        let asked = self.asked.remove(&former);
        // A new program is in the same directory.
        let cwd = self.cwds.of(former).cloned();
        self.on_end(former);
        self.on_end(tid);
        if let Some(cwd) = cwd {
            self.cwds.remember(tid, cwd);
        }
        self.tracees.on_start(tid);
        let elsewhere = self.is_elsewhere(tid);
        let root = match self.root_of(tid) {
            Some(root) if !elsewhere => root,
            _ => ImagePath::root(),
        };
        let Ok(program) = self.tracees.link(tid, Link::Program) else {
            if asked.is_none() {
                self.lose(
                    "programs that were started: neither their names nor their files may be \
                     looked at; run the container with --cap-add SYS_PTRACE"
                        .to_owned(),
                );
            }
            return;
        };
        // On a mount that we do not see it is no part of the image.
        let Some(program) = self.here(tid, program) else {
            return;
        };
        let program = self.then_of(&program).unwrap_or(program);
        self.introduce_program(tid);
        let environment = match self.tracees.environment(tid) {
            Ok(environment) => environment,
            Err(error) => {
                self.lose(format!(
                    "the environment of {program}: {error}; its PATH and \
                     LD_LIBRARY_PATH are taken as empty"
                ));
                Vec::new()
            }
        };
        let file = match asked {
            Some(place) => Some(place.path),
            None if elsewhere => None,
            None => self.executed(tid),
        };
        let exec = Exec {
            cwd: self.cwd_within(tid, &root),
            root,
            program,
            file,
            path: variable(&environment, b"PATH="),
            ld_library_path: variable(&environment, b"LD_LIBRARY_PATH="),
            ld_preload: variable(&environment, b"LD_PRELOAD="),
        };
        self.tell_start(exec);
    }

    /// The current directory as a process with this root sees it.
    pub(super) fn cwd_within(&mut self, tid: Tid, root: &ImagePath) -> Option<ImagePath> {
        let cwd = self.directory(tid, Link::Cwd).ok()?;
        let cwd = self.here(tid, cwd)?;
        if root.is_root() {
            Some(cwd)
        } else {
            super::within(root, &cwd)
        }
    }

    pub(super) fn tell_start(&mut self, exec: Exec) {
        if !self.programs.contains(&exec) {
            self.programs.insert(exec.clone());
            (self.emit)(Event::Started(exec));
        }
    }
}

/// The value of the first variable that begins with `name`, its `=` included.
fn variable(environment: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(name))
        .map(<[u8]>::to_vec)
}
