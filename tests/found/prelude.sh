# What every program of debian.toml and pypi.toml is run with. Sourced by scripts/conformance, in an empty folder; $PRELOAD is the
# library, or empty.
# shellcheck shell=bash
set -u
export LC_ALL=C.UTF-8 HOME=$PWD
children=()
sides=() # what a script runs side by side, and waits for
trap 'for child in "${children[@]}"; do kill -TERM -- "-$child"; done 2>/dev/null; wait 2>/dev/null' EXIT

# green COMMAND…: the program under test, preloaded where there is a library.
green() {
    env ${PRELOAD:+"LD_PRELOAD=$PRELOAD"} "$@"
}

# serve COMMAND…: the program under test as a server, which ends with the script.
serve() {
    setsid env ${PRELOAD:+"LD_PRELOAD=$PRELOAD"} "$@" >server.log 2>&1 </dev/null &
    children+=($!)
}

# beside COMMAND…: a helper that is never preloaded and ends with the script.
beside() {
    setsid "$@" >helper.log 2>&1 </dev/null &
    children+=($!)
}

# stop: ends the last server by SIGTERM and waits for it, so that its statistics are written.
stop() {
    kill -TERM -- "-${children[-1]}"
    wait "${children[-1]}"
}

# port: a number on which nobody listens.
port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# up PORT: waits until somebody listens there.
up() {
    local i
    for ((i = 0; i < 200; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nobody listens on the port"
    tail -n 5 server.log
    exit 1
}

# until_says PATTERN FILE: waits until a line of the file matches.
until_says() {
    local i
    for ((i = 0; i < 300; i++)); do
        grep -qE -- "$1" "$2" 2>/dev/null && return
        sleep 0.1
    done
    echo "$2 does not say $1"
    exit 1
}

# data FILE MIB: a file that can be compressed, always the same.
data() {
    python3 - "$1" "$2" <<'END'
import hashlib, sys
with open(sys.argv[1], "wb") as file:
    for i in range(int(sys.argv[2]) * 1024):
        file.write((hashlib.sha256(b"%d" % i).digest() * 8 + b"the quick brown fox %7d\n" % i * 30)[:1024].ljust(1024))
END
}

# sums FILE…: their checksums, as the proof that the outputs are the same.
sums() {
    sha256sum "$@"
}
