//! The one line on stderr that tells of a stack overflow, before the signal ends the process as natively. It is put together
//! without allocating: this runs in a signal handler, on a worker's alternate stack.
//!
//! Natively a stack overflow is a bare SIGSEGV. A green thread may have a smaller stack than the program's authors met (`stack_size`), so
//! the line says which thread it was and how large its stack is.

use crate::runtime::machine::parts::Green;
use crate::sys;

/// Writes the line of the running thread to descriptor 2. Called in the handler of the fault, on the worker's alternate stack, once the
/// fault's address is known to lie in the guard of the thread's stack; the default action follows. Takes no lock, and never fails: what
/// cannot be written is lost.
#[cold]
pub fn tell(me: &Green) {
    // SAFETY: only the running thread writes its name.
    let name = unsafe { &*me.thread.name.get() };
    let mut line = Line { bytes: [0; 160], length: 0 };
    line.add(b"greenpatch: stack overflow in green thread ");
    line.add(&digits(me.tid() as usize));
    line.add(b" (");
    line.add(&name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())]);
    line.add(b"): its stack of ");
    line.add(&digits(me.vessel.stack.get().bytes >> 10));
    line.add(b" KiB is used up; give the thread a larger one\n");
    sys::write_all(2, &line.bytes[..line.length]);
}

/// A line in the making: as many bytes as the longest has room for, the rest is cut.
struct Line {
    bytes: [u8; 160],
    length: usize,
}

impl Line {
    /// Adds bytes, but for zeros.
    fn add(&mut self, part: &[u8]) {
        for &byte in part.iter().filter(|&&byte| byte != 0) {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }
}

/// A number's digits, behind zero bytes that `Line` passes over.
fn digits(mut number: usize) -> [u8; 20] {
    let mut digits = [0; 20];
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits
}
