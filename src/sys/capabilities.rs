//! capget(2) and capset(2).

use nix::errno::Errno;

/// `struct __user_cap_header_struct` of <linux/capability.h>.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; two of them hold 64 bits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// CAP_SETGID and CAP_SETUID (<linux/capability.h>).
const SET_IDS: u32 = 1 << 6 | 1 << 7;

fn get() -> nix::Result<(Header, [Data; 2])> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: header and data are live locals of the layout that version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
    Errno::result(result).map(|_| (header, data))
}

/// Whether this thread may take on other user and group IDs.
pub fn may_set_ids() -> bool {
    get().is_ok_and(|(_, data)| data[0].effective & SET_IDS == SET_IDS)
}

/// Takes all capabilities from this thread but the inheritable ones; the ambient ones go with the
/// permitted.
///
/// # Errors
/// None that a kernel of today gives.
pub(super) fn drop_capabilities() -> nix::Result<()> {
    let (header, mut data) = get()?;
    for half in &mut data {
        half.effective = 0;
        half.permitted = 0;
    }
    // SAFETY: header and data are live locals of the layout that version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Puts all capabilities that this thread is permitted into effect. What is not permitted stays
/// out, so failing changes nothing.
pub fn raise_permitted_capabilities() {
    let Ok((header, mut data)) = get() else {
        return;
    };
    for half in &mut data {
        half.effective = half.permitted;
    }
    // SAFETY: header and data are live locals of the layout that version 3 asks for.
    unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
}
