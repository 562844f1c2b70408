//! What to do about a library that blocks: a row a library. Data: a new library is a new line here.
//!
//! The first row counts whose text the library's file name begins with (`lib` and all), or, for what is called by a Python module, the
//! module's distribution. `*` is for any library, by verdict.

/// One piece of advice.
pub struct Mend {
    /// How the library's file name begins.
    pub library: &'static str,
    /// One line for the user.
    pub advice: &'static str,
}

/// What to do, by library.
pub const MENDS: &[Mend] = &[
    Mend {
        library: "libpq",
        advice: "psycopg2: psycogreen, or psycopg 3's AsyncConnection; in C: PQsetnonblocking and PQconsumeInput",
    },
    Mend {
        library: "libmariadb",
        advice: "PyMySQL or asyncmy; in C: mysql_real_query_start and its like (MariaDB's non-blocking API)",
    },
    Mend { library: "libmysqlclient", advice: "PyMySQL or aiomysql; in C: mysql_real_query_nonblocking" },
    Mend { library: "libhiredis", advice: "hiredis has redisAsyncContext; in Python: redis.asyncio" },
    Mend { library: "libmemcached", advice: "pymemcache under gevent; in threads otherwise" },
    Mend { library: "libldap", advice: "ldap3 or bonsai; python-ldap in a thread pool" },
    Mend {
        library: "libcurl",
        advice: "curl_multi_socket_action in C; in Python: pycurl's CurlMulti, or geventhttpclient",
    },
    Mend { library: "libodbc", advice: "aioodbc, or a thread pool: an ODBC driver waits as it likes" },
    Mend { library: "libtdsodbc", advice: "a thread pool: FreeTDS waits in poll" },
    Mend { library: "libsybdb", advice: "a thread pool; pymssql.set_wait_callback under gevent" },
    Mend { library: "libzmq", advice: "zmq.green under gevent, zmq.asyncio under asyncio" },
    Mend { library: "librdkafka", advice: "poll with timeout 0 from the loop, or a thread pool" },
    Mend { library: "libsqlite3", advice: "a thread pool: SQLite waits for locks by sleeping" },
    Mend { library: "libgrpc", advice: "grpc.aio under asyncio; grpc.experimental.gevent.init_gevent() under gevent" },
    Mend { library: "libresolv", advice: "an asynchronous resolver (c-ares: pycares, aiodns; gevent's own)" },
];

/// Returns what to do about a library; `None`: nothing is known of it.
pub fn of(soname: &str) -> Option<&'static str> {
    // Wheels carry libraries under names of their own: libpq-a17e3caa.so.5.17.
    MENDS.iter().find(|mend| soname.starts_with(mend.library)).map(|mend| mend.advice)
}

/// What to do where no row fits.
pub const ANY: &str =
    "call it in a thread (a pool of the loop's), or run the program under `greenpatch run` in threads";
