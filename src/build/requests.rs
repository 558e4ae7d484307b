//! Lists of HTTP requests, and the paths of an OpenAPI description. Pure.

use super::yaml;
use serde_json::Value;
use std::fmt;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// Where not the application's first port is meant.
    pub port: Option<u16>,
    /// With its query.
    pub path: String,
    /// What the original must answer; whatever it answers when `None`.
    pub expected: Option<u16>,
}

/// As in a list, without the expected status.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl Request {
    /// `GET /path 200`, `GET :8081/path`.
    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default();
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err("begins with no method in capitals");
        }
        let target = words.next().ok_or("has no path")?;
        let at = target.find('/').ok_or("has no path that begins with /")?;
        let port = match target[..at].strip_prefix(':') {
            None if at == 0 => None,
            None => return Err("names a host: give :PORT/PATH"),
            Some(port) => Some(port.parse().map_err(|_| "has no port before its path")?),
        };
        let expected = match words.next() {
            None => None,
            Some(status) => match status.parse() {
                Ok(status @ 100..=599) => Some(status),
                _ => return Err("has no status such as 200 behind its path"),
            },
        };
        if words.next().is_some() {
            return Err("has more than method, path and status");
        }
        Ok(Self {
            method: method.to_owned(),
            port,
            path: target[at..].to_owned(),
            expected,
        })
    }
}

/// Reads a list, or an OpenAPI or Swagger description in JSON or YAML: of that, GET of each path
/// without parameters.
///
/// # Errors
/// A sentence that goes on after the file's name.
pub fn parse(text: &str) -> Result<Vec<Request>, String> {
    let requests = match text.trim_start().starts_with('{') {
        true => {
            let description = serde_json::from_str(text);
            described(&description.map_err(|error| format!("is no JSON: {error}"))?)?
        }
        false if is_yaml(text) => described(&yaml::parse(text)?)?,
        false => listed(text)?,
    };
    match requests.is_empty() {
        true => Err("holds no request".to_owned()),
        false => Ok(requests),
    }
}

/// Whether it is a description that is no JSON.
fn is_yaml(text: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| {
        let line = line.trim_start_matches(['"', '\'']);
        ["openapi", "swagger"]
            .iter()
            .any(|word| line.starts_with(word))
    })
}

fn listed(text: &str) -> Result<Vec<Request>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            Request::parse(line)
                .map_err(|why| format!("line {} {why}: a line is METHOD PATH [STATUS]", number + 1))
        })
        .collect()
}

fn described(description: &Value) -> Result<Vec<Request>, String> {
    let Some(paths) = description.get("paths").and_then(Value::as_object) else {
        return Err("is no OpenAPI description: it has no paths".to_owned());
    };
    let base = base_of(description);
    let without_parameters = paths.iter().filter(|(path, operations)| {
        let get = operations.get("get");
        let required = [Some(*operations), get]
            .into_iter()
            .flatten()
            .any(has_required);
        get.is_some() && !required && !path.contains('{')
    });
    Ok(without_parameters
        .map(|(path, _)| Request {
            method: "GET".to_owned(),
            port: None,
            path: format!("{base}{path}"),
            expected: None,
        })
        .collect())
}

/// What stands before each path: of OpenAPI 3 the path of the first server, of Swagger 2
/// `basePath`.
fn base_of(description: &Value) -> String {
    let swagger = description.get("basePath").and_then(Value::as_str);
    let server = description
        .pointer("/servers/0/url")
        .and_then(Value::as_str);
    let server = server.map(|url| match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    });
    let base = swagger.or(server).unwrap_or_default().trim_end_matches('/');
    match base.starts_with('/') && !base.contains('{') {
        true => base.to_owned(),
        false => String::new(),
    }
}

fn has_required(operation: &Value) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.is_some_and(|all| {
        all.iter()
            .any(|one| one.get("required") == Some(&Value::Bool(true)) || one.get("$ref").is_some())
    })
}

/// The list that [`parse`] reads back, for the one who makes the requests.
pub fn written(requests: &[Request]) -> String {
    requests
        .iter()
        .map(|request| format!("{request}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let requests = parse(text).expect("requests");
        requests.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_has_a_request_a_line() {
        let requests = parse("# all\n\nGET / 200\n POST :81/a?b=c\n").expect("a list");
        assert_eq!(requests[0].expected, Some(200));
        assert_eq!((requests[1].port, requests[1].expected), (Some(81), None));
        assert_eq!(written(&requests), "GET /\nPOST :81/a?b=c\n");
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in [
            "get /",
            "GET",
            "GET x",
            "GET h/x",
            "GET :x/y",
            "GET / ok",
            "GET / 99",
            "GET / 200 x",
        ] {
            let error = parse(&format!("GET /\n{wrong}")).expect_err(wrong);
            assert!(error.starts_with("line 2 "), "{error}");
        }
        assert_eq!(parse("# nothing\n"), Err("holds no request".to_owned()));
    }

    #[test]
    fn of_a_description_what_needs_no_parameter_is_asked_for() {
        let text = r#"{"openapi":"3.0.0","servers":[{"url":"http://x:1/v1/"}],"paths":{
            "/a":{"get":{}},"/b/{id}":{"get":{}},"/c":{"post":{}},
            "/d":{"get":{"parameters":[{"name":"q","required":true}]}},
            "/e":{"get":{"parameters":[{"name":"q"}]}},
            "/f":{"parameters":[{"$ref":"x"}],"get":{}}}}"#;
        assert_eq!(shown(text), ["GET /v1/a", "GET /v1/e"]);
        assert_eq!(
            shown(r#"{"swagger":"2.0","basePath":"/v2","paths":{"/a":{"get":{}}}}"#),
            ["GET /v2/a"]
        );
        assert!(parse("{}").expect_err("no paths").contains("no paths"));
        assert!(parse("{").expect_err("no JSON").contains("no JSON"));
        let yaml = "# of the service\nopenapi: 3.0.0\npaths:\n  /a:\n    get:\n      tags: [a]\n\
                    \u{20} /b:\n    post:\n";
        assert_eq!(shown(yaml), ["GET /a"]);
        assert!(
            parse("openapi: 3\nx: *y")
                .expect_err("an alias")
                .starts_with("line 2:")
        );
    }
}
