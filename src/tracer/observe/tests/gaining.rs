//! Programs that give something to whoever executes them.

use super::*;

#[test]
fn a_set_user_id_program_that_gains_nothing_because_of_us_is_told_with_the_remedy() {
    let fs = MemFs::new().node("/bin/app", crate::image_fs::FileKind::Regular, 0o4755, "");
    let mut scene = Scene::new(fs);
    scene.observer.on_exec(TID, TID);
    assert_eq!(scene.told(), ["started /bin/app"]);
    scene.observer.hindrance.ptrace = true;
    scene.observer.on_exec(TID, TID);
    let told = scene.told();
    assert!(told[0].starts_with("lost what /bin/app would do with its set-user-ID bit"));
    assert!(told[0].contains("--cap-add SYS_PTRACE"), "{told:?}");
    assert!(told[0].ends_with("--keep-setuid"), "{told:?}");
}

#[test]
fn what_is_at_stake_is_told_and_its_start_is_known_when_it_is_let_go() {
    let regular = crate::image_fs::FileKind::Regular;
    let fs = MemFs::new()
        .node("/bin/app", regular, 0o755, "")
        .node("/yard/raised", regular, 0o4755, "")
        .node("/yard/script", regular, 0o4755, "#!/bin/app");
    let mut scene = Scene::new(fs);
    let asks = |scene: &mut Scene, path: &str| {
        let place = Place::at(ImagePath::new(path).expect("absolute"));
        scene.observer.asked.insert(TID, place);
        scene.observer.at_stake(TID)
    };
    assert_eq!(asks(&mut scene, "/bin/app"), None);
    assert_eq!(asks(&mut scene, "/yard/script"), None);
    assert_eq!(asks(&mut scene, "/yard/missing"), None);
    let at_stake = asks(&mut scene, "/yard/raised").expect("a gain");
    scene.observer.on_release(TID, at_stake, "nothing is known");
    let told = scene.told();
    assert!(told[0].starts_with("lost what /yard/raised does untraced"));
    assert_eq!(told[1..], ["started /yard/raised"]);
}
