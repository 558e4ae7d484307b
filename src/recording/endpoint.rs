//! Ports that an application serves.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

/// A port at an address: one that was listened on, or that a datagram socket stayed bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its protocol.
    pub protocol: Protocol,
    /// The number, which the application chose itself.
    pub port: u16,
    /// The address that was bound, `0.0.0.0` and `::` for all of them.
    pub address: IpAddr,
}

impl Endpoint {
    /// Whether the outside of a container may reach it: not on the loopback interface, and not
    /// where only a group of listeners is addressed.
    pub fn is_public(&self) -> bool {
        let address = self.address.to_canonical();
        !address.is_loopback() && !address.is_multicast()
    }

    /// As EXPOSE names it: `8080/tcp`.
    pub fn exposed(&self) -> String {
        format!("{}/{}", self.port, self.protocol)
    }
}

/// `0.0.0.0:8080/tcp`, `[::]:53/udp`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = SocketAddr::new(self.address, self.port);
        write!(f, "{address}/{}", self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str) -> Endpoint {
        Endpoint {
            protocol: Protocol::Udp,
            port: 53,
            address: address.parse().expect("an address"),
        }
    }

    #[test]
    fn what_only_the_container_itself_reaches_is_not_public() {
        for address in ["0.0.0.0", "::", "172.17.0.2", "::ffff:10.0.0.1", "fd00::1"] {
            assert!(endpoint(address).is_public(), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "224.0.0.251",
            "ff02::fb",
        ] {
            assert!(!endpoint(address).is_public(), "{address}");
        }
    }

    #[test]
    fn it_is_written_as_addresses_are_and_as_expose_takes_it() {
        assert_eq!(endpoint("0.0.0.0").to_string(), "0.0.0.0:53/udp");
        assert_eq!(endpoint("::").to_string(), "[::]:53/udp");
        assert_eq!(endpoint("::").exposed(), "53/udp");
    }
}
