#!/bin/sh
# Makes the virtual machine of `make test-vm`: a Debian with systemd, AppArmor and SELinux, its files labelled.
# Called as root. Usage: vm-image.sh DIR, which holds disk, vmlinuz and initrd when it has ended.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
image=$1
part=$image.part
root=$part/root
rm -rf "$part"
mkdir -p "$part"
. /etc/os-release
[ "$ID" = debian ] ||
    die "the virtual machine is made from Debian's packages, and this is $NAME. Fix: run this on Debian"
# The mirror that this machine has its own packages from.
# shellcheck disable=SC2016 # apt-get fills it in
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" \
    'Component: main' | head -n 1)
step() { "$@" >"$part/log" 2>&1 || { tail -n 30 "$part/log" >&2; die "failed: $*"; }; }

# What boots and logs a user in; what sbx needs of a host; the security modules.
packages="linux-image-cloud-amd64 initramfs-tools lz4 systemd-sysv udev dbus dbus-user-session libpam-systemd login passwd
    uidmap util-linux busybox-static fuse-overlayfs procps
    apparmor selinux-policy-default policycoreutils selinux-utils"

say "making the virtual machine: once, about two minutes"
mkdir "$part/conf.d"
# An initrd of what this machine needs, and quick to unpack: everything in it runs on an emulator.
printf 'MODULES=list\nCOMPRESS=lz4\n' >"$part/conf.d/small"
printf '%s\n' virtio_pci virtio_blk ext4 >"$part/modules"
# shellcheck disable=SC2016,SC2086 # $1 is the root, for the hooks' shell; one word per package
step mmdebstrap --mode=root --variant=essential --include="$(echo $packages | tr ' ' ,)" \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --essential-hook="mkdir -p \"\$1/etc/initramfs-tools\"" \
    --essential-hook="cp -r '$part/conf.d' '$part/modules' \"\$1/etc/initramfs-tools/\"" \
    "$VERSION_CODENAME" "$root" "$mirror"

echo sbx-vm >"$root/etc/hostname"
echo '/dev/vda / ext4 rw 0 1' >"$root/etc/fstab"
chroot "$root" useradd --create-home --shell /bin/sh "$TEST_USER"
install -m 644 tests/vm/guest/sbx-vm.service "$root/etc/systemd/system/"
install tests/vm/guest/finish "$root/usr/local/sbin/sbx-vm-finish"
chroot "$root" systemctl --quiet enable sbx-vm.service
chroot "$root" systemctl --quiet set-default multi-user.target
# A getty hangs the terminal up on whoever writes to it; the rest is work for a machine that stays.
chroot "$root" systemctl --quiet mask serial-getty@ttyS0.service getty@tty1.service fstrim.timer \
    e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer systemd-update-utmp.service

# Labels are extended attributes. Written here they need no boot of minutes that relabels everything.
# shellcheck disable=SC2016
step unshare --mount sh -c 'mount -t proc proc "$0/proc" &&
    chroot "$0" setfiles -e /proc /etc/selinux/default/contexts/files/file_contexts /' "$root"

cp -L "$root/vmlinuz" "$part/vmlinuz"
cp -L "$root/initrd.img" "$part/initrd"
# Blocks that nothing is written to take no room.
step mke2fs -q -t ext4 -O ^has_journal -d "$root" "$part/disk" 2G
rm -rf "$root" "$part/conf.d" "$part/modules" "$part/log"
chmod -R a+rX "$part"
rm -rf "$image"
mv "$part" "$image"
