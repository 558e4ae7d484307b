//! As much of YAML as descriptions of an HTTP service are written in: mappings and sequences in
//! block and in flow style, scalars of each style. Of a scalar on several lines the first is kept,
//! of a block scalar nothing: that is prose. Anchors, aliases and tags are refused. Pure.

use serde_json::{Map, Value};

/// Far deeper than any description.
const MAX_DEPTH: usize = 100;

/// Reads a document.
///
/// # Errors
/// Which line is not understood, as a sentence that goes on after the file's name.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = line.trim_start_matches(' ');
        let line = Line {
            number: index + 1,
            indent: line.len() - words.len(),
            text: words.trim_end(),
        };
        let is_mark = line.indent == 0 && (line.text == "---" || line.text.starts_with('%'));
        if !line.text.is_empty() && !line.text.starts_with('#') && !is_mark {
            lines.push(line);
        }
    }
    let mut reader = Reader { lines, at: 0 };
    let value = reader.node(0, 0)?;
    match reader.lines.get(reader.at) {
        None => Ok(value),
        Some(line) => Err(line.refusal()),
    }
}

/// A line that says something.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

impl Line<'_> {
    fn refusal(self) -> String {
        let number = self.number;
        format!("line {number}: this YAML is not understood; give JSON (yq -o=json)")
    }

    fn is_item(self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The line that is next, when it is indented so far at least.
    fn peek(&self, least: usize) -> Option<Line<'a>> {
        let line = self.lines.get(self.at).copied();
        line.filter(|line| line.indent >= least)
    }

    /// What begins on the next line, when that is indented so far at least.
    fn node(&mut self, least: usize, depth: usize) -> Result<Value, String> {
        let Some(line) = self.peek(least) else {
            return Ok(Value::Null);
        };
        if depth > MAX_DEPTH {
            return Err(line.refusal());
        }
        if line.is_item() {
            return self.sequence(line.indent, depth);
        }
        if !line.text.starts_with(['{', '[']) && split_key(line.text).is_some() {
            return self.mapping(line.indent, depth);
        }
        self.at += 1;
        self.value(line, line.text, line.indent, depth)
    }

    fn sequence(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some(line) = self.peek(indent).filter(|line| line.is_item()) {
            if line.indent > indent {
                return Err(line.refusal());
            }
            let item = line.text[1..].trim_start_matches(' ');
            if item.is_empty() || item.starts_with('#') {
                self.at += 1;
            } else {
                // It goes on as if it stood on a line of its own.
                self.lines[self.at] = Line {
                    indent: indent + line.text.len() - item.len(),
                    text: item,
                    ..line
                };
            }
            items.push(self.node(indent + 1, depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn mapping(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let mut entries = Map::new();
        while let Some(line) = self.peek(indent).filter(|line| !line.is_item()) {
            let Some((key, rest)) = split_key(line.text).filter(|_| line.indent == indent) else {
                return Err(line.refusal());
            };
            self.at += 1;
            let rest = rest.trim_start();
            let value = match rest.is_empty() || rest.starts_with('#') {
                false => self.value(line, rest, indent + 1, depth)?,
                // Items may stand below their key without being indented.
                true if self.peek(indent).is_some_and(Line::is_item) => {
                    self.node(indent, depth + 1)?
                }
                true => self.node(indent + 1, depth + 1)?,
            };
            entries.insert(key, value);
        }
        Ok(Value::Object(entries))
    }

    /// A value that begins in a line; what goes on with it is indented so far at least.
    fn value(
        &mut self,
        line: Line<'a>,
        text: &str,
        least: usize,
        depth: usize,
    ) -> Result<Value, String> {
        let mut whole = text.to_owned();
        while let Some(more) = self.peek(least) {
            whole.push(' ');
            whole.push_str(more.text);
            self.at += 1;
        }
        match text.as_bytes().first() {
            Some(b'|' | b'>') => Ok(Value::String(String::new())),
            Some(b'&' | b'*' | b'!' | b'\t' | b'?' | b'`' | b'@') => Err(line.refusal()),
            Some(b'{' | b'[') => {
                let mut flow = Flow { rest: &whole };
                let value = flow.value(depth).ok_or_else(|| line.refusal())?;
                match without_comment(flow.rest.trim_start()).is_empty() {
                    true => Ok(value),
                    false => Err(line.refusal()),
                }
            }
            _ => Ok(scalar(text)),
        }
    }
}

/// A key, and what stands behind its colon.
fn split_key(text: &str) -> Option<(String, &str)> {
    let (key, rest) = match quoted(text) {
        Some((key, rest)) => (key, rest.trim_start().strip_prefix(':')?),
        None => match text.split_once(": ") {
            Some((key, rest)) if !key.contains(" #") => (key.trim_end().to_owned(), rest),
            _ => (text.strip_suffix(':')?.trim_end().to_owned(), ""),
        },
    };
    (rest.is_empty() || rest.starts_with(' ') || !text.starts_with(['"', '\'']))
        .then_some((key, rest))
}

/// What stands in the quotes with which a text begins, and what behind them.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|first| "\"'".contains(*first))?;
    let mut end = 1;
    loop {
        let length = text[end..].find([quote, '\\'])?;
        end += length;
        let is_escape = text[end..].starts_with('\\');
        if quote == '"' && is_escape || text[end + 1..].starts_with(quote) && quote == '\'' {
            end += 1 + text[end + 1..].chars().next()?.len_utf8();
        } else if is_escape {
            end += 1;
        } else {
            break;
        }
    }
    let inside = &text[1..end];
    let inside = match quote {
        '"' => serde_json::from_str(&text[..=end]).unwrap_or_else(|_| inside.to_owned()),
        _ => inside.replace("''", "'"),
    };
    Some((inside, &text[end + 1..]))
}

fn without_comment(text: &str) -> &str {
    match text.starts_with('#') {
        true => "",
        false => text.split(" #").next().unwrap_or(text).trim_end(),
    }
}

fn scalar(text: &str) -> Value {
    if let Some((inside, _)) = quoted(text) {
        return Value::String(inside);
    }
    match without_comment(text) {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        "" | "~" | "null" => Value::Null,
        other => Value::String(other.to_owned()),
    }
}

/// Collections in flow style: `{a: [b, "c"]}`.
struct Flow<'a> {
    rest: &'a str,
}

impl Flow<'_> {
    fn take(&mut self, what: char) -> bool {
        let rest = self.rest.trim_start();
        self.rest = rest.strip_prefix(what).unwrap_or(rest);
        self.rest.len() < rest.len()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value(depth + 1)?);
                if !self.take(',') && !self.rest.starts_with(']') {
                    return None;
                }
            }
            return Some(Value::Array(items));
        }
        if self.take('{') {
            let mut entries = Map::new();
            while !self.take('}') {
                let key = self.word(&[':', ',', '}'])?;
                let value = match self.take(':') {
                    true => self.value(depth + 1)?,
                    false => Value::Null,
                };
                let key = key.as_str().map(str::to_owned);
                entries.insert(key.unwrap_or_default(), value);
                if !self.take(',') && !self.rest.starts_with('}') {
                    return None;
                }
            }
            return Some(Value::Object(entries));
        }
        self.word(&[',', ']', '}'])
    }

    /// A scalar, up to one of these.
    fn word(&mut self, ends: &[char]) -> Option<Value> {
        let text = self.rest.trim_start();
        if let Some((inside, rest)) = quoted(text) {
            self.rest = rest;
            return Some(Value::String(inside));
        }
        let end = text.find(ends)?;
        self.rest = &text[end..];
        Some(scalar(text[..end].trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_description_is_read() {
        let text = "\
%YAML 1.2
---
# A service.
openapi: \"3.0.0\"
info:
  title: Pets # and more
  description: |
    Anything: [here
    - too
  contact: a text that
    goes: on
servers:
- url: http://x:1/v1
  description: 'it''s here'
paths:
  /pets:
    get:
      parameters:
        - name: limit
          required: false
        -
          name: tags
      responses: {'200': {description: \"a, \\\"b\\\"\"}, default: {}}
  '/pets/{id}':
    get: {parameters: [{name: id, in: path, required: true}], tags: [a, b],
      deprecated: true}
  /empty:
";
        let expected = json!({
            "openapi": "3.0.0",
            "info": {"title": "Pets", "description": "", "contact": "a text that"},
            "servers": [{"url": "http://x:1/v1", "description": "it's here"}],
            "paths": {
                "/pets": {"get": {
                    "parameters": [{"name": "limit", "required": false}, {"name": "tags"}],
                    "responses": {"200": {"description": "a, \"b\""}, "default": {}},
                }},
                "/pets/{id}": {"get": {
                    "parameters": [{"name": "id", "in": "path", "required": true}],
                    "tags": ["a", "b"],
                    "deprecated": true,
                }},
                "/empty": null,
            },
        });
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_line() {
        for (text, line) in [
            ("a: &x 1", 1),
            ("a: 1\nb: *x", 2),
            ("a:\n  b: 1\n c: 2", 3),
            ("a:\n- b\nc", 3),
            ("a: [1, 2", 1),
            ("a: {b: 1} c", 1),
            ("a: 1\n- b", 2),
        ] {
            let error = parse(text).expect_err(text);
            assert!(
                error.starts_with(&format!("line {line}:")),
                "{text}: {error}"
            );
        }
        let deep = "- ".repeat(100_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_has_an_end(text in "([ \\-:#'\"\\\\\\[\\]{},a|\n\u{e9}]|\\PC){0,80}") {
            let _ = parse(&text);
        }
    }
}
