#!/bin/sh
# Called as root in a private mount namespace: a pure cgroup v2 tree with a subtree that belongs to the user.
set -eu
. scripts/lib.sh
mount -t cgroup2 none /sys/fs/cgroup
home=$(awk -F: '$1 == "0" { print $3 }' /proc/self/cgroup)
group=/sys/fs/cgroup/$SBX_BENCH_GROUP
mkdir "$group" "$group/leaf"
chown -R "$TEST_USER:" "$group"
echo $$ >"$group/leaf/cgroup.procs"
status=0
benches/measured.sh || status=$?
# A group can be removed once it is empty, this shell included.
echo $$ >"/sys/fs/cgroup${home:-/}/cgroup.procs"
find "$group" -depth -type d -exec rmdir {} +
exit "$status"
