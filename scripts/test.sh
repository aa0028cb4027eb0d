#!/bin/sh
# Builds and runs the tests as an unprivileged user.
# Usage: test.sh all|quick
#   all    the static release binary, every test
#   quick  the debug binary, without the tests whose names begin with slow_
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

tier=${1:-all}
scripts/setup.sh test
need_packages gcc libc6-dev libseccomp-dev
need_cargo

case "$tier" in
all)
    build_release
    binary=target/dist/sbx
    set --
    ;;
quick)
    cargo build --locked --bin sbx
    binary=target/$TARGET/debug/sbx
    set -- --skip slow_
    ;;
*) die "usage: test.sh all|quick" ;;
esac

say "building the tests"
list=target/test-executables
# Cargo names what it built on standard error: "  Executable tests/x.rs (target/…/x-1234)".
CARGO_TERM_COLOR=never cargo test --locked --workspace --no-run 2>target/test-build.log || {
    cat target/test-build.log >&2
    exit 1
}
# The tests of the virtual machine are run in it, by test-vm.sh.
sed -n 's/^ *Executable .*(\(.*\))$/\1/p' target/test-build.log | grep -v '/vm-[^/]*$' >"$list"
[ -s "$list" ] || die "cargo named no test executable; its output is in target/test-build.log"
if [ -d tests/probe ]; then
    cargo build --locked --release -p sbx-probe
fi

# Root's tree may be closed to the user: run from a copy of it. /var/tmp is on a disk, so
# that the overlay tests meet an ordinary file system.
work=$(as_runner mktemp -d /var/tmp/sbx-test.XXXXXX)
log=$work/log
clean_up() { as_runner chmod -R u+rwX "$work" 2>/dev/null || true; rm -rf "$work"; }
trap clean_up EXIT
mkdir -p "$work/tree" "$work/bin" "$work/tmp"
git -c "safe.directory=$PWD" ls-files -z --cached --others --exclude-standard |
    tar --null --ignore-failed-read -T - -cf - | tar -C "$work/tree" -xf -
cp "$binary" "$work/bin/sbx"
if [ -d tests/probe ]; then
    cp "target/$TARGET/release/sbx-probe" "$work/bin/sbx-probe"
fi
while read -r exe; do cp "$exe" "$work/bin/"; done <"$list"
cp target/tools/* "$work/bin/"
chmod -R a+rX "$work"
if is_root; then chown -R "$TEST_USER:" "$work"; fi

failed=
: >"$log"
while read -r exe; do
    name=${exe##*/}
    say "${name%-*}"
    status=0
    (
        cd "$work/tree"
        as_runner "SBX_BIN=$work/bin/sbx" "SBX_PROBE=$work/bin/sbx-probe" "SBX_TREE=$work/tree" \
            "SBX_REGISTRY=$work/bin/docker-registry" \
            "TMPDIR=$work/tmp" "$work/bin/$name" --quiet "$@"
    ) </dev/null >"$work/one" 2>&1 || status=$?
    cat "$work/one"
    cat "$work/one" >>"$log"
    [ "$status" -eq 0 ] || failed="$failed ${name%-*}"
done <"$list"

# What the tests promise about themselves, checked from outside: nothing runs, nothing is left.
if is_root; then
    left=$(scripts/leftovers.sh "$TEST_USER" || true)
    if [ -n "$left" ]; then
        printf 'processes left by the tests:\n%s\n' "$left" >&2
        failed="$failed leftovers"
    fi
fi
if [ -n "$(find "$work/tmp" -mindepth 1 -print -quit)" ]; then
    printf 'files left by the tests:\n' >&2
    find "$work/tmp" -mindepth 1 -maxdepth 2 >&2
    failed="$failed files"
fi

# A skip that nobody expects is a failure: a missing prerequisite must not pass for success.
grep '^SKIP ' "$log" | sed 's/^SKIP \([^ ]*\):.*/\1/' | sort -u >"$work/skipped" || true
if [ -n "${CI:-}" ]; then
    sed 's/#.*//; s/[[:space:]]*$//; /^$/d' tests/expected-skips | sort -u >"$work/expected"
    unexpected=$(comm -23 "$work/skipped" "$work/expected")
    if [ -n "$unexpected" ]; then
        printf 'skipped without being listed in tests/expected-skips:\n%s\n' "$unexpected" >&2
        failed="$failed skips"
    fi
fi
passed=$(sed -n 's/^test result: .* \([0-9][0-9]*\) passed;.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
say "$passed passed, $(wc -l <"$work/skipped") skipped, as $(runner)"
[ -z "$failed" ] || die "failed:$failed"
