//! What an image's configuration is taken to be, beyond the command as it was started, where
//! nobody tells it: EXPOSE from the ports that were served, VOLUME from what was mounted.

use super::config::ImageConfig;
use super::dockerfile::Remarks;
use crate::image_path::ImagePath;
use crate::manifest::{Manifest, MountFate};
use crate::recording::{Endpoint, Origin, Protocol, Recording};
use std::collections::{BTreeMap, BTreeSet};

/// How many addresses of one port are named.
const SHOWN: usize = 4;

/// Guesses, each with the sentence that marks it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guesses {
    has_command: bool,
    ports: BTreeMap<String, String>,
    /// Ports that nobody outside reaches.
    inner: BTreeMap<String, String>,
    volumes: BTreeMap<ImagePath, String>,
    /// Volumes that may be the image's.
    named: BTreeMap<ImagePath, String>,
}

impl Guesses {
    /// From what was seen. `own` are micropacker's files: a volume that they lie on is not the
    /// image's.
    ///
    /// A volume without a name is there because the image has a VOLUME, or because somebody asked
    /// for one at that place: an image with VOLUME starts alike in both cases, since the engine
    /// fills a new volume with the image's files. A volume with a name may hold anything, and a
    /// VOLUME there would leave a new volume behind each container that is started without it, so
    /// that one is only named. A bind mount is the user's.
    pub fn new(recording: &Recording, manifest: &Manifest, own: &[ImagePath]) -> Self {
        let mut by_port: BTreeMap<String, Vec<(&Endpoint, &Origin)>> = BTreeMap::new();
        for (endpoint, origin) in &recording.endpoints {
            let of_port = by_port.entry(endpoint.exposed()).or_default();
            of_port.push((endpoint, origin));
        }
        let mut guesses = Self {
            has_command: !recording.context.argv.is_empty(),
            ..Self::default()
        };
        for (port, mut endpoints) in by_port {
            if endpoints.iter().any(|(endpoint, _)| endpoint.is_public()) {
                endpoints.retain(|(endpoint, _)| endpoint.is_public());
                let remark = format!("Guessed: {}", served(&endpoints));
                guesses.ports.insert(port, remark);
            } else {
                let remark = format!(
                    "Not exposed: {}, which nobody outside of the container reaches",
                    served(&endpoints)
                );
                guesses.inner.insert(port, remark);
            }
        }
        for mount in &manifest.mounts {
            let place = &mount.mount_point;
            if own.iter().any(|own| own.is_at_or_below(place)) {
                continue;
            }
            match mount.fate {
                MountFate::Prefilled => {
                    let remark = "Guessed: a volume without a name was mounted there".to_owned();
                    guesses.volumes.insert(place.clone(), remark);
                }
                MountFate::NamedVolume => {
                    let remark = format!(
                        "No VOLUME {place}: a volume with a name was mounted there, which the \
                         image may not ask for"
                    );
                    guesses.named.insert(place.clone(), remark);
                }
                _ => {}
            }
        }
        guesses
    }

    /// Adds them to a configuration.
    pub fn apply(&self, config: &mut ImageConfig) {
        config.exposed_ports.extend(self.ports.keys().cloned());
        config.volumes.extend(self.volumes.keys().cloned());
    }

    /// What is to be said of a configuration they were added to, and that was changed then.
    /// `asked` is what the changes alone make.
    pub fn remarks(mut self, config: &ImageConfig, asked: &ImageConfig) -> Remarks {
        let guessed = |port: &String| {
            config.exposed_ports.contains(port) && !asked.exposed_ports.contains(port)
        };
        self.ports.retain(|port, _| guessed(port));
        self.inner
            .retain(|port, _| !config.exposed_ports.contains(port));
        let guessed =
            |place: &ImagePath| config.volumes.contains(place) && !asked.volumes.contains(place);
        self.volumes.retain(|place, _| guessed(place));
        self.named
            .retain(|place, _| !config.volumes.contains(place));
        let inner = self.inner.into_values();
        let start = "Guessed: ENV, WORKDIR, USER and ENTRYPOINT are as the command was started";
        Remarks {
            all: self
                .has_command
                .then(|| start.to_owned())
                .into_iter()
                .collect(),
            ports: self.ports,
            volumes: self.volumes,
            absent: inner.chain(self.named.into_values()).collect(),
        }
    }
}

/// `/usr/sbin/nginx listened on 0.0.0.0:80/tcp and [::]:80/tcp`; the endpoints of one port.
fn served(endpoints: &[(&Endpoint, &Origin)]) -> String {
    let is_udp = |(endpoint, _): &(&Endpoint, &Origin)| endpoint.protocol == Protocol::Udp;
    let verb = match endpoints.first() {
        Some(first) if is_udp(first) => "was bound to",
        _ => "listened on",
    };
    let programs = endpoints
        .iter()
        .find_map(|(_, origin)| origin.program.as_ref());
    let who = programs.map_or_else(|| "a process".to_owned(), ToString::to_string);
    let addresses: BTreeSet<String> = endpoints
        .iter()
        .take(SHOWN)
        .map(|(endpoint, _)| endpoint.to_string())
        .collect();
    let mut text = addresses.into_iter().collect::<Vec<_>>().join(" and ");
    if endpoints.len() > SHOWN {
        text.push_str(" and others");
    }
    format!("{who} {verb} {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::MountDecision;
    use crate::pack::{change, dockerfile_with_losses};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn recording(endpoints: &[(&str, Protocol, u16)]) -> Recording {
        let endpoint = |(address, protocol, port): &(&str, Protocol, u16)| {
            let endpoint = Endpoint {
                protocol: *protocol,
                port: *port,
                address: address.parse().expect("an address"),
            };
            let origin = Origin {
                pid: 7,
                program: ImagePath::new("/sbin/d"),
                call: "listen".into(),
            };
            (endpoint, origin)
        };
        Recording {
            endpoints: endpoints.iter().map(endpoint).collect(),
            ..Recording::default()
        }
    }

    fn mounted(mounts: &[(&str, MountFate)]) -> Manifest {
        let decision = |(place, fate): &(&str, MountFate)| MountDecision {
            mount_point: path(place),
            fs_type: "ext4".to_owned(),
            root: b"/".to_vec(),
            fate: *fate,
        };
        Manifest {
            mounts: mounts.iter().map(decision).collect(),
            ..Manifest::default()
        }
    }

    /// The lines behind ADD, of what is guessed and then changed.
    fn lines(guesses: Guesses, changes: &[&str]) -> Vec<String> {
        let (mut config, mut asked) = (ImageConfig::default(), ImageConfig::default());
        guesses.apply(&mut config);
        for one in changes {
            change(&mut config, one).expect(one);
            change(&mut asked, one).expect(one);
        }
        let remarks = guesses.remarks(&config, &asked);
        let (text, _) = dockerfile_with_losses(&config, &remarks, "r.tar");
        let text = String::from_utf8(text).expect("text");
        text.lines().skip(2).map(str::to_owned).collect()
    }

    const SERVED: [(&str, Protocol, u16); 5] = [
        ("0.0.0.0", Protocol::Tcp, 80),
        ("::", Protocol::Tcp, 80),
        ("127.0.0.1", Protocol::Tcp, 80),
        ("::1", Protocol::Tcp, 9000),
        ("172.17.0.2", Protocol::Udp, 53),
    ];

    #[test]
    fn ports_that_the_outside_may_reach_are_exposed_and_each_is_marked() {
        let guesses = Guesses::new(&recording(&SERVED), &Manifest::default(), &[]);
        assert_eq!(
            lines(guesses, &[]),
            [
                "# Guessed: /sbin/d was bound to 172.17.0.2:53/udp",
                "EXPOSE 53/udp",
                "# Guessed: /sbin/d listened on 0.0.0.0:80/tcp and [::]:80/tcp",
                "EXPOSE 80/tcp",
                "# Not exposed: /sbin/d listened on [::1]:9000/tcp, which nobody outside of the \
                 container reaches",
            ]
        );
    }

    #[test]
    fn changes_add_to_guesses_and_beat_them() {
        let guesses = || Guesses::new(&recording(&SERVED[..2]), &Manifest::default(), &[]);
        let marked = "# Guessed: /sbin/d listened on 0.0.0.0:80/tcp and [::]:80/tcp";
        let added = lines(guesses(), &["EXPOSE 8080"]);
        assert_eq!(added, [marked, "EXPOSE 80/tcp", "EXPOSE 8080/tcp"]);
        assert_eq!(lines(guesses(), &["EXPOSE 80"]), ["EXPOSE 80/tcp"]);
        let beaten = lines(guesses(), &["EXPOSE", "EXPOSE 8080"]);
        assert_eq!(beaten, ["EXPOSE 8080/tcp"]);
        assert!(lines(guesses(), &["EXPOSE"]).is_empty());
    }

    #[test]
    fn only_volumes_without_a_name_are_guessed_and_none_of_ours() {
        let manifest = mounted(&[
            ("/", MountFate::Image),
            ("/data", MountFate::Prefilled),
            ("/named", MountFate::NamedVolume),
            ("/bound", MountFate::Foreign),
            ("/out", MountFate::Prefilled),
            ("/asked", MountFate::Included),
        ]);
        let own = [path("/out/rootfs.tar")];
        let guesses = || Guesses::new(&Recording::default(), &manifest, &own);
        let marked = "# Guessed: a volume without a name was mounted there";
        let named = "# No VOLUME /named: a volume with a name was mounted there, which the image \
                     may not ask for";
        assert_eq!(lines(guesses(), &[]), [marked, "VOLUME [\"/data\"]", named]);
        assert_eq!(
            lines(guesses(), &["VOLUME", "VOLUME /named"]),
            ["VOLUME [\"/named\"]"]
        );
    }

    proptest! {
        #[test]
        fn a_port_is_exposed_when_it_is_served_where_the_outside_reaches_it(
            endpoints in proptest::collection::vec(
                (any::<IpAddr>(), 1..=4_u16), 0..12)
        ) {
            let served: BTreeMap<Endpoint, Origin> = endpoints
                .iter()
                .map(|(address, port)| {
                    let endpoint = Endpoint {
                        protocol: Protocol::Tcp,
                        port: *port,
                        address: *address,
                    };
                    let origin = Origin { pid: 1, program: None, call: "listen".into() };
                    (endpoint, origin)
                })
                .collect();
            let public: BTreeSet<String> = served
                .keys()
                .filter(|endpoint| endpoint.is_public())
                .map(Endpoint::exposed)
                .collect();
            let recording = Recording { endpoints: served, ..Recording::default() };
            let guesses = Guesses::new(&recording, &Manifest::default(), &[]);
            let mut config = ImageConfig::default();
            guesses.apply(&mut config);
            prop_assert_eq!(&config.exposed_ports, &public);
            let remarks = guesses.remarks(&config, &ImageConfig::default());
            prop_assert_eq!(remarks.ports.into_keys().collect::<BTreeSet<_>>(), public);
        }
    }
}
