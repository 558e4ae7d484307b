//! YAML as JSON: keys become strings, and so do numbers. Pure.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::mem::take;
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::TScalarStyle;

/// Far deeper than any description of a service.
const MAX_DEPTH: usize = 100;
/// Aliases may name what is made of aliases, which grows without end.
const MAX_NODES: usize = 1_000_000;

/// Reads the first document.
///
/// # Errors
/// What is wrong and where, as a sentence that goes on after the file's name.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader::default();
    loop {
        let at_line = |line: usize, why: &str| format!("line {line}: {why}");
        let (event, mark) = parser
            .next_token()
            .map_err(|error| at_line(error.marker().line(), error.info()))?;
        if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
            return Ok(reader.document);
        }
        let taken = reader.take(event);
        taken.map_err(|why| at_line(mark.line(), why))?;
    }
}

/// A collection that is not at its end.
struct Open {
    anchor: usize,
    /// How many nodes were before it.
    nodes: usize,
    inside: Inside,
}

enum Inside {
    Items(Vec<Value>),
    /// With the key whose value comes next.
    Entries(Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    /// What has an anchor, and how many nodes that is.
    anchors: BTreeMap<usize, (Value, usize)>,
    nodes: usize,
    document: Value,
}

impl Reader {
    fn take(&mut self, event: Event) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let inside = self.open.last_mut().map(|open| &mut open.inside);
                if let Some(Inside::Entries(_, key @ None)) = inside {
                    *key = Some(text);
                    return Ok(());
                }
                self.close(scalar(text, style), anchor, self.nodes)
            }
            Event::Alias(anchor) => {
                let (value, nodes) = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.nodes += nodes;
                self.close(value, 0, self.nodes)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, Inside::Items(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(anchor, Inside::Entries(Map::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let value = match open.inside {
                    Inside::Items(items) => Value::Array(items),
                    Inside::Entries(entries, _) => Value::Object(entries),
                };
                self.close(value, open.anchor, open.nodes)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, inside: Inside) -> Result<(), &'static str> {
        if self.open.len() == MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        if let Some(Inside::Entries(_, None)) = self.open.last().map(|open| &open.inside) {
            return Err("a key is no word");
        }
        let nodes = self.nodes;
        self.open.push(Open {
            anchor,
            nodes,
            inside,
        });
        Ok(())
    }

    /// A value is whole, which began after so many nodes.
    fn close(&mut self, value: Value, anchor: usize, nodes: usize) -> Result<(), &'static str> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err("it is too large");
        }
        if anchor > 0 {
            let known = (value.clone(), self.nodes - nodes);
            self.anchors.insert(anchor, known);
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.document = value,
            Some(Inside::Items(items)) => items.push(value),
            Some(Inside::Entries(entries, key)) => {
                let key = take(key).ok_or("a key is no word")?;
                entries.insert(key, value);
            }
        }
        Ok(())
    }
}

fn scalar(text: String, style: TScalarStyle) -> Value {
    match (style, text.as_str()) {
        (TScalarStyle::Plain, "true" | "True" | "TRUE") => Value::Bool(true),
        (TScalarStyle::Plain, "false" | "False" | "FALSE") => Value::Bool(false),
        (TScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        _ => Value::String(text),
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
    goes on
servers:
- &here
  url: http://x:1/v1
  description: 'it''s here'
- *here
paths:
  /pets:
    get:
      parameters:
        - name: limit
          required: false
        -
          name: tags
      responses: {200: {description: \"a, \\\"b\\\"\"}, default: {}}
  '/pets/{id}':
    get: {parameters: [{name: id, in: path, required: true}], tags: [a, b],
      deprecated: true}
  /empty:
---
another: document
";
        let server = json!({"url": "http://x:1/v1", "description": "it's here"});
        let expected = json!({
            "openapi": "3.0.0",
            "info": {
                "title": "Pets",
                "description": "Anything: [here\n- too\n",
                "contact": "a text that goes on",
            },
            "servers": [server, server],
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
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("a: 1\nb: *x", 2),
            ("a:\n  b: 1\n c: 2", 3),
            ("a: [1, 2", 2),
            ("[a]: 1", 1),
            ("a: 1\n? [b]\n: c", 2),
        ] {
            let error = parse(text).expect_err(text);
            let beginning = format!("line {line}: ");
            assert!(error.starts_with(&beginning), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_grows_without_end() {
        let deep = "- ".repeat(100_000);
        assert!(parse(&deep).expect_err("deep").contains("too deeply"));
        assert!(parse(&"[".repeat(100_000)).is_err());
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..30 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{below}, {below}, {below}, {below}]\n");
        }
        assert!(parse(&text).expect_err("large").contains("too large"));
    }

    proptest! {
        #[test]
        fn any_text_has_an_end(text in "([ \\-:#'\"\\\\\\[\\]{},a|&*\n\u{e9}]|\\PC){0,80}") {
            let _ = parse(&text);
        }
    }
}
