//! The configuration of an existing image, as the tools that know it print it.
//!
//! `docker image inspect` and `podman image inspect` print an array of images, `skopeo inspect
//! --config` and the configuration blob of an image are one object (OCI image specification,
//! config.md). The part that says how a container starts has the same names in all of them.

use super::config::{Health, ImageConfig};
use crate::image_path::ImagePath;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Why a text is not the configuration of one image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InspectError {
    /// It is no JSON, or a member has another type than any tool writes.
    #[error("it is not what an inspect command prints: {0}")]
    Json(String),
    /// An array of images that is empty or holds several.
    #[error("it holds {0} images: inspect the one that is traced")]
    Count(usize),
    /// `docker inspect` of a container.
    #[error("it describes a container: use 'docker image inspect IMAGE'")]
    Container,
    /// `skopeo inspect` without `--config`, a manifest, or something else.
    #[error(
        "it has no configuration of an image: use 'docker image inspect IMAGE', 'podman image \
         inspect IMAGE' or 'skopeo inspect --config --raw'"
    )]
    NoConfig,
    /// A volume or working directory that is not absolute.
    #[error("{what} {value:?} is no absolute path")]
    Path {
        /// Which member.
        what: &'static str,
        /// What it holds.
        value: String,
    },
}

/// Reads what `docker image inspect`, `podman image inspect` or `skopeo inspect --config`
/// printed, or the configuration blob of an OCI or Docker image.
///
/// # Errors
/// [`InspectError`], a sentence that goes on after the name of the file.
pub fn parse_image_config(text: &[u8]) -> Result<ImageConfig, InspectError> {
    let json = |error: serde_json::Error| InspectError::Json(error.to_string());
    let value: serde_json::Value = serde_json::from_slice(text).map_err(json)?;
    let image = match value {
        serde_json::Value::Array(mut images) => match images.len() {
            1 => images.remove(0),
            count => return Err(InspectError::Count(count)),
        },
        other => other,
    };
    if !image.is_object() {
        return Err(InspectError::NoConfig);
    }
    if image.get("State").is_some() {
        return Err(InspectError::Container);
    }
    let image: Image = serde_json::from_value(image).map_err(json)?;
    let start = image.start.ok_or(InspectError::NoConfig)?;
    start.into_config(image.architecture, image.variant, image.os, image.health)
}

/// An image. Go's decoder, which all these tools use, does not tell capitals from small letters.
#[derive(Deserialize)]
struct Image {
    #[serde(alias = "Architecture", default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(alias = "Variant", default, deserialize_with = "or_default")]
    variant: String,
    #[serde(alias = "Os", alias = "OS", default, deserialize_with = "or_default")]
    os: String,
    #[serde(rename = "config", alias = "Config")]
    start: Option<Start>,
    /// podman shows it beside the configuration.
    #[serde(rename = "Healthcheck", alias = "HealthCheck")]
    health: Option<RawHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Start {
    #[serde(default, deserialize_with = "words")]
    entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "words")]
    cmd: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    working_dir: String,
    #[serde(default, deserialize_with = "or_default")]
    user: String,
    #[serde(default, deserialize_with = "or_default")]
    exposed_ports: BTreeMap<String, serde_json::Value>,
    #[serde(default, deserialize_with = "or_default")]
    volumes: BTreeMap<String, serde_json::Value>,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    stop_signal: String,
    #[serde(alias = "HealthCheck")]
    healthcheck: Option<RawHealth>,
    #[serde(default, deserialize_with = "words")]
    shell: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    on_build: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealth {
    #[serde(default, deserialize_with = "or_default")]
    test: Vec<String>,
    #[serde(default)]
    interval: i64,
    #[serde(default)]
    timeout: i64,
    #[serde(default)]
    start_period: i64,
    #[serde(default)]
    start_interval: i64,
    #[serde(default)]
    retries: i64,
}

/// Go writes an empty slice, map or pointer as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list of words; images of old builders have a single text (moby, `strslice`).
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Words::List(words)) => words,
        Some(Words::One(word)) => vec![word],
    })
}

impl Start {
    fn into_config(
        self,
        architecture: String,
        variant: String,
        os: String,
        health: Option<RawHealth>,
    ) -> Result<ImageConfig, InspectError> {
        let bytes = |words: Vec<String>| words.into_iter().map(String::into_bytes).collect();
        let volumes = self.volumes.into_keys();
        Ok(ImageConfig {
            entrypoint: bytes(self.entrypoint),
            cmd: bytes(self.cmd),
            env: bytes(self.env),
            working_dir: absolute("WorkingDir", self.working_dir)?.filter(|path| !path.is_root()),
            user: some(self.user),
            exposed_ports: self.exposed_ports.into_keys().collect(),
            volumes: volumes
                .filter_map(|volume| absolute("the volume", volume).transpose())
                .collect::<Result<_, _>>()?,
            labels: self.labels,
            stop_signal: some(self.stop_signal),
            health: self.healthcheck.or(health).and_then(RawHealth::into_health),
            shell: self.shell,
            on_build: self.on_build,
            architecture: some(architecture).unwrap_or_else(|| "amd64".to_owned()),
            variant: some(variant),
            os: some(os).unwrap_or_else(|| "linux".to_owned()),
        })
    }
}

impl RawHealth {
    /// `None` for one that only says what its parent image does.
    fn into_health(self) -> Option<Health> {
        let nanoseconds = |value: i64| u64::try_from(value).unwrap_or_default();
        (!self.test.is_empty()).then(|| Health {
            test: self.test,
            interval: nanoseconds(self.interval),
            timeout: nanoseconds(self.timeout),
            start_period: nanoseconds(self.start_period),
            start_interval: nanoseconds(self.start_interval),
            retries: u32::try_from(self.retries).unwrap_or_default(),
        })
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn absolute(what: &'static str, value: String) -> Result<Option<ImagePath>, InspectError> {
    if value.is_empty() {
        return Ok(None);
    }
    match ImagePath::new(value.as_bytes()) {
        Some(path) => Ok(Some(path)),
        None => Err(InspectError::Path { what, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = r#"[{
        "Id": "sha256:1", "RepoTags": ["app:latest"], "Container": "", "Size": 1,
        "Architecture": "arm64", "Variant": "v8", "Os": "linux",
        "Config": {
            "Hostname": "", "User": "app:www", "AttachStdin": false, "Image": "",
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/bin", "A=b=c"], "Cmd": ["-x"], "Entrypoint": ["/run.sh"],
            "Volumes": {"/data": {}}, "WorkingDir": "/srv", "Labels": {"a": "b"},
            "StopSignal": "SIGQUIT", "OnBuild": ["RUN true"], "Shell": ["/bin/bash", "-c"],
            "Healthcheck": {"Test": ["CMD", "curl"], "Interval": 5000000000, "Retries": 3}
        }
    }]"#;

    #[test]
    fn docker_image_inspect_is_read_whole() {
        let config = parse_image_config(DOCKER.as_bytes()).expect("an image");
        let expected = ImageConfig {
            entrypoint: vec![b"/run.sh".to_vec()],
            cmd: vec![b"-x".to_vec()],
            env: vec![b"PATH=/bin".to_vec(), b"A=b=c".to_vec()],
            working_dir: ImagePath::new("/srv"),
            user: Some("app:www".to_owned()),
            exposed_ports: ["80/tcp".to_owned(), "53/udp".to_owned()].into(),
            volumes: ImagePath::new("/data").into_iter().collect(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            stop_signal: Some("SIGQUIT".to_owned()),
            health: Some(Health {
                test: vec!["CMD".to_owned(), "curl".to_owned()],
                interval: 5_000_000_000,
                retries: 3,
                ..Health::default()
            }),
            shell: vec!["/bin/bash".to_owned(), "-c".to_owned()],
            on_build: vec!["RUN true".to_owned()],
            architecture: "arm64".to_owned(),
            variant: Some("v8".to_owned()),
            os: "linux".to_owned(),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn an_oci_configuration_has_small_letters_outside_and_capitals_inside() {
        let text = r#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"},
            "config": {"Env": ["A=1"], "Cmd": "sh", "WorkingDir": "/"}, "history": []}"#;
        let config = parse_image_config(text.as_bytes()).expect("an image");
        assert_eq!(config.cmd, [b"sh".to_vec()]);
        assert_eq!(config.working_dir, None);
        assert_eq!(config.architecture, "amd64");
    }

    #[test]
    fn podman_shows_the_health_check_beside_the_configuration() {
        let text = r#"[{"Config": {"Cmd": ["x"], "Volumes": null, "Labels": null},
            "Healthcheck": {"Test": ["NONE"]}}]"#;
        let config = parse_image_config(text.as_bytes()).expect("an image");
        let health = config.health.expect("a health check");
        assert_eq!(health.test, ["NONE"]);
    }

    #[test]
    fn what_is_no_image_is_refused_with_what_to_do() {
        let error = |text: &str| parse_image_config(text.as_bytes()).expect_err(text);
        assert_eq!(error("[]"), InspectError::Count(0));
        assert_eq!(
            error(r#"[{"Config":{}},{"Config":{}}]"#),
            InspectError::Count(2)
        );
        assert_eq!(
            error(r#"[{"State":{},"Config":{}}]"#),
            InspectError::Container
        );
        assert_eq!(error(r#"{"Name":"x","Layers":[]}"#), InspectError::NoConfig);
        assert_eq!(error("1"), InspectError::NoConfig);
        assert!(matches!(
            error(r#"{"config":{"WorkingDir":"srv"}}"#),
            InspectError::Path { .. }
        ));
        assert!(matches!(
            error("Error: no such image"),
            InspectError::Json(_)
        ));
        assert!(matches!(
            error(r#"{"config":{"Env":"x"}}"#),
            InspectError::Json(_)
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in proptest::collection::vec(0u8.., 0..64)) {
            let _ = parse_image_config(&text);
        }
    }
}
