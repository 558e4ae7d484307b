//! Following processes and their path lookups with ptrace(2) and seccomp(2).

pub mod datagrams;
pub mod engine;
pub mod filter;
pub mod gains;
pub mod launch;
pub mod memory;
pub mod observe;
pub mod served;
pub mod shield;
pub mod stop;
pub mod syscall;
pub mod task;
pub mod tracees;
pub mod visible;
pub mod visitors;

mod census;
mod credentials;
mod holdings;
mod namespaces;
mod network;
