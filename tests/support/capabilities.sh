# shellcheck shell=bash
# Sourced by the scripts beside it. What libvirt learns by asking QEMU takes
# seconds and depends on these programs alone, so it is kept for the next
# libvirtd that a test starts on this machine.

warm_cache() {
  local key
  key=$(stat -L -c '%n %s %Z' /usr/sbin/libvirtd /usr/bin/qemu-system-x86_64 /usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so 2>/dev/null; uname -r; id -u)
  echo "${JIYUE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/jiyue}/capabilities-$(sha256sum <<< "$key" | cut -c1-16)"
}

# use_cache CACHE: what is known goes into the daemon's cache folder.
use_cache() {
  local warm; warm=$(warm_cache)
  mkdir -p "$1/qemu"
  if [[ ! -d $1/qemu/capabilities && -d $warm/capabilities ]]; then
    cp -a "$warm/capabilities" "$1/qemu/"
  fi
}

# keep_cache URI CACHE: and what this daemon has had to ask is kept.
keep_cache() {
  local warm fresh; warm=$(warm_cache)
  if [[ ! -d $warm ]]; then
    timeout 60 virsh -q -c "$1" capabilities >/dev/null 2>&1 || return 0   # makes it ask
    [[ -d $2/qemu/capabilities ]] || return 0
    mkdir -p "$(dirname "$warm")"
    fresh=$(mktemp -d "$warm.XXXXXX")
    cp -a "$2/qemu/capabilities" "$fresh/"
    # Whoever comes second finds the folder taken and leaves its copy unused.
    mv -T "$fresh" "$warm" 2>/dev/null || rm -rf "$fresh"
  fi
}
