//! The documented options are those of the program: docs/cli.md option by option, README.md by
//! name.

use clap::{Arg, Command, CommandFactory, Parser};
use micropacker::build::split_words;
use micropacker::cli::Cli;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Clap adds these to every command.
const EVERYWHERE: [&str; 2] = ["help", "version"];

#[test]
fn every_subcommand_is_documented_and_no_other() {
    let definition = Cli::command();
    let defined: BTreeSet<String> = subcommands(&definition)
        .map(|command| command.get_name().to_owned())
        .collect();
    let text = document("docs/cli.md");
    let documented: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|heading| heading.starts_with(|first: char| first.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, defined);
}

#[test]
fn each_subcommands_table_lists_its_options_with_names_variable_and_default() {
    for command in subcommands(&Cli::command()) {
        let name = command.get_name();
        let text = document("docs/cli.md");
        let section = section(&text, name);
        let rows: Vec<&str> = section.lines().filter(|line| is_option(line)).collect();
        let options: Vec<&Arg> = options_of(command).collect();
        for option in &options {
            let shown = name_of(option);
            let row = rows
                .iter()
                .find(|row| names(option_cell(row)).contains(&shown));
            let row = row.unwrap_or_else(|| panic!("docs/cli.md: {name} lacks {shown}"));
            for word in words_of(option) {
                assert!(
                    row.contains(&word),
                    "docs/cli.md: {name}: no {word} in {row}"
                );
            }
            let has_variable = row.contains("MICROPACKER_");
            assert_eq!(has_variable, option.get_env().is_some(), "{row}");
        }
        let defined: BTreeSet<String> = options.iter().map(|option| name_of(option)).collect();
        for row in &rows {
            let known = names(option_cell(row))
                .iter()
                .any(|name| defined.contains(name));
            assert!(known, "docs/cli.md: {name} has no such option: {row}");
        }
        assert_eq!(rows.len(), options.len(), "docs/cli.md: {name}: twice");
    }
}

#[test]
fn the_readme_names_every_option_and_no_other() {
    let definition = Cli::command();
    let defined: BTreeSet<String> = subcommands(&definition)
        .flat_map(|command| options_of(command).filter(|option| option.get_long().is_some()))
        .map(name_of)
        .collect();
    let text = document("README.md");
    let documented = names(section(&text, "Options"))
        .into_iter()
        .filter(|name| name.starts_with("--"))
        .collect();
    assert_eq!(defined, documented);
}

#[test]
fn the_exit_statuses_are_documented() {
    use micropacker::exit;
    for page in ["README.md", "docs/cli.md"] {
        let text = document(page);
        let section = section(&text, "Exit status");
        for status in [exit::USAGE, exit::OUTPUT, exit::CANNOT_RUN, exit::NOT_FOUND] {
            let row = format!("| {status} |");
            assert!(section.contains(&row), "{page} lacks status {status}");
        }
    }
}

#[test]
fn every_field_that_is_printed_as_json_is_documented() {
    for (snapshot, page) in [
        ("report.json", "docs/report.md"),
        ("explain.json", "docs/cli.md"),
        ("diff.json", "docs/cli.md"),
    ] {
        let text = document(&format!("tests/snapshots/{snapshot}"));
        let mut fields = BTreeSet::new();
        collect_fields(&serde_json::from_str(&text).expect("JSON"), &mut fields);
        assert!(fields.len() > 6, "{snapshot}: {fields:?}");
        // The words of reasons are the report's, wherever they are printed.
        let pages = document(page) + &document("docs/report.md");
        let code = pages.split('`').skip(1).step_by(2);
        let named: BTreeSet<&str> = code
            .flat_map(|code| code.split(|one: char| !(one.is_alphanumeric() || "_-".contains(one))))
            .collect();
        for field in fields {
            assert!(named.contains(field.as_str()), "{page}: no {field}");
        }
    }
}

fn collect_fields(value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                fields.insert(name.clone());
                collect_fields(value, fields);
            }
        }
        Value::Array(values) => {
            for value in values {
                collect_fields(value, fields);
            }
        }
        _ => {}
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = [
        "README.md",
        "CHANGELOG.md",
        "docs/cli.md",
        "docs/control.md",
        "docs/design.md",
        "docs/guide.md",
        "docs/limits.md",
        "docs/report.md",
    ];
    for page in pages {
        let text = document(page);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let directory = Path::new(page).parent().expect("a file");
            let file = match file {
                "" => page.to_owned(),
                file => directory.join(file).to_str().expect("UTF-8").to_owned(),
            };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            assert!(path.exists(), "{page}: no {target}");
            if !heading.is_empty() {
                let text = document(&file);
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| anchor(line) == heading),
                    "{page}: no {target}"
                );
            }
        }
    }
}

/// The recipes for CI systems.
const RECIPES: [&str; 2] = ["docs/ci/github.yml", "docs/ci/gitlab.yml"];

#[test]
fn the_guide_shows_the_recipes_as_they_are() {
    let guide = document("docs/guide.md");
    for recipe in RECIPES {
        let shown: Vec<String> = document(recipe)
            .lines()
            .map(|line| format!("    {line}"))
            .collect();
        assert!(guide.contains(&shown.join("\n")), "docs/guide.md: {recipe}");
    }
}

#[test]
fn each_build_that_the_documents_show_is_understood() {
    let pages = ["README.md", "docs/guide.md", "docs/cli.md"];
    let mut shown = 0;
    for page in pages.iter().chain(&RECIPES) {
        let text = document(page);
        let lines = text.lines().filter(|line| line.starts_with("    "));
        let calls = lines.filter_map(|line| {
            let recipe = line.split_once("./micro-image ");
            let call = recipe.or_else(|| line.split_once("    micropacker build "));
            call.map(|(_, call)| call.split(" >").next().unwrap_or(call))
        });
        for call in calls {
            let words = split_words(call.as_ref()).unwrap_or_else(|why| panic!("{page}: {why}"));
            let front = ["micropacker", "build"].map(OsString::from);
            let parsed = Cli::try_parse_from(front.into_iter().chain(words));
            if let Err(error) = parsed {
                panic!("{page}: {call}: {error}");
            }
            shown += 1;
        }
    }
    assert!(shown > 4, "only {shown} were found");
}

fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn subcommands(definition: &Command) -> impl Iterator<Item = &Command> {
    definition
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
}

fn options_of(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        !argument.is_positional() && !EVERYWHERE.contains(&argument.get_id().as_str())
    })
}

/// `--output`; `-x` for an option without a long name.
fn name_of(option: &Arg) -> String {
    match (option.get_long(), option.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, short) => format!("-{}", short.expect("a name")),
    }
}

/// What a table's row must say of an option, beside its name.
fn words_of(option: &Arg) -> Vec<String> {
    let short = option.get_short().map(|short| format!("`-{short}"));
    let variable = option
        .get_env()
        .map(|variable| format!("`{}`", variable.display()));
    let takes_value = option.get_action().takes_values();
    let defaults = option.get_default_values().iter().filter(|_| takes_value);
    let defaults = defaults.map(|value| format!("`{}` |", value.display()));
    let choices = option.get_possible_values();
    let choices = choices
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| value.get_name().to_owned());
    short
        .into_iter()
        .chain(variable)
        .chain(defaults)
        .chain(choices)
        .collect()
}

/// The text below a heading of the second level, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let at = text
        .find(&start)
        .unwrap_or_else(|| panic!("no heading '{heading}'"));
    let below = &text[at + start.len()..];
    below.find("\n## ").map_or(below, |end| &below[..end])
}

fn is_option(line: &str) -> bool {
    line.starts_with("| `-")
}

/// A row's first cell: what an option is called. Others may name other options.
fn option_cell(row: &str) -> &str {
    row.split(" | ").next().unwrap_or(row)
}

/// The options that a text names within backquotes.
fn names(text: &str) -> BTreeSet<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split([' ', '[', '=']))
        .filter(|word| word.starts_with('-') && word.len() > 1 && *word != "--")
        .map(str::to_owned)
        .collect()
}

/// The name that a heading has in an address, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character))
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}
