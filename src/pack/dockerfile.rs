//! A Dockerfile that makes the image from the root file system's tarball.
//!
//! Quoting follows Docker's own reading: lines first, then words with quotes, then `$` and `\`
//! in all but ENTRYPOINT and CMD, which are JSON. A newline can only be carried by those two
//! and VOLUME; a line of 64 KiB or more by none. What cannot be carried is left out, with a
//! comment that says so, and is a loss.

use super::config::{Health, ImageConfig, split_variable, texts};
use crate::image_path::ImagePath;
use crate::recording::Loss;
use serde_json::to_string;
use std::collections::BTreeMap;

/// Docker reads lines with Go's `bufio.Scanner`, which refuses longer ones.
const MAX_LINE: usize = 65_000;

/// What is said of a configuration beside it, a sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Of all of it.
    pub all: Vec<String>,
    /// Of ports that are exposed.
    pub ports: BTreeMap<String, String>,
    /// Of volumes.
    pub volumes: BTreeMap<ImagePath, String>,
    /// Of what is not in it.
    pub absent: Vec<String>,
}

/// The Dockerfile of an image with this configuration, beside a tarball of this name.
pub fn dockerfile(config: &ImageConfig, rootfs_name: &str) -> Vec<u8> {
    dockerfile_with_losses(config, &Remarks::default(), rootfs_name).0
}

/// As [`dockerfile`], with comments, and with what the file cannot express.
pub fn dockerfile_with_losses(
    config: &ImageConfig,
    remarks: &Remarks,
    rootfs_name: &str,
) -> (Vec<u8>, Vec<Loss>) {
    let mut file = Dockerfile::default();
    file.line("FROM scratch");
    file.instruction("ADD", Some(source(rootfs_name)));
    file.comments(&remarks.all);
    for variable in &config.env {
        let pair = split_variable(variable).and_then(|(name, value)| pair(name, value));
        file.or_lost("ENV", pair, variable);
    }
    if let Some(directory) = &config.working_dir {
        file.or_lost("WORKDIR", word(directory.as_bytes()), directory.as_bytes());
    }
    if let Some(user) = &config.user {
        file.or_lost("USER", word(user.as_bytes()), user.as_bytes());
    }
    for port in &config.exposed_ports {
        file.comments(remarks.ports.get(port));
        file.or_lost("EXPOSE", word(port.as_bytes()), port.as_bytes());
    }
    for volume in &config.volumes {
        file.comments(remarks.volumes.get(volume));
        let text = std::str::from_utf8(volume.as_bytes()).ok();
        // Docker trims what it reads as a volume.
        let text = text.filter(|text| text.trim_end() == *text);
        let list = text.and_then(|text| to_string(&[escaped(text)]).ok());
        file.or_lost("VOLUME", list, volume.as_bytes());
    }
    file.comments(&remarks.absent);
    for (name, value) in &config.labels {
        let pair = pair(name.as_bytes(), value.as_bytes());
        file.or_lost("LABEL", pair, format!("{name}={value}").as_bytes());
    }
    if let Some(signal) = &config.stop_signal {
        file.or_lost("STOPSIGNAL", word(signal.as_bytes()), signal.as_bytes());
    }
    if let Some(health) = &config.health {
        file.or_lost(
            "HEALTHCHECK",
            healthcheck(health),
            health.test.join(" ").as_bytes(),
        );
    }
    if !config.shell.is_empty() {
        let list = to_string(&config.shell).ok();
        file.or_lost("SHELL", list, config.shell.join(" ").as_bytes());
    }
    for trigger in &config.on_build {
        let line = fits_on_a_line(trigger).then(|| trigger.clone());
        file.or_lost("ONBUILD", line, trigger.as_bytes());
    }
    for (keyword, words) in [("ENTRYPOINT", &config.entrypoint), ("CMD", &config.cmd)] {
        if !words.is_empty() {
            let list = texts(words).and_then(|words| to_string(&words).ok());
            file.or_lost(keyword, list, &words.join(&b' '));
        }
    }
    (file.text.into_bytes(), file.losses)
}

#[derive(Default)]
struct Dockerfile {
    text: String,
    losses: Vec<Loss>,
}

impl Dockerfile {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A remark may name files, and their names hold anything.
    fn comments<'a>(&mut self, remarks: impl IntoIterator<Item = &'a String>) {
        for remark in remarks {
            let shown = remark.replace(char::is_control, "?");
            self.line(&format!("# {shown}"));
        }
    }

    fn instruction(&mut self, keyword: &str, rest: Option<String>) -> bool {
        let line = rest.map(|rest| format!("{keyword} {rest}"));
        match line.filter(|line| line.len() < MAX_LINE) {
            Some(line) => {
                self.line(&line);
                true
            }
            None => false,
        }
    }

    fn or_lost(&mut self, keyword: &str, rest: Option<String>, original: &[u8]) {
        if self.instruction(keyword, rest) {
            return;
        }
        let shown: String = original
            .escape_ascii()
            .to_string()
            .chars()
            .take(200)
            .collect();
        self.line(&format!(
            "# {keyword} {shown}: a Dockerfile cannot express this"
        ));
        self.losses.push(Loss {
            what: format!(
                "Dockerfile: {keyword} {shown} is left out, the format cannot express it; \
                 give it when the container is started"
            ),
            count: 1,
        });
    }
}

fn healthcheck(health: &Health) -> Option<String> {
    let mut words = Vec::new();
    for (name, nanoseconds) in [
        ("interval", health.interval),
        ("timeout", health.timeout),
        ("start-period", health.start_period),
        ("start-interval", health.start_interval),
    ] {
        if nanoseconds > 0 {
            words.push(format!("--{name}={nanoseconds}ns"));
        }
    }
    if health.retries > 0 {
        words.push(format!("--retries={}", health.retries));
    }
    match health.test.split_first()? {
        (kind, []) if kind == "NONE" => return Some("NONE".to_owned()),
        (kind, command) if kind == "CMD" => {
            words.push(format!("CMD {}", to_string(command).ok()?));
        }
        // The text is the shell's: as it stands on the line, so without line ends.
        (kind, [text]) if kind == "CMD-SHELL" && fits_on_a_line(text) && !is_list(text) => {
            words.push(format!("CMD {text}"));
        }
        _ => return None,
    }
    Some(words.join(" "))
}

/// Docker takes what reads as a list of words for one.
fn is_list(text: &str) -> bool {
    serde_json::from_str::<Vec<String>>(text).is_ok()
}

/// Whether a text that nothing can quote stays what it is: a `\` at the end would go on with the
/// next line.
fn fits_on_a_line(text: &str) -> bool {
    !text.contains(['\n', '\0']) && !text.ends_with('\\')
}

/// ADD reads its source as a pattern of Go's filepath.Match.
fn source(name: &str) -> String {
    if is_plain(name) && !name.starts_with('-') {
        return format!("{name} /");
    }
    let mut pattern = String::new();
    for character in name.chars() {
        match character {
            // Docker takes a name without any of `*?[` before a `\` for no pattern at all, so a
            // class of one is the only escape that always works.
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            '\\' => pattern.push_str("[\\\\]"),
            _ => pattern.push(character),
        }
    }
    // Serializing two strings cannot fail.
    let list = to_string(&[escaped(&pattern), "/".to_owned()]);
    list.unwrap_or_else(|_| format!("{name} /"))
}

fn pair(name: &[u8], value: &[u8]) -> Option<String> {
    (!name.is_empty()).then_some(())?;
    Some(format!("{}={}", word(name)?, quoted(value)?))
}

/// One word, in quotes where it needs them.
fn word(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if is_plain(text) {
        return Some(text.to_owned());
    }
    quoted(bytes)
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// In double quotes, where `"`, `$` and `\` are taken as they are after a `\`.
fn quoted(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains(['\n', '\0']) {
        return None;
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '$' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Some(quoted)
}

/// Outside quotes, for JSON lists whose items Docker expands once more.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '"' | '\'' | '$' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_path::ImagePath;

    fn lines(config: &ImageConfig) -> Vec<String> {
        let text = String::from_utf8(dockerfile(config, "rootfs.tar")).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_part_has_its_instruction() {
        let config = ImageConfig {
            entrypoint: vec![b"nginx".to_vec(), b"-g".to_vec(), b"daemon off;".to_vec()],
            cmd: vec![b"a\"b\\\nc$d".to_vec()],
            env: vec![b"PATH=/bin".to_vec(), b"E=".to_vec()],
            working_dir: ImagePath::new("/srv/my app"),
            user: Some("33:33".into()),
            exposed_ports: ["80/tcp".to_owned()].into(),
            volumes: ImagePath::new("/da'ta").into_iter().collect(),
            labels: [("a.b".to_owned(), "c".to_owned())].into(),
            stop_signal: Some("SIGQUIT".into()),
            health: Some(Health {
                test: vec!["CMD".into(), "curl".into(), "-f".into()],
                interval: 5_000_000_000,
                retries: 2,
                ..Health::default()
            }),
            shell: vec!["/bin/bash".into(), "-c".into()],
            on_build: vec!["RUN make $X".into()],
            ..ImageConfig::default()
        };
        assert_eq!(
            lines(&config),
            [
                "FROM scratch",
                "ADD rootfs.tar /",
                "ENV PATH=\"/bin\"",
                "ENV E=\"\"",
                "WORKDIR \"/srv/my app\"",
                "USER 33:33",
                "EXPOSE 80/tcp",
                "VOLUME [\"/da\\\\'ta\"]",
                "LABEL a.b=\"c\"",
                "STOPSIGNAL SIGQUIT",
                "HEALTHCHECK --interval=5000000000ns --retries=2 CMD [\"curl\",\"-f\"]",
                "SHELL [\"/bin/bash\",\"-c\"]",
                "ONBUILD RUN make $X",
                "ENTRYPOINT [\"nginx\",\"-g\",\"daemon off;\"]",
                "CMD [\"a\\\"b\\\\\\nc$d\"]",
            ]
        );
    }

    #[test]
    fn values_are_protected_from_expansion() {
        let config = ImageConfig {
            env: vec![
                b"A=$HOME \"x\" 'y' \\ # \\".to_vec(),
                b"odd name=1".to_vec(),
            ],
            ..ImageConfig::default()
        };
        assert_eq!(
            lines(&config)[2..],
            [
                "ENV A=\"\\$HOME \\\"x\\\" 'y' \\\\ # \\\\\"",
                "ENV \"odd name\"=\"1\""
            ]
        );
    }

    #[test]
    fn what_cannot_be_expressed_is_a_comment_and_a_loss() {
        let long = [b"L=".as_slice(), &[b'x'; 70_000]].concat();
        let config = ImageConfig {
            entrypoint: vec![b"\xFF".to_vec()],
            env: vec![b"N=a\nb".to_vec(), b"B=\xE9".to_vec(), long],
            volumes: ImagePath::new("/v ").into_iter().collect(),
            ..ImageConfig::default()
        };
        let (text, losses) = dockerfile_with_losses(&config, &Remarks::default(), "rootfs.tar");
        let text = String::from_utf8(text).expect("text");
        assert_eq!(losses.len(), 5);
        assert!(text.contains("\n# ENV N=a\\nb: "));
        assert!(text.contains("\n# ENTRYPOINT \\xff: "));
        assert!(text.lines().skip(2).all(|line| line.starts_with("# ")));
    }

    #[test]
    fn a_remark_stands_before_what_it_is_about_on_a_line_of_its_own() {
        let volume = ImagePath::new("/data").expect("absolute");
        let config = ImageConfig {
            env: vec![b"A=1".to_vec()],
            exposed_ports: ["1/tcp".to_owned(), "2/tcp".to_owned()].into(),
            volumes: [volume.clone()].into(),
            shell: vec!["sh".into()],
            ..ImageConfig::default()
        };
        let remarks = Remarks {
            all: vec!["of all".into()],
            ports: [("2/tcp".into(), "of /a\nRUN b".into())].into(),
            volumes: [(volume, "of it".into())].into(),
            absent: vec!["none".into()],
        };
        let (text, losses) = dockerfile_with_losses(&config, &remarks, "r.tar");
        assert!(losses.is_empty());
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "FROM scratch\nADD r.tar /\n# of all\nENV A=\"1\"\nEXPOSE 1/tcp\n# of /a?RUN b\n\
             EXPOSE 2/tcp\n# of it\nVOLUME [\"/data\"]\n# none\nSHELL [\"sh\"]\n"
        );
    }

    #[test]
    fn a_tarball_of_any_name_is_added_and_is_no_pattern() {
        assert_eq!(source("a b[1].tar"), r#"["a b[[]1].tar","/"]"#);
        assert_eq!(source("--x.tar"), r#"["--x.tar","/"]"#);
    }
}
