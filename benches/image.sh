#!/bin/sh
# Makes the image that is pulled and loaded: a Debian or Ubuntu base, build-essential on top, about 700 MB unpacked.
# Called as root. Usage: image.sh DIR, an OCI layout when it has ended.
set -eu
. scripts/lib.sh
image=$1
part=$image.part
rm -rf "$part"
mkdir -p "$part"
. /etc/os-release
# The mirror that this machine has its own packages from.
# shellcheck disable=SC2016 # apt-get fills it in
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" \
    'Component: main' | head -n 1)
root=$part/bundle/rootfs
step() { "$@" >"$part/log" 2>&1 || { tail -n 20 "$part/log" >&2; die "failed: $*"; }; }

say "making the image of about 700 MB: a base system"
step umoci init --layout "$part/layout"
step umoci new --image "$part/layout:bench"
step umoci unpack --image "$part/layout:bench" "$part/bundle"
# shellcheck disable=SC2086 # no mirror, no word
step debootstrap --variant=minbase "$VERSION_CODENAME" "$root" $mirror
step umoci repack --refresh-bundle --image "$part/layout:bench" "$part/bundle"
say "and build-essential"
cp /etc/resolv.conf "$root/etc/resolv.conf"
step chroot "$root" apt-get -q -y install --no-install-recommends build-essential
step umoci repack --image "$part/layout:bench" "$part/bundle"
step umoci gc --layout "$part/layout"
rm -rf "$part/bundle" "$part/log"
chmod -R a+rX "$part"
rm -rf "$image"
mv "$part" "$image"
