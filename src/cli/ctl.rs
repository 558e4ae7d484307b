//! Options of `ctl`.

use super::CtlAction;
use clap::Args;

/// Options of `ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// What to ask for
    #[arg(value_enum)]
    pub action: CtlAction,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
    /// With stop: wait until the outputs are written
    #[arg(long)]
    pub wait: bool,
    /// The process of the micropacker to ask, where there are several
    #[arg(long, value_name = "PID")]
    pub supervisor: Option<i32>,
}
