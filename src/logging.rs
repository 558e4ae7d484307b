//! Messages on standard error: one line each, with the prefix `micropacker:`.

mod line;

pub use line::Line;

use std::fmt;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Errors only.
    Quiet,
    /// Warnings and a closing summary.
    Normal,
    /// What is done, step by step.
    Verbose,
    /// Every decision.
    Debug,
}

/// Sets up messages for the whole process; a second call changes nothing.
pub fn start(detail: Detail, json: bool) {
    let level = match detail {
        Detail::Quiet => LevelFilter::ERROR,
        Detail::Normal => LevelFilter::INFO,
        Detail::Verbose => LevelFilter::DEBUG,
        Detail::Debug => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| line::Around);
    line::want(detail != Detail::Quiet && !json);
    let _ = if json {
        tracing::subscriber::set_global_default(builder.json().without_time().finish())
    } else {
        tracing::subscriber::set_global_default(builder.event_format(OneLine).finish())
    };
}

/// `micropacker: message`, warnings marked as such.
struct OneLine;

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(match *event.metadata().level() {
            Level::WARN => "micropacker: warning: ",
            _ => "micropacker: ",
        })?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
