//! `micropacker completions` and `micropacker man`: what the definition of the command line tells
//! shells and readers.

use super::Failure;
use super::ship::write_whole;
use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

const NAME: &str = "micropacker";

/// Prints a script that a shell loads.
pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    print(&script)
}

/// Prints a manual page, or writes all of them.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    if let Some(directory) = &args.all {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        for page in std::iter::once(&command).chain(pages(&command)) {
            let name = format!("{}.1", name_of(page));
            write_whole(&directory.join(name), &render(page)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let page = match &args.subcommand {
        None => Some(&command),
        Some(name) => pages(&command).find(|page| page.get_name() == name),
    };
    let page = page.ok_or_else(|| {
        let names: Vec<_> = pages(&command).map(Command::get_name).collect();
        let message = format!("no such subcommand; there are {}", names.join(", "));
        Failure::new(exit::USAGE, message)
    })?;
    print(&render(page)?)
}

fn pages(command: &Command) -> impl Iterator<Item = &Command> {
    let subcommands = command.get_subcommands();
    subcommands.filter(|subcommand| subcommand.get_name() != "help")
}

/// `micropacker`, or `micropacker-run`: what man(1) finds for `man micropacker run`.
fn name_of(command: &Command) -> &str {
    command.get_display_name().unwrap_or(NAME)
}

fn render(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .manual("micropacker")
        .render(&mut page)
        .context("cannot make a manual page")?;
    Ok(with_sections(&String::from_utf8_lossy(&page)).into_bytes())
}

/// A page whose last section, what stands at the end of a help text, is the sections that a manual
/// has, with calls that can be copied: man(1) fills and hyphenates what is not marked (man(7)).
fn with_sections(page: &str) -> String {
    let Some((before, extra)) = page.split_once(".SH EXTRA\n") else {
        return page.to_owned();
    };
    let mut text = before.to_owned();
    let mut is_call = false;
    for line in extra.lines() {
        if line.starts_with("  ") != is_call {
            is_call = !is_call;
            text.push_str(if is_call { ".nf\n" } else { ".fi\n" });
        }
        match line.split_once(": ") {
            _ if matches!(line, "Example:" | "Examples:") => text.push_str(".SH EXAMPLES"),
            Some(("Exit status", rest)) => {
                text.push_str(".SH EXIT STATUS\n");
                text.push_str(rest);
            }
            _ => text.push_str(line.strip_prefix("  ").unwrap_or(line)),
        }
        text.push('\n');
    }
    if is_call {
        text.push_str(".fi\n");
    }
    text
}

/// Whoever reads may stop reading: that is no error.
fn print(bytes: &[u8]) -> Result<ExitCode> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
