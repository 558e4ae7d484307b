//! Package URLs (<https://github.com/package-url/purl-spec>).

use crate::packages::{Ecosystem, LanguagePackage, Manager, Package};
use crate::report::inventory::Distribution;

/// A package of the system.
pub(super) fn of_system(package: &Package, distribution: &Distribution) -> String {
    let (kind, fallback) = match package.manager {
        Manager::Apk => ("apk", "alpine"),
        Manager::Dpkg => ("deb", "debian"),
        Manager::Rpm => ("rpm", "unknown"),
    };
    let vendor = match distribution.id.as_str() {
        "" => fallback,
        "rhel" => "redhat",
        id => id,
    };
    // Of rpm the epoch is a qualifier.
    let (epoch, version) = match package.version.split_once(':') {
        Some((epoch, version)) if package.manager == Manager::Rpm => (epoch, version),
        _ => ("", package.version.as_str()),
    };
    let distro = match distribution.version.as_str() {
        "" => distribution.id.clone(),
        version => format!("{}-{version}", distribution.id),
    };
    let mut url = address(kind, &[vendor], &package.name, version);
    // Sorted by name, as the specification wants it.
    let qualifiers = [
        ("arch", package.arch.as_str()),
        ("distro", &distro),
        ("epoch", epoch),
        ("upstream", &upstream(package)),
    ];
    let mut separator = '?';
    for (name, value) in qualifiers
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
    {
        url.push_str(&format!("{separator}{name}={}", encoded(value)));
        separator = '&';
    }
    url
}

/// The source package, where it is another one.
fn upstream(package: &Package) -> String {
    let (source, version) = (&package.source, &package.source_version);
    match package.manager {
        _ if source.is_empty() => String::new(),
        Manager::Rpm => format!("{source}-{version}.src.rpm"),
        _ if *source == package.name && *version == package.version => String::new(),
        _ if *version == package.version => source.clone(),
        _ => format!("{source}@{version}"),
    }
}

/// A package of a language runtime; one of Java needs its group.
pub(super) fn of_language(package: &LanguagePackage) -> Option<String> {
    let name = package.name.as_str();
    let version = package.version.as_str();
    Some(match package.ecosystem {
        Ecosystem::Java if package.group.is_empty() => return None,
        Ecosystem::Java => address("maven", &[&package.group], name, version),
        Ecosystem::Node => match name.split_once('/') {
            Some((scope, name)) => address("npm", &[scope], name, version),
            None => address("npm", &[], name, version),
        },
        Ecosystem::Python => {
            let name = name.to_ascii_lowercase().replace('_', "-");
            address("pypi", &[], &name, version)
        }
        Ecosystem::Ruby => address("gem", &[], name, version),
    })
}

fn address(kind: &str, namespace: &[&str], name: &str, version: &str) -> String {
    let mut url = format!("pkg:{kind}");
    for part in namespace.iter().chain([&name]) {
        url.push('/');
        url.push_str(&encoded(part));
    }
    if !version.is_empty() {
        url.push('@');
        url.push_str(&encoded(version));
    }
    url
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
