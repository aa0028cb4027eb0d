#!/bin/sh
# Runs the tests of tests/vm/ in a virtual machine, booted once for each security module, as a user who logs in.
# Usage: test-vm.sh all|quick [BOOT [ARGUMENT...]]
#   all        the static release binary
#   quick      the debug binary
#   BOOT       apparmor or selinux alone
#   ARGUMENT   for the test runner, as after `cargo test --`
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

tier=${1:-all}
boots=${2:-apparmor selinux}
[ $# -le 2 ] || { shift 2 && arguments=$*; }
# A boot takes under a minute; what hangs must end, and say where.
limit_secs=300

scripts/setup.sh vm
need_packages gcc libc6-dev libseccomp-dev
need_cargo
case "$tier" in
all)
    build_release
    binary=target/dist/sbx
    ;;
quick)
    cargo build --locked --bin sbx
    binary=target/$TARGET/debug/sbx
    ;;
*) die "usage: test-vm.sh all|quick [BOOT [ARGUMENT...]]" ;;
esac
cargo build --locked --release -p sbx-probe
say "building the tests"
CARGO_TERM_COLOR=never cargo test --locked --test vm --no-run 2>target/test-vm-build.log || {
    cat target/test-vm-build.log >&2
    exit 1
}
exe=$(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' target/test-vm-build.log)
[ -x "$exe" ] || die "cargo named no test executable; its output is in target/test-vm-build.log"

# Kept until what it is made from changes, or `make clean`.
made_from="scripts/vm-image.sh tests/vm/guest/sbx-vm.service tests/vm/guest/finish"
# shellcheck disable=SC2086 # one word per file
key=$(cat /etc/os-release $made_from | sha256sum | cut -c 1-16)
image=$PWD/target/vm/$key
if [ ! -d "$image" ]; then
    mkdir -p target/vm
    as_root rm -rf target/vm/*
    as_root scripts/vm-image.sh "$image"
    as_root chown -R "$(id -u):$(id -g)" "$image"
fi

work=$(mktemp -d /var/tmp/sbx-vm.XXXXXX)
trap 'rm -rf "$work"' EXIT

# The files for the machine, as a tar archive that is its second disk. Usage: pack BOOT
pack() {
    share=$work/share
    rm -rf "$share"
    mkdir -p "$share/bin" "$share/apparmor.d"
    cp profiles/apparmor/* "$share/apparmor.d/"
    cp tests/vm/guest/apparmor "$share/apparmor.d/sbx-vm"
    cp tests/vm/guest/prepare tests/vm/guest/run "$share/"
    cp "$binary" "target/$TARGET/release/sbx-probe" "$share/bin/"
    cp "$exe" "$share/bin/vm"
    echo "$1" >"$share/boot"
    for other in apparmor selinux; do
        [ "$other" = "$1" ] || echo "--skip $other::" >"$share/arguments"
    done
    echo "--test-threads=1 ${arguments:-}" >>"$share/arguments"
    chmod -R a+rX "$share"
    tar -C "$share" --owner=0 --group=0 -cf "$work/share.tar" .
}

# Usage: boot NAME KERNEL-PARAMETER...
boot() {
    name=$1
    shift
    say "booting with $name"
    pack "$name"
    status=0
    : >"$work/results"
    : >"$work/journal"
    # -snapshot: what the machine writes goes to a temporary file, and the image stays as it was made.
    timeout --kill-after=10 "$limit_secs" qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -nographic -no-reboot -nic none \
        -kernel "$image/vmlinuz" -initrd "$image/initrd" \
        -append "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off $*" \
        -drive "file=$image/disk,format=raw,if=virtio,snapshot=on" \
        -drive "file=$work/share.tar,format=raw,if=virtio,readonly=on" \
        -device virtio-serial \
        -chardev "file,id=results,path=$work/results" -device virtserialport,chardev=results,name=sbx.results \
        -chardev "file,id=journal,path=$work/journal" -device virtserialport,chardev=journal,name=sbx.journal \
        -serial "file:$work/console" </dev/null >"$work/qemu" 2>&1 || status=$?
    cat "$work/results"
    ended=$(tail -n 1 "$work/journal")
    if [ "$status" -eq 0 ] && [ "$ended" = "ended: success exited 0" ] &&
        grep -q '^test result: ok\. [1-9]' "$work/results" && ! grep -q '^SKIP ' "$work/results"; then
        return 0
    fi
    failed="${failed:-} $name"
    # Without the journal the machine did not get as far as to the tests.
    if [ -s "$work/journal" ]; then tail -n 200 "$work/journal"; else tail -n 200 "$work/console"; fi >&2
    cat "$work/qemu" >&2
    echo "the emulator ended with $status; the machine: ${ended:-did not come to its end}" >&2
}

for name in $boots; do
    case "$name" in
    apparmor) boot apparmor security=apparmor apparmor=1 ;;
    selinux) boot selinux security=selinux selinux=1 enforcing=1 ;;
    *) die "there is no boot called $name. Fix: apparmor or selinux" ;;
    esac
done
[ -z "${failed:-}" ] || die "failed in the virtual machine:$failed"
