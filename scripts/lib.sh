# What the scripts share: saying what happens and installing what is missing. Sourced, not run.
# shellcheck shell=bash

# say WORDS…: the headline of what comes next.
say() {
    printf '\n== %s\n' "$*"
}

# need_cargo: ends the script with a clear sentence where Rust is missing.
need_cargo() {
    command -v cargo >/dev/null && return
    echo "${0##*/}: cargo is missing: install Rust ($(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later) with rustup" >&2
    exit 1
}

# need_packages PACKAGE…: installs those Debian packages that are missing; without the right to do so, says which.
need_packages() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        echo "${0##*/}: not Debian: what these packages have is taken for granted: $*" >&2
        return
    fi
    for package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ((EUID)); then
        echo "${0##*/}: packages are missing: run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
