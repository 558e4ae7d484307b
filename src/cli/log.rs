//! What is told: options that most subcommands share.

use super::LogFormat;
use clap::Args;

/// What is told on standard error.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Tell every decision
    #[arg(short, long, env = "MICROPACKER_DEBUG", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    pub debug: Option<bool>,
    /// Tell more
    #[arg(short, long, env = "MICROPACKER_VERBOSE", value_parser = clap::builder::FalseyValueParser::new())]
    pub verbose: bool,
    /// Tell errors only
    #[arg(short, long, env = "MICROPACKER_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    pub quiet: bool,
    /// Form of the messages
    #[arg(
        long,
        value_enum,
        env = "MICROPACKER_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}
