//! Named sets of files that an application may need and that a trace may not see, and which of
//! them seem to be needed.

use super::include::take_pattern;
use super::patterns::Patterns;
use super::plan::{Plan, Wish};
use super::programs::{Programs, Setting};
use crate::image_fs::walk;
use crate::image_path::ImagePath;
use crate::recording::Recording;
use std::collections::BTreeSet;

/// A named set (`--preset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// Certificates of the authorities that TLS clients trust.
    CaCertificates,
    /// What name lookups of users, hosts and services read.
    Nss,
    /// Time zones.
    Tzdata,
    /// Locales and character sets of the C library.
    Locales,
    /// Of each Python package that was touched, all files.
    PythonPackage,
}

/// All presets, each with its name on the command line and its patterns.
const PRESETS: [(Preset, &str, &[&str]); 5] = [
    (
        Preset::CaCertificates,
        "ca-certificates",
        &[
            "/etc/ssl/certs",
            "/etc/ssl/cert.pem",
            "/etc/ssl/openssl.cnf",
            "/etc/pki/tls/certs",
            "/etc/pki/tls/cert.pem",
            "/etc/pki/ca-trust/extracted",
            "/usr/lib/ssl",
            "/usr/share/ca-certificates",
            "/usr/local/share/ca-certificates",
        ],
    ),
    (
        Preset::Nss,
        "nss",
        &[
            "/etc/{nsswitch,host,gai}.conf",
            "/etc/{passwd,group,services,protocols,networks}",
            "/{,usr/}lib{,32,64}/libnss_{files,dns,compat}*.so*",
            "/{,usr/}lib/*/libnss_{files,dns,compat}*.so*",
            "/{,usr/}lib{,32,64}/libresolv*.so*",
            "/{,usr/}lib/*/libresolv*.so*",
        ],
    ),
    (
        Preset::Tzdata,
        "tzdata",
        &["/usr/share/zoneinfo", "/etc/localtime", "/etc/timezone"],
    ),
    (
        Preset::Locales,
        "locales",
        &[
            "/usr/lib/locale",
            "/usr/share/i18n",
            "/usr/lib{,64}/gconv",
            "/usr/lib/*/gconv",
            "/usr/share/locale/locale.alias",
            "/etc/{default/locale,locale.conf,locale.alias}",
        ],
    ),
    (Preset::PythonPackage, "python-package", &[]),
];

impl Preset {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        let of = PRESETS.iter().find(|(preset, _, _)| *preset == self);
        of.map_or("", |(_, name, _)| name)
    }

    fn patterns(self) -> Patterns {
        let of = PRESETS.iter().find(|(preset, _, _)| *preset == self);
        // The table's patterns are tested.
        Patterns::new(of.map_or(&[][..], |(_, _, patterns)| patterns)).unwrap_or_default()
    }
}

/// Takes a preset's files. What an image does not have it cannot bring.
pub(super) fn take(plan: &mut Plan, programs: &mut Programs, preset: Preset, setting: &Setting) {
    let wish = Wish::included(&format!("--preset {}", preset.name()));
    let patterns = preset.patterns();
    let mut found = false;
    for pattern in patterns.iter() {
        found |= take_pattern(plan, programs, pattern, &wish, setting);
    }
    if !found && preset != Preset::PythonPackage {
        plan.lose(format!(
            "--preset {}: the image has none of its files: install them in the image, or drop it",
            preset.name()
        ));
    }
}

/// Takes the rest of each Python package that something is shipped of. Call it when all else is
/// planned.
pub(super) fn complete_python(plan: &mut Plan, programs: &mut Programs, setting: &Setting) {
    let wish = Wish::included("--preset python-package");
    let touched: BTreeSet<(ImagePath, Vec<u8>)> =
        plan.entries().keys().filter_map(python_package).collect();
    for (directory, package) in touched {
        let package = String::from_utf8_lossy(&package).into_owned();
        let names = plan.fs.list(&directory).unwrap_or_default();
        for name in names.iter().filter(|name| belongs_to(name, &package)) {
            let Some(path) = directory.join(name) else {
                continue;
            };
            let text = globset::escape(&path.to_string());
            if let Ok(pattern) = Patterns::new([text]) {
                for pattern in pattern.iter() {
                    take_pattern(plan, programs, pattern, &wish, setting);
                }
            }
        }
    }
}

/// The directory of packages that a path lies in, and the package's name in it.
fn python_package(path: &ImagePath) -> Option<(ImagePath, Vec<u8>)> {
    let components: Vec<&[u8]> = path.components().collect();
    let at = components
        .iter()
        .position(|name| matches!(*name, b"site-packages" | b"dist-packages"))?;
    let package = *components.get(at + 1)?;
    // A module of one file is whole, and the marks of an installer are no package.
    let is_package = components.len() > at + 2 && package != b"__pycache__" && !has_mark(package);
    let directory = ImagePath::new([b"/", components[..=at].join(&b'/').as_slice()].concat())?;
    is_package.then(|| (directory, package.to_vec()))
}

fn has_mark(name: &[u8]) -> bool {
    [&b".dist-info"[..], b".egg-info", b".libs"]
        .iter()
        .any(|mark| name.ends_with(mark))
}

/// The package itself, the libraries and the metadata that its installer put beside it (PEP 427:
/// `name-version.dist-info`, with `-` written as `_`).
fn belongs_to(name: &[u8], package: &str) -> bool {
    let name = String::from_utf8_lossy(name)
        .to_lowercase()
        .replace('-', "_");
    let package = package.to_lowercase().replace('-', "_");
    let rest = name.strip_prefix(&package);
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest == ".libs"
            || (rest.starts_with('_')
                && (rest.ends_with(".dist_info")
                    || rest.ends_with(".dist-info")
                    || rest.ends_with(".egg_info")
                    || rest.ends_with(".egg-info")))
    })
}

/// The presets that the application seems to need and that were not asked for, each with the
/// reason.
pub(super) fn suggest(
    plan: &Plan,
    recording: &Recording,
    asked: &[Preset],
) -> Vec<(Preset, &'static str)> {
    let shipped = |path: &str| ImagePath::new(path).is_some_and(|path| plan.contains(&path));
    let there = |path: &str| {
        ImagePath::new(path).is_some_and(|path| walk(plan.fs, &path, true).end.is_ok())
    };
    let missing = |path: &str| there(path) && !shipped(path);
    let entry_named = |starts: &[&str]| {
        plan.entries()
            .keys()
            .filter_map(ImagePath::file_name)
            .any(|name| {
                starts
                    .iter()
                    .any(|start| name.starts_with(start.as_bytes()) && name.contains(&b'.'))
            })
    };
    let below = |place: &str| {
        ImagePath::new(place).is_some_and(|place| {
            let mut below = plan.entries().keys();
            below.any(|path| path.is_at_or_below(&place) && *path != place)
        })
    };
    let variable = |name: &str| {
        let prefix = format!("{name}=");
        let mut env = recording.context.env.iter();
        env.find_map(|variable| variable.strip_prefix(prefix.as_bytes()))
            .filter(|value| !value.is_empty())
    };
    let has_locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| variable(name))
        .any(|value| ![&b"C"[..], b"POSIX", b"C.UTF-8", b"C.utf8"].contains(&value));
    let certificates = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
    ];
    let found = [
        (
            Preset::CaCertificates,
            entry_named(&["libssl.", "libgnutls.", "libmbedtls."])
                && certificates.iter().any(|path| there(path))
                && !certificates.iter().any(|path| shipped(path)),
            "it has a TLS library and no certificates",
        ),
        (
            Preset::Nss,
            shipped("/etc/nsswitch.conf") && (missing("/etc/passwd") || missing("/etc/services")),
            "it looks names up, of some databases only",
        ),
        (
            Preset::Tzdata,
            (variable("TZ").is_some() || below("/usr/share/zoneinfo"))
                && missing("/usr/share/zoneinfo/tzdata.zi"),
            "it uses time zones, and has only those that were used",
        ),
        (
            Preset::Locales,
            has_locale && there("/usr/lib/locale") && !below("/usr/lib/locale"),
            "a locale is set that it has no files of",
        ),
        (
            Preset::PythonPackage,
            plan.entries()
                .keys()
                .any(|path| python_package(path).is_some()),
            "it uses parts of Python packages",
        ),
    ];
    found
        .into_iter()
        .filter(|(preset, needed, _)| *needed && !asked.contains(preset))
        .map(|(preset, _, why)| (preset, why))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_table_is_one() {
        for (preset, name, patterns) in PRESETS {
            assert_eq!(preset.name(), name);
            assert_eq!(preset.patterns().iter().count(), patterns.len(), "{name}");
        }
    }

    #[test]
    fn a_package_is_the_name_below_its_directory() {
        let of = |path: &str| {
            let (directory, name) = python_package(&ImagePath::new(path)?)?;
            Some(format!("{directory} {}", name.escape_ascii()))
        };
        assert_eq!(
            of("/usr/lib/python3/dist-packages/yaml/loader.py").as_deref(),
            Some("/usr/lib/python3/dist-packages yaml")
        );
        for none in [
            "/usr/lib/python3/dist-packages",
            "/usr/lib/python3/dist-packages/six.py",
            "/x/site-packages/__pycache__/six.pyc",
            "/x/site-packages/a-1.dist-info/METADATA",
            "/usr/lib/python3.11/json/decoder.py",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn the_installers_files_belong_to_their_package() {
        for name in [
            "PyYAML",
            "pyyaml-6.0.dist-info",
            "PyYAML-6.0-py3.egg-info",
            "pyyaml.libs",
        ] {
            assert!(belongs_to(name.as_bytes(), "pyyaml"), "{name}");
        }
        for name in ["pyyaml2", "pyyaml_extra", "yaml", "pyyaml.py"] {
            assert!(!belongs_to(name.as_bytes(), "pyyaml"), "{name}");
        }
    }
}
