"""servers: what the clients of scripts/clients wait for, on loopback: stubs that fall silent, and servers of Debian's packages.

A stub accepts, gives the answers that its script has, one for each time that something comes, and then says nothing for `HOLD_S`; then
it closes. A real server has its data in a folder of its own, and is killed at the end. A paused one is stopped by SIGSTOP while its
client waits.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

# How long a client waits, in seconds.
HOLD_S = 1.2


def free_port():
    """A port that no other process is given for a minute: a connection on it lingers, which keeps the kernel from choosing it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            accepted.close()
    return port


# What stubs say, one after the other, each after something came from the client. `None`: nothing, but go on.


def ber(tag, content):
    return bytes([tag, len(content)]) + content


def ldap(request):
    """LDAP: a bind succeeds (RFC 4511, BindResponse), with the number of the request's message."""
    number = request[4:5]
    return ber(0x30, ber(2, number) + ber(0x61, ber(10, b"\0") + ber(4, b"") + ber(4, b"")))


def mongo_hello(request):
    """MongoDB: what a lone server answers to hello, as OP_MSG or as OP_REPLY, to the request's number."""

    def element(kind, name, value):
        return bytes([kind]) + name + b"\0" + value

    def boolean(name, value):
        return element(8, name, bytes([value]))

    def int32(name, value):
        return element(16, name, struct.pack("<i", value))

    body = b"".join([
        boolean(b"helloOk", 1), boolean(b"ismaster", 1), boolean(b"isWritablePrimary", 1), int32(b"minWireVersion", 0),
        int32(b"maxWireVersion", 17), int32(b"maxBsonObjectSize", 16777216), int32(b"maxMessageSizeBytes", 48000000),
        int32(b"maxWriteBatchSize", 100000), element(1, b"ok", struct.pack("<d", 1.0)),
    ])
    document = struct.pack("<i", len(body) + 5) + body + b"\0"
    _, number, _, opcode = struct.unpack("<iiii", request[:16])
    if opcode == 2004:
        answer, kind = struct.pack("<iqii", 8, 0, 0, 1) + document, 1
    else:
        answer, kind = struct.pack("<i", 0) + b"\0" + document, 2013
    return struct.pack("<iiii", 16 + len(answer), 1, number, kind) + answer


def is_mongo_hello(request):
    return b"ismaster" in request or b"isMaster" in request or b"hello\0" in request


def mongo(request):
    return mongo_hello(request) if is_mongo_hello(request) else b""


def amqp_method(channel, body):
    return b"\1" + struct.pack(">HI", channel, len(body)) + body + b"\xce"


AMQP_START = amqp_method(0, struct.pack(">HHBB", 10, 10, 0, 9) + struct.pack(">I", 0) + struct.pack(">I", 5) + b"PLAIN" +
                         struct.pack(">I", 5) + b"en_US")
AMQP_TUNE = amqp_method(0, struct.pack(">HHHIH", 10, 30, 100, 131072, 0))
AMQP_OPEN_OK = amqp_method(0, struct.pack(">HHB", 10, 41, 0))
AMQP_CHANNEL_OK = amqp_method(1, struct.pack(">HHI", 20, 11, 0))


def tds_login(_):
    """TDS: a login succeeds (MS-TDS, LOGINACK and DONE), version 7.1."""
    name = "stub".encode("utf-16-le")
    ack = b"\1" + b"\x71\0\0\1" + bytes([len(name) // 2]) + name + b"\x0a\0\0\0"
    tokens = b"\xad" + struct.pack("<H", len(ack)) + ack + b"\xfd" + struct.pack("<HHI", 0, 0, 0)
    return b"\4\1" + struct.pack(">H", len(tokens) + 8) + b"\0\0\1\0" + tokens


def tds(request):
    """TDS: a pre-login is answered (no encryption, version 7), then the login."""
    if request[:1] == b"\x12":
        options = b"\0\0\x0b\0\6" + b"\1\0\x11\0\1" + b"\xff" + b"\7\0\0\0\0\0" + b"\2"
        return b"\4\1" + struct.pack(">H", len(options) + 8) + b"\0\0\1\0" + options
    return tds_login(request) if request[:1] == b"\x10" else b""


# The stubs: what is said at once, and then, for each time that something comes: bytes, or a function of what came. Only the last stays.
STUBS = {
    "silent": (b"", []),
    "ldap": (b"", [ldap]),
    "mongo": (b"", [mongo, mongo, mongo, mongo]),
    "tds": (b"", [tds, tds]),
    "amqp": (b"", [AMQP_START, AMQP_TUNE, b"", AMQP_OPEN_OK, AMQP_CHANNEL_OK]),
    "mqtt": (b"", [b"\x20\2\0\0"]),
    "nats": (b'INFO {"server_id":"stub","version":"2.9.0","max_payload":1048576,"proto":1}\r\n', [b"PONG\r\n"]),
    "ssh": (b"SSH-2.0-stub\r\n", []),
    "http": (b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"]),
    "memcached": (b"", []),
    "ftp": (b"220 stub\r\n", []),
    "smtp": (b"220 stub\r\n", []),
}


class Stub:
    """A listener with a thread a connection; ends with `close`."""

    def __init__(self, kind):
        self.first, self.answers = STUBS[kind]
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.sendall(self.first)
            for answer in self.answers:
                came = connection.recv(65536)
                if not came:
                    return
                said = answer(came) if callable(answer) else answer
                connection.sendall(said)
            time.sleep(HOLD_S)

    def close(self):
        self.listener.close()


class Deaf:
    """A listener whose queue is full: the kernel drops what asks for a connection, as a firewall or a dead machine does."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fills = []
        for _ in range(4):
            fill = socket.socket()
            fill.setblocking(False)
            fill.connect_ex(("127.0.0.1", self.port))
            self.fills.append(fill)
        time.sleep(0.1)

    def close(self):
        for fill in [*self.fills, self.listener]:
            fill.close()


class Mute:
    """A datagram socket that hears and says nothing."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


class Nobody:
    """For clients that wait for no peer."""

    port = 0

    def close(self):
        pass


class Real:
    """A server of Debian's packages: its process group is killed with `close`."""

    def __init__(self, folder, command, port, ready=None, user=None):
        self.port = port
        self.log = pathlib.Path(folder, f"log-{port}")
        if user and os.geteuid() == 0:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", *command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True, cwd=folder)
        end = time.monotonic() + 60
        while not self.is_up() or (ready and not ready()):
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"{command[0]} did not come up: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def is_up(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def pause(self, seconds):
        """Stops the server for a while; returns when it has stopped."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

        def resume():
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGCONT)

        threading.Timer(seconds, resume).start()

    def close(self):
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def as_user(user, command):
    identity = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if os.geteuid() == 0 else []
    subprocess.run([*identity, *command], check=True, capture_output=True, cwd="/")


def postgres(folder, connections=100):
    tools = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    data, port = pathlib.Path(folder, "postgres"), free_port()
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, pwd.getpwnam("postgres").pw_uid, -1)
    as_user("postgres", [str(tools / "initdb"), "-D", str(data), "--username=postgres", "--auth=trust", "--no-sync"])
    command = [str(tools / "postgres"), "-D", str(data), f"--port={port}", "--listen_addresses=127.0.0.1", "--unix_socket_directories=",
               "--fsync=off", f"--max_connections={connections}"]
    question = [str(tools / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    return Real(folder, command, port, lambda: subprocess.run(question, check=False).returncode == 0, "postgres")


def mariadb(folder):
    port, user = free_port(), ["--user=root"] if os.geteuid() == 0 else []
    place = [f"--datadir={folder}/mariadb", *user]
    install = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", *place]
    subprocess.run(install, check=True, capture_output=True)
    command = ["mariadbd", "--no-defaults", *place, "--socket=socket", "--bind-address=127.0.0.1", f"--port={port}",
               "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--skip-log-bin"]
    return Real(folder, command, port)


def redis(folder):
    port = free_port()
    return Real(folder, ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""], port)


def memcached(folder):
    port = free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    return Real(folder, ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user], port)


def slapd(folder):
    port, place = free_port(), pathlib.Path(folder, "slapd.conf")
    place.write_text("modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase config\nrootdn cn=config\nrootpw secret\n")
    return Real(folder, ["slapd", "-d", "0", "-f", str(place), "-h", f"ldap://127.0.0.1:{port}"], port)


def mosquitto(folder):
    port = free_port()
    return Real(folder, ["mosquitto", "-p", str(port)], port)


# Shared by all cases, which wait in what they ask.
SHARED = {"postgres": postgres, "mariadb": mariadb, "redis": redis}
# One a case, and stopped while its client waits.
PAUSED = {"memcached-paused": memcached, "slapd-paused": slapd, "mosquitto-paused": mosquitto, "redis-paused": redis}
# What each needs.
PACKAGES = {
    "postgres": ["postgresql"], "mariadb": ["mariadb-server"], "redis": ["redis-server"], "memcached-paused": ["memcached"],
    "slapd-paused": ["slapd"], "mosquitto-paused": ["mosquitto"], "redis-paused": ["redis-server"],
}
OTHERS = {"deaf": Deaf, "mute": Mute, "nobody": Nobody}


def start(kind, folder):
    """Starts what a case waits for, in a folder of its own."""
    if kind in OTHERS:
        return OTHERS[kind]()
    if kind in PAUSED:
        return PAUSED[kind](folder)
    return Stub(kind)


def missing(kind):
    """Says what a server needs and this machine has not."""
    commands = {"postgres": "/usr/lib/postgresql", "mariadb": "mariadbd", "redis": "redis-server", "memcached-paused": "memcached",
                "slapd-paused": "slapd", "mosquitto-paused": "mosquitto", "redis-paused": "redis-server"}
    command = commands.get(kind)
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return command if command and not os.path.exists(command) and not shutil.which(command, path=path) else None
