# shellcheck shell=sh
# What the other scripts share. Sourced, with the working directory at the top of the tree.

TEST_USER=sbx-test
TARGET=x86_64-unknown-linux-gnu
# Where rustup puts cargo, for shells that have not read ~/.cargo/env.
PATH="$PATH:${HOME:-/root}/.cargo/bin:/usr/sbin:/sbin"
export PATH

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Runs a command as root: directly, or through sudo.
as_root() {
    if is_root; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "this needs root and sudo is not installed. Fix: as root, run: $*"
    fi
}

# The user that runs sbx: never root.
runner() { if is_root; then echo "$TEST_USER"; else id -un; fi; }

runner_home() { getent passwd "$(runner)" | cut -d: -f6; }

# Runs a command as the unprivileged user with a clean environment. Leading NAME=VALUE words are added to it.
as_runner() {
    home=$(runner_home)
    set -- env -i "HOME=$home" "USER=$(runner)" "LOGNAME=$(runner)" \
        PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 "TERM=${TERM:-dumb}" "$@"
    if is_root; then
        setpriv --reuid "$TEST_USER" --regid "$TEST_USER" --init-groups "$@"
    else
        "$@"
    fi
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null >&2
}

# Installs the packages that are missing, and touches nothing when none is.
need_packages() {
    missing=
    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "missing packages:$missing, and there is no apt-get. Fix: install what they are called on this system"
    say "installing$missing"
    # Lists may be absent (a container image) or too old for the mirror: fetch them and try again.
    # shellcheck disable=SC2086 # one word per package
    apt install --no-install-recommends $missing || {
        apt update
        apt install --no-install-recommends $missing
    }
}

# Takes a program out of a package into target/tools, without installing the package: a service that it
# brings is not to be started on this machine. Usage: need_tool PACKAGE PATH-IN-IT
need_tool() {
    tool=$PWD/target/tools/${2##*/}
    [ ! -x "$tool" ] || return 0
    say "fetching ${2##*/}"
    unpacked=$(mktemp -d)
    (
        cd "$unpacked" || exit
        # Also where the lists are absent or too old for the mirror.
        apt-get -q download "$1" >&2 || { apt update && apt-get -q download "$1" >&2; }
        dpkg-deb -x ./*.deb .
    )
    mkdir -p "${tool%/*}"
    mv "$unpacked/$2" "$tool"
    rm -rf "$unpacked"
}

need_cargo() {
    command -v cargo >/dev/null 2>&1 && return 0
    if apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        die "cargo is not installed. Fix: sudo apt-get install rustup && rustup default stable"
    fi
    die "cargo is not installed, and this release has no rustup package. Fix: install it as https://rustup.rs describes, then run this again"
}

# A static release binary at target/dist/sbx.
build_release() {
    need_packages gcc libc6-dev libseccomp-dev
    need_cargo
    cargo build --locked --release --bin sbx
    mkdir -p target/dist
    # By rename: the file may be running.
    cp "target/$TARGET/release/sbx" target/dist/sbx.new
    mv target/dist/sbx.new target/dist/sbx
    # A program interpreter in the binary would mean that it runs on this host only.
    if readelf --program-headers target/dist/sbx | grep -q INTERP; then
        die "target/dist/sbx is not static. Fix: keep the rustflags of .cargo/config.toml"
    fi
}

# A root directory made from busybox-static: $1.
make_busybox_root() {
    mkdir -p "$1/bin" "$1/dev" "$1/etc" "$1/home" "$1/proc" "$1/root" "$1/run" "$1/sys" "$1/tmp" "$1/usr" "$1/var"
    chmod 1777 "$1/tmp"
    cp "$(busybox_path)" "$1/bin/busybox"
    for applet in $("$1/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$1/bin/$applet"
    done
    ln -sf /run "$1/var/run"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
    echo 'root:x:0:' >"$1/etc/group"
}

busybox_path() {
    # /usr/bin where /bin is a link to it, and for releases that moved the file.
    for path in /bin/busybox /usr/bin/busybox; do
        if [ -x "$path" ]; then
            echo "$path"
            return 0
        fi
    done
    die "there is no busybox. Fix: sudo apt-get install busybox-static"
}
