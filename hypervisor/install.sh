#!/bin/bash
# Prepares a Debian host for Jiyue. Groups of packages, any number of them:
#
#   install.sh            build          what cargo needs to compile the broker
#   install.sh run        build + run    ... and libvirt with QEMU, and the tools of guest/build.sh
#   install.sh test       build + test   ... and what the test suite starts
#   install.sh slow       build + slow   ... and what debian/build.sh and the slow tests need
#   install.sh run test   all that make run and make test need
#
# Made for Debian 12, works on 13. Running it again costs a few milliseconds:
# when nothing is missing, apt is not called at all.
set -euo pipefail

say() { printf 'install.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

build="gcc libc6-dev make pkg-config libvirt-dev ca-certificates"
run="libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients dnsmasq-base iptables
     qemu-system-x86 qemu-utils
     bind9-host openssh-client openssl postgresql-client curl jq cpio kmod fdisk binutils mtools dosfstools e2fsprogs util-linux iproute2 procps xz-utils"
slow="mmdebstrap debian-archive-keyring grub-pc-bin grub-common openssh-client"
test="postgresql curl jq openssl openssh-client libreoffice-writer-nogui libreoffice-calc-nogui knot knot-dnsutils
      prometheus prometheus-node-exporter strace libxml2-utils python3-yaml groff-base zsh fish systemd dpkg-dev mmdebstrap debian-archive-keyring
      buildah chromium fonts-wqy-zenhei"

# Packages whose drivers were split off after Debian 12; taken where they exist.
run_if_known="libvirt-daemon-driver-network libvirt-daemon-driver-storage libvirt-daemon-driver-nodedev
     libvirt-daemon-driver-nwfilter libvirt-daemon-driver-secret libvirt-daemon-driver-interface
     libvirt-daemon-config-network libvirt-daemon-lock libvirt-daemon-log"

groups="build"
for arg; do
  case $arg in
    build) ;;
    run|test|slow) groups="$groups $arg" ;;
    -h|--help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown group '$arg'; known are: build, run, test, slow" ;;
  esac
done

# One question to dpkg for all packages: this is what makes a second run quick.
# shellcheck disable=SC2016,SC2086  # dpkg's own variables; lists of words
present=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' $build $run $test $slow $run_if_known 2>/dev/null || true)"
installed() { [[ $present == *" installed=$1 "* ]]; }

missing=()
for group in $groups; do
  lacking=()
  for package in ${!group}; do
    installed "$package" || lacking+=("$package")
  done
  if (( ${#lacking[@]} )); then
    say "$group: installs ${lacking[*]}"
    missing+=("${lacking[@]}")
  else
    say "$group: all there"
  fi
done
# What drives the browser runs on Node: whichever there is, with its npm; else Debian's.
if [[ " $groups " == *" test "* ]]; then
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
fi
(( ${#missing[@]} )) || exit 0

(( EUID == 0 )) || die "packages are missing and only root can install them; run this as root or with sudo"
command -v apt-get >/dev/null || die "no apt-get here; this script prepares Debian 12 or 13"
# shellcheck source=/dev/null
. /etc/os-release

export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work (unattended upgrades): wait for it. Configuration
# files that the administrator has changed stay as they are.
apt() { apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"; }
known() { [[ -n $(apt-cache policy "$1" 2>/dev/null | sed -n '/Candidate: [^(]/p') ]]; }

apt update >/dev/null || die "apt-get update failed; see the lines above and /etc/apt/sources.list.d"

# The control plane that tests start is built by Go, whichever there is; else by Debian's newest (its backports have one
# that fetches the release it needs by itself).
if [[ " $groups " == *" test "* ]] && ! command -v go >/dev/null && [[ -z ${KUBEBUILDER_ASSETS:-} ]]; then
  for package in golang-1.24-go golang-1.23-go; do
    if known "$package"; then missing+=("$package"); break; fi
  done
fi

if [[ " $groups " == *" run "* ]]; then
  for package in $run_if_known; do
    if known "$package" && ! installed "$package"; then missing+=("$package"); fi
  done
  # libvirt wants either flavour of service files. Its first choice pulls
  # systemd in or upgrades it, which a container or a chroot cannot use.
  if [[ ! -d /run/systemd/system ]] && known libvirt-daemon-system-sysv; then
    missing+=(libvirt-daemon-system-sysv)
  fi
fi

# The tests make clusters of their own with initdb; the package's default
# cluster would only take port 5432. An administrator's choice is respected.
if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
  mkdir -p /etc/postgresql-common
  printf '# Written by Jiyue install.sh: do not create a cluster on installation.\ncreate_main_cluster = false\n' \
    > /etc/postgresql-common/createcluster.conf
fi

# The tests run a Knot of their own; the package's would only take port 53 and
# answer for nothing. Whoever wants it unmasks it.
if [[ " ${missing[*]} " == *" knot "* && -d /run/systemd/system ]]; then
  systemctl mask knot.service >/dev/null 2>&1 || true
fi

# The same for Prometheus and its exporter.
if [[ " ${missing[*]} " == *" prometheus"* && -d /run/systemd/system ]]; then
  systemctl mask prometheus.service prometheus-node-exporter.service >/dev/null 2>&1 || true
fi

# One package of a newer suite (backports' qemu-utils, say) can keep this
# release's qemu-system-x86 from being installed. So first the plain way; if
# apt finds no solution, name the release for the QEMU packages, which may
# step one of them down to the release's own version.
install() { apt install -y --no-install-recommends "$@"; }
if ! apt install --simulate --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
  say "the versions at hand do not fit together; taking QEMU from $VERSION_CODENAME"
  fitted=()
  for package in "${missing[@]}"; do [[ $package == qemu-* ]] || fitted+=("$package"); done
  for package in qemu-system-x86 qemu-system-common qemu-system-data qemu-utils; do
    fitted+=("$package/$VERSION_CODENAME")
  done
  missing=(--allow-downgrades "${fitted[@]}")
fi
install "${missing[@]}" >/dev/null || die "apt could not install them; the reason stands above"
say "done"
