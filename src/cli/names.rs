//! Options that choose between names.

use clap::ValueEnum;

/// `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// The fastest that changes nothing for the application
    Auto,
    /// seccomp user notification
    Notify,
    /// seccomp stops
    Seccomp,
    /// Stops at every system call
    Syscall,
}

/// `--visitors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VisitorsName {
    /// Follow them in a container, and log opened files from the first of them on
    Auto,
    /// Look for them everywhere, and log opened files from the start
    Full,
    /// Neither
    Off,
}

/// `--listed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListedName {
    /// Where the directory belongs to the application
    Auto,
    /// All of them
    Full,
    /// None
    Skip,
}

/// `--probed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbedName {
    /// Take them whole
    Full,
    /// Leave them out
    Skip,
}

/// `--compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressName {
    /// Not at all
    None,
    /// gzip, for every engine and registry
    Gzip,
    /// Zstandard: smaller and faster, for Docker 23.0 and newer, podman and containerd
    Zstd,
}

/// `--preset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
    /// Certificates of the authorities that TLS clients trust
    CaCertificates,
    /// What lookups of users, hosts and services read
    Nss,
    /// Time zones
    Tzdata,
    /// Locales and character sets of the C library
    Locales,
    /// Of each Python package that was touched, all files
    PythonPackage,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// What `ctl` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CtlAction {
    /// Print what was seen so far
    Status,
    /// Write the outputs now; the application goes on
    Pack,
    /// Stop the application as SIGTERM would; the outputs are written at its end
    Stop,
}

/// `--keep-package-metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PackageMetadataName {
    /// Control data of the packages that files are kept of
    Auto,
    /// With their lists of files, and the whole database of rpm
    Full,
    /// Nothing
    Off,
}
