#!/bin/sh
# Makes this machine ready: packages, device modes, and as root the unprivileged user.
# Usage: setup.sh run|test|vm|lint|bench
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

# udev gives these 0666; a machine without it (CI, a virtual machine) leaves what the kernel made: 0600.
open_devices() {
    for device in /dev/fuse /dev/net/tun; do
        [ -c "$device" ] || continue
        [ "$(stat -c %a "$device")" = 666 ] || as_root chmod 0666 "$device"
    done
}

# The user that runs sbx when root calls.
make_user() {
    is_root || return 0
    if ! id "$TEST_USER" >/dev/null 2>&1; then
        say "making the unprivileged user $TEST_USER"
        useradd --create-home --shell /bin/sh "$TEST_USER"
    fi
    # A supplementary group, for the tests of keeping groups.
    id -nG "$TEST_USER" | tr ' ' '\n' | grep -qx users || usermod -aG users "$TEST_USER"
    for kind in uid gid; do
        file=/etc/sub$kind
        touch "$file"
        grep -q "^$TEST_USER:" "$file" && continue
        # useradd gives a range where login.defs says so; take the next free one where it did not.
        first=$(awk -F: '{ end = $2 + $3; if (end > max) max = end } END { print (max > 100000 ? max : 100000) }' "$file")
        usermod "--add-sub${kind}s" "$first-$((first + 65535))" "$TEST_USER"
    done
}

case "${1:-}" in
run)
    need_packages uidmap util-linux busybox-static fuse-overlayfs
    ;;
test)
    # skopeo, umoci, buildah and podman to compare with, and the filter that podman ships.
    need_packages uidmap util-linux busybox-static fuse-overlayfs procps git skopeo umoci buildah podman \
        golang-github-containers-common openssl curl apparmor
    need_tool docker-registry usr/bin/docker-registry
    ;;
vm)
    # Nothing on this machine runs sbx: no user, no devices.
    need_packages mmdebstrap qemu-system-x86 e2fsprogs
    exit 0
    ;;
lint)
    need_packages shellcheck git
    exit 0
    ;;
bench)
    need_packages uidmap util-linux busybox-static fuse-overlayfs hyperfine jq bubblewrap crun podman conmon \
        skopeo umoci debootstrap curl golang-github-containers-common
    need_tool docker-registry usr/bin/docker-registry
    ;;
*)
    die "usage: setup.sh run|test|vm|lint|bench"
    ;;
esac
open_devices
make_user
