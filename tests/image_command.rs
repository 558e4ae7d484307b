//! `micropacker image`, and the image's configuration that `run` is given, by the real binary.

mod tarballs;

use assert_cmd::Command;
use std::fs::{self, File};
use tarballs::configuration;
use tempfile::TempDir;

const INSPECT: &str = r#"[{"Architecture": "arm64", "Variant": "v8", "Os": "linux", "Config": {
    "User": "7:8", "Env": ["PATH=/usr/bin:/bin", "A=original"], "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ["echo started"], "WorkingDir": "/srv", "Labels": {"l": "v"}, "StopSignal": "SIGINT",
    "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
    "Healthcheck": {"Test": ["CMD", "true"], "Retries": 2}}}]"#;

fn micropacker() -> Command {
    let mut command = Command::cargo_bin("micropacker").expect("the binary");
    command.timeout(std::time::Duration::from_secs(60));
    command
}

fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    fs::write(place.path().join("inspect.json"), INSPECT).expect("written");
    let tarball = File::create(place.path().join("rootfs.tar")).expect("made");
    let mut builder = tar::Builder::new(tarball);
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    header.set_cksum();
    builder
        .append_data(&mut header, "x", &b"x\n"[..])
        .expect("appended");
    builder.finish().expect("finished");
    place
}

#[test]
fn the_original_images_configuration_is_taken_over_and_changed() {
    let place = place();
    micropacker()
        .current_dir(&place)
        .args(["image", "--image-config", "inspect.json", "--tag", "app"])
        .args(["--change", "ENV B=2", "--change", "USER nobody"])
        .assert()
        .success();
    let image = configuration(&place.path().join("image.tar"));
    assert_eq!(image["architecture"], "arm64");
    let start = &image["config"];
    assert_eq!(start["User"], "nobody");
    assert_eq!(start["Entrypoint"], serde_json::json!(["/bin/sh", "-c"]));
    assert_eq!(start["Cmd"], serde_json::json!(["echo started"]));
    assert_eq!(
        start["Env"],
        serde_json::json!(["PATH=/usr/bin:/bin", "A=original", "B=2"])
    );
    assert_eq!(start["StopSignal"], "SIGINT");
    assert_eq!(start["Labels"]["l"], "v");
    assert!(start["ExposedPorts"]["80/tcp"].is_object());
    assert!(start["Volumes"]["/data"].is_object());
    assert_eq!(start["Healthcheck"]["Retries"], 2);
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_written() {
    let place = place();
    fs::write(place.path().join("none.json"), "[]").expect("written");
    for (arguments, named) in [
        (vec!["--image-config", "absent.json"], "absent.json"),
        (vec!["--image-config", "none.json"], "it holds 0 images"),
        (vec!["--change", "FROM x"], "--change \"FROM x\""),
        (vec!["--rootfs", "absent.tar"], "absent.tar"),
    ] {
        let outcome = micropacker()
            .current_dir(&place)
            .arg("image")
            .args(&arguments)
            .assert()
            .code(2);
        let told = String::from_utf8_lossy(&outcome.get_output().stderr).into_owned();
        assert!(told.contains(named), "{arguments:?}: {told}");
        assert!(!place.path().join("image.tar").exists(), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_no_tarball_makes_no_image() {
    let place = place();
    fs::write(place.path().join("rootfs.tar"), vec![b'x'; 2000]).expect("written");
    micropacker()
        .current_dir(&place)
        .arg("image")
        .assert()
        .code(125);
    assert!(!place.path().join("image.tar").exists());
}

#[test]
fn the_images_own_command_is_traced_and_the_runs_variables_stay_out() {
    let place = place();
    let outcome = micropacker()
        .current_dir(&place)
        .env("GIVEN_AT_RUN_TIME", "1")
        .args(["--image-config", "inspect.json", "--artifacts", "out"])
        .assert()
        .success();
    assert_eq!(outcome.get_output().stdout, b"started\n");
    let image = configuration(&place.path().join("out/image.tar"));
    assert_eq!(
        image["config"]["Env"],
        serde_json::json!(["PATH=/usr/bin:/bin", "A=original"])
    );
    let dockerfile = fs::read_to_string(place.path().join("out/Dockerfile")).expect("text");
    assert!(dockerfile.contains("HEALTHCHECK --retries=2 CMD [\"true\"]"));
    assert!(dockerfile.contains("EXPOSE 80/tcp"));
}

/// What the tools print of one image, as they printed it.
#[test]
fn what_each_tool_tells_of_an_image_is_taken_over() {
    use micropacker::pack::{Health, ImageConfig, parse_image_config};
    let read = |text: &str| parse_image_config(text.as_bytes()).expect("an image");
    let docker = read(include_str!("inspected/docker-20.10.json"));
    let health = Health {
        test: ["CMD-SHELL", "test -e /x && true"]
            .map(str::to_owned)
            .into(),
        interval: 90_000_000_000,
        timeout: 2_000_000_000,
        start_period: 5_000_000_000,
        retries: 4,
        ..Health::default()
    };
    assert_eq!(docker.health.as_ref(), Some(&health));
    assert_eq!(docker.shell, ["/bin/bash", "-c"]);
    assert_eq!(docker.on_build, ["RUN echo built", "COPY . /src"]);
    assert_eq!(docker.user.as_deref(), Some("app:www"));
    assert_eq!(docker.stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!(docker.cmd[2], b"echo \"shell form\"");
    assert_eq!((docker.exposed_ports.len(), docker.volumes.len()), (2, 1));

    let raw = read(include_str!("inspected/skopeo-config-raw.json"));
    assert_eq!(raw, docker);
    // These two have no words for what OCI does not know.
    let without_builders = ImageConfig {
        shell: Vec::new(),
        on_build: Vec::new(),
        ..docker
    };
    let podman = read(include_str!("inspected/podman-4.3.json"));
    assert_eq!(podman, without_builders);
    let skopeo = read(include_str!("inspected/skopeo-config.json"));
    assert_eq!(
        skopeo,
        ImageConfig {
            health: None,
            ..without_builders
        }
    );
}

#[test]
fn a_compressed_image_is_smaller_and_has_the_same_id() {
    let place = place();
    let configs = ["none", "gzip", "zstd"].map(|compression| {
        let name = format!("{compression}.tar");
        for name in [&name, "again.tar"] {
            micropacker()
                .current_dir(&place)
                .args(["image", "--image-config", "inspect.json", "-o", name])
                .args(["--compress", compression])
                .assert()
                .success();
        }
        let read = |name: &str| fs::read(place.path().join(name)).expect("an image");
        assert!(read(&name) == read("again.tar"), "{compression}");
        configuration(&place.path().join(name))
    });
    assert_eq!(configs[0], configs[1]);
    assert_eq!(configs[0], configs[2]);
}
