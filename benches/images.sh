#!/bin/sh
# Images in and out beside podman, as the unprivileged user. Usage: images.sh WORK, a directory that is the user's own
# and has the image as an OCI layout in `image/layout`.
set -eu
work=$1
cd "$work"
sbx=$work/bin/sbx
podman="podman --cgroup-manager cgroupfs --log-level error"
mkdir -p json data config registry

# --- A registry on loopback, and archives ------------------------------------------------------------------------

port=$(awk 'BEGIN { srand(); print 20000 + int(rand() * 10000) }')
host=localhost:$port
cat >registry.yml <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
END
bin/docker-registry serve registry.yml >registry.log 2>&1 &
registry=$!
finish() {
    kill "$registry" 2>/dev/null || true
    pause=$(cat run/libpod/tmp/pause.pid 2>/dev/null) || pause=
    # Files of subordinate ids can be removed only inside the user namespace.
    podman unshare rm -rf "$work/data" >/dev/null 2>&1 || true
    if [ -n "$pause" ]; then
        kill "$pause" 2>/dev/null || true
        tail --pid="$pause" -f /dev/null
    fi
}
trap finish EXIT
# curl waits for the registry to listen.
curl -s -o /dev/null --retry 50 --retry-delay 1 --retry-connrefused "http://$host/v2/"

name=$host/bench:latest
skopeo copy -q --dest-tls-verify=false oci:image/layout:bench "docker://$name"
skopeo copy -q oci:image/layout:bench "docker-archive:docker.tar:$name"
skopeo copy -q oci:image/layout:bench "oci-archive:oci.tar:$name"

# --- Time --------------------------------------------------------------------------------------------------------

sbx_empty="$sbx rmi -a -f"
podman_empty="$podman rmi -a -f"

# measure KEY PREPARE COMMAND: what does not run is said, and is null in the table.
measure() {
    hyperfine -N --style none --warmup 1 --runs "$RUNS" --prepare "$2" --export-json "json/$1.json" "$3" >/dev/null 2>try.log ||
        printf '%-22s not measured: %s\n' "$1" "$(tail -n 1 try.log)" >&2
}

# One after the other for each pair: what the machine does meanwhile meets both.
measure sbx_pull "$sbx_empty" "$sbx pull -q --tls-verify=false $name"
measure podman_pull "$podman_empty" "$podman pull -q --tls-verify=false $name"
measure sbx_cached true "$sbx pull -q --tls-verify=false $name"
measure podman_cached true "$podman pull -q --tls-verify=false $name"
measure sbx_load "$sbx_empty" "$sbx load -i docker.tar"
measure podman_load "$podman_empty" "$podman load -q -i docker.tar"
measure sbx_load_oci "$sbx_empty" "$sbx load -i oci.tar"
measure podman_load_oci "$podman_empty" "$podman load -q -i oci.tar"

# --- Memory ------------------------------------------------------------------------------------------------------

# Every process of $1's tree with its peak, again and again while it lives; the last line of each counts.
peaks() {
    # shellcheck disable=SC2013 # one line of words
    for task in /proc/"$1"/task/*/children; do
        for child in $(cat "$task" 2>/dev/null); do peaks "$child"; done
    done
    awk -v pid="$1" '$1 == "VmHWM:" { print pid, $2 }' "/proc/$1/status" 2>/dev/null || true
}

# peak KEY PREPARE COMMAND: the sum of the peaks of all its processes, which is at least the peak of the sum.
peak() {
    $2 >/dev/null 2>&1 || true
    $3 >/dev/null 2>&1 &
    tool=$!
    while kill -0 "$tool" 2>/dev/null; do peaks "$tool"; done |
        awk '{ if ($2 > peak[$1]) peak[$1] = $2 } END { for (pid in peak) sum += peak[pid]; print sum + 0 }' >"json/$1.peak"
    wait "$tool" || true
}

peak sbx_pull "$sbx_empty" "$sbx pull -q --tls-verify=false $name"
peak podman_pull "$podman_empty" "$podman pull -q --tls-verify=false $name"
peak sbx_load "$sbx_empty" "$sbx load -i docker.tar"
peak podman_load "$podman_empty" "$podman load -q -i docker.tar"

# --- Report ------------------------------------------------------------------------------------------------------

median() { if [ -s "json/$1.json" ]; then jq '.results[0].median' "json/$1.json"; else echo null; fi; }
memory() { if [ -s "json/$1.peak" ]; then cat "json/$1.peak"; else echo null; fi; }

{
    for key in sbx_pull podman_pull sbx_cached podman_cached sbx_load podman_load sbx_load_oci podman_load_oci; do
        printf '{"key":"%s","median_s":%s,"peak_kb":%s}\n' "$key" "$(median "$key")" "$(memory "$key")"
    done
} | jq -s '
    def ratio($a; $b): if $a == null or $b == null then null else $a / $b end;
    (map({(.key): del(.key)}) | add) as $m
    | {
        what: "an image of two layers, about 700 MB unpacked; medians in seconds, memory as the sum of the peaks of all processes in kB",
        measured: $m,
        ratios: {
            pull_to_podman: {value: ratio($m.sbx_pull.median_s; $m.podman_pull.median_s), target: 0.35},
            cached_pull_to_podman: {value: ratio($m.sbx_cached.median_s; $m.podman_cached.median_s), target: 0.1},
            load_to_podman: {value: ratio($m.sbx_load.median_s; $m.podman_load.median_s), target: 0.35},
            load_oci_to_podman: {value: ratio($m.sbx_load_oci.median_s; $m.podman_load_oci.median_s), target: 0.35}
        }
    }' >images.json

jq -r '
    def show($by): if . == null then "-" else (. * $by | round / $by | tostring) end;
    (["", "median s", "peak kB"] | @tsv),
    (.measured | to_entries[] | [.key, (.value.median_s | show(1000)), (.value.peak_kb | show(1))] | @tsv),
    "",
    (["ratio", "value", "target"] | @tsv),
    (.ratios | to_entries[] | [.key, (.value.value | show(1000)), "<= \(.value.target)"] | @tsv)' images.json |
    awk -F'\t' '{ printf "%-22s %12s %14s\n", $1, $2, $3 }'
