//! The kernel: the only folder that makes system calls or ends the process.
//!
//! No libc wrapper is called here: those are the hooks themselves. Results are the kernel's own: a negative number is
//! an error number with its sign turned. The clock is the exception: it is read through the vDSO by libc's real
//! `clock_gettime`, whose address the front door leaves in `CLOCK`.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod call;
pub mod descriptor;
pub mod end;
pub mod file;
pub mod filters;
pub mod futex;
pub mod memory;
pub mod older;
pub mod poll;
pub mod process;
pub mod signal;
pub mod task;
pub mod thread;
pub use crate::sys::call::{call, clock_ns, now_ns, timespec, write_all, CLOCK};
pub use crate::sys::descriptor::{
    close, descriptor_limit, duplicate_high, duplicate_onto, epoll_control, event_clear, event_signal, has_descriptors,
    is_same_file, local_connection, readable, shut_down, socket_address, socket_option, socket_peer,
};
pub use crate::sys::end::abort;
pub use crate::sys::file::{allocate, open, read_first, read_link, set_size, unlink};
pub use crate::sys::futex::{futex_wait, futex_wait_shared, futex_wake, futex_wake_shared};
pub use crate::sys::memory::{
    advise, can_read, can_write, fill_above, forbid, has_memory, is_resident, map, map_near, map_shared,
    map_wiped_in_child, may_execute_first_stack, populate, protect_code, read_own_memory, unmap,
};
pub use crate::sys::poll::poll;
pub use crate::sys::process::{
    has_capability, has_children, kernel_thread_id, limit, parent_id, process_fd, process_group, process_id,
    processors, user_id, working_directory, CAP_SYS_NICE,
};
pub use crate::sys::signal::{
    alternate_stack, keep_open, kill_process, pending_for_process, pending_signals, queue_signal_to_process,
    set_signal_mask, signal_action, signal_mask, signal_thread, take_signal, without_kept_open,
};
pub use crate::sys::thread::{
    arm_timer, cpu_ns_of, dispatch_calls, dispatch_off, loosen, nice_of, own_cpu_ns, own_run_delay_ns, policy_of,
    priority_of, processors_of, robust_list, set_nice, set_policy, set_processors, set_robust_list, set_thread_name,
    sleep_until, take_robust_list, thread_name, try_processors, watch_end, yield_processor, Dispatch, Processors,
};
