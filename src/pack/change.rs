//! Changes of an image's configuration in the words of a Dockerfile, as `docker import --change`
//! takes them.

use super::config::{Health, ImageConfig, split_variable};
use crate::image_path::ImagePath;

/// Why an instruction changes nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChangeError {
    /// Another instruction, or none.
    #[error(
        "no such instruction: use CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, \
         SHELL, STOPSIGNAL, USER, VOLUME or WORKDIR"
    )]
    Unknown,
    /// What follows the instruction is not what it takes.
    #[error("{0}")]
    Value(&'static str),
}

/// Applies one instruction: `ENV A=1 B="two words"`, `CMD ["nginx","-g","daemon off;"]`,
/// `EXPOSE 80 53/udp`, … (Dockerfile reference). Variables are not expanded. An empty list
/// (`CMD []`, `ENTRYPOINT []`), and `EXPOSE`, `HEALTHCHECK`, `USER`, `VOLUME` and `WORKDIR` without
/// a word take away what the image had.
///
/// # Errors
/// [`ChangeError`], a sentence that goes on after the instruction.
pub fn change(config: &mut ImageConfig, instruction: &str) -> Result<(), ChangeError> {
    let instruction = instruction.trim();
    let (keyword, rest) = instruction
        .split_once(char::is_whitespace)
        .unwrap_or((instruction, ""));
    let rest = rest.trim();
    match keyword.to_ascii_uppercase().as_str() {
        "CMD" => config.cmd = command(config, rest)?,
        "ENTRYPOINT" => config.entrypoint = command(config, rest)?,
        "ENV" => {
            for (name, value) in pairs(rest)? {
                set_variable(config, &name, &value);
            }
        }
        "EXPOSE" if rest.is_empty() => config.exposed_ports.clear(),
        "EXPOSE" => {
            for port in words_of(rest)? {
                config.exposed_ports.insert(port_of(&port)?);
            }
        }
        "HEALTHCHECK" => config.health = health(rest)?,
        "LABEL" => config.labels.extend(pairs(rest)?),
        "ONBUILD" => config.on_build.push(rest.to_owned()),
        "SHELL" => {
            config.shell = list(rest).ok_or(ChangeError::Value("SHELL takes a JSON array"))?
        }
        "STOPSIGNAL" => config.stop_signal = one_word(rest)?,
        "USER" => config.user = one_word(rest)?,
        "VOLUME" => {
            let volumes = match list(rest) {
                Some(volumes) => volumes,
                None => words_of(rest)?,
            };
            if volumes.is_empty() {
                config.volumes.clear();
            }
            for volume in volumes {
                config.volumes.insert(absolute(&volume)?);
            }
        }
        "WORKDIR" => {
            let word = one_word(rest)?;
            config.working_dir = match word {
                Some(word) => Some(absolute(&word)?).filter(|path| !path.is_root()),
                None => None,
            };
        }
        _ => return Err(ChangeError::Unknown),
    }
    Ok(())
}

fn set_variable(config: &mut ImageConfig, name: &str, value: &str) {
    let variable = format!("{name}={value}").into_bytes();
    let named = |known: &&mut Vec<u8>| {
        split_variable(known).is_some_and(|(known, _)| known == name.as_bytes())
    };
    match config.env.iter_mut().find(named) {
        Some(known) => *known = variable,
        None => config.env.push(variable),
    }
}

/// A JSON array, or a text for the shell of the image.
fn command(config: &ImageConfig, rest: &str) -> Result<Vec<Vec<u8>>, ChangeError> {
    let words = match list(rest) {
        Some(words) => words,
        None if rest.is_empty() || rest.starts_with('[') => {
            return Err(ChangeError::Value("give a JSON array or a command"));
        }
        None => in_shell(config, rest),
    };
    Ok(words.into_iter().map(String::into_bytes).collect())
}

fn in_shell(config: &ImageConfig, text: &str) -> Vec<String> {
    let mut words = match config.shell.is_empty() {
        true => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        false => config.shell.clone(),
    };
    words.push(text.to_owned());
    words
}

fn list(rest: &str) -> Option<Vec<String>> {
    serde_json::from_str(rest).ok()
}

fn health(rest: &str) -> Result<Option<Health>, ChangeError> {
    const USAGE: ChangeError = ChangeError::Value(
        "HEALTHCHECK takes NONE, or [--interval=30s --timeout=… --start-period=… \
         --start-interval=… --retries=N] CMD and a command",
    );
    let mut health = Health::default();
    let mut rest = rest;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).ok_or(USAGE)?;
        let (name, value) = option.split_once('=').ok_or(USAGE)?;
        let duration = || nanoseconds(value).ok_or(USAGE);
        match name {
            "interval" => health.interval = duration()?,
            "timeout" => health.timeout = duration()?,
            "start-period" => health.start_period = duration()?,
            "start-interval" => health.start_interval = duration()?,
            "retries" => health.retries = value.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE),
        }
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    health.test = match kind.to_ascii_uppercase().as_str() {
        "" => return Ok(None),
        "NONE" if command.is_empty() => vec!["NONE".to_owned()],
        "CMD" if command.is_empty() => return Err(USAGE),
        "CMD" => match list(command) {
            Some(words) => [vec!["CMD".to_owned()], words].concat(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        _ => return Err(USAGE),
    };
    Ok(Some(health))
}

/// A duration as Go writes it: `1m30s`, `500ms`, `1.5h` (time.ParseDuration).
fn nanoseconds(text: &str) -> Option<u64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_ends = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..unit_ends] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_ends..];
    }
    (!text.is_empty() && total < 9e18).then_some(total as u64)
}

fn pairs(rest: &str) -> Result<Vec<(String, String)>, ChangeError> {
    const USAGE: ChangeError = ChangeError::Value("give NAME=VALUE, in quotes where it has blanks");
    let words = words_of(rest)?;
    let all_pairs = !words.is_empty() && words.iter().all(|word| word.contains('='));
    if !all_pairs {
        // The old form: `ENV NAME the rest of the line`.
        let (name, value) = rest.split_once(char::is_whitespace).ok_or(USAGE)?;
        if name.contains('=') {
            return Err(USAGE);
        }
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').unwrap_or_default();
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    words.iter().map(|word| pair(word).ok_or(USAGE)).collect()
}

fn one_word(rest: &str) -> Result<Option<String>, ChangeError> {
    let mut words = words_of(rest)?;
    match words.len() {
        0 | 1 => Ok(words.pop()),
        _ => Err(ChangeError::Value("it takes one word")),
    }
}

fn port_of(text: &str) -> Result<String, ChangeError> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let is_number = |port: &str| port.parse::<u16>().is_ok();
    let protocol = protocol.to_ascii_lowercase();
    if is_number(first) && is_number(last) && ["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        Ok(format!("{ports}/{protocol}"))
    } else {
        Err(ChangeError::Value(
            "EXPOSE takes ports: 80, 53/udp, 8000-8010/tcp",
        ))
    }
}

fn absolute(path: &str) -> Result<ImagePath, ChangeError> {
    ImagePath::new(path.as_bytes()).ok_or(ChangeError::Value("give an absolute path"))
}

/// Words as Docker splits them: quotes keep blanks, `\` takes the next character as it is but
/// within single quotes.
fn words_of(rest: &str) -> Result<Vec<String>, ChangeError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, mark @ ('"' | '\'')) => {
                quote = Some(mark);
                word.get_or_insert_default();
            }
            (Some(mark), end) if mark == end => quote = None,
            (None | Some('"'), '\\') => {
                word.get_or_insert_default()
                    .push(characters.next().unwrap_or('\\'));
            }
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err(ChangeError::Value("a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::dockerfile;
    use proptest::prelude::*;

    fn changed(instructions: &[&str]) -> ImageConfig {
        let mut config = ImageConfig::default();
        for instruction in instructions {
            change(&mut config, instruction).expect(instruction);
        }
        config
    }

    #[test]
    fn each_instruction_changes_its_part() {
        let config = changed(&[
            "env A=1 B=\"two words\" C='$x' D=a\\ b",
            "ENV A 3 and more",
            "CMD nginx -g off",
            r#"ENTRYPOINT ["/x", "y z"]"#,
            "EXPOSE 80 53/UDP 1-3",
            "VOLUME /a \"/b c\"",
            "LABEL l=v",
            "USER app:www",
            "WORKDIR /srv",
            "STOPSIGNAL SIGQUIT",
            "HEALTHCHECK --interval=1m30s --retries=2 CMD test -e /x",
        ]);
        let env: Vec<_> = config
            .env
            .iter()
            .map(|one| one.escape_ascii().to_string())
            .collect();
        assert_eq!(env, ["A=3 and more", "B=two words", "C=$x", "D=a b"]);
        assert_eq!(config.cmd[2], b"nginx -g off");
        assert_eq!(config.entrypoint, [b"/x".to_vec(), b"y z".to_vec()]);
        let ports: Vec<_> = config.exposed_ports.iter().map(String::as_str).collect();
        assert_eq!(ports, ["1-3/tcp", "53/udp", "80/tcp"]);
        assert_eq!(config.volumes.len(), 2);
        assert_eq!(config.labels["l"], "v");
        assert_eq!(config.user.as_deref(), Some("app:www"));
        assert_eq!(config.working_dir, ImagePath::new("/srv"));
        assert_eq!(config.stop_signal.as_deref(), Some("SIGQUIT"));
        let health = config.health.expect("a health check");
        assert_eq!(health.test, ["CMD-SHELL", "test -e /x"]);
        assert_eq!((health.interval, health.retries), (90_000_000_000, 2));
    }

    #[test]
    fn an_empty_one_takes_away() {
        let mut config = changed(&[
            "CMD [\"x\"]",
            "USER a",
            "WORKDIR /x",
            "HEALTHCHECK CMD x",
            "EXPOSE 80 81",
            "VOLUME /x",
        ]);
        for instruction in [
            "CMD []",
            "USER",
            "WORKDIR",
            "HEALTHCHECK",
            "EXPOSE",
            "VOLUME",
        ] {
            change(&mut config, instruction).expect(instruction);
        }
        assert_eq!(config, ImageConfig::default());
        assert!(changed(&["VOLUME /x", "VOLUME []"]).volumes.is_empty());
        let beaten = changed(&["EXPOSE 80", "EXPOSE", "EXPOSE 81"]);
        assert_eq!(beaten.exposed_ports, ["81/tcp".to_owned()].into());
    }

    #[test]
    fn what_an_instruction_does_not_take_is_refused() {
        for instruction in [
            "",
            "RUN x",
            "FROM y",
            "CMD",
            "CMD [\"x\"",
            "ENV",
            "ENV A",
            "ENV =x",
            "EXPOSE x",
            "EXPOSE 1/icmp",
            "EXPOSE 70000",
            "VOLUME data",
            "WORKDIR srv",
            "USER a b",
            "SHELL x",
            "HEALTHCHECK x",
            "HEALTHCHECK CMD",
            "HEALTHCHECK --interval=x CMD y",
            "ENV A=\"x",
        ] {
            let result = change(&mut ImageConfig::default(), instruction);
            assert!(result.is_err(), "{instruction}");
        }
    }

    proptest! {
        #[test]
        fn what_the_dockerfile_says_makes_the_same_configuration(
            words in proptest::collection::vec("[ -~]{1,12}", 1..4),
            value in "[ -~]{0,20}",
            health in "[ -Z^-~]{0,10}[!-Z^-~]",
        ) {
            let config = ImageConfig {
                entrypoint: words.iter().map(|word| word.clone().into_bytes()).collect(),
                env: vec![format!("A={value}").into_bytes()],
                labels: [("l".to_owned(), value.clone())].into(),
                user: Some("1:2".to_owned()),
                health: Some(Health {
                    test: vec!["CMD-SHELL".to_owned(), health.trim().to_owned()],
                    timeout: 1_000_000_007,
                    ..Health::default()
                }),
                ..ImageConfig::default()
            };
            let text = String::from_utf8(dockerfile(&config, "r.tar")).expect("text");
            let mut read = ImageConfig::default();
            for line in text.lines().skip(2) {
                change(&mut read, line).expect(line);
            }
            prop_assert_eq!(read, config);
        }

        #[test]
        fn no_text_makes_it_panic(keyword in "[A-Z]{3,11}", text in "\\PC{0,40}") {
            let _ = change(&mut ImageConfig::default(), &format!("{keyword} {text}"));
        }
    }
}
