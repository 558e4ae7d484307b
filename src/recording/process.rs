//! Processes and threads that used something first, and who started them.

use crate::image_path::ImagePath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is learnt of one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduced {
    /// Its ID, that of a thread perhaps, as the tracer sees it.
    pub pid: i32,
    /// Who started it, where that was seen.
    pub parent: Option<i32>,
    /// The program it runs, where that could be read.
    pub program: Option<ImagePath>,
}

/// What is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Who started it.
    pub parent: Option<i32>,
    /// The programs it ran, in their order; the first is what it was forked with.
    pub programs: Vec<ImagePath>,
}

/// All of them by their IDs. An ID that the kernel gave twice counts as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes(BTreeMap<i32, Process>);

impl Processes {
    /// Takes in what was learnt.
    pub fn note(&mut self, told: Introduced) {
        let known = self.0.entry(told.pid).or_default();
        known.parent = told.parent.or(known.parent);
        if let Some(program) = told.program
            && known.programs.last() != Some(&program)
        {
            known.programs.push(program);
        }
    }

    /// Adds one that was recorded before, unless its ID is known.
    pub fn add(&mut self, pid: i32, process: Process) {
        self.0.entry(pid).or_insert(process);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &Process)> {
        self.0.iter().map(|(pid, process)| (*pid, process))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learnt_later_adds_to_what_is_known() {
        let path = |text: &str| ImagePath::new(text);
        let mut processes = Processes::default();
        for (parent, program) in [
            (None, path("/bin/sh")),
            (Some(1), path("/bin/sh")),
            (None, None),
            (Some(1), path("/bin/ls")),
        ] {
            let pid = 7;
            processes.note(Introduced {
                pid,
                parent,
                program,
            });
        }
        let expected = Process {
            parent: Some(1),
            programs: path("/bin/sh").into_iter().chain(path("/bin/ls")).collect(),
        };
        assert_eq!(processes.iter().collect::<Vec<_>>(), [(7, &expected)]);
    }
}
