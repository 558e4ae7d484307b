//! What stands behind `--`: options of `docker run`, and behind a second `--` what replaces CMD.
//! Pure.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Options without a value, of docker and podman.
const SWITCHES: [&str; 17] = [
    "detach",
    "disable-content-trust",
    "env-host",
    "http-proxy",
    "init",
    "interactive",
    "no-healthcheck",
    "no-hosts",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "replace",
    "rm",
    "rmi",
    "tty",
];
/// The same by one letter.
const SWITCH_LETTERS: &[u8] = b"ditPq";
/// What would take a container from us before we are done with it, or is no matter of `create`.
const DROPPED: [&str; 9] = [
    "cidfile",
    "detach",
    "detach-keys",
    "pull",
    "replace",
    "restart",
    "rm",
    "rmi",
    "sig-proxy",
];
/// What the containers need too in which micropacker itself works.
const SHARED: [&str; 8] = [
    "cgroup-parent",
    "cgroupns",
    "cgroups",
    "platform",
    "runtime",
    "security-opt",
    "ulimit",
    "userns",
];

/// Options of `docker run`, sorted by whom they concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// For the containers of the application.
    pub passed: Vec<OsString>,
    /// Those of them that any container needs here.
    pub shared: Vec<OsString>,
    /// Options that are not passed on.
    pub dropped: Vec<String>,
    /// What `--entrypoint` says.
    pub entrypoint: Option<OsString>,
    /// What replaces CMD.
    pub command: Option<Vec<OsString>>,
    /// Whether no health check is to run.
    pub unhealthy: bool,
    /// Whether a health check is given.
    pub brings_health_check: bool,
    /// As whom it runs, where that is said.
    pub user: Option<String>,
    /// Whether the container has the network of the machine.
    pub on_host_network: bool,
    /// TCP ports of the container that are published, one by one.
    pub published: Vec<u16>,
    /// How long it may take to end, where that is said.
    pub stop_seconds: Option<u64>,
    /// Which platform of the image is meant.
    pub platform: Option<OsString>,
}

impl RunOptions {
    /// Reads the words behind the first `--`.
    ///
    /// # Errors
    /// Names the word that is no option, or lacks its value.
    pub fn parse(words: &[OsString]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let bytes = word.as_bytes();
            if bytes == b"--" {
                options.command = Some(words.cloned().collect());
                break;
            }
            let mut whole = vec![word.clone()];
            let (name, value) = match Form::of(bytes) {
                Form::Complete(name, value) => (name, value.map(<[u8]>::to_vec)),
                Form::Open(name) => {
                    let next = words.next().ok_or_else(|| {
                        let word = word.display();
                        format!("{word}: its value is missing; if it takes none, write {word}=true")
                    })?;
                    whole.push(next.clone());
                    (name, Some(next.as_bytes().to_vec()))
                }
                Form::None => {
                    return Err(format!(
                        "{}: behind -- stand options of docker run; what replaces CMD stands \
                         behind a second --",
                        word.display()
                    ));
                }
            };
            options.take(&name, value, whole);
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: Option<Vec<u8>>, words: Vec<OsString>) {
        if name == "entrypoint" {
            self.entrypoint = value.map(OsString::from_vec);
            return;
        }
        if DROPPED.contains(&name) {
            self.dropped.push(format!("--{name}"));
            return;
        }
        if ["net", "network"].contains(&name) {
            self.on_host_network = value.as_deref() == Some(b"host");
        }
        let text = || value.as_deref().map(String::from_utf8_lossy);
        match name {
            "u" | "user" => self.user = text().map(Cow::into_owned),
            "p" | "publish" => self.published.extend(text().and_then(|text| inside(&text))),
            "stop-timeout" => self.stop_seconds = text().and_then(|text| text.parse().ok()),
            "platform" => self.platform = value.clone().map(OsString::from_vec),
            _ => {}
        }
        self.unhealthy |= name == "no-healthcheck";
        self.brings_health_check |= name == "health-cmd" || name == "healthcheck-command";
        if SHARED.contains(&name) {
            self.shared.extend_from_slice(&words);
        }
        self.passed.extend(words);
    }
}

/// The container's TCP port of `[[ADDRESS:]PORT:]PORT[/tcp]`; of a range none.
fn inside(published: &str) -> Option<u16> {
    let (ports, protocol) = published.split_once('/').unwrap_or((published, "tcp"));
    let port = ports.rsplit(':').next()?;
    (protocol == "tcp").then(|| port.parse().ok()).flatten()
}

/// How a word says an option.
enum Form<'a> {
    /// With its value, or without one.
    Complete(String, Option<&'a [u8]>),
    /// Its value is the next word.
    Open(String),
    /// It is no option.
    None,
}

impl<'a> Form<'a> {
    fn of(word: &'a [u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some(long) = word.strip_prefix(b"--") {
            let at = long.iter().position(|byte| *byte == b'=');
            let name = text(&long[..at.unwrap_or(long.len())]);
            return match at {
                Some(at) => Self::Complete(name, Some(&long[at + 1..])),
                None if SWITCHES.contains(&name.as_str()) => Self::Complete(name, None),
                None => Self::Open(name),
            };
        }
        let Some(letters) = word.strip_prefix(b"-").filter(|rest| !rest.is_empty()) else {
            return Self::None;
        };
        let with_value = letters
            .iter()
            .position(|letter| !SWITCH_LETTERS.contains(letter));
        match with_value {
            None if letters == b"d" => Self::Complete("detach".to_owned(), None),
            None => Self::Complete(text(letters), None),
            Some(at) if at + 1 == letters.len() => Self::Open(text(&letters[at..])),
            Some(at) => Self::Complete(text(&letters[at..=at]), Some(&letters[at + 1..])),
        }
    }
}

/// The words of a command line as a shell would part them: blanks, `'…'`, `"…"` and `\`.
///
/// # Errors
/// When a quote is not closed, or there is no word.
pub fn split_words(text: &OsStr) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.as_bytes().iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(open), byte) if byte == open => quote = None,
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (None | Some(b'"'), b'\\') => word.get_or_insert_default().extend(bytes.next()),
            (None, b' ' | b'\t' | b'\n') => words.extend(word.take()),
            (_, byte) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    match (quote, words.is_empty()) {
        (Some(quote), _) => Err(format!(
            "{}: {} is not closed",
            text.display(),
            quote as char
        )),
        (None, true) => Err("an empty command".to_owned()),
        (None, false) => Ok(words.into_iter().map(OsString::from_vec).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RunOptions, String> {
        let words: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        RunOptions::parse(&words)
    }

    fn joined(words: &[OsString]) -> String {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.display().to_string())
            .collect();
        words.join(" ")
    }

    #[test]
    fn what_would_take_the_container_away_is_dropped_and_named() {
        let options = parse("--rm -d -p 80:80 --restart always --pull=always --name x --init")
            .expect("options");
        assert_eq!(joined(&options.passed), "-p 80:80 --name x --init");
        assert_eq!(options.dropped, ["--rm", "--detach", "--restart", "--pull"]);
    }

    #[test]
    fn a_value_may_look_like_an_option() {
        let options = parse("-e --rm --label --entrypoint -eA=1 -itp 80").expect("options");
        assert_eq!(
            joined(&options.passed),
            "-e --rm --label --entrypoint -eA=1 -itp 80"
        );
        assert_eq!(options.entrypoint, None);
    }

    #[test]
    fn entrypoint_and_command_are_ours_to_give() {
        let options = parse("--entrypoint /run --network host -- serve --fast").expect("options");
        assert_eq!(options.entrypoint, Some("/run".into()));
        assert_eq!(joined(&options.command.expect("a command")), "serve --fast");
        assert_eq!(joined(&options.passed), "--network host");
        assert!(options.on_host_network);
        assert_eq!(
            parse("-u a:b").expect("options").user.as_deref(),
            Some("a:b")
        );
        assert_eq!(
            parse("--user=1").expect("options").user.as_deref(),
            Some("1")
        );
        let none = parse("--entrypoint= --no-healthcheck").expect("options");
        assert_eq!(none.entrypoint, Some("".into()));
        assert!(none.unhealthy && !none.brings_health_check);
        let check = parse("--health-cmd true").expect("options");
        assert!(check.brings_health_check);
    }

    #[test]
    fn limits_and_the_platform_concern_every_container() {
        let options = parse("--ulimit nofile=1:2 -v a:/a --platform=linux/arm64").expect("options");
        assert_eq!(
            joined(&options.shared),
            "--ulimit nofile=1:2 --platform=linux/arm64"
        );
    }

    #[test]
    fn what_concerns_us_too_is_known() {
        let options = parse(
            "-p 8080:80 --publish=127.0.0.1::81 -p[::1]:5:82/tcp -p 53:53/udp -p 1-2:1-2 --publish 83
             --platform linux/arm64 --stop-timeout 30",
        );
        let options = options.expect("options");
        assert_eq!(options.published, [80, 81, 82, 83]);
        assert_eq!(options.stop_seconds, Some(30));
        assert_eq!(options.platform, Some("linux/arm64".into()));
        let options = parse("--platform=linux/arm64").expect("options");
        assert_eq!(options.platform, Some("linux/arm64".into()));
    }

    #[test]
    fn what_is_no_option_is_named() {
        assert!(
            parse("--init serve")
                .expect_err("a word")
                .starts_with("serve:")
        );
        assert!(parse("--init -").expect_err("a dash").starts_with("-:"));
        assert!(parse("-p").expect_err("no value").contains("missing"));
    }

    #[test]
    fn words_are_parted_as_a_shell_does() {
        let words =
            |text: &str| split_words(OsStr::new(text)).map(|words| words.join(OsStr::new("|")));
        assert_eq!(
            words(r#" a 'b c'  "d \" e"\ f '' "#),
            Ok(r#"a|b c|d " e f|"#.into())
        );
        assert!(words("a 'b").expect_err("open").contains("not closed"));
        assert!(words("  ").is_err());
    }
}
