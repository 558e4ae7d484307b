//! What a build makes in the engine: containers and one volume, all with its label, and removed
//! with it.
//!
//! The volume brings micropacker into the containers and the outputs out of them. It takes no
//! bind mount, so the engine may be on another machine, and it is writable where the root file
//! system is not.

use super::call::Call;
use super::engine::{ANSWER, Engine};
use super::image::identity;
use super::state::State;
use super::trouble::Trouble;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the volume is mounted.
pub const PLACE: &str = "/.micropacker";
/// This program in there.
pub const PROGRAM: &str = "/.micropacker/micropacker";
/// What is brought along.
pub const BROUGHT: &str = "/.micropacker/in";
/// The name in the containers of a file that is brought along.
pub fn brought(name: &str) -> String {
    format!("{BROUGHT}/{name}")
}

/// Directories for outputs, of which each is written by one container.
const OUTPUTS: [&str; 3] = ["out", "again", "asked"];

/// How often, and how long after each other, the volume is tried to be removed.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// How each thing of a build is marked.
const LABEL: &str = "micropacker.build";

/// The containers and the volume of one build.
pub struct Site {
    /// Where they are.
    pub engine: Engine,
    label: String,
    /// The volume's name.
    pub volume: String,
    /// Options that any container here needs.
    pub shared: Vec<OsString>,
    /// Image names that are not to be left as they are: what each meant before.
    unproven: Option<(String, Option<String>)>,
    /// The image that was loaded last.
    latest: Option<String>,
    clean: bool,
}

impl Site {
    /// Makes the volume.
    ///
    /// # Errors
    /// What the engine says.
    pub fn new(engine: Engine, shared: Vec<OsString>) -> Result<Self, Trouble> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_millis();
        let number = format!("{}-{now:x}", std::process::id());
        let site = Self {
            engine,
            label: format!("{LABEL}={number}"),
            volume: format!("micropacker-{number}"),
            shared,
            unproven: None,
            latest: None,
            clean: false,
        };
        let engine = &site.engine;
        let call = Call {
            grace: ANSWER,
            ..engine.call(["volume", "create", "--label", &site.label, &site.volume])
        };
        engine.ask(call)?;
        Ok(site)
    }

    /// How everything of this build is marked.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Makes a container; `words` are options, the image and what follows it. Gives its ID.
    ///
    /// # Errors
    /// What the engine says.
    pub fn create(&self, words: &[OsString]) -> Result<String, Trouble> {
        let options = ["create", "--label", &self.label].map(OsString::from);
        let call = Call {
            // An engine that has begun makes it, whoever asked: later it would be nobody's.
            grace: ANSWER,
            ..self.engine.call(options.iter().chain(words).cloned())
        };
        let printed = self.engine.ask(call)?;
        let printed = String::from_utf8_lossy(&printed);
        let id = printed.lines().next_back().unwrap_or_default().trim();
        Ok(id.to_owned())
    }

    /// Options of a container in which micropacker itself works on the image's files.
    pub fn own_options(&self) -> Vec<OsString> {
        let mut words = self.shared.clone();
        let mount = format!("{}:{PLACE}", self.volume);
        words
            .extend(["--user", "0:0", "--volume", &mount, "--entrypoint", PROGRAM].map(Into::into));
        words
    }

    /// Starts a container.
    ///
    /// # Errors
    /// What the engine says, a port that is taken for instance.
    pub fn start(&self, id: &str) -> Result<(), Trouble> {
        self.engine.ask(self.engine.call(["start", id]))?;
        Ok(())
    }

    /// How it is with a container.
    ///
    /// # Errors
    /// What the engine says.
    pub fn state(&self, id: &str) -> Result<State, Trouble> {
        let call = self.engine.call(["container", "inspect", id]);
        State::parse(&self.engine.ask(call)?).map_err(Trouble::cannot_run)
    }

    /// Standard output and standard error of a container so far.
    ///
    /// # Errors
    /// When they cannot be had.
    pub fn logs(&self, id: &str) -> Result<(Vec<u8>, Vec<u8>), Trouble> {
        let done = self.engine.make(self.engine.call(["logs", id]))?;
        Ok((done.stdout, done.stderr))
    }

    /// Removes a container with its anonymous volumes.
    pub fn remove(&self, id: &str) {
        self.engine.tidy(["rm", "--force", "--volumes", id]);
    }

    /// Fills the volume through a container that was made and not started: this program, and
    /// files under the names they are to have.
    ///
    /// # Errors
    /// When this program cannot be read, or what the engine says.
    pub fn fill(&self, id: &str, files: &[(String, Vec<u8>)]) -> Result<(), Trouble> {
        let own = |error: io::Error| {
            Trouble::output(format!("cannot read micropacker's own program: {error}"))
        };
        let program = fs::read("/proc/self/exe").map_err(own)?;
        let archive = archive(&program, files).map_err(own)?;
        self.put(id, archive)
    }

    /// Brings one more file along.
    ///
    /// # Errors
    /// What the engine says.
    pub fn bring(&self, id: &str, name: &str, content: &[u8]) -> Result<(), Trouble> {
        let mut builder = tar::Builder::new(Vec::new());
        add(&mut builder, &format!("in/{name}"), 0o644, content)
            .and_then(|()| builder.into_inner())
            .map_err(|error| Trouble::output(format!("cannot pack {name}: {error}")))
            .and_then(|archive| self.put(id, archive))
    }

    fn put(&self, id: &str, archive: Vec<u8>) -> Result<(), Trouble> {
        let target = format!("{id}:{PLACE}");
        let call = Call {
            input: archive,
            ..self.engine.call(["cp", "-", &target])
        };
        self.engine.ask(call)?;
        Ok(())
    }

    /// Copies a directory of the volume to this machine.
    ///
    /// # Errors
    /// What the engine says.
    pub fn fetch(&self, id: &str, directory: &str, target: &Path) -> Result<(), Trouble> {
        let source = format!("{id}:{PLACE}/{directory}/.");
        let words = [OsStr::new("cp"), OsStr::new(&source), target.as_os_str()];
        let call = Call {
            limit: None,
            ..self.engine.call(words)
        };
        let done = self.engine.make(call)?;
        match done.status.success() {
            true => Ok(()),
            false => {
                let why = done.complaint();
                Err(Trouble::output(format!(
                    "the outputs cannot be copied: {why}"
                )))
            }
        }
    }

    /// `name` is about to mean an image that is not verified; what it means now is kept in mind.
    ///
    /// # Errors
    /// When a signal has come.
    pub fn before_naming(&mut self, name: &str) -> Result<(), Trouble> {
        if self.unproven.is_none() {
            let before = self.image_id(name)?;
            self.unproven = Some((name.to_owned(), before));
        }
        Ok(())
    }

    /// An image was loaded: it goes when another one is loaded in its place.
    pub fn loaded(&mut self, id: &str) {
        if let Some(before) = self.latest.replace(id.to_owned())
            && before != id
        {
            self.engine.tidy(["rmi", &before]);
        }
    }

    /// Bytes of an image, as the engine counts them.
    ///
    /// # Errors
    /// What the engine says.
    pub fn image_bytes(&self, id: &str) -> Result<u64, Trouble> {
        let text = self
            .engine
            .ask(self.engine.call(["image", "inspect", id]))?;
        let (_, bytes) = identity(&text).map_err(Trouble::output)?;
        Ok(bytes)
    }

    /// The name may stay.
    pub fn proven(&mut self) {
        self.unproven = None;
    }

    /// The image that a name means.
    ///
    /// # Errors
    /// When a signal has come.
    pub fn image_id(&self, name: &str) -> Result<Option<String>, Trouble> {
        let call = self
            .engine
            .call(["image", "inspect", "--format", "{{.Id}}", name]);
        let done = self.engine.make(call)?;
        let id = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        Ok((done.status.success() && !id.is_empty()).then_some(id))
    }

    /// Removes everything, whatever has come meanwhile.
    pub fn clear(&mut self) {
        if std::mem::replace(&mut self.clean, true) {
            return;
        }
        // What was just being started may appear after a look; it holds the volume then.
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            self.remove_all();
            let removed = self.engine.tidy(["volume", "rm", "--force", &self.volume]);
            if removed.is_some() {
                break;
            }
        }
        match self.unproven.take() {
            None => {}
            Some((name, Some(before))) => {
                let after = self
                    .engine
                    .tidy(["image", "inspect", "--format", "{{.Id}}", &name]);
                self.engine.tidy(["tag", &before, &name]);
                let after = String::from_utf8_lossy(&after.unwrap_or_default())
                    .trim()
                    .to_owned();
                if !after.is_empty() && after != before {
                    self.engine.tidy(["rmi", &after]);
                }
            }
            Some((name, None)) => {
                self.engine.tidy(["rmi", &name]);
            }
        }
    }
}

impl Site {
    /// Removes the containers that there are now.
    fn remove_all(&self) {
        let filter = format!("label={}", self.label);
        let listed = self
            .engine
            .tidy(["ps", "--all", "--quiet", "--filter", &filter]);
        let listed = listed.unwrap_or_default();
        for id in String::from_utf8_lossy(&listed).lines() {
            self.remove(id.trim());
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The volume's first content. Any user of the container may write into the directories for
/// outputs.
fn archive(program: &[u8], files: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::with_capacity(program.len() + 65536));
    add(&mut builder, "micropacker", 0o755, program)?;
    add_directory(&mut builder, "in/", 0o755)?;
    for name in OUTPUTS {
        add_directory(&mut builder, &format!("{name}/"), 0o1777)?;
    }
    for (name, content) in files {
        add(&mut builder, &format!("in/{name}"), 0o644, content)?;
    }
    builder.into_inner()
}

fn add(
    builder: &mut tar::Builder<Vec<u8>>,
    name: &str,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = header(mode, tar::EntryType::Regular);
    header.set_size(content.len() as u64);
    builder.append_data(&mut header, name, content)
}

fn add_directory(builder: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32) -> io::Result<()> {
    let mut header = header(mode, tar::EntryType::Directory);
    header.set_size(0);
    builder.append_data(&mut header, name, io::empty())
}

fn header(mode: u32, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_can_be_run_and_the_outputs_written_by_any_user() {
        let files = [("inspect.json".to_owned(), b"[]".to_vec())];
        let archive = archive(b"ELF", &files).expect("an archive");
        let mut found = Vec::new();
        for entry in tar::Archive::new(archive.as_slice())
            .entries()
            .expect("entries")
        {
            let entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            found.push((path, entry.header().mode().expect("a mode")));
        }
        let expected = [
            ("micropacker", 0o755),
            ("in/", 0o755),
            ("out/", 0o1777),
            ("again/", 0o1777),
            ("asked/", 0o1777),
            ("in/inspect.json", 0o644),
        ];
        assert_eq!(found, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
