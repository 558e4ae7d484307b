//! What the engine says of a container. Pure.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The machine of an engine, by the address that its command line is told (`DOCKER_HOST`,
/// `CONTAINER_HOST`).
pub fn machine_of(address: Option<&str>) -> String {
    let remote = address.and_then(|address| {
        let (scheme, rest) = address.split_once("://")?;
        let authority = rest.split('/').next()?;
        let host = authority.rsplit('@').next()?;
        let host = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => host,
        };
        let is_remote = ["tcp", "ssh", "http", "https"].contains(&scheme);
        (is_remote && !host.is_empty()).then(|| host.to_owned())
    });
    remote.unwrap_or_else(|| "127.0.0.1".to_owned())
}

/// A container at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether it runs.
    pub running: bool,
    /// Its exit status, when it does not.
    pub exit_code: i32,
    /// Whether the kernel killed it for its memory.
    pub out_of_memory: bool,
    /// What its health check says; `None` without one.
    pub health: Option<String>,
    /// Its address, where it has one of its own.
    pub address: Option<String>,
    /// Ports of the container, and those of this machine that lead there.
    pub published: BTreeMap<u16, u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    state: RawState,
    #[serde(default, deserialize_with = "or_default")]
    network_settings: Network,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    running: bool,
    #[serde(default)]
    exit_code: i32,
    #[serde(default, rename = "OOMKilled")]
    out_of_memory: bool,
    #[serde(default, alias = "Healthcheck")]
    health: Option<RawHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealth {
    #[serde(default)]
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(default, rename = "IPAddress", deserialize_with = "or_default")]
    address: String,
    #[serde(default, deserialize_with = "or_default")]
    networks: BTreeMap<String, Attached>,
    #[serde(default, deserialize_with = "or_default")]
    ports: BTreeMap<String, Option<Vec<Binding>>>,
}

#[derive(Deserialize)]
struct Attached {
    #[serde(default, rename = "IPAddress", deserialize_with = "or_default")]
    address: String,
}

#[derive(Deserialize)]
struct Binding {
    #[serde(default, rename = "HostPort", deserialize_with = "or_default")]
    port: String,
}

/// Go writes an empty map or pointer as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl State {
    /// From what `inspect` printed of one container.
    ///
    /// # Errors
    /// What is not understood.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let containers: Vec<Container> = serde_json::from_slice(text)
            .map_err(|error| format!("the engine's answer is not understood: {error}"))?;
        let Some(container) = containers.into_iter().next() else {
            return Err("the container is gone".to_owned());
        };
        let Container {
            state,
            network_settings: network,
        } = container;
        let attached = network.networks.into_values().map(|one| one.address);
        let addresses = std::iter::once(network.address).chain(attached);
        let published = network.ports.into_iter().filter_map(|(port, bindings)| {
            let inside = port.strip_suffix("/tcp")?.parse().ok()?;
            let outside = bindings?.first()?.port.parse().ok()?;
            Some((inside, outside))
        });
        Ok(Self {
            running: state.running,
            exit_code: state.exit_code,
            out_of_memory: state.out_of_memory,
            health: state
                .health
                .map(|health| health.status)
                .filter(|status| !status.is_empty() && status != "none"),
            address: addresses.into_iter().find(|address| !address.is_empty()),
            published: published.collect(),
        })
    }

    /// Where a client on this machine finds a port of the container; `machine` is where the engine
    /// is.
    pub fn reach(&self, port: u16, machine: &str, on_host_network: bool) -> Option<(String, u16)> {
        let there = || machine.to_owned();
        if on_host_network {
            return Some((there(), port));
        }
        match (self.published.get(&port), &self.address) {
            (Some(outside), _) => Some((there(), *outside)),
            (None, Some(address)) => Some((address.clone(), port)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_words_are_read() {
        let text = br#"[{"State":{"Running":true,"ExitCode":0,"OOMKilled":false,
            "Health":{"Status":"starting","Log":[]}},
            "NetworkSettings":{"IPAddress":"","Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}],"443/tcp":null,"53/udp":null},
            "Networks":{"a":{"IPAddress":"172.17.0.2"}}}}]"#;
        let state = State::parse(text).expect("a container");
        assert!(state.running);
        assert_eq!(state.health.as_deref(), Some("starting"));
        let here = |port| Some(("docker".to_owned(), port));
        assert_eq!(state.reach(80, "docker", false), here(8080));
        assert_eq!(
            state.reach(443, "docker", false),
            Some(("172.17.0.2".to_owned(), 443))
        );
        assert_eq!(state.reach(443, "docker", true), here(443));
    }

    #[test]
    fn podmans_words_are_read() {
        let text = br#"[{"State":{"Running":false,"ExitCode":3,"Healthcheck":{"Status":""}},
            "NetworkSettings":{"IPAddress":"","Ports":{},"Networks":null}}]"#;
        let state = State::parse(text).expect("a container");
        let expected = State {
            exit_code: 3,
            ..State::default()
        };
        assert_eq!(state, expected);
        assert_eq!(state.reach(80, "docker", false), None);
    }

    #[test]
    fn an_engine_may_be_on_another_machine() {
        for (address, machine) in [
            (None, "127.0.0.1"),
            (Some("unix:///var/run/docker.sock"), "127.0.0.1"),
            (Some("tcp://docker:2376"), "docker"),
            (Some("ssh://me@host/run/podman.sock"), "host"),
            (Some("tcp://[::1]:2375"), "[::1]"),
            (Some("nonsense"), "127.0.0.1"),
        ] {
            assert_eq!(machine_of(address), machine, "{address:?}");
        }
    }

    #[test]
    fn no_container_and_no_json_are_errors() {
        assert!(State::parse(b"[]").is_err());
        assert!(State::parse(b"Error").is_err());
    }
}
