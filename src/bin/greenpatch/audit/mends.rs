//! What to do about a library that blocks: a row a library. Data: a new library is a new line here.
//!
//! The first row counts with whose `library` the library's file name begins (`lib` and all). Wheels carry libraries under names of their
//! own, `libpq-a17e3caa.so.5.17`, or within a module of Python's. What stands between backquotes exists: tests/clients/mends.py looks for
//! each, as a name of Python's (a module, and attributes), or in the headers of C.

/// One piece of advice.
pub struct Mend {
    /// How the library's file name begins.
    pub library: &'static str,
    /// One line for the user.
    pub advice: &'static str,
}

/// Returns one row.
const fn mend(library: &'static str, advice: &'static str) -> Mend {
    Mend { library, advice }
}

/// What to do, by library.
pub const MENDS: &[Mend] = &[
    // Databases.
    mend(
        "libpq",
        "psycopg2: `psycogreen.gevent.patch_psycopg()` under gevent, or `psycopg.AsyncConnection`; in C: `PQsendQuery`, `PQconsumeInput`",
    ),
    mend("_psycopg", "`psycopg.AsyncConnection`; under gevent psycopg 3 yields once `gevent.monkey.patch_all()` was called first"),
    mend("libmariadb", "`pymysql` under gevent, `aiomysql` under asyncio; in C: `mysql_real_query_start` and its like"),
    mend("libmysqlclient", "`pymysql` under gevent, `mysql.connector.aio` or `aiomysql` under asyncio; in C: mysql_real_query_nonblocking"),
    mend("_mysql_connector", "`mysql.connector.connect`(use_pure=True) under gevent, `mysql.connector.aio` or `aiomysql` under asyncio"),
    mend("libtdsodbc", "a thread pool: FreeTDS waits in poll"),
    mend("libct.so", "a thread pool: FreeTDS waits in poll"),
    mend("libsybdb", "a thread pool; `pymssql.set_wait_callback` under gevent"),
    mend("_mssql", "`pymssql.set_wait_callback` under gevent (queries; connecting blocks); a thread pool otherwise"),
    mend("libodbc", "a thread pool: an ODBC driver waits as it likes"),
    mend("psqlodbc", "a thread pool: an ODBC driver waits as it likes"),
    mend("libfbclient", "a thread pool: Firebird's client waits in poll"),
    mend("libmongoc", "a thread pool (`mongoc_client_pool_new`); in Python: `pymongo.AsyncMongoClient`, or pymongo under gevent"),
    mend("libsqlite3", "a thread pool: SQLite waits for locks by sleeping"),
    mend("__init__.cpython", "apsw: a thread pool: SQLite waits for locks by sleeping"),
    mend("libdb-", "a thread pool, or `DB_LOCK_NOWAIT`: Berkeley DB waits for locks"),
    mend("_berkeleydb", "a thread pool, or `DB_LOCK_NOWAIT`: Berkeley DB waits for locks"),
    mend("liblmdb", "a thread pool for writers: LMDB has one writer at a time; `MDB_NOLOCK` where the program locks itself"),
    mend("libhiredis", "`redisAsyncConnect` in C; in Python: `redis.asyncio`, or redis under gevent"),
    mend("libmemcached", "`pymemcache.client.base.Client` under gevent; in threads otherwise"),
    mend("libldap", "`ldap3` under gevent; python-ldap in a thread pool; in C: `ldap_search_ext` and `ldap_result` that polls"),
    // Messages.
    mend("libzmq", "`zmq.green` under gevent, `zmq.asyncio` under asyncio; in C: `zmq_getsockopt` of `ZMQ_FD` and `ZMQ_DONTWAIT`"),
    mend("librdkafka", "poll with timeout 0 from the loop, or a thread pool; `confluent_kafka.aio.AIOConsumer` under asyncio"),
    mend("librabbitmq", "`pika.adapters.asyncio_connection.AsyncioConnection` in Python; in C: `amqp_consume_message` with a timeout of 0"),
    mend("libmosquitto", "`mosquitto_loop_start` (a thread of its own), or `mosquitto_socket` and `mosquitto_loop_read` from the loop"),
    mend("libpaho-mqtt", "`MQTTAsync_connect` (libpaho-mqtt3a)"),
    mend("libnats", "`natsConnection_Subscribe` (callbacks in its own threads), or a thread"),
    mend("libnanomsg", "`nn_getsockopt` of `NN_RCVFD` and `NN_DONTWAIT`, or a thread"),
    mend("_nng", "`pynng.Socket.arecv` and `pynng.Socket.asend` under asyncio or trio; a thread otherwise"),
    mend("libpulsar", "`pulsar.asyncio.Client` under asyncio; a thread pool otherwise"),
    mend("libgearman", "`gearman_client_add_options` with `GEARMAN_CLIENT_NON_BLOCKING`, or a thread"),
    mend("libgrpc", "a completion queue in a thread of its own; in Python: `grpc.aio`, or `grpc.experimental.gevent.init_gevent()`"),
    mend("cygrpc", "`grpc.aio` under asyncio; `grpc.experimental.gevent.init_gevent()` under gevent"),
    mend("libdbus", "`dbus_connection_send_with_reply` and `dbus_pending_call_set_notify`"),
    mend("libtirpc", "a thread pool: Sun RPC's clients wait for each answer"),
    // The network.
    mend("libcurl", "`curl_multi_socket_action` in C; in Python: `pycurl.CurlMulti`, or a thread pool"),
    mend("pycurl", "`pycurl.CurlMulti`, or a thread pool"),
    mend("libneon", "a thread pool: neon waits for each answer"),
    mend("libssh2", "`libssh2_session_set_blocking`(session, 0); in Python: `ssh2.session.Session.set_blocking`(False), or a thread pool"),
    mend("libssh", "`ssh_set_blocking`(session, 0); in Python: `ssh.session.Session.set_blocking`(0), or a thread pool"),
    mend("libgit2", "a thread pool: libgit2 waits for the network"),
    mend("libgnutls", "descriptors with `O_NONBLOCK`: `GNUTLS_E_AGAIN` comes back, and `gnutls_record_get_direction` tells for what"),
    mend("libcrypto", "descriptors with `O_NONBLOCK` (`BIO_set_nbio`): then `SSL_ERROR_WANT_READ` comes back"),
    mend("libssl", "descriptors with `O_NONBLOCK` (`BIO_set_nbio`): then `SSL_ERROR_WANT_READ` comes back"),
    mend("libnetsnmp", "`snmp_async_send` and `snmp_select_info` from the loop"),
    mend("libmodbus", "a thread pool: libmodbus waits in select"),
    mend("libresolv", "an asynchronous resolver (c-ares: `pycares`, `aiodns`; gevent's own)"),
    // Python itself.
    mend("_socket", "`gevent.monkey.patch_all()` before all imports; under asyncio the driver's async form, or `asyncio.to_thread`"),
    mend("select.", "`gevent.monkey.patch_all()` before all imports; under asyncio the driver's async form, or `asyncio.to_thread`"),
    mend("fcntl", "`LOCK_NB` and another try later, or `asyncio.to_thread`"),
    mend("python", "`asyncio.sleep`, `asyncio.to_thread`; under gevent: `gevent.monkey.patch_all()` before anything is imported"),
    mend("libpython", "`asyncio.sleep`, `asyncio.to_thread`; under gevent: `gevent.monkey.patch_all()` before anything is imported"),
];

/// Returns what to do about a library; `None`: nothing is known of it.
pub fn of(soname: &str) -> Option<&'static str> {
    // Wheels carry libraries under names of their own: libpq-a17e3caa.so.5.17.
    MENDS.iter().find(|mend| soname.starts_with(mend.library)).map(|mend| mend.advice)
}

/// What to do where no row fits.
pub const ANY: &str =
    "call it in a thread (a pool of the loop's), or run the program under `greenpatch run` in threads";
