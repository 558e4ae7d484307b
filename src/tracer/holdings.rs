//! What a process that already runs has mapped and holds open, and what it was started as.

use super::credentials::as_tracee;
use super::memory::read_path;
use crate::image_path::ImagePath;
use crate::sys::Tid;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files and directories of a process, each with the name that stands in place of a system call.
/// Only what is at its path as we see it.
pub fn holdings(tid: Tid) -> Vec<(&'static str, ImagePath)> {
    let mut found = Vec::new();
    if let Ok(maps) = as_tracee(tid, || fs::read(format!("/proc/{tid}/maps"))) {
        let mapped = mapped_files(&maps);
        found.extend(mapped.into_iter().map(|path| ("maps", path)));
        // The files behind a mapping may not be looked at without more privileges: an overlay's
        // numbers are those of another file system there.
        found.retain(|(_, path)| fs::symlink_metadata(path.as_path()).is_ok());
    }
    let descriptors = as_tracee(tid, || fs::read_dir(format!("/proc/{tid}/fd")));
    let descriptors = descriptors.into_iter().flatten().flatten();
    let links = descriptors.map(|entry| ("fd", entry.path()));
    let cwd = ("cwd", Path::new("/proc").join(tid.to_string()).join("cwd"));
    for (call, link) in links.chain([cwd]) {
        if let Ok(Some(path)) = as_tracee(tid, || seen_target(&link)) {
            found.push((call, path));
        }
    }
    found
}

/// Whether the program of a process is the file that its name means to us.
pub fn runs_what_is_seen(tid: Tid) -> bool {
    let link = Path::new("/proc").join(tid.to_string()).join("exe");
    matches!(as_tracee(tid, || seen_target(&link)), Ok(Some(_)))
}

/// The file name that execve(2) was given: AT_EXECFN of getauxval(3).
pub fn executed(tid: Tid, read: impl FnMut(u64, &mut [u8]) -> usize) -> Option<Vec<u8>> {
    let auxv = as_tracee(tid, || fs::read(format!("/proc/{tid}/auxv"))).ok()?;
    let mut name = Vec::new();
    read_path(exec_name(&auxv)?, &mut name, read).then_some(name)
}

/// Where a magic link leads, if the file is there under that name.
fn seen_target(link: &Path) -> io::Result<Option<ImagePath>> {
    let target = ImagePath::new(fs::read_link(link)?.into_os_string().into_vec());
    let Some(target) = target else {
        return Ok(None);
    };
    let behind = fs::metadata(link)?;
    let same = fs::symlink_metadata(target.as_path())
        .is_ok_and(|seen| (seen.dev(), seen.ino()) == (behind.dev(), behind.ino()));
    Ok(same.then_some(target))
}

/// The files of a `/proc/PID/maps` (proc_pid_maps(5)), each once.
fn mapped_files(maps: &[u8]) -> Vec<ImagePath> {
    let mut files: Vec<ImagePath> = Vec::new();
    for line in maps.split(|byte| *byte == b'\n') {
        // No field before the path holds a slash.
        let path = line.iter().position(|byte| *byte == b'/');
        let path = path.and_then(|at| line.get(at..)).and_then(unescape);
        if let Some(path) = path
            && !files.contains(&path)
        {
            files.push(path);
        }
    }
    files
}

/// A newline in a name is shown as `\012`.
fn unescape(shown: &[u8]) -> Option<ImagePath> {
    const NEWLINE: &[u8] = b"\\012";
    let mut path = Vec::new();
    let mut rest = shown;
    while let [first, tail @ ..] = rest {
        if let Some(tail) = rest.strip_prefix(NEWLINE) {
            path.push(b'\n');
            rest = tail;
        } else {
            path.push(*first);
            rest = tail;
        }
    }
    // A name that really holds these four characters is shown alike.
    let real = ImagePath::new(shown).filter(|path| path.as_path().exists());
    real.or_else(|| ImagePath::new(path))
}

/// The value of AT_EXECFN in an auxiliary vector, of words of 8 bytes or, for a 32-bit program, 4.
fn exec_name(auxv: &[u8]) -> Option<u64> {
    const AT_EXECFN: u64 = 31;
    let words = |size: usize| {
        auxv.chunks_exact(size).map(move |word| {
            let mut value = [0; 8];
            value[..size].copy_from_slice(word);
            // Both architectures are little-endian.
            u64::from_le_bytes(value)
        })
    };
    [8, 4].into_iter().find_map(|size| {
        let mut words = words(size);
        while let (Some(kind), Some(value)) = (words.next(), words.next()) {
            if kind == AT_EXECFN && value != 0 {
                return Some(value);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    fn own() -> Tid {
        std::process::id() as Tid
    }

    #[test]
    fn mapped_files_are_told_once_and_whole() {
        let maps = b"55d0-55d1 r--p 00000000 fe:00 12   /bin/a b\n\
            55d1-55d2 r-xp 00001000 fe:00 12   /bin/a b\n\
            7ffd-7ffe rw-p 00000000 00:00 0    [stack]\n\
            7ff0-7ff1 rw-p 00000000 00:00 0\n\
            7ff1-7ff2 r--p 00000000 fe:00 13   /lib/x\\012y\n";
        let files = mapped_files(maps);
        let files: Vec<_> = files.iter().map(ImagePath::as_bytes).collect();
        assert_eq!(files, [&b"/bin/a b"[..], b"/lib/x\ny"]);
    }

    #[test]
    fn the_name_of_the_program_is_found_in_vectors_of_both_widths() {
        let wide: Vec<u8> = [6u64, 4096, 31, 0x7fff_0000_1000, 0, 0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(exec_name(&wide), Some(0x7fff_0000_1000));
        let narrow: Vec<u8> = [6u32, 4096, 31, 0xfff0_1000, 0, 0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(exec_name(&narrow), Some(0xfff0_1000));
    }

    #[test]
    fn what_a_process_holds_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().canonicalize().expect("there").join("held");
        let file = fs::File::create(&path).expect("created");
        let held = ImagePath::new(path.as_os_str().as_bytes()).expect("absolute");
        let found = holdings(own());
        assert!(found.contains(&("fd", held.clone())), "{found:?}");
        let cwd = std::env::current_dir().expect("a directory");
        let cwd = ImagePath::new(cwd.as_os_str().as_bytes()).expect("absolute");
        assert!(found.contains(&("cwd", cwd)), "{found:?}");
        assert!(found.iter().any(|(call, _)| *call == "maps"), "{found:?}");
        fs::remove_file(&path).expect("removed");
        assert!(!holdings(own()).contains(&("fd", held)), "it is gone");
        drop(file);
        assert!(runs_what_is_seen(own()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            mapped_files(&bytes);
            exec_name(&bytes);
        }
    }
}
