//! The threads in /proc, where the kernel shows kernel threads only.
//!
//! Four files, from the ground up: `thread_path` reads paths that name a thread; `task_list` lists the threads; `task_file` makes a
//! thread's files; `path` asks about a path.
//!
//! | asked for | shown |
//! |---|---|
//! | `comm`, `stat`, `status` of a green thread | made anew: `task_file` |
//! | another file or folder of a green thread's | the stand-in's, a kernel thread of the process's: `thread_path`, `path`, `task_file` |
//! | the process's `task` folder | the green threads, and kernel threads that are not the library's: `task_list` |
//! | `thread-self` | the caller's, for a green thread |

pub mod path;
pub mod task_file;
pub mod task_list;
pub mod thread_path;
