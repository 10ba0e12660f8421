#!/bin/bash
# Makes sure that a libvirtd answers on qemu:///system, also where no systemd runs.
#
#   libvirtd.sh start  [--pid-file F]   use the running daemon, else start one
#   libvirtd.sh stop   [--pid-file F]   stop the one that start has started, no other
#   libvirtd.sh status [--pid-file F]   exit code 0 when one answers
#
# Every call prints one line and may be repeated. Guests and networks outlive
# 'stop', as they outlive a restart of the service on an ordinary host.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
uri=qemu:///system
pid_file=/run/jiyue/libvirtd.pid

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { printf 'libvirtd: %s\n' "$*" >&2; exit 1; }

action=${1:-}; shift || true
while (( $# )); do
  case $1 in
    --pid-file) pid_file=${2:?--pid-file needs a path}; shift 2 ;;
    *) usage ;;
  esac
done

pid_file=$(realpath -m -- "$pid_file")

answers() { timeout 10 virsh -q -c "$uri" uri >/dev/null 2>&1; }

# The pid in the file, provided that it is still the daemon started with this
# very file and not some later process with the same number.
ours() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
  tr '\0' '\n' < "/proc/$pid/cmdline" 2>/dev/null | grep -xF -- "$pid_file" > /dev/null || return 1
  echo "$pid"
}

# A file without any effective line is the package's own, all comments.
untouched() { ! grep -qvE '^[[:space:]]*(#|$)' "$1" 2>/dev/null; }

put_qemu_conf() {
  local target=/etc/libvirt/qemu.conf
  if untouched "$target"; then
    if [[ -e $target ]]; then cp -p "$target" "$target.before-jiyue"; fi
    install -m 0600 "$here/qemu.conf" "$target"
  fi
}

start_by_hand() {
  local binary tries pid
  binary=$(command -v libvirtd || echo /usr/sbin/libvirtd)
  [[ -x $binary ]] || fail "not installed; run hypervisor/install.sh run"
  put_qemu_conf
  # --daemon returns when the daemon is ready to answer or has given up.
  "$binary" --daemon --config "$here/libvirtd.conf" --pid-file "$pid_file" \
    || fail "did not start; its log is /var/log/libvirt/libvirtd.log"
  for (( tries = 0; tries < 100; tries++ )); do
    if answers; then
      pid=$(ours) || fail "answers, but not the one just started"
      echo "libvirtd: started, pid $pid, on $uri"
      return
    fi
    sleep 0.1
  done
  fail "started but does not answer; its log is /var/log/libvirt/libvirtd.log"
}

need_root() { (( EUID == 0 )) || fail "needs root; run it as root or with sudo"; }

case $action in
  start)
    if answers; then
      if pid=$(ours); then echo "libvirtd: running, pid $pid, on $uri (started here)"
      else echo "libvirtd: running on $uri (not started here)"; fi
      exit 0
    fi
    need_root
    # A real service belongs to systemd, with the administrator's settings.
    if [[ -d /run/systemd/system ]]; then
      systemctl start libvirtd || fail "systemctl start libvirtd failed; see journalctl -u libvirtd"
      answers || fail "started by systemd but does not answer on $uri"
      echo "libvirtd: started by systemd on $uri"
      exit 0
    fi
    mkdir -p "$(dirname "$pid_file")"
    # Two callers at once: the second waits and then finds the daemon running.
    exec 9> "$pid_file.lock"; flock 9
    if answers; then echo "libvirtd: running on $uri"; else start_by_hand 9>&-; fi
    ;;
  stop)
    if ! pid=$(ours); then echo "libvirtd: nothing to stop, none was started here"; exit 0; fi
    need_root
    kill "$pid"
    for (( tries = 0; tries < 150; tries++ )); do
      if ! ours >/dev/null; then
        rm -f "$pid_file" "$pid_file.lock"
        echo "libvirtd: stopped, pid $pid"
        exit 0
      fi
      sleep 0.1
    done
    fail "pid $pid does not end; kill -9 $pid ends it, guests stay"
    ;;
  status)
    if answers; then echo "libvirtd: answers on $uri, libvirt $(virsh --version)"
    else echo "libvirtd: does not answer on $uri"; exit 1; fi
    ;;
  *) usage ;;
esac
