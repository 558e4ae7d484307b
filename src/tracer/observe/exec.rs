//! Program starts: the kernel opens the binary, its loader and `#!` interpreters by itself, so
//! they are known from the exec event alone.

use super::Observer;
use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recording::Exec;
use crate::sys::Tid;
use crate::tracer::gains::Gain;
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
        let asked = self.asked.remove(&former);
        // A new program is in the same directory.
        let cwd = self.cwds.of(former).cloned();
        self.on_end(former);
        self.on_end(tid);
        if let Some(cwd) = cwd {
            self.cwds.remember(tid, cwd);
        }
        self.tracees.on_start(tid);
        let root = self.root_of(tid).unwrap_or_else(ImagePath::root);
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
        self.check_gain(tid, &program);
        let program = self.then_of(&program).unwrap_or(program);
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
        let cwd = self.directory(tid, Link::Cwd).ok();
        let file = asked.map(|place| place.path).or_else(|| self.executed(tid));
        let exec = Exec {
            cwd: match root.is_root() {
                true => cwd,
                false => cwd.and_then(|cwd| super::within(&root, &cwd)),
            },
            root,
            program,
            file,
            path: variable(&environment, b"PATH="),
            ld_library_path: variable(&environment, b"LD_LIBRARY_PATH="),
            ld_preload: variable(&environment, b"LD_PRELOAD="),
        };
        if !self.programs.contains(&exec) {
            self.programs.insert(exec.clone());
            (self.emit)(Event::Started(exec));
        }
    }

    /// Tells of a set-user-ID program that has gained nothing, because of us.
    fn check_gain(&mut self, tid: Tid, program: &ImagePath) {
        let Ok(meta) = self.fs.lstat(program) else {
            return;
        };
        let attributes = self.fs.xattrs(program).unwrap_or_default();
        let capabilities = attributes
            .iter()
            .find(|(name, _)| name == b"security.capability");
        let Some(gain) = Gain::of(&meta, capabilities.map(|(_, value)| &value[..])) else {
            return;
        };
        let Some(now) = self.tracees.privileges(tid) else {
            return;
        };
        if gain.is_lost(&now, self.hindrance) && self.tracees.may_gain(program) {
            let remedy = if self.hindrance.ptrace {
                "run the container as root with --cap-add SYS_PTRACE"
            } else {
                "leave --engine out, or use --engine syscall"
            };
            self.lose(format!(
                "what {program} would do with its {gain}, which has no effect under trace; {remedy}"
            ));
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
