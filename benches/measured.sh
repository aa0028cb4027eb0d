#!/bin/sh
# Measures as the user; reads memory from outside, because a monitor that cannot be dumped hides its own.
set -eu
. scripts/lib.sh
work=$SBX_BENCH_WORK
mkfifo "$work/ask" "$work/answer"
if is_root; then chown "$TEST_USER:" "$work/ask" "$work/answer"; fi
# Each line of `ask` is a list of process ids; the answer is the sum of their proportional set sizes in kB.
# An end of file of `ask` is the end of the measurements.
(
    exec 3<>"$work/answer"
    while read -r pids; do
        sum=0
        for pid in $pids; do
            pss=$(awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null) || pss=
            if [ -z "$pss" ]; then sum=null; break; fi
            sum=$((sum + pss))
        done
        echo "$sum" >&3
    done <"$work/ask"
) &
reader=$!
status=0
as_runner "XDG_RUNTIME_DIR=$work/run" "XDG_DATA_HOME=$work/data" "XDG_CONFIG_HOME=$work/config" \
    "RUNS=$SBX_BENCH_RUNS" sh "$work/measure.sh" "$work" || status=$?
kill "$reader" 2>/dev/null || true
wait "$reader" 2>/dev/null || true
exit "$status"
