//! Scattered transfers that go on after a part, with the rest of an iovec.

use crate::hooks::io::attempt::{Attempt, Blocking};
use crate::hooks::io::kernel::WOULD_BLOCK;
use libc::{c_int, iovec};

/// The length in bytes to which the kernel cuts longer transfers (MAX_RW_COUNT in linux/fs.h).
pub const MOST_AT_ONCE: usize = 0x7fff_f000;

/// The rest of a scattered transfer, which leaves the program's array as it is: the rest of the vector that was cut goes alone, the
/// following ones from their own place. Made after the kernel has taken the array once, so it can be read; a program that unmaps it
/// meanwhile crashes here where the kernel would say EFAULT.
pub struct IovecTail {
    /// The first vector of the program's array that is not done.
    at: *const iovec,
    /// How many vectors are left, that one among them.
    count: usize,
    /// How many bytes of the first vector are done: less than its length.
    cut: usize,
    /// Room for the rest of the first vector, to which `vectors` points.
    tail: iovec,
}

impl IovecTail {
    /// Begins with the whole array of `count` vectors, of which `done` bytes have been transferred.
    ///
    /// # Safety
    /// `iov` has `count` vectors that can be read, as long as the result is used.
    pub unsafe fn new(iov: *const iovec, count: usize, done: usize) -> IovecTail {
        let mut rest = IovecTail { at: iov, count, cut: 0, tail: iovec { iov_base: std::ptr::null_mut(), iov_len: 0 } };
        rest.skip(done);
        rest
    }

    /// Is anything left?
    pub fn any(&self) -> bool {
        self.count > 0
    }

    /// Counts another `done` bytes as transferred.
    ///
    /// # Safety
    /// As for `new`.
    pub unsafe fn skip(&mut self, done: usize) {
        self.cut += done;
        while self.count > 0 && self.cut >= (*self.at).iov_len {
            self.cut -= (*self.at).iov_len;
            self.at = self.at.add(1);
            self.count -= 1;
        }
    }

    /// Returns the vectors to hand over next: the rest of the one that was cut, alone, or all that are left.
    ///
    /// # Safety
    /// As for `new`.
    pub unsafe fn vectors(&mut self) -> &[iovec] {
        if self.cut == 0 {
            return std::slice::from_raw_parts(self.at, self.count);
        }
        let first = *self.at;
        self.tail = iovec { iov_base: first.iov_base.wrapping_byte_add(self.cut), iov_len: first.iov_len - self.cut };
        std::slice::from_ref(&self.tail)
    }

    /// Moves the rest as far as it goes; returns how many bytes that was. Parks between the tries. Ends where poll says one of
    /// `stop`, and at an error, a timeout or a handler: none of these is told, for the transfer has a part to report, and the next
    /// call finds the error. A cancellation does not return, and the part is not told.
    ///
    /// `call` gets the number to use, the vectors, and whether the kernel may wait; it returns the kernel's result. Where poll says
    /// "ready" and the call says "would block" the kernel gets the call, and its answer is the last one.
    ///
    /// # Safety
    /// As for `new`, and that of the call.
    pub unsafe fn push(
        &mut self,
        attempt: &mut Attempt,
        stop: u32,
        mut call: impl FnMut(c_int, &[iovec], Blocking) -> isize,
    ) -> usize {
        let mut total = 0;
        // After a transfer that was cut short there is nothing to be had; after a whole transfer there may be.
        let mut short = true;
        while self.any() && attempt.may_go_on() {
            let Ok(seen) = (if short { attempt.again() } else { Ok(attempt.look()) }) else { break };
            if seen & stop != 0 {
                break;
            }
            let offered: usize = self.vectors().iter().map(|vector| vector.iov_len).sum();
            let mut moved = call(attempt.fd(), self.vectors(), Blocking::No);
            if moved == WOULD_BLOCK {
                if seen == 0 {
                    short = true;
                    continue;
                }
                let vectors = self.vectors();
                moved = attempt.leave_to_kernel(|fd, blocking| call(fd, vectors, blocking));
            }
            if moved <= 0 {
                break;
            }
            short = (moved as usize) < offered;
            self.skip(moved as usize);
            total += moved as usize;
        }
        total
    }
}
