//! How the command ends: its exit statuses, and the sentence that it gives up with.

use std::ffi::c_int;

/// The exit status where the program cannot be preloaded (EX_DATAERR of sysexits.h).
pub const NOT_PRELOADABLE: c_int = 65;
/// The exit status where greenpatch itself failed. This one and the next two are those of env, nice, timeout and their like.
pub const FAILED: c_int = 125;
/// The exit status where the program was found, and cannot be executed.
pub const NOT_EXECUTABLE: c_int = 126;
/// The exit status where the program, its interpreter or its loader was not found.
pub const NOT_FOUND: c_int = 127;

/// The reason why greenpatch gives up: its exit status, and a whole sentence for the user, without the command's name before it.
pub struct Failure(pub c_int, pub String);
