#!/bin/sh
# Prints the processes that run under a user's id or one of its subordinate ids; fails when there are any.
# Usage: leftovers.sh USER
set -eu
user=$1
uid=$(id -u "$user")
ranges=$(awk -F: -v u="$user" '$1 == u { print $2 ":" $2 + $3 - 1 }' /etc/subuid)
found=
for status in /proc/[0-9]*/status; do
    # A process may end while it is looked at.
    owner=$(awk '$1 == "Uid:" { print $2 }' "$status" 2>/dev/null) || continue
    [ -n "$owner" ] || continue
    mine=
    [ "$owner" -ne "$uid" ] || mine=1
    for range in $ranges; do
        if [ "$owner" -ge "${range%:*}" ] && [ "$owner" -le "${range#*:}" ]; then mine=1; fi
    done
    [ -n "$mine" ] || continue
    pid=${status#/proc/}
    pid=${pid%/status}
    printf '%s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
    found=1
done
[ -z "$found" ]
