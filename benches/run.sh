#!/bin/sh
# sbx beside bwrap, crun and podman on this machine, as the unprivileged user. Prints medians and ratios and
# writes target/bench.json. No figure makes it fail: machines differ, and the ratios are for reading.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

scripts/setup.sh bench
if [ -z "${SBX_BIN:-}" ]; then
    build_release
    SBX_BIN=target/dist/sbx
fi

work=$(as_runner mktemp -d /var/tmp/sbx-bench.XXXXXX)
group=sbx-bench.$$
clean_up() { rm -rf "$work"; }
trap clean_up EXIT
mkdir "$work/bin" "$work/root" "$work/run"
chmod 700 "$work/run"
cp "$SBX_BIN" "$work/bin/sbx"
cp benches/measure.sh "$work/measure.sh"
chmod -R a+rX "$work/bin" "$work/measure.sh"
make_busybox_root "$work/root"
if is_root; then chown -R "$TEST_USER:" "$work"; fi

export SBX_BENCH_WORK="$work" SBX_BENCH_GROUP="$group" SBX_BENCH_RUNS="${SBX_BENCH_RUNS:-100}"
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] && is_root; then
    # Controllers on cgroup v1: crun and podman want a pure v2 tree to run rootless. They get one in a mount
    # namespace of their own; the machine's mounts stay as they are.
    unshare --mount --propagation private benches/in-cgroup2.sh
else
    benches/measured.sh
fi
mkdir -p target
cp "$work/bench.json" target/bench.json
say "wrote target/bench.json"
