//! Finding the command as a shell would, and saying clearly why it cannot be run.

use crate::exit;
use nix::unistd::AccessFlags;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where execvp(3) looks when PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command cannot be run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FindError {
    /// There is no such file.
    #[error("command '{0}' not found{1}")]
    NotFound(String, &'static str),
    /// It is a directory.
    #[error("command '{0}' is a directory: name a program in it")]
    Directory(String),
    /// It may not be executed.
    #[error("command '{0}' is not executable: chmod +x it, or start it through its interpreter")]
    NotExecutable(String),
}

impl FindError {
    /// The exit status of CLI.md.
    pub fn status(&self) -> u8 {
        match self {
            FindError::NotFound(..) => exit::NOT_FOUND,
            _ => exit::CANNOT_RUN,
        }
    }
}

/// The file of `command`: itself where it holds a slash, else the first executable of that name
/// along `path`.
///
/// # Errors
/// What is wrong with it.
pub fn find(command: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, FindError> {
    let shown = command.to_string_lossy().into_owned();
    if command.as_bytes().contains(&b'/') {
        return check(Path::new(command), shown);
    }
    if command.is_empty() {
        return Err(FindError::NotFound(shown, ": its name is empty"));
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refused = None;
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        // An empty element means the current directory (environ(7)).
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        let file = [directory, b"/", command.as_bytes()].concat();
        match check(Path::new(&OsString::from_vec(file)), shown.clone()) {
            Ok(found) => return Ok(found),
            Err(FindError::NotFound(..)) => {}
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(FindError::NotFound(shown, " along PATH")))
}

fn check(file: &Path, shown: String) -> Result<PathBuf, FindError> {
    match file.metadata() {
        Err(_) => Err(FindError::NotFound(shown, ": there is no such file")),
        Ok(metadata) if metadata.is_dir() => Err(FindError::Directory(shown)),
        Ok(_) if nix::unistd::access(file, AccessFlags::X_OK).is_err() => {
            Err(FindError::NotExecutable(shown))
        }
        Ok(_) => Ok(file.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn program(path: &Path, mode: u32) {
        fs::write(path, "").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn the_first_executable_along_path_is_taken() {
        let dir = tempfile::tempdir().expect("made");
        fs::create_dir_all(dir.path().join("a/tool")).expect("made");
        fs::create_dir(dir.path().join("b")).expect("made");
        fs::create_dir(dir.path().join("c")).expect("made");
        program(&dir.path().join("b/tool"), 0o644);
        program(&dir.path().join("c/tool"), 0o755);
        let path = ["a", "b", "c"].map(|name| dir.path().join(name).display().to_string());
        let found = find(OsStr::new("tool"), Some(OsStr::new(&path.join(":"))));
        assert_eq!(found, Ok(dir.path().join("c/tool")));
        let refused = find(OsStr::new("tool"), Some(OsStr::new(&path[..2].join(":"))));
        assert_eq!(
            refused.map_err(|error| error.status()),
            Err(exit::CANNOT_RUN)
        );
    }

    #[test]
    fn what_is_missing_and_what_cannot_run_have_their_own_status() {
        let dir = tempfile::tempdir().expect("made");
        let status =
            |command: &Path| find(command.as_os_str(), None).map_err(|error| error.status());
        assert_eq!(status(&dir.path().join("gone")), Err(exit::NOT_FOUND));
        assert_eq!(status(dir.path()), Err(exit::CANNOT_RUN));
        assert_eq!(
            find(OsStr::new("no-such-tool"), Some(OsStr::new("/bin")))
                .map_err(|error| error.status()),
            Err(exit::NOT_FOUND)
        );
    }
}
