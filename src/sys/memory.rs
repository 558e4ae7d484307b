//! Running out of memory, as a message and an exit status instead of an abort.

use crate::exit;
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator; when that has nothing left, this process ends as with any failure of
/// ours. What was recorded is in the journal by then.
struct Telling;

#[global_allocator]
static ALLOCATOR: Telling = Telling;

// SAFETY: each call goes to the system's allocator with the same arguments, and its answer is
// given unless it is null, in which case nothing is given.
unsafe impl GlobalAlloc for Telling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        given(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn given(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        const TEXT: &[u8] = b"micropacker: out of memory: give it more (docker run --memory, \
                              ulimit -v); 'micropacker pack --journal FILE' makes the outputs of \
                              what was recorded\n";
        // SAFETY: a live text of that length; neither call comes back to the allocator.
        unsafe {
            libc::write(libc::STDERR_FILENO, TEXT.as_ptr().cast(), TEXT.len());
            libc::_exit(i32::from(exit::OUTPUT));
        }
    }
    block
}
