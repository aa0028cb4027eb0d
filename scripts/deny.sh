#!/bin/sh
# Judges the dependencies by deny.toml: licences, sources, bans.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_cargo

if ! command -v cargo-deny >/dev/null 2>&1; then
    say "building cargo-deny: some minutes, once; it stays in ${CARGO_HOME:-$HOME/.cargo}/bin"
    # Not from this folder, whose cargo configuration is for a static binary.
    (cd / && cargo install --locked --quiet cargo-deny)
fi
# The advisories need a database from outside the crate registry: `cargo deny check` where it can be had.
cargo deny --locked --log-level warn check bans licenses sources
