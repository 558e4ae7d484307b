//! What is told of a run: its packages, its report for tools and people, and what two of them
//! differ in.

pub mod inventory;
pub mod sbom;

pub use inventory::{Distribution, Inventory, KeptPackage};
pub use sbom::{Described, sbom};
