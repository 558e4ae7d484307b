//! micropacker: traces an application from inside its container and packs an image that holds
//! only the files it uses.
//!
//! The data flows one way: a stop of a tracee becomes an [`event`], events become a
//! [`recording`], the resolver turns it into a [`manifest`], and the packer writes that out.

pub mod accounts;
pub mod build;
pub mod byte_string;
pub mod cli;
pub mod command;
pub mod elf;
pub mod event;
pub mod exit;
pub mod image_fs;
pub mod image_path;
pub mod journal;
pub mod logging;
pub mod manifest;
pub mod mounts;
pub mod pack;
pub mod packages;
pub mod past;
pub mod recorder;
pub mod recording;
pub mod report;
pub mod resolve;
pub mod sockets;
pub mod supervisor;
pub mod sys;
pub mod tracer;
