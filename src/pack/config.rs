//! What a container of the image is started with.

use super::secrets;
use crate::image_path::ImagePath;
use crate::recording::{Context, Loss};
use std::collections::{BTreeMap, BTreeSet};

pub use super::secrets::looks_like_secret;

/// The part of an image that is not files (OCI image specification, config.md). Bytes where a
/// process gave us bytes; what is not UTF-8 no image can carry, and [`ImageConfig::losses`]
/// names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The program and its first arguments.
    pub entrypoint: Vec<Vec<u8>>,
    /// Further arguments, which `docker run IMAGE ARG…` replaces.
    pub cmd: Vec<Vec<u8>>,
    /// `NAME=value`, each name once.
    pub env: Vec<Vec<u8>>,
    /// Current directory; `/` when `None`.
    pub working_dir: Option<ImagePath>,
    /// `user`, `uid`, `user:group` or `uid:gid`; root when `None`.
    pub user: Option<String>,
    /// `8080/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Directories that become volumes.
    pub volumes: BTreeSet<ImagePath>,
    /// Names and values of labels.
    pub labels: BTreeMap<String, String>,
    /// What `docker stop` sends; SIGTERM when `None`.
    pub stop_signal: Option<String>,
    /// What tells whether a container works. Docker's own, and podman's: OCI has none.
    pub health: Option<Health>,
    /// What a Dockerfile's RUN and the text forms of ENTRYPOINT and CMD are run by. Docker's own.
    pub shell: Vec<String>,
    /// What a Dockerfile does first that begins with this image. Docker's own.
    pub on_build: Vec<String>,
    /// Processor, in Go's words (`amd64`, `arm64`).
    pub architecture: String,
    /// Variant of the processor, `v8` for instance.
    pub variant: Option<String>,
    /// Operating system, in Go's words.
    pub os: String,
}

/// HEALTHCHECK. Durations are nanoseconds, 0 where the engine's own default holds (moby,
/// `container.HealthConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `NONE`, or `CMD` and words, or `CMD-SHELL` and a text.
    pub test: Vec<String>,
    /// From one check to the next.
    pub interval: u64,
    /// How long a check may take.
    pub timeout: u64,
    /// How long after the start failures do not count.
    pub start_period: u64,
    /// From one check to the next in that time.
    pub start_interval: u64,
    /// How many failures make a container unhealthy.
    pub retries: u32,
}

impl ImageConfig {
    /// An image for this machine that starts nothing.
    pub fn of_this_machine() -> Self {
        Self {
            architecture: architecture().to_owned(),
            variant: (architecture() == "arm64").then(|| "v8".to_owned()),
            os: "linux".to_owned(),
            ..Self::default()
        }
    }

    /// What the traced command was started with, and the names of the variables that were left
    /// out because they look like secrets.
    ///
    /// `keep_secrets` says of such a name that it was asked for. Variables that only the
    /// container runtime sets are left out silently.
    pub fn from_context(
        context: &Context,
        keep_secrets: &dyn Fn(&str) -> bool,
    ) -> (Self, Vec<String>) {
        let mut seen = BTreeSet::new();
        let mut env = Vec::new();
        for variable in &context.env {
            let Some((name, value)) = split_variable(variable) else {
                continue;
            };
            // getenv(3) finds the first of a name.
            if !seen.insert(name) || secrets::is_of_the_runtime(name, value) {
                continue;
            }
            env.push(variable.clone());
        }
        let (env, secrets) = sift_secrets(&env, keep_secrets);
        let config = Self {
            entrypoint: context.argv.clone(),
            env,
            working_dir: context.cwd.clone().filter(|cwd| !cwd.is_root()),
            user: match (context.uid, context.gid) {
                (0, 0) => None,
                (uid, gid) => Some(format!("{uid}:{gid}")),
            },
            ..Self::of_this_machine()
        };
        (config, secrets)
    }

    /// What an image cannot carry because it is not UTF-8 (its configuration is JSON).
    pub fn losses(&self) -> Vec<Loss> {
        let mut lost = Vec::new();
        for (what, words) in [("ENTRYPOINT", &self.entrypoint), ("CMD", &self.cmd)] {
            if texts(words).is_none() {
                lost.push(format!("{what} {}", words.join(&b' ').escape_ascii()));
            }
        }
        for variable in &self.env {
            if std::str::from_utf8(variable).is_err() {
                lost.push(format!("ENV {}", variable.escape_ascii()));
            }
        }
        for (what, path) in (self.working_dir.iter().map(|path| ("WORKDIR", path)))
            .chain(self.volumes.iter().map(|path| ("VOLUME", path)))
        {
            if std::str::from_utf8(path.as_bytes()).is_err() {
                lost.push(format!("{what} {path}"));
            }
        }
        lost.into_iter()
            .map(|what| Loss {
                what: format!(
                    "{what}: not UTF-8, so an image's configuration cannot hold it; \
                     give it when the container is started"
                ),
                count: 1,
            })
            .collect()
    }
}

/// An environment without what looks like a secret and is not to be kept, and the names of what
/// was left out.
pub fn sift_secrets(
    env: &[Vec<u8>],
    keep_secrets: &dyn Fn(&str) -> bool,
) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut secrets = Vec::new();
    let kept = env.iter().filter(|variable| {
        let Some((name, value)) = split_variable(variable) else {
            return true;
        };
        let is_secret = looks_like_secret(name) || secrets::holds_secret(value);
        let is_kept = std::str::from_utf8(name).is_ok_and(keep_secrets);
        if is_secret && !is_kept {
            secrets.push(name.escape_ascii().to_string());
        }
        !is_secret || is_kept
    });
    (kept.cloned().collect(), secrets)
}

/// All of `words` as text; `None` where one is not.
pub(super) fn texts(words: &[Vec<u8>]) -> Option<Vec<String>> {
    words
        .iter()
        .map(|word| String::from_utf8(word.clone()).ok())
        .collect()
}

/// `NAME=value`; `None` where there is no name.
pub(super) fn split_variable(variable: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = variable.iter().position(|byte| *byte == b'=')?;
    (at > 0).then(|| (&variable[..at], &variable[at + 1..]))
}

/// This machine's processor in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(env: &[&str]) -> Context {
        Context {
            argv: vec![b"nginx".to_vec(), b"-g".to_vec()],
            env: env.iter().map(|text| text.as_bytes().to_vec()).collect(),
            cwd: ImagePath::new("/srv"),
            uid: 101,
            gid: 0,
            began: None,
        }
    }

    fn env_of(config: &ImageConfig) -> Vec<&str> {
        (config.env.iter())
            .map(|variable| std::str::from_utf8(variable).expect("text"))
            .collect()
    }

    #[test]
    fn secrets_are_left_out_and_named_unless_asked_for() {
        let context = context(&["A=1", "DB_PASSWORD=x", "API_KEY=y", "DB=pg://u:p@h"]);
        let (config, left_out) = ImageConfig::from_context(&context, &|name| name == "API_KEY");
        assert_eq!(env_of(&config), ["A=1", "API_KEY=y"]);
        assert_eq!(left_out, ["DB_PASSWORD", "DB"]);
    }

    #[test]
    fn runtime_variables_second_ones_and_nameless_ones_are_left_out() {
        let context = context(&["PATH=/bin", "HOSTNAME=x", "PATH=/y", "=z", "w", "E="]);
        let (config, left_out) = ImageConfig::from_context(&context, &|_| false);
        assert_eq!(env_of(&config), ["PATH=/bin", "E="]);
        assert!(left_out.is_empty());
    }

    #[test]
    fn the_command_its_user_and_its_directory_are_kept() {
        let (config, _) = ImageConfig::from_context(&context(&[]), &|_| false);
        assert_eq!(config.entrypoint, [b"nginx".to_vec(), b"-g".to_vec()]);
        assert_eq!(config.user.as_deref(), Some("101:0"));
        assert_eq!(config.working_dir, ImagePath::new("/srv"));
    }

    #[test]
    fn what_is_not_utf8_is_named_as_a_loss() {
        let config = ImageConfig {
            entrypoint: vec![b"x\xFF".to_vec()],
            env: vec![b"A=\xFF".to_vec(), b"B=1".to_vec()],
            working_dir: ImagePath::new(b"/\xFF"),
            ..ImageConfig::default()
        };
        assert_eq!(config.losses().len(), 3);
    }
}
