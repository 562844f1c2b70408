//! A futex call as it came, and its word: whether there is one, what it holds, and until when the call may wait.

use crate::base::kept::Kept;
use crate::base::signal_set::bit;
use crate::hooks::answer::Answer;
use crate::hooks::{memory, moment, real};
use crate::runtime::machine::disposition;
use crate::runtime::machine::parts::Green;
use crate::runtime::{self, Deadline};
use crate::why::Why;
use crate::{arch, sys};
use libc::{c_int, c_long, timespec};
use std::sync::atomic::AtomicU32;

/// The bitset of an operation that has none: it meets every other bitset (FUTEX_BITSET_MATCH_ANY).
pub const ANY: usize = u32::MAX as usize;

/// A futex call as it came. Each argument is a whole register: its use depends on the operation (futex(2)).
#[derive(Clone, Copy)]
pub struct Futex {
    /// The address of the first word.
    pub word: usize,
    /// FUTEX_WAIT and its like, with flags.
    pub operation: usize,
    /// The value that is waited on, or how many waiters are to be woken.
    pub value: usize,
    /// The address of a timespec, or a second count.
    pub time: usize,
    /// The address of the second word.
    pub second: usize,
    /// A bitset, a value to compare, or WAKE_OP's operation.
    pub third: usize,
}

impl Futex {
    /// Makes the call in the kernel as it came, with the slot offered. Returns libc's result, -1 and errno for an error. No
    /// cancellation point.
    ///
    /// # Safety
    /// As the system call.
    pub unsafe fn in_kernel(self) -> Answer<c_long> {
        let Futex { word, operation, value, time, second, third } = self;
        runtime::announce(Why::Futex(word));
        Ok(runtime::block(|| real::syscall(libc::SYS_futex, word, operation, value, time, second, third)))
    }

    /// Has the kernel wake up to `count` more private sleepers on `word`. Returns how many there were; an error counts as none.
    pub unsafe fn wake_in_kernel(self, word: usize, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        let private = libc::FUTEX_WAKE_BITSET | libc::FUTEX_PRIVATE_FLAG;
        let bits = self.bits();
        sys::call(libc::SYS_futex, word, private as usize, count, 0, 0, bits).max(0) as usize
    }

    /// Returns the operation without its flags.
    pub fn command(self) -> c_int {
        self.operation as c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME)
    }

    /// Is this flag (FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME) set in the operation?
    pub fn has(self, flag: c_int) -> bool {
        self.operation as c_int & flag != 0
    }

    /// Returns the bitset of a wait or a wake; ANY for an operation that has none.
    pub fn bits(self) -> usize {
        match self.command() {
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAKE_BITSET => self.third as u32 as usize,
            _ => ANY,
        }
    }

    /// Returns how many waiters a wake is to reach: at least one, for the kernel wakes one for a count of 0, too.
    pub fn count(self) -> usize {
        (self.value as c_int).max(1) as usize
    }
}

/// Is this address none of a futex word: unaligned, or none of user space? The kernel says EINVAL or EFAULT of it before it reads
/// (kernel/futex/core.c, get_futex_key).
pub fn is_misplaced(address: usize) -> bool {
    const USERS_BITS: u32 = 47;
    !address.is_multiple_of(4) || address >> USERS_BITS != 0
}

/// Returns the word's value, or `None` where the address cannot be read. The word is read at once if a fault would come to the
/// runtime's handler, which answers it (`arch::load_word`). Where SIGSEGV or SIGBUS is blocked or ignored, and on foreign threads,
/// the kernel is asked first whether the word is mapped.
pub fn load(word: usize) -> Option<u32> {
    const FAULTS: u64 = bit(libc::SIGSEGV) | bit(libc::SIGBUS);
    let unheard = |me: &Green| (me.mask.get() | disposition::ignored()) & FAULTS;
    if runtime::current().map_or(FAULTS, unheard) == 0 || memory::can_read(word & !7, 8) {
        arch::load_word(word)
    } else {
        None
    }
}

/// Can the futex word not be changed? FUTEX_WAKE_OP is asked to change nothing in it ("or 0"), and to wake at a word of the
/// library's, at which no thread waits. One system call, with no effect on the word.
pub unsafe fn is_read_only(word: usize) -> bool {
    const OR_NOTHING: usize = 2 << 28;
    static NOBODYS: Kept<AtomicU32> = Kept::new(AtomicU32::new(0));
    let operation = libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG;
    sys::call(libc::SYS_futex, NOBODYS.as_ptr() as usize, operation as usize, 0, 0, word, OR_NOTHING) < 0
}

/// Returns until when the call waits: `time` is a length, or with `absolute` a moment of CLOCK_MONOTONIC or, with `realtime`, of
/// CLOCK_REALTIME. A null `time` has no end. Fails with EFAULT for memory that cannot be read, and with EINVAL for a length or moment
/// that is none.
pub unsafe fn deadline(time: *const timespec, absolute: bool, realtime: bool) -> Answer<Deadline> {
    if time.is_null() {
        return Ok(None);
    }
    let time = memory::read(time)?;
    match (absolute, realtime) {
        (false, _) => Ok(moment::after(moment::nanoseconds(&time)?)),
        (true, false) => moment::moment(libc::CLOCK_MONOTONIC, &time),
        (true, true) => moment::moment(libc::CLOCK_REALTIME, &time),
    }
}
