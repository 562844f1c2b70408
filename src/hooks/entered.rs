// The rows whose functions have an entry in libc that leads to the hook (src/hooks/entries.rs); aliases of these (rows that name the same
// handler) have the same entry, and functions that libc makes of these (sleep, fgets, getaddrinfo, …) come to it from the inside.
//
// Not here: what the child that posix_spawn makes calls on its parent's memory (dup2, sigaction, sigprocmask, …), and what
// libc's helper threads are made of (pthread_create).
//
// Readers (src/hooks/entries.rs, the command, the tests) include this file as an expression.
&[
    // io
    "read", "readv", "write", "writev", "pread", "preadv", "preadv2", "pwrite", "pwritev", "pwritev2", "sendfile", "splice", "tee",
    "vmsplice", "copy_file_range",
    // net
    "recv", "recvfrom", "recvmsg", "recvmmsg", "send", "sendto", "sendmsg", "sendmmsg", "connect", "accept", "accept4", "shutdown",
    // poll
    "poll", "ppoll", "select", "pselect", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    // fd
    "close", "socket", "socketpair", "setsockopt", "fcntl", "ioctl", "open", "openat", "creat", "fclose", "tcdrain",
    // time
    "nanosleep", "clock_nanosleep", "pause",
    // thread
    "pthread_setcancelstate",
    // process
    "wait4", "waitid",
    // signal
    "sigsuspend", "sigtimedwait",
]
