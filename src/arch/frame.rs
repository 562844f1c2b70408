//! A signal's frame as the kernel lays it out on x86-64, and how it is moved to another stack (source: the kernel's
//! arch/x86/include/asm/sigframe.h and uapi/asm/sigcontext.h).
//!
//! ```text
//!   top ─► (of an interrupted stack: the red zone is spared)
//!          state: fxsave, and what xsave adds (it says itself how much), at a multiple of 64
//!          note: what our side of the handler keeps, where there is one
//!          siginfo
//!          context: registers, mask, the address of the state
//!   rsp ─► the address of the way back (rt_sigreturn), as if the handler had been called from there
//! ```

use libc::{c_void, siginfo_t, ucontext_t};

/// A frame: where it begins and ends, and its state.
pub struct Frame {
    start: usize,
    bytes: usize,
    state: usize,
    state_bytes: usize,
    context: usize,
    info: usize,
}

/// A place for a frame.
pub struct Room {
    pub start: usize,
    state: usize,
}

impl Frame {
    /// Takes the measure of the frame that a handler was called with.
    ///
    /// # Safety
    /// Both are what the kernel passed to a handler that has not returned.
    pub unsafe fn of(info: *const siginfo_t, context: *const c_void) -> Frame {
        let start = context as usize - size_of::<usize>();
        // SAFETY: the context that the kernel has written into the frame, which stays until the handler returns.
        let state = unsafe { (*(context as *const ucontext_t)).uc_mcontext.fpregs as usize };
        let end = info as usize + size_of::<siginfo_t>();
        // SAFETY: `fpregs` of a frame is null or leads to its state.
        let state_bytes = if state == 0 { 0 } else { unsafe { state_bytes(state) } };
        Frame { start, bytes: end - start, state, state_bytes, context: context as usize, info: info as usize }
    }

    /// Returns the place where the kernel would put the frame below `top`, with so many bytes more.
    pub fn below(&self, top: usize, more: usize) -> Room {
        const OF_STATE: usize = 64;
        const OF_STACK: usize = 16;
        let state = (top - self.state_bytes) & !(OF_STATE - 1);
        Room { start: ((state - self.bytes - more) & !(OF_STACK - 1)) - size_of::<usize>(), state }
    }

    /// Moves the frame to its room, and returns where its siginfo, its context and the room for `more` are then.
    ///
    /// # Safety
    /// The room is free, and `below` has found it.
    pub unsafe fn move_to(&self, room: &Room) -> (*mut siginfo_t, *mut c_void, usize) {
        // SAFETY: state and frame are as long as the kernel's own words in them say; the room, which `below` has measured by the same
        // lengths, lies on another stack that is not in use.
        unsafe {
            std::ptr::copy_nonoverlapping(self.state as *const u8, room.state as *mut u8, self.state_bytes);
            std::ptr::copy_nonoverlapping(self.start as *const u8, room.start as *mut u8, self.bytes);
        }
        let moved = |address: usize| address - self.start + room.start;
        let context = moved(self.context) as *mut ucontext_t;
        if self.state != 0 {
            // SAFETY: the context was copied to this place just now.
            unsafe { (*context).uc_mcontext.fpregs = room.state as *mut _ };
        }
        (moved(self.info) as *mut siginfo_t, context as *mut c_void, room.start + self.bytes)
    }
}

/// Returns how many bytes the state has: more than fxsave's where the kernel's note in it says so.
///
/// # Safety
/// `state` is a frame's.
unsafe fn state_bytes(state: usize) -> usize {
    const FXSAVE_BYTES: usize = 512;
    const SOFTWARE: usize = 464;
    const MAGIC: u32 = 0x4650_5853;
    // SAFETY: the kernel keeps the last 48 of fxsave's 512 bytes for its own note (`_fpx_sw_bytes`), whose first words these are.
    let [magic, extended_bytes] = unsafe { *((state + SOFTWARE) as *const [u32; 2]) };
    if magic == MAGIC {
        extended_bytes as usize
    } else {
        FXSAVE_BYTES
    }
}
