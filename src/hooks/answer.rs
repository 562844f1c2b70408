//! The answers of the hooks' handlers: a value, an error number, or "let libc do it". The door (`door.rs`) turns them into what C
//! sees.

/// A handler's answer without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The call fails with this number of errno.h. The row's column FAILS says how C is told: by errno, or by the result.
    Errno(i32),
    /// libc's own function is to be called, with the arguments as they came.
    Libc,
}

/// A handler's answer: `Ok` has the value that C gets.
pub type Answer<T> = Result<T, Miss>;

/// A system call's six arguments.
pub type Arguments = [usize; 6];

/// Returns an error number as an answer, so that `errno(EINVAL)?` reads straight down.
pub fn errno<T>(number: i32) -> Answer<T> {
    Err(Miss::Errno(number))
}

/// Returns a raw system call's result as an answer: values from -4095 to -1 are errors, and a value that `T` cannot hold is EOVERFLOW.
pub fn answer<T: TryFrom<isize>>(result: isize) -> Answer<T> {
    if (-4095..0).contains(&result) {
        return Err(Miss::Errno(-result as i32));
    }
    T::try_from(result).map_err(|_| Miss::Errno(libc::EOVERFLOW))
}

/// Returns the result of one of libc's functions that return their error number, as an answer: 0, or that error.
pub fn code(result: i32) -> Answer<i32> {
    if result == 0 {
        Ok(0)
    } else {
        errno(result)
    }
}
