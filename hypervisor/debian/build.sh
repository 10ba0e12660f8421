#!/bin/bash
# Builds a full Debian image with cloud-init, of the release and from the mirrors of
# this machine's own apt:
#
#   build.sh [OUTDIR]
#
# prints the image's path on stdout, progress on stderr. With OUTDIR it is
# OUTDIR/jiyue-debian.qcow2, a copy; without, the one in the cache folder (see
# image.sh). It is built anew when this script, files/ or the version of one of the
# packages named in find_packages changes.
#
# The disk: GPT, GRUB's core where its BIOS looks for it, and last an ext4 partition
# with everything else. Needs root for the files' owners; mounts nothing and uses no
# loop device (mmdebstrap mounts /proc, /sys and /dev in a namespace of its own).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
outdir=${1:-}
label=debian image=jiyue-debian.qcow2 kind=debian
# shellcheck source-path=SCRIPTDIR source=../image.sh
. "$here/../image.sh"

need slow mmdebstrap grub-mkimage sfdisk mke2fs qemu-img
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

find_packages() {
  local package
  find_package linux-image-cloud-amd64 '^linux-image-[0-9]' || return 1
  for package in systemd cloud-init openssh-server qemu-guest-agent; do find_package "$package" || return 1; done
}
remember_packages
find_image build.sh files
(( EUID == 0 )) || die "needs root"

# ---- root file system -----------------------------------------------------

# Where this machine itself gets this release and its updates from.
# shellcheck disable=SC2016  # apt's own variables
apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
  awk -v release="$release" '
    $1 == "Debian" && ($3 == release || $3 == release "-updates" || $3 == release "-security") && !seen[$0]++ {
      print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " $2 " " $3 " main" }' > "$work/sources.list"
[[ -s $work/sources.list ]] || die "apt knows no Debian $release; see /etc/apt/sources.list.d"

include=(
  linux-image-cloud-amd64 initramfs-tools systemd-sysv systemd-resolved systemd-timesyncd udev dbus libpam-systemd
  cloud-init cloud-guest-utils netplan.io e2fsprogs fdisk
  openssh-server qemu-guest-agent
  sudo ca-certificates netbase iproute2 iputils-ping procps less vim-tiny curl tzdata
)
root=$work/root
# Documentation and translations are left out, here and for packages installed later.
# shellcheck disable=SC2016  # expanded by mmdebstrap's shell
mmdebstrap --quiet --variant=minbase --format=directory --include="$(IFS=,; echo "${include[*]}")" \
  --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*_key*' \
  "$release" "$root" "$work/sources.list" >&2
say "packages installed after $SECONDS s"

cp -r "$here/files/." "$root/"
: > "$root/etc/machine-id"                  # made at the first boot, as are the SSH host keys
echo debian > "$root/etc/hostname"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/{apt,dpkg.log,bootstrap.log,alternatives.log}

# ---- disk -----------------------------------------------------------------

cd "$work"
used=$(du -sm --apparent-size "$root" | cut -f1)
mib=$(( used * 5 / 4 + 300 ))
truncate -s "${mib}M" root.img
# Nothing that this release's GRUB cannot read.
mke2fs -q -F -t ext4 -O ^metadata_csum_seed,^orphan_file -L jiyue-root -d "$root" root.img
rm -rf --one-file-system "$root"

grub=/usr/lib/grub/i386-pc
grub-mkimage -O i386-pc -d $grub -p '(,gpt1)/boot/grub' -o core.img biosdisk part_gpt ext2 normal linux test

truncate -s "$(( 3 + mib ))M" disk.raw
sfdisk -q --no-reread --no-tell-kernel disk.raw > /dev/null <<PARTS
label: gpt
14 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649
1 : start=4096, size=$(( mib * 2048 )), type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
PARTS
# What grub-install does on a real disk: the boot sector is told the sector of the
# core, and the core's first sector that of the second.
number() { local i; for i in 0 8 16 24; do printf '%b' "\\0$(printf %o $(( ($1 >> i) & 255 )))"; done; }
put() { dd of="$1" bs=1 seek=$(( $2 )) conv=notrunc status=none; }
number 2049 | put core.img 0x1f4
dd if=$grub/boot.img of=disk.raw bs=440 count=1 conv=notrunc status=none
number 2048 | put disk.raw 0x5c
dd if=core.img of=disk.raw bs=512 seek=2048 conv=notrunc status=none
dd if=root.img of=disk.raw bs=1M seek=2 conv=notrunc,sparse status=none
publish disk.raw
