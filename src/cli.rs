//! The command line: types only. The names are a contract; see docs/cli.md.

mod build;
mod ctl;
mod elf;
mod examples;
mod image;
mod log;
mod manual;
mod names;
mod profile;
mod report;

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

pub use build::{BuildArgs, ProbeArgs};
pub use ctl::CtlArgs;
pub use elf::ElfArgs;
pub use image::{ImageArgs, ImageOnlyArgs, RunImageArgs};
pub use log::LogArgs;
pub use manual::{CompletionsArgs, ManArgs};
pub use names::{
    CompressName, CtlAction, EngineName, ListedName, LogFormat, PackageMetadataName, PresetName,
    ProbedName, VisitorsName,
};
pub use profile::ProfileArgs;
pub use report::{DiffArgs, ExplainArgs};

/// Traces an application from inside its container and packs an image of only the files it uses.
///
/// Example: docker run --entrypoint /micropacker -v "$PWD/micropacker:/micropacker:ro"
/// -v "$PWD/out:/out" IMAGE -o /out/rootfs.tar --artifacts /out -- /entrypoint.sh
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit status: the application's own (128+N when signal N ended it); 2 usage, \
                  125 outputs could not be written, 126 the command could not be run or traced, \
                  127 it was not found."
)]
pub struct Cli {
    /// What to do; without one, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command, trace it and all its descendants, and pack what they used
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// On the host: make a verified micro image of an image, through docker or podman
    #[command(after_help = examples::BUILD)]
    Build(BuildArgs),
    /// Run a command and add what it uses to the trace that runs in this container
    #[command(after_help = examples::EXEC)]
    Exec(ExecArgs),
    /// Ask the trace that runs in this container what it has seen, or have it pack or stop
    #[command(after_help = examples::CTL)]
    Ctl(CtlArgs),
    /// Pack from file lists, journals and reports, without running anything
    #[command(after_help = examples::PACK)]
    Pack(PackArgs),
    /// Make a loadable image from a root file system tarball, on any machine
    #[command(after_help = examples::IMAGE)]
    Image(ImageOnlyArgs),
    /// Wait for ports, make HTTP requests, count files: what build has done beside an application
    #[command(after_help = examples::PROBE)]
    Probe(ProbeArgs),
    /// Show the interpreter and library closure of ELF files, as their loader would find it
    #[command(after_help = examples::ELF)]
    Elf(ElfArgs),
    /// Tell why paths are in an image, or what would bring them in
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Tell what two runs kept differently
    #[command(after_help = examples::DIFF)]
    Diff(DiffArgs),
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page of micropacker or of a subcommand, or write all of them
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The root file system tarball to write
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "MICROPACKER_OUTPUT",
        default_value = "rootfs.tar"
    )]
    pub output: PathBuf,
    /// Write image.tar, Dockerfile and what tells of the image into this directory
    #[arg(long, value_name = "DIR", env = "MICROPACKER_ARTIFACTS")]
    pub artifacts: Option<PathBuf>,
    /// Name of the image in image.tar, as for docker tag
    #[arg(long, value_name = "NAME", env = "MICROPACKER_TAG")]
    pub tag: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub image: RunImageArgs,
    /// Keep this environment variable in the image although its name looks like a secret
    #[arg(
        long,
        value_name = "NAME",
        env = "MICROPACKER_KEEP_ENV",
        value_delimiter = '\n'
    )]
    pub keep_env: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub select: SelectArgs,
    /// Write down what is seen while it runs, so that it outlives micropacker; none: do not
    #[arg(long, value_name = "FILE", env = "MICROPACKER_JOURNAL")]
    pub journal: Option<PathBuf>,
    /// How long the application may take to end after the signal was passed on
    #[arg(long, value_name = "SECONDS", env = "MICROPACKER_STOP_TIMEOUT")]
    pub stop_timeout: Option<u64>,
    /// How much room copies of changed files may take, beside the output: bytes, or with K, M, G, T
    #[arg(long, value_name = "SIZE", env = "MICROPACKER_ORIGINALS_LIMIT", value_parser = size)]
    pub originals_limit: Option<u64>,
    /// Write the outputs while the application runs, as far as they can be known, for very large images
    #[arg(long, env = "MICROPACKER_PACK_AHEAD", value_parser = clap::builder::FalseyValueParser::new())]
    pub pack_ahead: bool,
    /// Fail with status 125 when anything was lost; the outputs are written all the same
    #[arg(long, env = "MICROPACKER_STRICT", value_parser = clap::builder::FalseyValueParser::new())]
    pub strict: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub profile: ProfileArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub engine: EngineArgs,
    /// Processes that enter the container from outside (docker exec, health checks)
    #[arg(long, value_enum, env = "MICROPACKER_VISITORS", default_value = "auto")]
    pub visitors: VisitorsName,
    /// Write down there what is asked for and is not there, one JSON object a line
    #[arg(long, value_name = "FILE", env = "MICROPACKER_MISSING")]
    pub missing: Option<PathBuf>,
    /// Let the command keep this process, PID 1 for instance, and trace it from a child of it
    #[arg(long, env = "MICROPACKER_INVERTED", conflicts_with = "stop_timeout", value_parser = clap::builder::FalseyValueParser::new())]
    pub inverted: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub log: LogArgs,
    /// The command to trace, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// How a command is traced.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Trace without a seccomp filter: slower; with CAP_SYS_PTRACE, set-user-ID programs keep working
    #[arg(long, env = "MICROPACKER_NO_SECCOMP", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_seccomp: bool,
    /// How path lookups are traced
    #[arg(
        long,
        value_enum,
        env = "MICROPACKER_ENGINE",
        default_value = "auto",
        conflicts_with = "no_seccomp"
    )]
    pub engine: EngineName,
    /// Let the application use io_uring; files that it opens that way are not seen
    #[arg(long, env = "MICROPACKER_ALLOW_IO_URING", value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_io_uring: bool,
    /// Let set-user-ID programs and file capabilities have their effect: such a program runs untraced
    #[arg(long, env = "MICROPACKER_KEEP_SETUID", value_parser = clap::builder::FalseyValueParser::new())]
    pub keep_setuid: bool,
}

/// Which files are taken, beyond what was used.
#[derive(Debug, Args)]
pub struct SelectArgs {
    /// Take what matches this glob over absolute paths; a directory brings all below it
    #[arg(
        long,
        value_name = "PATTERN",
        env = "MICROPACKER_INCLUDE",
        value_delimiter = '\n'
    )]
    pub include: Vec<OsString>,
    /// Take what matches the patterns in this file, one a line
    #[arg(
        long,
        value_name = "FILE",
        env = "MICROPACKER_INCLUDE_FROM",
        value_delimiter = '\n'
    )]
    pub include_from: Vec<PathBuf>,
    /// Leave out what matches this glob
    #[arg(
        long,
        value_name = "PATTERN",
        env = "MICROPACKER_EXCLUDE",
        value_delimiter = '\n'
    )]
    pub exclude: Vec<OsString>,
    /// Take this program with everything it needs to start
    #[arg(
        long,
        value_name = "NAME|PATH",
        env = "MICROPACKER_INCLUDE_EXE",
        value_delimiter = '\n'
    )]
    pub include_exe: Vec<OsString>,
    /// Take /bin/sh with everything it needs to start
    #[arg(long, env = "MICROPACKER_INCLUDE_SHELL", value_parser = clap::builder::FalseyValueParser::new())]
    pub include_shell: bool,
    /// Take a named set of files that a trace may not see
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        env = "MICROPACKER_PRESET",
        value_delimiter = '\n'
    )]
    pub preset: Vec<PresetName>,
    /// Take files of this bind mount or volume too
    #[arg(
        long,
        value_name = "PATH",
        env = "MICROPACKER_INCLUDE_MOUNT",
        value_delimiter = '\n'
    )]
    pub include_mount: Vec<OsString>,
    /// Entries of directories that the application listed and did not use otherwise
    #[arg(long, value_enum, env = "MICROPACKER_LISTED", default_value = "auto")]
    pub listed: ListedName,
    /// Files that were only looked at, never opened
    #[arg(long, value_enum, env = "MICROPACKER_PROBED", default_value = "full")]
    pub probed: ProbedName,
    /// What tells scanners the packages of the image
    #[arg(
        long,
        value_enum,
        env = "MICROPACKER_KEEP_PACKAGE_METADATA",
        default_value = "auto"
    )]
    pub keep_package_metadata: PackageMetadataName,
}

/// The program whose interpreter `pack` adds when no other is named.
pub const DEFAULT_ELF: &str = "/bin/sh";

/// Options of `pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// A list of files, one path a line, a report.json or a journal
    #[arg(
        short,
        long = "input",
        value_name = "FILE",
        required_unless_present = "journal"
    )]
    pub input: Vec<PathBuf>,
    /// Pack what a trace has written into its journal
    #[arg(long, value_name = "FILE")]
    pub journal: Vec<PathBuf>,
    /// The root file system tarball to write
    #[arg(short, long, value_name = "FILE", default_value = "rootfs.tar")]
    pub output: PathBuf,
    /// A program whose ELF interpreter is always added
    #[arg(short = 'x', value_name = "ELF", default_value = DEFAULT_ELF)]
    pub elf: OsString,
    /// No built-in exclusions: take what is below /dev, /proc and /sys too
    #[arg(short = 'u', num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    pub unrestricted: Option<bool>,
    /// Write the package of each file here
    #[arg(short, long, value_name = "FILE")]
    pub packages: Option<PathBuf>,
    /// Write image.tar, Dockerfile and what tells of the image into this directory
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Name of the image in image.tar, as for docker tag
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub image: ImageArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub profile: ProfileArgs,
    /// Pack from this directory instead of /
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub select: SelectArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub log: LogArgs,
}

/// Options of `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The process of the micropacker to join, where there are several
    #[arg(long, value_name = "PID")]
    pub supervisor: Option<i32>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub engine: EngineArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub log: LogArgs,
    /// The command to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `512M`: a number of bytes, by powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let power = match &text[number.len()..] {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err("give one unit only".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "give a whole number, such as 512M or 4G".to_owned())?;
    number
        .checked_mul(1 << (10 * power))
        .ok_or_else(|| "that is more than any disk holds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_one_unit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("4G"), Ok(4 << 30));
        for wrong in ["", "M", "4GG", "4KM", "-1", "1.5G", "99999999T", "4g"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bare_command_line_runs() {
        let cli = Cli::parse_from(["micropacker", "-o", "x.tar", "--", "sh", "-c", "exit 3"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.run.command, ["sh", "-c", "exit 3"]);
    }

    #[test]
    fn the_ancestors_single_dash_forms_are_taken() {
        let cli = Cli::parse_from([
            "micropacker",
            "pack",
            "-i=files.txt",
            "-o=r.tar",
            "-d=true",
            "-u",
        ]);
        let Some(Command::Pack(pack)) = cli.command else {
            panic!("not pack");
        };
        assert_eq!(pack.input, [PathBuf::from("files.txt")]);
        assert_eq!(pack.output, PathBuf::from("r.tar"));
        assert_eq!(
            (pack.log.debug, pack.unrestricted),
            (Some(true), Some(true))
        );
    }
}
