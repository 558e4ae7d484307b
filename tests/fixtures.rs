//! Each fixture program keeps its own promises when nothing traces it: what a traced run shows beyond that is the tracer's.

mod fixture;

use fixture::Fixture;

fn keeps_its_promises(name: &str) {
    let fixture = Fixture::load(name);
    if let Some(need) = fixture.unmet_need() {
        eprintln!("{name}: not run, no {need} here");
        return;
    }
    let prepared = fixture.prepare();
    let outcome = prepared.run(&[]);
    prepared.assert_as_promised(&outcome, prepared.promised_end());
}

/// A test for each fixture, and one that none is forgotten.
macro_rules! fixtures {
    ($($name:ident)*) => {
        $(#[test] fn $name() { keeps_its_promises(stringify!($name)); })*

        #[test]
        fn every_fixture_is_run() {
            assert_eq!(fixture::names(), [$(stringify!($name)),*]);
        }
    };
}

fixtures! {
    bad_pointers
    change_content
    change_metadata
    change_names
    change_originals
    chdir_relative
    chroot_open
    clone3
    create_files
    daemon
    dynamic_32_bit
    exec_from_thread
    execveat
    exit_realtime_signal
    exit_signal
    exit_status
    fchdir_relative
    fork_storm
    fuse_server
    group_stop
    int80_open
    io_uring
    keep_capabilities
    links
    list_directory
    long_path
    looks
    missing
    no_children
    odd_names
    open_calls
    orphan
    own_filter_after_drop
    own_filter_before_drop
    own_filter_errno
    own_filter_kinds
    own_filter_trace
    own_listener
    own_tracer
    page_crossing
    page_edge
    passed_dirfd
    prefix
    private_mounts
    proc_self_fd
    realtime_signal
    rewritten_path
    script_chain
    script_relative
    set_user_id_from_thread
    setuid_drop
    setuid_worker
    shared_cwd
    sigkill_storm
    signal_counter
    sigterm_reader
    threads
    unix_connect
    unreadable_program
    untraced_child
    vfork_exec
    zombie_leader
}
