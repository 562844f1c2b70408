//! What /proc shows of threads: the kernel knows no green one.

pub mod path;
pub mod task_file;
pub mod task_list;
pub mod thread_path;
