//! How path lookups reach us, and which way is taken here.

mod admit;
mod choose;
mod counting;
mod ending;
mod follow;
mod notify;
mod release;
mod shielded;
mod threads;

pub use choose::{Capabilities, Choice, Engine, Wish, choose, probe};
pub use follow::{Follower, Outcome, Pause, Watcher};
pub use notify::serve;
