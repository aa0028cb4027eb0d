#!/bin/sh
# The static release binary: target/dist/sbx.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
build_release
ls -l target/dist/sbx
