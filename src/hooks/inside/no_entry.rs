// The rows whose functions keep their entry in libc, and why. The entries of all other rows lead to the hook
// (src/hooks/inside/entries.rs), as far as libc has the function: also where libc's function calls other rows' functions (sleep), and for
// aliases.
//
// Readers (src/hooks/inside/entries.rs, the command, the tests) include this file as an expression.
&[
    ("clone", "the real pthread_create and posix_spawn end in it"),
    ("__clone", "as clone"),
    ("dl_iterate_phdr", "for leak checks, which call it by its name; C++ exceptions need it quick"),
    ("clock_gettime", "asked everywhere, the library's own clock too; only a green thread's CPU time differs"),
    ("clock_getres", "as clock_gettime"),
]
