#!/bin/sh
# `make run`: from a fresh machine to two running sandboxes.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

scripts/setup.sh run
build_release

# Root's tree may be closed to others, so the unprivileged user gets a copy.
dir=$(as_runner mktemp -d "/var/tmp/sbx-demo.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cp target/dist/sbx "$dir/sbx"
chmod 755 "$dir/sbx"
sbx="$dir/sbx"

show() {
    printf '\n$ %s\n' "$(printf '%s ' "$@" | sed "s|$dir/||g")"
    as_runner "$@"
}

show "$sbx" run --host -- id

make_busybox_root "$dir/root"
tar -C "$dir/root" -cf "$dir/busybox.tar" .
chmod 644 "$dir/busybox.tar"
show "$sbx" import "$dir/busybox.tar" busybox
show "$sbx" run --rm busybox id
show "$sbx" run --rm busybox ls /

printf '\nBoth ran as %s, without root. The binary: target/dist/sbx\n' "$(runner)"
