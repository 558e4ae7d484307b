//! What is told of a run: its packages, its report for tools and people, and what two of them
//! differ in.

mod build;
pub mod diff;
pub mod explain;
pub mod html;
pub mod inventory;
mod json;
pub mod model;
mod sbom;
pub mod seccomp;
#[cfg(test)]
mod testing;
pub mod text;
pub mod words;

pub use build::Sources;
pub use inventory::{Distribution, Inventory, KeptPackage};
pub use json::ReportError;
pub use model::Report;
pub use sbom::{Described, sbom};
