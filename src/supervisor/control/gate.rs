//! What a joined command may tell: anything that adds to the image, and of what it has made only
//! what can be its own.

use super::protocol::Refusal;
use crate::event::Event;
use crate::image_fs::ImageFs;
use crate::image_path::{ImagePath, PATH_MAX};
use crate::recording::{Exec, Loss};
use std::collections::BTreeSet;

/// A directory and a name in it, both as long as the kernel takes them.
const MAX_PATH: usize = 2 * (PATH_MAX + 1);
/// How many different losses are kept of one command.
const MAX_LOSSES: usize = 100;
/// The longest text of a loss, in characters.
const MAX_LOSS: usize = 1000;

/// Judges the events of one joined command.
pub struct Gate {
    /// `None` where it is trusted.
    uid: Option<u32>,
    losses: BTreeSet<String>,
}

impl Gate {
    /// For a command of this user; `None` for one that is trusted as the supervisor itself is.
    pub fn new(uid: Option<u32>) -> Self {
        Self {
            uid,
            losses: BTreeSet::new(),
        }
    }

    /// The event as it may be recorded; `None` for a claim that is not believed.
    ///
    /// # Errors
    /// For what no micropacker would tell.
    pub fn admit(&mut self, event: Event, fs: &dyn ImageFs) -> Result<Option<Event>, Refusal> {
        if paths_of(&event).any(|path| path.as_bytes().len() > MAX_PATH) {
            return Err(Refusal::new(
                "a path is longer than any that the kernel takes",
            ));
        }
        Ok(match event {
            // What was made is left out of the image: who could claim it of anything could keep
            // any file out. A user makes files of his own.
            Event::Created(path) if !self.may_have_made(&path, fs) => None,
            // The supervisor keeps originals itself, and knows what it kept.
            Event::Kept(_) => return Err(Refusal::new("originals are the supervisor's to keep")),
            Event::Called { call, .. } if !call.is_plausible() => {
                return Err(Refusal::new("no system call is called so"));
            }
            Event::Lost(loss) => Some(Event::Lost(self.bounded(loss))),
            event => Some(event),
        })
    }

    fn may_have_made(&self, path: &ImagePath, fs: &dyn ImageFs) -> bool {
        let Some(uid) = self.uid else { return true };
        fs.lstat(path).map_or(true, |meta| meta.uid == uid)
    }

    /// A loss becomes a line on standard error: it stays one line, of bounded length, and one of
    /// a bounded number.
    fn bounded(&mut self, loss: Loss) -> Loss {
        let escaped = loss.what.chars().flat_map(|character| {
            let shown = (!character.is_control()).then_some(character);
            let escape = character.is_control().then(|| character.escape_default());
            shown.into_iter().chain(escape.into_iter().flatten())
        });
        let mut what: String = escaped.take(MAX_LOSS).collect();
        if self.losses.len() >= MAX_LOSSES && !self.losses.contains(&what) {
            what = "further losses of joined commands".to_owned();
        } else {
            self.losses.insert(what.clone());
        }
        Loss {
            what,
            count: loss.count,
        }
    }
}

fn paths_of(event: &Event) -> impl Iterator<Item = &ImagePath> {
    let paths = match event {
        Event::Used { place, origin, .. } => [
            Some(&place.root),
            Some(&place.path),
            origin.program.as_ref(),
            None,
        ],
        Event::Started(Exec {
            root,
            program,
            file,
            cwd,
            ..
        }) => [Some(root), Some(program), file.as_ref(), cwd.as_ref()],
        Event::Created(path) => [Some(path), None, None, None],
        Event::Kept(original) => [Some(&original.path), None, None, None],
        Event::Moved { from, to } => [Some(from), Some(to), None, None],
        Event::Introduced(process) => [process.program.as_ref(), None, None, None],
        Event::Listened { origin, .. } => [origin.program.as_ref(), None, None, None],
        Event::Called { .. } | Event::Lost(_) => [None; 4],
    };
    paths.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;
    use crate::recording::{Access, Origin, Place};

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn used(text: &str) -> Event {
        Event::Used {
            place: Place::at(path(text)),
            access: Access::OPEN,
            origin: Origin {
                pid: 7,
                program: None,
                call: "open".into(),
            },
        }
    }

    /// All files of a `MemFs` are root's.
    fn files() -> MemFs {
        MemFs::new().file("/etc/passwd", "").file("/srv/data", "")
    }

    #[test]
    fn uses_are_taken_from_everybody() {
        let mut gate = Gate::new(Some(33));
        let event = used("/etc/shadow");
        assert_eq!(gate.admit(event.clone(), &files()), Ok(Some(event)));
    }

    #[test]
    fn nobody_keeps_files_of_others_out_by_claiming_to_have_made_them() {
        let created = || Event::Created(path("/etc/passwd"));
        let fs = files();
        assert_eq!(Gate::new(Some(33)).admit(created(), &fs), Ok(None));
        assert!(matches!(
            Gate::new(Some(0)).admit(created(), &fs),
            Ok(Some(_))
        ));
        assert!(matches!(Gate::new(None).admit(created(), &fs), Ok(Some(_))));
    }

    #[test]
    fn what_was_made_and_is_gone_again_may_have_been_anybodys() {
        let created = Event::Created(path("/tmp/x"));
        let mut gate = Gate::new(Some(33));
        assert!(matches!(gate.admit(created, &files()), Ok(Some(_))));
    }

    #[test]
    fn endless_paths_are_refused() {
        let long = format!("/{}", "a/".repeat(MAX_PATH));
        assert!(Gate::new(None).admit(used(&long), &files()).is_err());
    }

    #[test]
    fn losses_stay_single_lines_of_bounded_length_and_number() {
        let mut gate = Gate::new(Some(33));
        let mut seen = BTreeSet::new();
        for number in 0..3 * MAX_LOSSES {
            let loss = Loss {
                what: format!("a\nb\u{1b}[2J {number} {}", "é".repeat(MAX_LOSS)),
                count: 1,
            };
            let Ok(Some(Event::Lost(loss))) = gate.admit(Event::Lost(loss), &files()) else {
                panic!("a loss is never dropped");
            };
            assert!(loss.what.chars().count() <= MAX_LOSS && !loss.what.contains(char::is_control));
            seen.insert(loss.what);
        }
        assert_eq!(seen.len(), MAX_LOSSES + 1);
    }
}
