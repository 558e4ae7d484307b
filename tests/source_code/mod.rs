//! Rust source read without a compiler: its code without comments and literals, and what it imports.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The modules of the crate's root that a file names, in `use` or in the middle of an
/// expression: by `crate::`, by the crate's name, or by as many `super::` as lead there.
pub fn imports(path: &str, code: &str) -> BTreeSet<String> {
    let code: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let to_root = "super::".repeat(depth(path));
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "micropacker::", &to_root] {
        for (at, _) in code.match_indices(prefix) {
            if !code[..at]
                .ends_with(|before: char| before.is_alphanumeric() || ":_".contains(before))
            {
                found.extend(first_names(&code[at + prefix.len()..]));
            }
        }
    }
    found
}

/// How many modules deep a file's own module is.
fn depth(path: &str) -> usize {
    let parts = PathBuf::from(path);
    let depth = parts.components().count() - 1;
    depth - usize::from(parts.ends_with("mod.rs"))
}

/// `a` of `a::b`; `a` and `c` of `{a::b, c}`.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return words(rest).take(1).map(str::to_owned).collect();
    };
    let mut names = Vec::new();
    let (mut nesting, mut expected) = (1, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => nesting += 1,
            '}' => nesting -= 1,
            ',' if nesting == 1 => expected = true,
            ' ' => {}
            _ if expected => {
                expected = false;
                names.extend(words(&group[at..]).next().map(str::to_owned));
            }
            _ => {}
        }
        if nesting == 0 {
            break;
        }
    }
    names
}

/// Names, keywords and numbers.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !is_inside_word(character))
        .filter(|word| !word.is_empty())
}

fn is_inside_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A source text without its comments, and with all literals empty.
pub fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest).filter(|_| !ends_in_word(&code)) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    code.ends_with(is_inside_word)
}

/// The length of `r#"…"#` or `br"…"` at the beginning of `rest`.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes: String = after.chars().take_while(|c| *c == '#').collect();
    let body = after[hashes.len()..].strip_prefix('"')?;
    let end = body.find(&format!("\"{hashes}"))?;
    Some(rest.len() - body.len() + end + 1 + hashes.len())
}

/// A character, not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

/// The length of a literal up to its closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return at + 1;
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a // unsafe\n/* unsafe */ 'x' '\\'' \"unsafe \\\" \" r#\"unsafe\"# <'a> br\"u\" b";
    let code = code_of(text);
    let found: Vec<&str> = words(&code).collect();
    assert_eq!(found, ["a", "a", "b"]);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let found = |path, code| {
        let found = imports(path, code).into_iter().collect::<Vec<_>>();
        found.join(" ")
    };
    assert_eq!(found("src/a.rs", "use crate::x::{y, z};"), "x");
    assert_eq!(
        found("src/a.rs", "use crate::{x::y, z,\n q::{r, s}};"),
        "q x z"
    );
    assert_eq!(found("src/a/b.rs", "super::super::x::f()"), "x");
    assert_eq!(found("src/a/mod.rs", "use super::x;"), "x");
    assert_eq!(found("src/a/b.rs", "use super::c;"), "");
    assert_eq!(found("src/main.rs", "use micropacker::cli::Cli;"), "cli");
}
