//! Completion scripts and manual pages, as shells and man(1) read them.

use assert_cmd::Command;
use std::fs;
use std::process;

fn micropacker(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::cargo_bin("micropacker").expect("the binary");
    let outcome = command.args(arguments).assert().success();
    outcome.get_output().stdout.clone()
}

#[test]
fn bash_loads_the_script_and_completes_options() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let script = place.path().join("micropacker");
    fs::write(&script, micropacker(&["completions", "bash"])).expect("written");
    let asked = r#". "$1"; COMP_WORDS=(micropacker run --art) COMP_CWORD=2
        _micropacker micropacker --art run; echo "${COMPREPLY[@]}""#;
    let outcome = process::Command::new("bash")
        .args(["--norc", "-c", asked, "bash"])
        .arg(&script)
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), "--artifacts\n");
}

#[test]
fn each_subcommand_has_a_page_that_names_its_options() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let directory = place.path().join("man");
    micropacker(&["man", "--all", directory.to_str().expect("UTF-8")]);
    let page = |name: &str| fs::read_to_string(directory.join(name)).expect(name);
    assert!(page("micropacker.1").starts_with(".ie"));
    assert!(page("micropacker-run.1").contains("\\-\\-artifacts"));
    assert!(page("micropacker-pack.1").contains("\\-\\-root"));
    let calls = "\n.SH EXAMPLES\n.nf\nmicropacker man run | man \\-l \\-\n";
    assert!(page("micropacker-man.1").contains(calls));
    assert!(page("micropacker-man.1").ends_with("\n.fi\n"));
    assert!(page("micropacker-run.1").contains("\n.fi\n\n.SH EXIT STATUS\nthe application"));
    let printed = micropacker(&["man", "run"]);
    assert_eq!(printed, page("micropacker-run.1").into_bytes());
    assert!(!directory.join("micropacker-help.1").exists());
}

#[test]
fn a_page_that_is_not_there_is_wrong_usage() {
    let mut command = Command::cargo_bin("micropacker").expect("the binary");
    let outcome = command.args(["man", "build-a-boat"]).assert().code(2);
    let told = String::from_utf8_lossy(&outcome.get_output().stderr).into_owned();
    assert!(told.contains("there are run, build, exec,"), "{told}");
}
