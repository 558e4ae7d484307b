//! The tables of calls and numbers agree with each other and with the C library.

use super::*;

#[test]
fn every_number_has_a_call_and_every_call_a_number() {
    let all = [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm];
    for abi in all {
        for (number, name) in abi.numbers() {
            assert!(
                CALLS.iter().any(|call| call.name == *name),
                "{abi:?} {number} {name}"
            );
        }
        assert!(abi.numbers().is_sorted(), "{abi:?}");
    }
    for call in CALLS {
        assert!(
            all.iter()
                .any(|abi| abi.numbers().iter().any(|(_, name)| *name == call.name)),
            "{}",
            call.name
        );
    }
}

#[test]
fn native_numbers_agree_with_the_c_library() {
    let table = Table::new();
    for (number, name) in [
        (libc::SYS_openat, "openat"),
        (libc::SYS_statx, "statx"),
        (libc::SYS_execve, "execve"),
        (libc::SYS_getdents64, "getdents64"),
        (libc::SYS_renameat2, "renameat2"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_seccomp, "seccomp"),
    ] {
        let call = table.call(Abi::HERE[0].audit_arch(), number as u64);
        assert_eq!(call.map(|call| call.name), Some(name));
    }
    assert_eq!(
        table.call(Abi::HERE[0].audit_arch(), libc::SYS_getpid as u64),
        None
    );
}
