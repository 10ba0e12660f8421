#!/bin/bash
# Builds a small Debian, this machine's release from its mirrors:
#
#   build.sh        with what the package depends on: the tests install the package in it
#   build.sh plain  with nothing more than dpkg and apt: what the container image is built on
#
# Prints the path of a tar archive in the cache folder (see image.sh). Built anew when this script or the version of one of
# the packages named in find_packages changes. Needs root for the files' owners.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
outdir=
case ${1:-} in
  '') kind=chroot counts=(libc6 dpkg adduser libvirt0) include=adduser,libvirt0,init-system-helpers,ca-certificates ;;
  plain) kind=plain counts=(libc6 dpkg apt) include=apt ;;
  *) echo "build.sh: unknown kind '$1'; known is: plain" >&2; exit 1 ;;
esac
label=$kind image=jiyue-base.tar
# shellcheck source-path=SCRIPTDIR source=../image.sh
. "$here/../image.sh"

need test mmdebstrap
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

find_packages() {
  local package
  for package in "${counts[@]}"; do find_package "$package" || return 1; done
}
remember_packages
find_image build.sh
(( EUID == 0 )) || die "needs root"

# shellcheck disable=SC2016  # apt's own variables
apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
  awk -v release="$release" '
    $1 == "Debian" && ($3 == release || $3 == release "-updates" || $3 == release "-security") && !seen[$0]++ {
      print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " $2 " " $3 " main" }' > "$work/sources.list"
[[ -s $work/sources.list ]] || die "apt knows no Debian $release; see /etc/apt/sources.list.d"
# shellcheck disable=SC2016  # expanded by mmdebstrap's shell
mmdebstrap --quiet --variant=minbase --format=directory "--include=$include" \
  --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
  "$release" "$work/root" "$work/sources.list" >&2
mkdir -p "$cache"
fresh=$(mktemp "$cache/.$image.XXXXXX")
tar -C "$work/root" --numeric-owner --exclude="./dev/*" -cf "$fresh" .
chmod 0444 "$fresh"
mv -f "$fresh" "$cache/$image"
rm -rf --one-file-system "$work/root"
say "built in $SECONDS s, $(( $(stat -c %s "$cache/$image") / 1000000 )) MB"
deliver
