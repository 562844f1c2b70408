//! Descriptors: epoll, eventfd, duplicates.

use crate::sys::call::{call, checked, plain};
use crate::sys::process::process_id;

/// Both ends of a connection within this machine (127.0.0.0/8, ::1), each one address and port in a word.
pub fn local_connection(fd: i32) -> Option<[u64; 2]> {
    const V6_MAPPED: u32 = 0xffff;
    let end = |number| {
        let mut name = [0u32; 7];
        let mut bytes = std::mem::size_of_val(&name) as u32;
        // SAFETY: the kernel writes at most `bytes` bytes, a sockaddr_in or sockaddr_in6 whole.
        let result =
            unsafe { call(number, fd as usize, name.as_mut_ptr() as usize, &mut bytes as *mut u32 as usize, 0, 0, 0) };
        let address = match name[0] as u16 as i32 {
            libc::AF_INET if result == 0 => u32::from_be(name[1]),
            libc::AF_INET6 if result == 0 && name[2..4] == [0; 2] => match name[4].to_be() {
                0 if name[5].to_be() == 1 => 127 << 24,
                V6_MAPPED => u32::from_be(name[5]),
                _ => return None,
            },
            _ => return None,
        };
        (address >> 24 == 127).then_some((address as u64) << 16 | (name[0] >> 16) as u64)
    };
    Some([end(libc::SYS_getsockname)?, end(libc::SYS_getpeername)?])
}

/// Adds, changes or removes (`operation`: EPOLL_CTL_…) what `epoll` watches `fd` for; `data` comes back with each event. Called under
/// the lock of the descriptor's record, or while the poller is made. Error numbers: EEXIST and ENOENT say what the kernel knows of the
/// descriptor, EPERM that it is a file that cannot be waited for.
pub fn epoll_control(epoll: i32, operation: i32, fd: i32, events: u32, data: u64) -> Result<(), i32> {
    let mut event = libc::epoll_event { events, u64: data };
    let pointer = &mut event as *mut _ as usize;
    // SAFETY: the kernel reads `event`, alive here.
    let result = unsafe { call(libc::SYS_epoll_ctl, epoll as usize, operation as usize, fd as usize, pointer, 0, 0) };
    checked(result).map(|_| ())
}

/// Is this descriptor readable right now? Asked by the monitor of a slot's epoll.
pub fn readable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: the kernel writes into `poll`, which is ours.
    unsafe { call(libc::SYS_poll, &mut poll as *mut _ as usize, 1, 0, 0, 0, 0) > 0 }
}

/// Adds 1 to an eventfd's count, which makes it readable: wakes the worker that sleeps in the epoll that watches it. Any thread, signal
/// handlers too. A count that is full is readable already, so the error is of no account.
pub fn event_signal(fd: i32) {
    let one = 1u64;
    // SAFETY: the kernel reads 8 bytes of `one`.
    unsafe { call(libc::SYS_write, fd as usize, &one as *const _ as usize, 8, 0, 0, 0) };
}

/// Takes an eventfd's count, so that it is no longer readable. Called by the worker that was woken; an empty one (EAGAIN) is left.
pub fn event_clear(fd: i32) {
    let mut count = 0u64;
    // SAFETY: the kernel writes 8 bytes into `count`.
    unsafe { call(libc::SYS_read, fd as usize, &mut count as *mut _ as usize, 8, 0, 0, 0) };
}

/// A duplicate of `fd` at `lowest` or above, closed on exec.
pub fn duplicate_high(fd: i32, lowest: i32) -> Result<i32, i32> {
    checked(plain(libc::SYS_fcntl, [fd as usize, libc::F_DUPFD_CLOEXEC as usize, lowest as usize, 0]))
        .map(|fd| fd as i32)
}

/// Makes `number`, which is in use, another name of what `fd` is.
pub fn duplicate_onto(fd: i32, number: i32) -> Result<(), i32> {
    checked(plain(libc::SYS_dup3, [fd as usize, number as usize, libc::O_CLOEXEC as usize, 0])).map(drop)
}

/// Closes a descriptor of the library's own. The kernel frees the number even where it answers with an error, so none is returned.
pub fn close(fd: i32) {
    plain(libc::SYS_close, [fd as usize, 0, 0, 0]);
}

/// Shuts a socket down in both directions. False: it has no connection, or is no socket.
pub fn shut_down(fd: i32) -> bool {
    plain(libc::SYS_shutdown, [fd as usize, libc::SHUT_RDWR as usize, 0, 0]) == 0
}

/// The number of descriptors this process may have open.
pub fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: the kernel writes into `limit`.
    unsafe { call(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE as usize, 0, &mut limit as *mut _ as usize, 0, 0) };
    limit.rlim_cur
}

/// May this process open so many descriptors more? The kernel is asked which numbers are in use.
pub fn has_descriptors(wanted: usize) -> bool {
    const AT_ONCE: usize = 256;
    let (limit, mut free, mut first) = (descriptor_limit() as usize, 0, 0);
    while first < limit && free < wanted {
        let count = AT_ONCE.min(limit - first);
        let mut numbers: [libc::pollfd; AT_ONCE] =
            std::array::from_fn(|i| libc::pollfd { fd: (first + i) as i32, events: 0, revents: 0 });
        // SAFETY: the kernel writes into `numbers`, which is ours.
        if unsafe { call(libc::SYS_poll, numbers.as_mut_ptr() as usize, count, 0, 0, 0, 0) } < 0 {
            return true; // The kernel does not say: the opens themselves will.
        }
        free += numbers[..count].iter().filter(|number| number.revents & libc::POLLNVAL != 0).count();
        first += count;
    }
    free >= wanted
}

/// Are these two numbers of one open file? (A kernel may be built without the call: no.)
pub fn is_same_file(one: i32, other: i32) -> bool {
    const KCMP_FILE: usize = 0;
    let (process, arguments) = (process_id() as usize, (one as usize, other as usize));
    // SAFETY: the call touches no memory.
    one >= 0 && unsafe { call(libc::SYS_kcmp, process, process, KCMP_FILE, arguments.0, arguments.1, 0) } == 0
}

/// A socket's own address: fills `room` and returns how many bytes the kernel has for it. Fails by the kernel's number.
pub fn socket_address(fd: i32, room: &mut [u8]) -> Result<usize, i32> {
    address_by(libc::SYS_getsockname, fd, room)
}

/// The address of a socket's peer, as `socket_address`, also where getpeername knows none (ENOTCONN): while a socket of the Internet
/// connects, and after its peer has closed or reset the connection.
pub fn socket_peer(fd: i32, room: &mut [u8]) -> Result<usize, i32> {
    const OF_INET6: usize = std::mem::size_of::<libc::sockaddr_in6>();
    const OF_INET: usize = std::mem::size_of::<libc::sockaddr_in>();
    let kept = |bytes: usize, room: &mut [u8]| {
        // The kernel refuses a length that is greater than the address's.
        let mut length = bytes as u32;
        let (place, length) = (room.as_mut_ptr() as usize, &mut length as *mut u32 as usize);
        let (level, name) = (libc::SOL_SOCKET as usize, libc::SO_PEERNAME as usize);
        // SAFETY: the kernel fills so many bytes of the room, which is longer, and the length.
        checked(unsafe { call(libc::SYS_getsockopt, fd as usize, level, name, place, length, 0) }).map(|_| bytes)
    };
    match address_by(libc::SYS_getpeername, fd, room) {
        Err(libc::ENOTCONN) if room.len() >= OF_INET6 => kept(OF_INET6, room).or_else(|_| kept(OF_INET, room)),
        known => known,
    }
}

/// Asks for an address by this system call.
fn address_by(number: libc::c_long, fd: i32, room: &mut [u8]) -> Result<usize, i32> {
    let mut bytes = room.len() as u32;
    let (place, length) = (room.as_mut_ptr() as usize, &mut bytes as *mut u32 as usize);
    // SAFETY: the kernel fills the room and the length.
    checked(unsafe { call(number, fd as usize, place, length, 0, 0, 0) }).map(|_| bytes as usize)
}

/// A socket's option of the level SOL_SOCKET. Fails by the kernel's number: no socket, or no such option.
pub fn socket_option<T: Copy>(fd: i32, name: i32, mut value: T) -> Result<T, i32> {
    let mut bytes = std::mem::size_of::<T>() as u32;
    let (place, length) = (&mut value as *mut T as usize, &mut bytes as *mut u32 as usize);
    // SAFETY: the kernel writes at most so many bytes of a value that may have any.
    let result =
        unsafe { call(libc::SYS_getsockopt, fd as usize, libc::SOL_SOCKET as usize, name as usize, place, length, 0) };
    checked(result).map(|_| value)
}
