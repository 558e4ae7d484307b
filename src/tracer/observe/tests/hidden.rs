//! Processes that may not be looked at.

use super::*;

#[test]
fn what_may_not_be_looked_at_is_a_loss() {
    let mut scene = Scene::new(files());
    scene.observer.tracees.forbidden = true;
    let listed = scene.call("getdents64", &[4]);
    assert!(
        listed[0].starts_with("lost directories of an unknown program (getdents64)"),
        "{listed:?}"
    );
    let path = scene.path("data");
    assert_eq!(scene.call("openat", &[7, path, 0]).len(), 1);
    let told = scene.open("data", libc::O_RDONLY);
    assert!(
        told[0].starts_with("lost relative paths of an unknown program (openat)"),
        "{told:?}"
    );
}

#[test]
fn a_program_that_may_not_be_looked_at_may_have_had_any_environment() {
    let mut scene = Scene::new(files());
    scene.observer.tracees.forbidden = true;
    let path = scene.path("/bin/tool");
    scene.call("execve", &[path, 0, 0]);
    scene.observer.on_hidden_exec(TID, TID);
    let told = scene.told();
    assert!(
        told.len() == 1 && told[0].starts_with("lost the environment of /bin/tool"),
        "{told:?}"
    );
}

#[test]
fn a_hidden_process_is_where_it_was_last_seen() {
    let mut scene = Scene::new(files().directory("/yard/sub").file("/yard/sub/x", ""));
    scene.observer.before_hiding(TID);
    scene.observer.tracees.forbidden = true;
    assert_eq!(scene.open("data", libc::O_RDONLY), ["used /yard/data"]);
    let path = scene.path("sub");
    scene.call("chdir", &[path]);
    assert_eq!(scene.open("x", libc::O_RDONLY), ["used /yard/sub/x"]);
    // A directory that was entered before is entered again.
    let path = scene.path("/yard");
    scene.call("chdir", &[path]);
    scene.call("chdir", &[path]);
    scene.observer.on_start(6, Some(TID));
    assert!(
        scene
            .observer
            .cwds
            .of(6)
            .is_some_and(|cwd| cwd.as_bytes() == b"/yard")
    );
}

#[test]
fn paths_in_memory_that_may_not_be_read_are_a_loss() {
    let mut scene = Scene::new(files());
    scene.observer.tracees.forbidden = true;
    let told = scene.call("access", &[MAPPED + 1000, 0]);
    assert!(
        told[0].starts_with("lost paths of an unknown program (access)"),
        "{told:?}"
    );
    assert!(scene.call("statx", &[CWD, 0, 0]).is_empty());
}
