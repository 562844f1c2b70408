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

# want_packages PACKAGE…: installs those Debian packages that are missing, if it may and can; what then still is, it says.
want_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        echo "${0##*/}: not Debian: what these packages have is taken for granted: $*" >&2
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ((EUID)); then
        echo "${0##*/}: packages are missing: as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        return
    fi
    echo "installing ${missing[*]}"
    apt-get update -qq || true
    # One by one where they cannot be had together: a release need not have all of them.
    install_packages "${missing[@]}" || for package in "${missing[@]}"; do
        install_packages "$package" || echo "${0##*/}: not to be had here: $package" >&2
    done
}

# need_packages PACKAGE…: the same for what nothing works without: ends the script where it is missing.
need_packages() {
    local missing
    want_packages "$@"
    command -v dpkg-query >/dev/null || return 0
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]} == 0)) || exit 1
}

# missing_packages PACKAGE…: those that are not installed, one a line.
missing_packages() {
    local package
    for package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}
