//! Two runs of many processes that use the same files in another order give the same bytes.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Who comes first is chance.
const SCRIPT: &str = "
    for number in 1 2 3 4 5 6 7 8; do
        (
            read word <page-$number
            sed -i s/old/new/ conf-$number
            ln page-$number link-$number
            echo $word >made-$number
            mv page-$number moved-$number
            ls listed; cat listed/*; rm listed/$number
            echo $number >>log
        ) >/dev/null 2>&1 &
    done
    wait
    chmod 700 listed
";

fn make(tree: &Path) {
    fs::create_dir_all(tree.join("listed")).expect("a directory");
    let write = |name: String, text: &str| fs::write(tree.join(name), text).expect("written");
    write("log".to_owned(), "begun\n");
    for number in 1..=8 {
        write(format!("page-{number}"), "page\n");
        write(format!("conf-{number}"), "value=old\n");
        write(format!("listed/{number}"), "listed\n");
    }
    let names = fs::read_dir(tree.join("listed")).expect("listed");
    let names = names.chain(fs::read_dir(tree).expect("listed"));
    let paths = names.map(|entry| entry.expect("an entry").path());
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for path in paths.chain([tree.to_owned()]) {
        let file = File::open(path).expect("there");
        file.set_modified(time).expect("a time");
    }
}

/// An entry: name, header, PAX records, content.
type Entry = (Vec<u8>, Vec<u8>, Vec<(String, Vec<u8>)>, Vec<u8>);

/// All but that of /tmp, whose time others change while this runs.
fn entries(tarball: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(tarball);
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let name = entry.path_bytes().into_owned();
        let header = entry.header().as_bytes().to_vec();
        let records = entry.pax_extensions().expect("records");
        let record = |record: std::io::Result<tar::PaxExtension>| {
            let record = record.expect("a record");
            (
                record.key().expect("text").to_owned(),
                record.value_bytes().to_vec(),
            )
        };
        let records = records.into_iter().flatten().map(record).collect();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        (name, header, records, content)
    });
    entries.filter(|entry| entry.0 != b"tmp/").collect()
}

#[test]
fn a_crowd_of_processes_gives_the_same_bytes_twice() {
    let home = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let place = tempfile::tempdir().expect("a directory");
    let tree = place.path().join("tree");
    let names = ["files.txt", "Dockerfile", "sbom.spdx.json"];
    let mut runs = Vec::new();
    for _ in 0..2 {
        make(&tree);
        // What it lies in is in the image too, with its time.
        let parent = File::open(place.path()).expect("there");
        parent.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
        let output = Command::new(env!("CARGO_BIN_EXE_micropacker"))
            .arg("-o")
            .arg(home.path().join("rootfs.tar"))
            .arg("--artifacts")
            .arg(home.path())
            .args(["--exclude", "/var/tmp"])
            .args(["--", "sh", "-c", SCRIPT])
            .current_dir(&tree)
            .stdin(Stdio::null())
            .output()
            .expect("started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let bytes = |name: &str| fs::read(home.path().join(name)).expect(name);
        runs.push((entries(&bytes("rootfs.tar")), names.map(bytes)));
        fs::remove_dir_all(&tree).expect("removed");
    }
    for (one, other) in runs[0].0.iter().zip(&runs[1].0) {
        assert!(one == other, "{} differs", String::from_utf8_lossy(&one.0));
    }
    assert_eq!(runs[0].0.len(), runs[1].0.len());
    for (index, name) in names.iter().enumerate() {
        assert!(runs[0].1[index] == runs[1].1[index], "{name} differs");
    }
    let shipped = String::from_utf8_lossy(&runs[0].1[0]);
    assert!(shipped.contains("/page-8\n") && shipped.contains("/listed/3\n"));
    assert!(!shipped.contains("made-") && !shipped.contains("moved-"));
}
