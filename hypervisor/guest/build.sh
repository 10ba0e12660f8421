#!/bin/bash
# Builds the small guest's images from Debian packages, without installing any:
#
#   build.sh [small|postgresql] [OUTDIR]
#
# prints the image's path on stdout, progress on stderr. With OUTDIR it is
# OUTDIR/jiyue-FLAVOUR-guest.qcow2, a copy; without, the one in the cache folder
# (see image.sh). It is built anew when this script, rootfs/ or the kernel's version
# changes; 'postgresql' also with rootfs-postgresql/ and PostgreSQL's version.
#
# The disk: MBR, a FAT partition with syslinux, kernel and initramfs (the whole
# system runs from memory), with 'postgresql' one for its programs, and last an
# ext4 partition for state, which grows with the disk.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flavour=small
case ${1:-} in small|postgresql) flavour=$1; shift ;; esac
outdir=${1:-}
label="guest $flavour" image=jiyue-$flavour-guest.qcow2 kind=guest-$flavour
# shellcheck source-path=SCRIPTDIR source=../image.sh
. "$here/../image.sh"

need run apt-get apt-cache cpio depmod sfdisk readelf mcopy mkfs.fat mke2fs qemu-img xz

find_packages() {
  find_package linux-image-cloud-amd64 '^linux-image-[0-9]' || return 1
  [[ $flavour == small ]] || find_package postgresql '^postgresql-[0-9]+$'
}
remember_packages
{ read -r kernel _; read -r postgresql _ || true; } < "$packages"
if [[ $flavour == small ]]; then find_image build.sh rootfs; else find_image build.sh rootfs "rootfs-$flavour"; fi

# ---- packages, downloaded and unpacked ------------------------------------

# Those named and the libraries they need, whatever these are called in this
# release of Debian.
libraries() {
  ask_apt depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$@" | sed -n 's/^\(z\{0,1\}lib[^:]*\)$/\1/p' | sort -u
}
programs="dropbear-bin qemu-guest-agent e2fsprogs"
wanted="$kernel busybox-static syslinux syslinux-common $programs"
if [[ $flavour == postgresql ]]; then
  wanted="$wanted $postgresql ${postgresql/-/-client-} tzdata libc-bin"
  # What it names itself is enough; its compiler for queries is as large as all
  # the rest, and left out.
  programs="$programs $(ask_apt depends "$postgresql" "${postgresql/-/-client-}" |
    awk '$1 == "Depends:" && $2 ~ /^z?lib/ && $2 !~ /^libllvm/ { print $2 }' | sort -u | paste -sd' ')"
fi
# shellcheck disable=SC2005,SC2046,SC2086  # lists of words
wanted="$wanted $(echo $(libraries $programs))"

mkdir "$work/debs" "$work/tree"
# shellcheck disable=SC2086  # a list of words
fetch() { (cd "$work/debs" && apt-get -qq "${apt_index[@]}" -o APT::Sandbox::User=root download $wanted > "$work/apt.log" 2>&1); }
# Lists older than the mirror name files that it has no more: once, start over
# with new lists.
if ! fetch; then
  cat "$work/apt.log" >&2
  if (( EUID != 0 )) || [[ -n ${JIYUE_LISTS_ARE_NEW:-} ]]; then
    die "the packages could not be downloaded; try apt-get update as root"
  fi
  apt-get -qq update >&2
  rm -rf "$work"
  JIYUE_LISTS_ARE_NEW=1 exec "$here/build.sh" "$flavour" "$outdir"
fi
for deb in "$work"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/tree" --keep-directory-symlink \
    --exclude='./usr/share/doc*' --exclude='./usr/share/locale*' --exclude='./usr/share/man*' --exclude='*/bitcode'
done
tree=$work/tree
# Where /usr is merged, modules and loader lie below usr/ only.
[[ -e $tree/lib/modules ]] || { mkdir -p "$tree/lib"; ln -s ../usr/lib/modules "$tree/lib/modules"; }
release=$(ls "$tree/lib/modules")
say "packages unpacked after $SECONDS s"

# ---- root file system -----------------------------------------------------

root=$work/root
mkdir -p "$root"/{bin,dev,lib64,mnt,proc,root/.ssh,run,sbin,state,sys,tmp,usr,var/log,www}
cp -a "$here/rootfs/." "$root/"
[[ $flavour == small ]] || cp -a "$here/rootfs-$flavour/." "$root/"
ln -s ../run "$root/var/run"
ln -s ../bin ../sbin "$root/usr/"
ln -s /proc/mounts "$root/etc/mtab"
chmod 700 "$root/root" "$root/root/.ssh"

install -m 0755 "$(find "$tree" -path '*/bin/busybox' -type f -print -quit)" "$root/bin/busybox"
"$root/bin/busybox" --list | while read -r applet; do
  # Programs of our own go before busybox's.
  [[ -e $root/bin/$applet || -e $root/sbin/$applet ]] || ln -s busybox "$root/bin/$applet"
done
ln -sf ../bin/init "$root/sbin/init"

# An ELF file with the libraries it names, and theirs, to where 'into' says; what
# the guest has in memory anyway is not needed twice.
lib=lib/x86_64-linux-gnu
into=$root
take_elf() {
  local file=$1 target=$2 needed source
  install -D -m 0755 "$file" "$into/$target"
  readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | while read -r needed; do
    [[ ! -e $root/$lib/$needed && ! -e $into/$lib/$needed ]] || continue
    source=$(find "$tree" -path "*/lib*/$needed" -print -quit)
    [[ -n $source ]] || die "$(basename "$file") needs $needed, which no package has"
    take_elf "$(readlink -f "$source")" "$lib/$needed"
  done
}
take_elf "$tree/usr/sbin/dropbear" sbin/dropbear
take_elf "$tree/usr/bin/dropbearkey" bin/dropbearkey
take_elf "$tree/usr/sbin/qemu-ga" sbin/qemu-ga
take_elf "$(find "$tree" -path '*/sbin/resize2fs' -print -quit)" sbin/resize2fs
cp -L "$(find "$tree" -path '*/lib64/ld-linux-x86-64.so.2' -print -quit)" "$root/lib64/"

# Kernel modules in loading order, in the groups that /etc/load knows. What the
# kernel has built in, or an earlier group has, is skipped.
depmod -b "$tree" "$release"
mkdir -p "$root/lib/modules/$release" "$root/etc/modules"
take_modules() {
  local group=$1 module file name; shift
  : > "$root/etc/modules/$group"
  for module; do
    { modprobe -d "$tree" -S "$release" --show-depends "$module" 2>/dev/null || true; } |
      awk '$1 == "insmod" { print $2 }' | while read -r file; do
        name=$(basename "$file" .xz)
        [[ ! -e $root/lib/modules/$release/$name ]] || continue
        if [[ $file == *.xz ]]; then xz -dc "$file"; else cat "$file"; fi > "$root/lib/modules/$release/$name"
        echo "$name" >> "$root/etc/modules/$group"
      done
  done
}
take_modules first virtio_pci virtio_rng virtio_blk virtio_net vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 ext4
take_modules rest virtio_console virtio_balloon button evdev
take_modules storage isofs loop virtio_scsi sd_mod sr_mod ata_piix ahci

# PostgreSQL stays out of memory: a partition that becomes the guest's /usr/lib and
# /usr/share, so that all paths are as in Debian.
if [[ $flavour == postgresql ]]; then
  software=$work/software
  into=$software
  home=postgresql/${postgresql##*-}
  mkdir -p "$root/software" "$software/lib/locale" "$software/share/postgresql"
  ln -s ../software/lib ../software/share "$root/usr/"
  for file in "$tree/usr/lib/$home"/bin/* "$tree/usr/lib/$home"/lib/*.so; do
    [[ -L $file || $file == */llvmjit.so ]] || take_elf "$file" "${file#"$tree/usr/"}"
  done
  cp -a "$tree/usr/lib/locale/C.utf8" "$software/lib/locale/"
  cp -a "$tree/usr/share/$home" "$software/share/postgresql/"
  cp -a "$tree/usr/share/zoneinfo" "$software/share/"
  rm -rf "$software"/share/zoneinfo/{posix,right}
  chmod -R a+rX,go-w "$software"
fi

(cd "$root" && find . -print0 | sort -z | cpio -0 -o -H newc -R 0:0 --quiet) | gzip -9n > "$work/initrd.gz"
cp "$tree/boot/vmlinuz-$release" "$work/vmlinuz"
say "root file system after $SECONDS s"

# ---- disk -----------------------------------------------------------------

# All in ordinary files: no loop devices, no mounts, no root.
cd "$work"
cat > syslinux.cfg <<'CFG'
DEFAULT jiyue
PROMPT 0
TIMEOUT 0
LABEL jiyue
  KERNEL vmlinuz
  INITRD initrd.gz
  APPEND console=ttyS0 quiet panic=5 random.trust_bootloader=on
CFG
mib() { echo $(( ($(cat "$@" | wc -c) + 1048575) / 1048576 )); }

# Partitions in the order of the disk, each of some MiB.
parts=() sizes=() types=()
add() { parts+=("$1"); sizes+=("$2"); types+=("$3"); truncate -s "$2M" "$1"; }

add boot.img $(( $(mib vmlinuz initrd.gz) + 3 )) 'e, bootable'
# Syslinux asks the BIOS by head and sector; -h is where the partition begins.
mkfs.fat -F 16 -h 2048 -g 255/63 -n BOOT boot.img > /dev/null
mcopy -i boot.img vmlinuz initrd.gz syslinux.cfg ::/
"$tree/usr/bin/syslinux" --install boot.img
case $flavour in
  small)
    add state.img 16 83
    mke2fs -q -F -t ext4 -b 4096 -O ^has_journal -L jiyue-state state.img ;;
  postgresql)
    add software.img $(( $(du -sm --apparent-size "$software" | cut -f1) * 11 / 10 + 8 )) 83
    mke2fs -q -F -t ext4 -b 4096 -m 0 -O ^has_journal -L jiyue-software -d "$software" software.img
    # Few files and large ones; what can be initialised now need not be in the guest.
    add state.img 256 83
    mke2fs -q -F -t ext4 -b 4096 -m 0 -i 32768 -J size=8 -E lazy_itable_init=0,lazy_journal_init=0 \
      -L jiyue-state state.img ;;
esac

at=1
{
  echo 'label: dos'
  for i in "${!parts[@]}"; do
    echo "start=$(( at * 2048 )), size=$(( sizes[i] * 2048 )), type=${types[i]}"
    at=$(( at + sizes[i] ))
  done
} > table
truncate -s "$(( 1 + $(IFS=+; echo "${sizes[*]}") ))M" disk.raw
dd if="$tree/usr/lib/syslinux/mbr/mbr.bin" of=disk.raw conv=notrunc status=none
sfdisk -q --no-reread --no-tell-kernel disk.raw < table > /dev/null
at=1
for i in "${!parts[@]}"; do
  dd if="${parts[i]}" of=disk.raw bs=1M seek=$at conv=notrunc,sparse status=none
  at=$(( at + sizes[i] ))
done

publish disk.raw
