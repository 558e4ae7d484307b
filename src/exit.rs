//! Exit statuses of micropacker's own failures. All others are the application's.

/// The outputs could not be written or are incomplete.
pub const OUTPUT: u8 = 125;
/// The command could not be run or traced.
pub const CANNOT_RUN: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;
/// Wrong usage.
pub const USAGE: u8 = 2;
