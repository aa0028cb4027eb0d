#!/bin/sh
# The measurements, run as the unprivileged user. Usage: measure.sh WORK, a directory that is the user's own.
set -eu
work=$1
cd "$work"
sbx=$work/bin/sbx
root=$work/root
image=benchmark
mkdir -p data config json
exec 3>ask 4<>answer

# Files of subordinate ids can be removed only inside the user namespace, which podman has anyway; its pause
# process outlives its containers, and keeps the control group busy until it has ended.
finish() {
    pause=$(cat run/libpod/tmp/pause.pid 2>/dev/null) || pause=
    podman unshare rm -rf "$work/data" >/dev/null 2>&1 || true
    if [ -n "$pause" ]; then
        kill "$pause" 2>/dev/null || true
        tail --pid="$pause" -f /dev/null
    fi
}
trap finish EXIT

# --- What is compared --------------------------------------------------------------------------------------------

# The isolation of `sbx run --host`, said to bwrap.
# Plain: what a bwrap user types. Same: with the paths that sbx masks and makes read-only besides. What bwrap has no
# flag for (the filter of system calls without a compiled program at hand, the limits) is left out in its favour.
bwrap_plain="bwrap --unshare-all --uid 0 --gid 0 --die-with-parent --new-session --clearenv --setenv PATH /usr/bin:/bin --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp --tmpfs /home --tmpfs /root --tmpfs /run"
bwrap_host="$bwrap_plain --hostname bench --mqueue /dev/mqueue --tmpfs /var/tmp"
for path in /proc/acpi /sys/firmware /sys/devices/virtual/powercap /sys/dev/block; do
    if [ -d "$path" ]; then bwrap_host="$bwrap_host --tmpfs $path --remount-ro $path"; fi
done
for path in /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/timer_list; do
    if [ -e "$path" ]; then bwrap_host="$bwrap_host --ro-bind /dev/null $path"; fi
done
for path in /proc/asound /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do
    if [ -e "$path" ]; then bwrap_host="$bwrap_host --ro-bind $path $path"; fi
done
bwrap_root="bwrap --unshare-all --uid 0 --gid 0 --die-with-parent --new-session --clearenv --setenv PATH /usr/bin:/bin --bind $root / --proc /proc --dev /dev --tmpfs /tmp"
podman="podman --cgroup-manager cgroupfs --log-level error"
podman_run="$podman run --rm --network none --pull never $image"

mkdir -p bundle
ln -sfn "$root" bundle/rootfs
(cd bundle && crun spec --rootless)
jq '.process.terminal = false | .process.args = ["true"] | .root.readonly = false' bundle/config.json >bundle/config.new
mv bundle/config.new bundle/config.json
# crun wants a name for each container.
cat >bin/crun-once <<END
#!/bin/sh
exec crun --root $work/run/crun --cgroup-manager disabled run --bundle $work/bundle "bench-\$\$"
END
chmod 755 bin/crun-once

tar -C "$root" -cf root.tar .
if ! $podman import -q root.tar "$image" >/dev/null 2>podman.log; then
    sed 's/^/podman import: /' podman.log >&2
fi
if ! "$sbx" import root.tar "$image" >/dev/null 2>import.log; then
    sed 's/^/sbx import: /' import.log >&2
fi

# --- Start to end of `true` --------------------------------------------------------------------------------------

# measure KEY COMMAND: what does not run is said, and is null in the table.
measure() {
    # shellcheck disable=SC2086 # the commands are words
    if ! $2 >try.log 2>&1; then
        printf '%-22s not measured: %s\n' "$1" "$(tail -n 1 try.log)" >&2
        return 0
    fi
    hyperfine -N --style none --warmup 5 --runs "$RUNS" --export-json "json/$1.json" "$2" >/dev/null 2>&1 ||
        printf '%-22s failed under hyperfine\n' "$1" >&2
}

measure sbx_host "$sbx run --host -- true"
measure sbx_rootfs "$sbx run --rootfs $root -- true"
measure sbx_image "$sbx run --rm $image true"
measure sbx_image_tmpfs "$sbx run --rm --upper tmpfs $image true"
measure bwrap_host "$bwrap_host true"
measure bwrap_plain "$bwrap_plain true"
measure bwrap_root "$bwrap_root true"
measure crun "$work/bin/crun-once"
full=$RUNS
RUNS=$((RUNS / 5 > 3 ? RUNS / 5 : 3))
measure podman "$podman_run true"

# --- Fifty at once -----------------------------------------------------------------------------------------------

# together KEY COMMAND: the time from the first of 50 starts to the last end.
together() {
    [ -s "json/$1.json" ] || return 0
    cat >"bin/fifty-$1" <<END
#!/bin/sh
i=0
while [ \$i -lt 50 ]; do
    $2 &
    i=\$((i + 1))
done
wait
END
    chmod 755 "bin/fifty-$1"
    hyperfine -N --style none --warmup 1 --runs "$3" --export-json "json/fifty_$1.json" "$work/bin/fifty-$1" >/dev/null 2>&1 ||
        printf '%-22s fifty at once failed\n' "$1" >&2
}

together sbx_host "$sbx run --host -- true" 5
together sbx_image "$sbx run --rm $image true" 5
together bwrap_host "$bwrap_host true" 5
together crun "$work/bin/crun-once" 5
together podman "$podman_run true" 1
RUNS=$full

# --- Memory that stays beside the program ------------------------------------------------------------------------

descendants() {
    # shellcheck disable=SC2013 # one line of words
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        echo "$child"
        descendants "$child"
    done
}

# Every process of $1's tree, itself included, but the program, which is called `sleep`.
beside() {
    for pid in $1 $(descendants "$1"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        sleep | busybox | '') ;;
        *) printf '%s ' "$pid" ;;
        esac
    done
}

pss() {
    if [ -z "$1" ]; then echo null; return; fi
    echo "$1" >&3
    read -r answer <&4
    echo "$answer"
}

# The program says that it runs by writing a line to the pipe.
resident() {
    key=$1
    shift
    [ -s "json/$key.json" ] || return 0
    "$@" >started.pipe 2>resident.log &
    tool=$!
    read -r _ <started.pipe || { cat resident.log >&2; return 0; }
    pss "$(beside "$tool")" >"json/$key.pss"
    kill "$tool"
    wait "$tool" 2>/dev/null || true
}

mkfifo started.pipe
program='echo up; exec sleep 1000'
resident sbx_host "$sbx" run --host -- sh -c "$program"
resident sbx_image "$sbx" run --rm "$image" sh -c "$program"
# shellcheck disable=SC2086 # the commands are words
resident bwrap_host $bwrap_host sh -c "$program"
if [ -s json/podman.json ] && id=$($podman run -d --network none --pull never "$image" sleep 1000 2>resident.log); then
    conmon=$($podman inspect --format '{{.State.ConmonPid}}' "$id")
    pss "$conmon" >json/podman.pss
    $podman rm -f -t 0 "$id" >/dev/null
fi

# --- The filter --------------------------------------------------------------------------------------------------

# One call ten million times, under the filter that podman ships, given to both: sbx takes the file, crun the groups
# that are left where no capability is granted, which is what podman gives it. The kernel remembers what is permitted
# whatever its arguments, so that hardly a difference is left.
filter=/usr/share/containers/seccomp.json
cp bin/probe root/bin/probe
jq '{
    defaultAction, defaultErrnoRet,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    syscalls: [.syscalls[]
        | select((.includes.caps // []) == []
            and ((.includes.arches // ["amd64"]) | index("amd64"))
            and ((.excludes.arches // []) | index("amd64") | not))
        | {names, action, args, errnoRet} | with_entries(select(.value != null and .value != []))]
} | with_entries(select(.value != null))' "$filter" >filter.oci.json
jq --slurpfile filter filter.oci.json '.linux.seccomp = $filter[0] | .process.args = ["probe", "getppid", "10000000"]' \
    bundle/config.json >filter.config.json
mkdir -p filtered
cp filter.config.json filtered/config.json
ln -sfn "$root" filtered/rootfs

# loop KEY COMMAND: the least of five runs, in nanoseconds a call.
loop() {
    key=$1
    shift
    for run in 1 2 3 4 5; do
        "$@" 2>loop.log || { printf '%-22s not measured: %s (run %s)\n' "$key" "$(tail -n 1 loop.log)" "$run" >&2; return 0; }
    done | sort -n | head -n 1 >"json/$key.ns"
}
loop none "$work/bin/probe" getppid 10000000
loop sbx "$sbx" run --rootfs "$root" --security-opt seccomp="$filter" -- probe getppid 10000000
loop sbx_default "$sbx" run --rootfs "$root" -- probe getppid 10000000
loop crun crun --root "$work/run/crun" --cgroup-manager disabled run --bundle "$work/filtered" "bench-filter-$$"

# How many instructions the kernel runs for a call where it remembers nothing.
printf '%s\n' 'read 0 0 1' 'write 1 0 1' 'openat -100 0 0' 'futex 0 0 0' 'clone3 0 88' |
    "$sbx" profile test --json default >instructions.json

# --- Report ------------------------------------------------------------------------------------------------------

median() { if [ -s "json/$1.json" ]; then jq '.results[0].median * 1000' "json/$1.json"; else echo null; fi; }
nanoseconds() { if [ -s "json/$1.ns" ]; then cat "json/$1.ns"; else echo null; fi; }
memory() { if [ -s "json/$1.pss" ]; then cat "json/$1.pss"; else echo null; fi; }

{
    for key in sbx_host sbx_rootfs sbx_image sbx_image_tmpfs bwrap_host bwrap_plain bwrap_root crun podman; do
        printf '{"key":"%s","median_ms":%s,"fifty_ms":%s,"beside_kb":%s}\n' \
            "$key" "$(median "$key")" "$(median "fifty_$key")" "$(memory "$key")"
    done
} | jq -s --slurpfile instructions instructions.json \
    --argjson none "$(nanoseconds none)" --argjson filtered "$(nanoseconds sbx)" \
    --argjson default "$(nanoseconds sbx_default)" --argjson crun "$(nanoseconds crun)" '
    def ratio($a; $b): if $a == null or $b == null then null else $a / $b end;
    (map({(.key): del(.key)}) | add) as $m
    | {
        what: "true as the command, whole process; medians in milliseconds, memory as PSS in kB",
        measured: $m,
        getppid_ns: {none: $none, sbx_podmans_filter: $filtered, crun_podmans_filter: $crun, sbx_default: $default},
        instructions: ($instructions[0] | map({(.Call): .Instructions}) | add),
        ratios: {
            host_to_bwrap: {value: ratio($m.sbx_host.median_ms; $m.bwrap_host.median_ms), target: 0.6},
            host_to_bwrap_plain: {value: ratio($m.sbx_host.median_ms; $m.bwrap_plain.median_ms)},
            image_to_bwrap: {value: ratio($m.sbx_image.median_ms; $m.bwrap_host.median_ms), target: 1.0},
            image_to_crun: {value: ratio($m.sbx_image.median_ms; $m.crun.median_ms), target: 0.4},
            image_to_podman: {value: ratio($m.sbx_image.median_ms; $m.podman.median_ms), target: 0.025},
            image_tmpfs_to_crun: {value: ratio($m.sbx_image_tmpfs.median_ms; $m.crun.median_ms)},
            fifty_host_to_bwrap: {value: ratio($m.sbx_host.fifty_ms; $m.bwrap_host.fifty_ms)},
            fifty_image_to_crun: {value: ratio($m.sbx_image.fifty_ms; $m.crun.fifty_ms)},
            filter_to_crun: {value: ratio($filtered; $crun), target: 1.0},
            filter_to_none: {value: ratio($default; $none)},
            beside_to_conmon: {value: ratio($m.sbx_host.beside_kb; $m.podman.beside_kb)}
        }
    }' >bench.json

jq -r '
    def show: if . == null then "-" else (. * 100 | round / 100 | tostring) end;
    (["", "median ms", "50 at once ms", "beside kB"] | @tsv),
    (.measured | to_entries[] | [.key, (.value.median_ms | show), (.value.fifty_ms | show), (.value.beside_kb | show)] | @tsv),
    "",
    (["getppid, ns a call"] | @tsv),
    (.getppid_ns | to_entries[] | [.key, (.value | show)] | @tsv),
    "",
    (["BPF instructions"] | @tsv),
    (.instructions | to_entries[] | [.key, (.value | tostring)] | @tsv),
    "",
    (["ratio", "value", "target"] | @tsv),
    (.ratios | to_entries[] | [.key, (.value.value | if . == null then "-" else (. * 1000 | round / 1000 | tostring) end),
        (if .value.target then "<= \(.value.target)" else "" end)] | @tsv)' bench.json |
    awk -F'\t' '{ printf "%-22s %12s %14s %12s\n", $1, $2, $3, $4 }'
