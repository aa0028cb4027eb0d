#!/bin/sh
# sbx beside bwrap, crun and podman on this machine, as the unprivileged user. Prints medians and ratios and
# writes target/bench.json and target/bench-images.json. No figure makes it fail: machines differ, and the ratios are
# for reading. Usage: run.sh [starts|images]
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

what=${1:-all}
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
cargo build --locked --quiet --release -p sbx-probe
cp "target/$TARGET/release/sbx-probe" "$work/bin/probe"
chmod -R a+rX "$work/bin" "$work/measure.sh"
make_busybox_root "$work/root"
if is_root; then chown -R "$TEST_USER:" "$work"; fi

export SBX_BENCH_WORK="$work" SBX_BENCH_GROUP="$group" SBX_BENCH_RUNS="${SBX_BENCH_RUNS:-100}"
mkdir -p target

starts() {
    if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] && is_root; then
        # Controllers on cgroup v1: crun and podman want a pure v2 tree to run rootless. They get one in a mount
        # namespace of their own; the machine's mounts stay as they are.
        unshare --mount --propagation private benches/in-cgroup2.sh
    else
        benches/measured.sh
    fi
    cp "$work/bench.json" target/bench.json
    say "wrote target/bench.json"
}

images() {
    [ -d target/bench-image ] || as_root benches/image.sh "$PWD/target/bench-image"
    cp -r target/bench-image "$work/image"
    cp target/tools/docker-registry "$work/bin/docker-registry"
    cp benches/images.sh "$work/images.sh"
    if is_root; then chown -R "$TEST_USER:" "$work"; fi
    as_runner "XDG_RUNTIME_DIR=$work/run" "XDG_DATA_HOME=$work/data" "XDG_CONFIG_HOME=$work/config" \
        "RUNS=${SBX_BENCH_IMAGE_RUNS:-5}" sh "$work/images.sh" "$work"
    cp "$work/images.json" target/bench-images.json
    say "wrote target/bench-images.json"
}

case $what in
starts | images) "$what" ;;
all)
    starts
    images
    ;;
*) die "usage: run.sh [starts|images]" ;;
esac
