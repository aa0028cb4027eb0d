#!/bin/sh
# Everything that judges the source without running sbx.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
scripts/setup.sh lint
need_packages gcc libc6-dev libseccomp-dev
need_cargo

say "format"
cargo fmt --all --check
say "clippy"
cargo clippy --locked --workspace --all-targets -- -D warnings
say "scripts"
# shellcheck disable=SC2046 # our own file names hold no blanks
shellcheck -x $(git -c "safe.directory=$PWD" ls-files 'scripts/*.sh' 'benches/*.sh' \
    'tests/vm/guest/*' ':!*.service' ':!*/apparmor' .ci/run)
say "dependencies"
scripts/deny.sh
