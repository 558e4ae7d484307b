//! EXPOSE is guessed from the ports that an application serves, whichever engine traces it.

mod running_trace;
mod tarballs;

use running_trace::{MICROPACKER, Waiting};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tarballs::configuration;
use tempfile::TempDir;

/// What takes CAP_SYS_PTRACE and CAP_SYS_ADMIN away, as a plain container has it.
const PLAIN_CONTAINER: [&str; 4] = [
    "setpriv",
    "--bounding-set=-sys_ptrace,-sys_admin",
    "--inh-caps=-sys_ptrace,-sys_admin",
    "--",
];

/// A port below those that the kernel gives away, free in all its ways.
fn port() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + (std::process::id() % 100) as u16 * 100;
    let is_free = |port: &u16| {
        let addresses = ["0.0.0.0", "::"].map(|address| (address, *port));
        let is_free = |address: (&str, u16)| {
            let taken = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
            !TcpListener::bind(address).is_err_and(taken)
                && !UdpSocket::bind(address).is_err_and(taken)
        };
        addresses.into_iter().all(is_free)
    };
    let mut ports = std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(is_free).expect("a free port").to_string()
}

/// Whether the kernel gives such ports away here: a UDP socket bound to one is none of a server.
fn is_ephemeral(port: &str) -> bool {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a range");
    let mut ends = range.split_whitespace().map(|end| end.parse::<u16>());
    let mut end = || ends.next().expect("two").expect("numbers");
    (end()..=end()).contains(&port.parse().expect("a number"))
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::]:0").is_ok()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A compiled server, and a place for outputs.
struct Scene {
    home: TempDir,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ports/server.c");
        let status = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Wextra", "-O1", "-o"])
            .args([&home.path().join("server"), &source])
            .status()
            .expect("a C compiler");
        assert!(status.success());
        Self { home }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Traces the server, behind `front`, until so many ports were seen; gives what micropacker
    /// said.
    fn trace(&self, front: &[&str], options: &[&str], served: &[&str], seen: usize) -> String {
        let line = [front, &[MICROPACKER]].concat();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).current_dir(&self.home);
        let outputs = [
            "-o",
            "rootfs.tar",
            "--artifacts",
            "out",
            "--journal",
            "journal",
        ];
        command.args(outputs).args(options);
        command.arg("--").arg("./server").args(served);
        let server = Waiting::start(&mut command);
        let deadline = Instant::now() + Duration::from_secs(60);
        let told = || fs::read_to_string(self.at("journal")).expect("a journal");
        while told().matches("\"listened\"").count() < seen {
            assert!(Instant::now() < deadline, "{}", told());
            std::thread::sleep(Duration::from_millis(10));
        }
        let (status, _, said) = server.go_on();
        assert_eq!(status, Some(0), "{said}");
        said
    }

    /// What the Dockerfile says of ports.
    fn dockerfile(&self, directory: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(directory).join("Dockerfile")).expect("written");
        let ports = text
            .lines()
            .filter(|line| line.contains("xpose") || line.contains("EXPOSE"));
        ports.map(str::to_owned).collect()
    }

    /// EXPOSE of the Dockerfile, which is that of the image.
    fn exposed(&self, directory: &str) -> Vec<String> {
        let lines = self.dockerfile(directory);
        let exposed = lines.iter().filter_map(|line| line.strip_prefix("EXPOSE "));
        let exposed: Vec<String> = exposed.map(str::to_owned).collect();
        let config = configuration(&self.at(directory).join("image.tar"));
        let ports = config["config"]["ExposedPorts"].as_object();
        let ports: Vec<String> = ports
            .into_iter()
            .flat_map(|all| all.keys().cloned())
            .collect();
        assert_eq!(ports, exposed);
        exposed
    }

    fn pack(&self, options: &[&str]) {
        let output = Command::new(MICROPACKER)
            .args(["pack", "-o", "packed.tar", "--artifacts", "packed"])
            .args(options)
            .current_dir(&self.home)
            .output()
            .expect("started");
        assert!(output.status.success(), "{output:?}");
    }
}

fn served_ports_are_exposed(options: &[&str]) {
    let scene = Scene::new();
    let [tcp, udp, inner, bound, peer, away] = [(); 6].map(|()| port());
    let mut served = vec!["tcp", "0.0.0.0", &tcp, "tcp", "127.0.0.1", &inner];
    served.extend(["udp", "0.0.0.0", &udp, "taken", "0.0.0.0", &udp]);
    served.extend(["bound", "0.0.0.0", &bound, "peer", "0.0.0.0", &peer]);
    served.extend(["tcp", "0.0.0.0", "0", "udp", "0.0.0.0", "0"]);
    let udp_counts = !is_ephemeral(&udp);
    let mut seen = if udp_counts { 3 } else { 2 };
    if has_ipv6() {
        served.extend(["tcp", "::", &tcp]);
        seen += 1;
    }
    if is_root() {
        served.extend(["away", "0.0.0.0", &away]);
    }
    let said = scene.trace(&[], options, &served, seen);
    let mut expected = vec![format!("{tcp}/tcp")];
    expected.extend(udp_counts.then(|| format!("{udp}/udp")));
    expected.sort();
    assert_eq!(scene.exposed("out"), expected);
    let guessed = expected.join(" ");
    assert!(said.contains(&format!("EXPOSE {guessed}")), "{said}");
    let lines = scene.dockerfile("out").join("\n");
    let program = scene.at("server").canonicalize().expect("there");
    let inner = format!(
        "# Not exposed: {} listened on 127.0.0.1:{inner}/tcp",
        program.display()
    );
    assert!(lines.contains(&inner), "{lines}");
    for port in [bound, peer, away] {
        assert!(!lines.contains(&port), "{port}: {lines}");
    }
}

#[test]
fn served_ports_are_exposed_by_notifications() {
    served_ports_are_exposed(&["--engine", "notify"]);
}

#[test]
fn served_ports_are_exposed_by_seccomp_stops() {
    served_ports_are_exposed(&["--engine", "seccomp"]);
}

#[test]
fn served_ports_are_exposed_by_system_call_stops() {
    served_ports_are_exposed(&["--engine", "syscall"]);
}

#[test]
fn served_ports_are_exposed_by_a_tracer_that_is_a_child() {
    served_ports_are_exposed(&["--inverted"]);
}

#[test]
fn ports_of_a_process_that_may_not_be_looked_at_are_exposed() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let hidden = port();
    let served = ["hidden", "0.0.0.0", &hidden];
    scene.trace(&PLAIN_CONTAINER, &[], &served, 1);
    assert_eq!(scene.exposed("out"), [format!("{hidden}/tcp")]);
}

#[test]
fn ports_survive_in_journals_and_reports_and_are_merged() {
    let scene = Scene::new();
    let (one, other) = (port(), port());
    scene.trace(&[], &[], &["tcp", "0.0.0.0", &one], 1);
    fs::rename(scene.at("out/report.json"), scene.at("one.json")).expect("renamed");
    fs::rename(scene.at("journal"), scene.at("one.journal")).expect("renamed");
    scene.trace(&[], &[], &["tcp", "0.0.0.0", &other], 1);
    let mut both = [format!("{one}/tcp"), format!("{other}/tcp")];
    both.sort();
    for inputs in [
        ["-i", "one.json", "-i", "out/report.json"],
        ["-i", "one.journal", "--journal", "journal"],
    ] {
        scene.pack(&inputs);
        assert_eq!(scene.exposed("packed"), both);
    }
}

#[test]
fn the_original_images_configuration_is_not_added_to_and_changes_are() {
    let scene = Scene::new();
    let served = port();
    fs::write(
        scene.at("config.json"),
        r#"{"config": {"ExposedPorts": {"1/tcp": {}}}}"#,
    )
    .expect("written");
    let serve = |options: &[&str]| {
        scene.trace(&[], options, &["tcp", "0.0.0.0", &served], 1);
        fs::remove_file(scene.at("journal")).expect("removed");
        scene.exposed("out")
    };
    assert_eq!(serve(&["--image-config", "config.json"]), ["1/tcp"]);
    assert_eq!(scene.dockerfile("out"), ["EXPOSE 1/tcp"]);
    let more = serve(&["--change", "EXPOSE 1/udp"]);
    assert_eq!(more, ["1/udp".to_owned(), format!("{served}/tcp")]);
    assert_eq!(
        serve(&["--change", "EXPOSE", "--change", "EXPOSE 2"]),
        ["2/tcp"]
    );
}
