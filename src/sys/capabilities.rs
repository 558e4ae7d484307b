//! capget(2) and capset(2).

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

/// Puts all capabilities that this thread is permitted into effect. What is not permitted stays
/// out, so failing changes nothing.
pub fn raise_permitted_capabilities() {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: header and data are live locals of the layout that version 3 asks for.
    unsafe {
        if libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) != 0 {
            return;
        }
        for half in &mut data {
            half.effective = half.permitted;
        }
        libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr());
    }
}
