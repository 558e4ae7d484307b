//! The journal as `run` begins it.

use super::Failure;
use super::select::mount_table;
use super::ship::Outputs;
use crate::byte_string::ByteString;
use crate::exit;
use crate::image_fs::FileTime;
use crate::journal::{FORMAT, Header, Shape, Start, container_of};
use crate::pack::config::sift_secrets;
use crate::recorder::journal::{Journal, Keeper, failure};
use crate::recording::Context as RunContext;
use anyhow::Result;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What `--journal` takes for "none".
const NONE: &str = "none";

/// Opens the journal of a run where it is wanted.
///
/// # Errors
/// When it cannot be opened at a place that the user chose.
pub fn begin(
    wanted: Option<&Path>,
    outputs: &Outputs,
    mut header: Header,
) -> Result<Option<(Journal, Keeper)>> {
    let (path, is_named) = match wanted {
        Some(path) if path == NONE => return Ok(None),
        Some(path) => (path.to_owned(), true),
        None => match default_place(outputs) {
            Some(path) => (path, false),
            None => return Ok(None),
        },
    };
    // Where we pack may be elsewhere by then.
    let path = std::path::absolute(&path).unwrap_or(path);
    header.own = outputs.own(Path::new("/"), std::slice::from_ref(&path));
    match Journal::open(&path, is_named, &header) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if is_named => {
            let message = format!(
                "cannot open the journal {}: {error}; choose another place, or --journal none",
                path.display()
            );
            Err(Failure::new(exit::OUTPUT, message).into())
        }
        Err(error) => {
            tracing::warn!("{}", failure(&path, &error));
            Ok(None)
        }
    }
}

/// `OUTPUT.journal`; none beside a stream or a device.
fn default_place(outputs: &Outputs) -> Option<PathBuf> {
    if !outputs.rootfs_is_a_file() {
        return None;
    }
    let mut name = OsString::from(outputs.rootfs.file_name()?);
    name.push(".journal");
    Some(outputs.rootfs.with_file_name(name))
}

/// What a run begins with, but for where it is written.
///
/// # Errors
/// When the mount table cannot be read.
pub fn header(
    context: &RunContext,
    shape: Shape,
    originals: &Path,
    started: Option<FileTime>,
) -> Result<Header> {
    let keep = |name: &str| shape.keep_env.iter().any(|kept| kept == name);
    let (env, secrets) = sift_secrets(&context.env, &keep);
    let sifted = RunContext {
        env,
        ..context.clone()
    };
    let mounts = mount_table()?;
    Ok(Header {
        format: FORMAT,
        micropacker: env!("CARGO_PKG_VERSION").to_owned(),
        container: container_of(&mounts),
        command: Start::new(&sifted, secrets),
        mounts: ByteString(mounts),
        originals: Some(ByteString(originals.as_os_str().as_bytes().to_vec())),
        started,
        own: Vec::new(),
        shape,
    })
}

/// The words that pack what a journal holds.
pub fn remedy(keeper: &Keeper, outputs: &Outputs) -> String {
    let artifacts = outputs.artifacts.as_ref();
    let artifacts = artifacts.map(|directory| format!(" --artifacts {}", directory.display()));
    format!(
        "the recording is safe in {path}: when the cause is removed, 'micropacker pack --journal \
         {path} -o {output}{artifacts}' writes the outputs",
        path = keeper.path().display(),
        output = outputs.rootfs.display(),
        artifacts = artifacts.as_deref().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_lies_beside_a_regular_output_only() {
        let outputs = |rootfs: &str| Outputs {
            ahead: Default::default(),
            rootfs: rootfs.into(),
            artifacts: None,
            tag: None,
            keep_env: Vec::new(),
            hurry: Default::default(),
            image: Default::default(),
        };
        let place = default_place(&outputs("/out/x.tar"));
        assert_eq!(place.as_deref(), Some(Path::new("/out/x.tar.journal")));
        for stream in ["-", "/dev/null"] {
            assert_eq!(default_place(&outputs(stream)), None);
        }
    }
}
