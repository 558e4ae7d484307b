//! What runs beside an application, in its network: waits for ports, makes requests, counts files.
//!
//! Ports are looked up in `/proc/net` (proc(5)); nobody connects to them, so that the application
//! sees no client that is none.

use super::requests::Request;
use crate::sockets::{Socket, sockets};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From one look at the ports to the next.
const BEAT: Duration = Duration::from_millis(50);
/// So long nothing new listens: then all that will have begun to.
const CALM: Duration = Duration::from_millis(400);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// A status line and what comes before it, at most.
const MAX_HEAD: usize = 64 << 10;

/// What is found out; one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Ports that somebody listens on.
    Listening(Vec<u16>),
    /// What a request was answered with.
    Answer {
        /// As in the list.
        request: String,
        /// The status of the answer.
        status: Option<u16>,
        /// Why there is none.
        error: Option<String>,
        /// From the connection to the end of the answer.
        #[serde(default)]
        microseconds: u64,
    },
    /// What a root file system holds.
    Files(Census),
}

/// What a root file system holds, directories and mounts left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// How many files, symlinks included.
    pub files: u64,
    /// How many of them are set-user-ID or set-group-ID.
    pub set_id: u64,
    /// Whether one says which users there are.
    #[serde(default)]
    pub passwd: bool,
    /// Whether one says which groups there are.
    #[serde(default)]
    pub group: bool,
}

/// The addresses on which somebody listens here, by port.
pub fn listeners() -> BTreeMap<u16, SocketAddr> {
    let mut all = BTreeMap::new();
    for table in ["/proc/net/tcp6", "/proc/net/tcp"] {
        let text = fs::read(table).unwrap_or_default();
        for socket in sockets(&text).filter(Socket::listens) {
            all.insert(socket.local.port(), socket.local);
        }
    }
    all
}

/// Waits until one of `ports` listens, any port when there are none, and no other has begun to for
/// a while. Those that do; none when the time is over.
pub fn wait_for_ports(ports: &BTreeSet<u16>, limit: Duration) -> Vec<u16> {
    let began = Instant::now();
    let mut last = (Vec::new(), began);
    while began.elapsed() < limit {
        let now: Vec<u16> = listeners().into_keys().collect();
        let wanted: Vec<u16> = match ports.is_empty() {
            true => now,
            false => now
                .into_iter()
                .filter(|port| ports.contains(port))
                .collect(),
        };
        let all = !ports.is_empty() && wanted.len() == ports.len();
        if all || (!wanted.is_empty() && wanted == last.0 && last.1.elapsed() > CALM) {
            return wanted;
        }
        if wanted != last.0 {
            last = (wanted, Instant::now());
        }
        std::thread::sleep(BEAT);
    }
    Vec::new()
}

/// Makes a request and tells what it was answered with.
pub fn make(request: &Request, port: u16) -> Finding {
    let port = request.port.unwrap_or(port);
    let began = Instant::now();
    let answer = ask(request, port);
    let microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Finding::Answer {
        request: request.to_string(),
        status: answer.as_ref().ok().copied(),
        error: answer.err().map(|error| error.to_string()),
        microseconds,
    }
}

fn ask(request: &Request, port: u16) -> io::Result<u16> {
    let address = listeners().get(&port).copied();
    let address = address.map_or_else(|| (Ipv4Addr::LOCALHOST, port).into(), reachable);
    let mut stream = TcpStream::connect_timeout(&address, SILENCE)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let Request { method, path, .. } = request;
    let length = match method.as_str() {
        "POST" | "PUT" | "PATCH" => "Content-Length: 0\r\n",
        _ => "",
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: micropacker\r\n\
         Accept: */*\r\n{length}Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    let status = loop {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        match status_of(&answer) {
            Some(status) => break status,
            None if read == 0 || answer.len() > MAX_HEAD => {
                return Err(io::Error::other("it does not answer in HTTP"));
            }
            None => {}
        }
    };
    // The application reads what it sends to the end.
    while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
    Ok(status)
}

/// Where a client of this machine finds who listens there.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // It takes IPv4 too, unless it was told not to; ::1 may not be there.
        IpAddr::V6(ip) if ip.is_unspecified() => match has_ipv6() {
            true => Ipv6Addr::LOCALHOST.into(),
            false => Ipv4Addr::LOCALHOST.into(),
        },
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

fn has_ipv6() -> bool {
    let no_flags = SockFlag::empty();
    let can = socket(AddressFamily::Inet6, SockType::Datagram, no_flags, None).is_ok();
    let table = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    can && table.contains("00000000000000000000000000000001")
}

/// The status of the first answer that is final: `None` while its line is not whole.
fn status_of(answer: &[u8]) -> Option<u16> {
    let mut rest = answer;
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let mut words = line.split(' ');
        words
            .next()
            .filter(|version| version.starts_with("HTTP/"))?;
        let status: u16 = words.next()?.parse().ok()?;
        if status >= 200 {
            return Some(status);
        }
        let blank = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        rest = &rest[blank + 4..];
    }
}

/// Counts the files below `root`, on its own file system, but for our own.
pub fn census(root: &Path, own: &Path) -> Census {
    let mut census = Census::default();
    let Ok(top) = fs::symlink_metadata(root) else {
        return census;
    };
    census.passwd = root.join("etc/passwd").exists();
    census.group = root.join("etc/group").exists();
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.dev() != top.dev() || path == own {
                continue;
            }
            if meta.is_dir() {
                pending.push(path);
                continue;
            }
            census.files += 1;
            census.set_id += u64::from(meta.is_file() && meta.mode() & 0o6000 != 0);
        }
    }
    census
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn request(port: u16) -> Request {
        Request {
            method: "GET".to_owned(),
            port: Some(port),
            path: "/".to_owned(),
            expected: None,
        }
    }

    /// A server that answers once.
    fn serve(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        });
        port
    }

    #[test]
    fn the_status_of_the_final_answer_counts() {
        let port = serve("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\n\r\nno");
        let Finding::Answer {
            request,
            status,
            error,
            ..
        } = make(&request(port), 1)
        else {
            panic!("no answer");
        };
        assert_eq!(request, format!("GET :{port}/"));
        assert_eq!((status, error), (Some(404), None));
        assert_eq!(status_of(b"HTTP/1.1 200"), None);
        assert_eq!(status_of(b"-ERR x\r\n"), None);
    }

    #[test]
    fn who_does_not_speak_http_gives_no_status() {
        let port = serve("-ERR unknown command\r\n");
        let Finding::Answer { status, error, .. } = make(&request(port), 1) else {
            panic!("no answer");
        };
        assert_eq!(status, None);
        assert!(error.expect("a reason").contains("HTTP"));
    }

    #[test]
    fn ports_are_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        assert_eq!(
            wait_for_ports(&[port].into(), Duration::from_secs(60)),
            [port]
        );
        drop(listener);
        assert!(wait_for_ports(&[port].into(), Duration::ZERO).is_empty());
    }

    #[test]
    fn files_are_counted_without_directories_and_our_own() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("a/own")).expect("made");
        for name in ["a/x", "a/s", "a/own/z"] {
            fs::write(at(name), "").expect("written");
        }
        fs::set_permissions(at("a/s"), fs::Permissions::from_mode(0o4755)).expect("set");
        std::os::unix::fs::symlink("x", at("a/l")).expect("linked");
        fs::create_dir(at("etc")).expect("made");
        fs::write(at("etc/passwd"), "").expect("written");
        let expected = Census {
            files: 4,
            set_id: 1,
            passwd: true,
            group: false,
        };
        assert_eq!(census(place.path(), &at("a/own")), expected);
    }
}
