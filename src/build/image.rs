//! What is known of an image before it is started. Pure.

use crate::pack::{ImageConfig, parse_image_config};
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::probe::Census;
use super::run_options::RunOptions;

/// The original image.
#[derive(Clone, Debug)]
pub struct Original {
    /// As the user calls it.
    pub name: String,
    /// By which the engine knows it, whatever it is called later.
    pub id: String,
    /// Bytes, as the engine counts them.
    pub bytes: u64,
    /// What it is started with.
    pub config: ImageConfig,
    /// What the engine printed of it.
    pub text: Vec<u8>,
}

/// The part of an inspection that does not say how a container starts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    size: u64,
}

/// Identity and size of the one image that an inspection shows.
///
/// # Errors
/// A sentence that goes on after the image's name.
pub fn identity(text: &[u8]) -> Result<(String, u64), String> {
    let images: Vec<Inspected> = serde_json::from_slice(text)
        .map_err(|error| format!("the engine's answer is not understood: {error}"))?;
    match <[Inspected; 1]>::try_from(images) {
        Ok([image]) => Ok((image.id, image.size)),
        Err(images) => Err(format!("the engine shows {} images", images.len())),
    }
}

impl Original {
    /// From what `image inspect` printed.
    ///
    /// # Errors
    /// As [`identity`].
    pub fn new(name: &str, text: Vec<u8>) -> Result<Self, String> {
        let (id, bytes) = identity(&text)?;
        let config = parse_image_config(&text).map_err(|error| error.to_string())?;
        Ok(Self {
            name: name.to_owned(),
            id,
            bytes,
            config,
            text,
        })
    }

    /// Why a binary of this machine cannot run in it.
    pub fn mismatch(&self) -> Option<String> {
        let own = ImageConfig::of_this_machine();
        let ImageConfig {
            os, architecture, ..
        } = &self.config;
        if (os, architecture) == (&own.os, &own.architecture) {
            return None;
        }
        Some(format!(
            "{} is an image for {os}/{architecture}, and this is micropacker for {}/{}: use the \
             micropacker of that architecture, on such a machine",
            self.name, own.os, own.architecture
        ))
    }

    /// What its container starts: ENTRYPOINT and CMD, or what the user put in their place.
    pub fn argv(&self, options: &RunOptions) -> Option<Vec<OsString>> {
        let words = |words: &[Vec<u8>]| -> Vec<OsString> {
            words.iter().cloned().map(OsString::from_vec).collect()
        };
        let mut argv = match &options.entrypoint {
            Some(program) if program.is_empty() => Vec::new(),
            Some(program) => vec![program.clone()],
            None => words(&self.config.entrypoint),
        };
        match (&options.command, &options.entrypoint) {
            (Some(command), _) => argv.extend_from_slice(command),
            // `--entrypoint` takes CMD away (docker run).
            (None, Some(_)) => {}
            (None, None) => argv.extend(words(&self.config.cmd)),
        }
        (!argv.is_empty()).then_some(argv)
    }

    /// Files that the engine itself looks into when it starts a container: names of users and
    /// groups, where the image or the user says one, and who is at home where, unless the image
    /// sets HOME. No process of the application may have read them.
    pub fn files_of_the_engine(&self, options: &RunOptions, census: Census) -> Vec<&'static str> {
        let passwd = census.passwd.then_some("/etc/passwd");
        let group = census.group.then_some("/etc/group");
        let users = [self.config.user.as_ref(), options.user.as_ref()];
        let is_name =
            |word: &str| !word.is_empty() && word.bytes().any(|byte| !byte.is_ascii_digit());
        let mut words = users.into_iter().flatten().flat_map(|user| user.split(':'));
        match words.any(is_name) {
            true => passwd.into_iter().chain(group).collect(),
            false if self.config.env.iter().any(|one| one.starts_with(b"HOME=")) => Vec::new(),
            false => passwd.into_iter().collect(),
        }
    }

    /// TCP ports that it says it listens on.
    pub fn tcp_ports(&self) -> Vec<u16> {
        let ports = self.config.exposed_ports.iter();
        let ports = ports.filter_map(|port| match port.split_once('/') {
            None | Some((_, "tcp")) => port.split('/').next()?.parse().ok(),
            Some(_) => None,
        });
        let mut ports: Vec<u16> = ports.collect();
        ports.sort_unstable();
        ports
    }

    /// What checks its health, as words; `None` where nothing does.
    pub fn health_check(&self) -> Option<Vec<OsString>> {
        let (how, words) = self.config.health.as_ref()?.test.split_first()?;
        let shell = match self.config.shell.as_slice() {
            [] => &["/bin/sh".to_owned(), "-c".to_owned()],
            shell => shell,
        };
        let words: Vec<OsString> = match how.as_str() {
            "CMD" => words.iter().map(OsString::from).collect(),
            "CMD-SHELL" => shell.iter().chain(words).map(OsString::from).collect(),
            _ => Vec::new(),
        };
        (!words.is_empty()).then_some(words)
    }
}

/// `host/app:1` becomes `host/app-micro:1`. `None` where an image has no name of its own.
pub fn micro_name(image: &OsStr) -> Option<String> {
    let image = std::str::from_utf8(image.as_bytes()).ok()?;
    let image = image.split('@').next()?;
    let is_id = image.len() >= 12 && image.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id || image.starts_with("sha256:") {
        return None;
    }
    let after_host = image.rfind('/').map_or(0, |at| at + 1);
    let version = image[after_host..].find(':').map(|at| after_host + at);
    let (name, version) = image.split_at(version.unwrap_or(image.len()));
    Some(format!("{name}-micro{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(config: &str) -> Original {
        let own = ImageConfig::of_this_machine().architecture;
        let text = format!(
            r#"[{{"Id":"sha256:1","Size":7,"Os":"linux","Architecture":"{own}","Config":{config}}}]"#
        );
        Original::new("app", text.into_bytes()).expect("an image")
    }

    fn argv(config: &str, options: &[&str]) -> Option<Vec<OsString>> {
        let words: Vec<OsString> = options.iter().map(OsString::from).collect();
        original(config).argv(&RunOptions::parse(&words).expect("options"))
    }

    #[test]
    fn the_command_is_put_together_as_docker_run_does() {
        let both = r#"{"Entrypoint":["/e","x"],"Cmd":["c"]}"#;
        let given = |words: &[&str]| Some(words.iter().map(OsString::from).collect());
        assert_eq!(argv(both, &[]), given(&["/e", "x", "c"]));
        assert_eq!(argv(both, &["--", "d"]), given(&["/e", "x", "d"]));
        assert_eq!(argv(both, &["--entrypoint", "/f"]), given(&["/f"]));
        assert_eq!(argv(both, &["--entrypoint=", "--", "d"]), given(&["d"]));
        assert_eq!(
            argv(r#"{"Cmd":["/bin/sh","-c","x"]}"#, &[]),
            given(&["/bin/sh", "-c", "x"])
        );
        assert_eq!(argv("{}", &[]), None);
    }

    #[test]
    fn an_image_of_another_machine_is_told_from_ours() {
        assert_eq!(original("{}").mismatch(), None);
        let text = br#"[{"Id":"1","Size":1,"Os":"linux","Architecture":"s390x","Config":{}}]"#;
        let other = Original::new("app", text.to_vec()).expect("an image");
        assert!(other.mismatch().expect("another").contains("linux/s390x"));
    }

    #[test]
    fn who_runs_as_somebody_needs_the_files_that_say_who_that_is_and_where_at_home() {
        let files = |config: &str, options: &[&str]| {
            let words: Vec<OsString> = options.iter().map(OsString::from).collect();
            let options = RunOptions::parse(&words).expect("options");
            let here = Census {
                passwd: true,
                group: true,
                ..Census::default()
            };
            let original = original(config);
            let none = original.files_of_the_engine(&options, Census::default());
            assert!(none.is_empty());
            original.files_of_the_engine(&options, here).len()
        };
        assert_eq!(files(r#"{"Env":["HOME=/x"]}"#, &[]), 0);
        assert_eq!(files("{}", &[]), 1);
        assert_eq!(files(r#"{"User":"1000:33"}"#, &[]), 1);
        assert_eq!(files(r#"{"User":"www-data"}"#, &[]), 2);
        assert_eq!(files(r#"{"User":"33:www-data"}"#, &[]), 2);
        assert_eq!(files("{}", &["--user", "www-data"]), 2);
    }

    #[test]
    fn ports_and_health_are_read_off_the_configuration() {
        let image = original(r#"{"ExposedPorts":{"443/tcp":{},"80":{},"53/udp":{}}}"#);
        assert_eq!(image.tcp_ports(), [80, 443]);
        assert_eq!(image.health_check(), None);
        let check = |health: &str| original(&format!("{{{health}}}")).health_check();
        let given = |words: &[&str]| Some(words.iter().map(OsString::from).collect());
        assert_eq!(
            check(r#""Healthcheck":{"Test":["CMD","x","y z"]}"#),
            given(&["x", "y z"])
        );
        let shell = r#""Healthcheck":{"Test":["CMD-SHELL","a | b"]}"#;
        assert_eq!(check(shell), given(&["/bin/sh", "-c", "a | b"]));
        let bash = format!(r#"{shell},"Shell":["/bin/bash","-ec"]"#);
        assert_eq!(check(&bash), given(&["/bin/bash", "-ec", "a | b"]));
        assert_eq!(check(r#""Healthcheck":{"Test":["NONE"]}"#), None);
    }

    #[test]
    fn a_name_of_its_own_is_made_for_the_micro_image() {
        for (image, micro) in [
            ("app", Some("app-micro")),
            ("app:1.2", Some("app-micro:1.2")),
            ("host:5000/a/app", Some("host:5000/a/app-micro")),
            ("host:5000/app:2@sha256:00", Some("host:5000/app-micro:2")),
            ("sha256:0011", None),
            ("0123456789ab", None),
        ] {
            assert_eq!(micro_name(OsStr::new(image)).as_deref(), micro, "{image}");
        }
    }
}
