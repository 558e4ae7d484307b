//! Named sets, and when they are suggested.

use super::*;
use crate::resolve::presets::Preset;

fn image() -> MemFs {
    MemFs::new()
        .file("/etc/ssl/certs/ca-certificates.crt", "x")
        .symlink("/etc/ssl/certs/ab.0", "/usr/share/ca-certificates/a.crt")
        .file("/usr/share/ca-certificates/a.crt", "a")
        .file("/usr/lib/x86_64-linux-gnu/libssl.so.3", "")
        .file("/usr/lib/python3/dist-packages/yaml/__init__.py", "")
        .file("/usr/lib/python3/dist-packages/yaml/deep/more.py", "")
        .file(
            "/usr/lib/python3/dist-packages/yaml-6.dist-info/METADATA",
            "",
        )
        .file("/usr/lib/python3/dist-packages/other/__init__.py", "")
}

fn asking(presets: &[Preset]) -> Case {
    Case::new(image()).options(|options| options.presets = presets.to_vec())
}

fn hints(manifest: &Manifest) -> Vec<&str> {
    let lines = manifest.hints.iter();
    lines.filter_map(|line| line.split(' ').nth(1)).collect()
}

#[test]
fn a_preset_brings_its_files_and_what_their_links_lead_to() {
    let manifest = asking(&[Preset::CaCertificates]).resolve();
    let taken = shipped(&manifest);
    for wanted in [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs/ab.0",
        "/usr/share/ca-certificates/a.crt",
    ] {
        assert!(
            taken.iter().any(|path| path == wanted),
            "{wanted}: {taken:?}"
        );
    }
    assert!(manifest.losses.is_empty(), "{:?}", manifest.losses);
}

#[test]
fn a_preset_without_files_is_told() {
    let manifest = asking(&[Preset::Tzdata]).resolve();
    let told = losses(&manifest);
    assert!(
        told[0].starts_with("--preset tzdata: the image has none"),
        "{told:?}"
    );
}

#[test]
fn a_touched_python_package_comes_whole_and_no_other() {
    let manifest = asking(&[Preset::PythonPackage])
        .opens("/usr/lib/python3/dist-packages/yaml/__init__.py")
        .resolve();
    let taken = shipped(&manifest);
    let has = |name: &str| taken.iter().any(|path| path.ends_with(name));
    assert!(
        has("yaml/deep/more.py") && has("yaml-6.dist-info/METADATA"),
        "{taken:?}"
    );
    assert!(!has("other/__init__.py"), "{taken:?}");
}

#[test]
fn what_seems_to_be_needed_is_suggested_until_it_is_asked_for() {
    let case = || {
        asking(&[])
            .opens("/usr/lib/x86_64-linux-gnu/libssl.so.3")
            .opens("/usr/lib/python3/dist-packages/yaml/__init__.py")
    };
    assert_eq!(
        hints(&case().resolve()),
        ["ca-certificates", "python-package"]
    );
    let manifest = case()
        .options(|options| options.presets = vec![Preset::CaCertificates])
        .resolve();
    assert_eq!(hints(&manifest), ["python-package"]);
    assert!(hints(&asking(&[]).resolve()).is_empty());
}
