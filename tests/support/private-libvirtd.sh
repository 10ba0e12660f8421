#!/bin/bash
# A libvirtd of a test's own, beside the system's and beside others:
#
#   private-libvirtd.sh up DIR [--owner PID]   start it; the last line printed is its URI.
#                                              With --owner it goes down when that process ends
#   private-libvirtd.sh down DIR               end daemon, guests and networks; DIR stays
#   private-libvirtd.sh killd DIR              kill -9 the daemon alone; guests live on
#   private-libvirtd.sh startd DIR             start the daemon again beside its guests
#   private-libvirtd.sh uri DIR                print the URI
#
# The daemon lives in a mount namespace, where its five state folders are bound
# from DIR/{etc,lib,run,log,cache}, and in a pid namespace, whose end is the end
# of every QEMU and dnsmasq in it: kill -9 of the pid in DIR/pid is a power cut.
# 'up' on the same DIR is then the next boot: definitions are kept, /run is new.
# The network namespace is the machine's, so bridge names must be unique.
set -euo pipefail

self=$(realpath "${BASH_SOURCE[0]}")
hypervisor=$(realpath "$(dirname "$self")/../../hypervisor")
die() { printf 'private-libvirtd.sh: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,14s/^# \{0,1\}//p' "$self" >&2; exit 2; }
# shellcheck source=tests/support/capabilities.sh
. "$(dirname "$self")/capabilities.sh"

action=${1:-}; [[ -n ${2:-} ]] || usage
dir=$(realpath -m -- "$2"); shift 2
owner=
while (( $# )); do
  case $1 in
    --owner) owner=${2:?--owner needs a pid}; shift 2 ;;
    *) usage ;;
  esac
done

# What is bound where, inside the namespace.
state="etc:/etc/libvirt lib:/var/lib/libvirt run:/run/libvirt log:/var/log/libvirt cache:/var/cache/libvirt"
socket=$dir/run/libvirt-sock
uri="qemu+unix:///system?socket=$socket"
pid_inside=/run/libvirt/libvirtd.pid

answers() { [[ -S $socket ]] && timeout 10 virsh -q -c "$uri" uri >/dev/null 2>&1; }

wait_for_answer() {
  local tries
  for (( tries = 0; tries < 400; tries++ )); do
    if answers; then return 0; fi
    # In its first second the keeper may still be on its way to its own name.
    if (( tries > 20 )); then keeper >/dev/null || break; fi
    sleep 0.05
  done
  tail -n 20 "$dir/log/init.log" "$dir/log/libvirtd.log" >&2 2>/dev/null || true
  die "libvirtd does not answer on $socket; its logs are in $dir/log"
}

# The process to kill for a power cut: 'unshare', outside the namespaces. (Not
# 'grep -q': it leaves at the first match, and under pipefail the writer's
# broken pipe would then pass for "not there".)
keeper() {
  local pid
  pid=$(cat "$dir/pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
  tr '\0' '\n' < "/proc/$pid/cmdline" 2>/dev/null | grep -xF -- "$dir" > /dev/null || return 1
  echo "$pid"
}

# The init of the pid namespace, as numbered outside.
init() { local pid; pid=$(keeper) && pgrep -P "$pid" | head -n 1; }

inside() {
  local pid
  pid=$(init) || true
  [[ -n $pid ]] || die "nothing runs in $dir"
  nsenter --target "$pid" --mount --pid -- "$@"
}

# ---- inside -------------------------------------------------------------

daemon() { env -u LIBVIRT_DEFAULT_URI PATH="$PATH:/usr/sbin:/sbin" libvirtd --daemon --pid-file "$pid_inside"; }

# Process 1 of the pid namespace. As such it inherits every process whose
# parent has gone, QEMU first of all, and bash reaps whatever it inherits; a
# libvirtd in this place would not, and would wait for its own zombies.
run_init() {
  local pair
  for pair in $state; do mount --bind "$dir/${pair%%:*}" "${pair#*:}"; done
  daemon
  while :; do sleep 3600 & wait $! || true; done
}

# ---- state on disk ------------------------------------------------------

prepare() {
  local part
  mkdir -p "$dir"/{etc,lib,run,log,cache}
  for part in $state; do mkdir -p "${part#*:}"; done
  install -m 0600 "$hypervisor/qemu.conf" "$dir/etc/qemu.conf"
  # The daemon's identity must differ from its neighbours' and outlast a boot.
  [[ -s $dir/host_uuid ]] || cat /proc/sys/kernel/random/uuid > "$dir/host_uuid"
  {
    printf 'unix_sock_group = "root"\nunix_sock_rw_perms = "0700"\nunix_sock_ro_perms = "0700"\n'
    printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
    printf 'host_uuid = "%s"\n' "$(cat "$dir/host_uuid")"
    printf 'log_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n'
    printf 'max_clients = 200\nmax_workers = 40\nmax_client_requests = 20\n'
  } > "$dir/etc/libvirtd.conf"
  use_cache "$dir/cache"
}

# Bridges and firewall rules live in the machine's network namespace and would
# outlive a power cut, unlike on a real host. The status files tell which are
# ours; the kernel tells which subnets they carry.
forget_networks() {
  local file bridge subnet tool table rule
  for file in "$dir"/run/network/*.xml; do
    [[ -e $file ]] || continue
    # A bridge that libvirt merely uses belongs to somebody else.
    if grep -q "<forward mode='bridge'" "$file"; then continue; fi
    bridge=$(sed -n "s/.*<bridge name='\([^']*\)'.*/\1/p" "$file" | head -n 1)
    [[ -n $bridge ]] || continue
    for tool in iptables ip6tables; do
      command -v "$tool-save" >/dev/null || continue
      subnet=$(ip "$([[ $tool == iptables ]] && echo -4 || echo -6)" route show dev "$bridge" proto kernel 2>/dev/null |
        awk '$1 ~ "/" && $1 !~ /^fe80/ { print $1 }' | paste -sd'|')
      for table in filter nat mangle; do
        { "$tool-save" -t "$table" 2>/dev/null || true; } |
          { grep -E -- "^-A LIBVIRT_.*(-[io] $bridge |-[sd] (${subnet:-none}) )" || true; } |
          while read -r rule; do
            # shellcheck disable=SC2086  # the rule is a list of words
            eval "$tool -w -t $table -D ${rule#-A }" || true
          done
      done
    done
    ip link delete "$bridge" 2>/dev/null || true
  done
}

# Likewise what filtered the guests' cards: a card of the same name, of whatever
# libvirtd, would be met by the rules of the one before it.
forget_filters() {
  local chain port
  command -v ebtables >/dev/null || return 0
  { ebtables -t nat -L 2>/dev/null || true; } | sed -n 's/^Bridge chain: \(libvirt-[A-Z]-[^,]*\),.*/\1/p' |
    while read -r chain; do
      port=${chain#libvirt-?-}
      [[ ! -e /sys/class/net/$port ]] || continue
      ebtables -t nat -D PREROUTING -i "$port" -j "$chain" 2>/dev/null || true
      ebtables -t nat -D POSTROUTING -o "$port" -j "$chain" 2>/dev/null || true
      ebtables -t nat -F "$chain" 2>/dev/null || true
      ebtables -t nat -X "$chain" 2>/dev/null || true
    done
}

# ---- actions ------------------------------------------------------------

up() {
  (( EUID == 0 )) || die "needs root"
  command -v libvirtd >/dev/null || [[ -x /usr/sbin/libvirtd ]] || die "libvirtd is missing; run hypervisor/install.sh run"
  (( ${#socket} < 104 )) || die "$socket is too long for a unix socket; choose a shorter folder"
  case $dir in /run/libvirt*|/var/lib/libvirt*|/etc/libvirt*|/var/cache/libvirt*|/var/log/libvirt*)
    die "$dir would be hidden by the private daemon's own folders" ;;
  esac
  if keeper >/dev/null; then
    answers || startd
  else
    prepare
    forget_networks
    forget_filters
    rm -rf "${dir:?}/run"; mkdir "$dir/run"
    setsid unshare --mount --pid --fork --mount-proc --kill-child -- "$self" init "$dir" \
      < /dev/null > "$dir/log/init.log" 2>&1 &
    echo $! > "$dir/pid"
    wait_for_answer
    keep_cache "$uri" "$dir/cache"
  fi
  if [[ -n $owner ]]; then watch_owner; fi
  echo "$uri"
}

# A test that is killed cannot clean up; this does it. It knows the keeper's
# pid by heart, in case the folder is deleted first.
watch_owner() {
  exec 8> "$dir/log/watcher.log"
  # shellcheck disable=SC2016  # expanded by the watcher
  setsid bash -c '
    tail --pid="$1" -f /dev/null
    rm -f "$4/watcher"; "$2" down "$4"
    if tr "\0" "\n" < "/proc/$3/cmdline" | grep -qxF -- "$4"; then kill -9 "$3"; fi' \
    watcher "$owner" "$self" "$(keeper)" "$dir" < /dev/null >&8 2>&8 8>&- &
  echo $! > "$dir/watcher"
  exec 8>&-
}

stop_watcher() {
  local pid
  pid=$(cat "$dir/watcher" 2>/dev/null) || return 0
  rm -f "$dir/watcher"
  # The group: the shell and its tail. Its leader's name guards against a reused number.
  if [[ $(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null) == *" $dir " ]]; then kill -- "-$pid" 2>/dev/null || true; fi
}

down() {
  local pid name tries
  stop_watcher
  if pid=$(keeper); then
    if answers; then
      # libvirt undoes its own networks best.
      virsh -q -c "$uri" net-list --name 2>/dev/null | while read -r name; do
        [[ -z $name ]] || timeout 20 virsh -q -c "$uri" net-destroy "$name" >/dev/null 2>&1 || true
      done
    fi
    kill -9 "$pid" 2>/dev/null || true
    for (( tries = 0; tries < 100; tries++ )); do
      # In its first second the keeper may still be on its way to its own name.
    if (( tries > 20 )); then keeper >/dev/null || break; fi
      sleep 0.02
    done
  fi
  forget_networks
  forget_filters
  rm -rf "${dir:?}/run" "$dir/pid"
}

killd() {
  local number; number=$(cat "$dir/run/libvirtd.pid" 2>/dev/null) || die "no daemon in $dir"
  inside kill -9 "$number"
  while inside kill -0 "$number" 2>/dev/null; do sleep 0.01; done
  rm -f "$dir/run/libvirtd.pid" "$socket" "$socket-ro"
}

# A daemon that finds guests puts up their filters first, and ends when another
# test's daemon changes the same tables of the kernel's meanwhile. Beside others
# it may need more than one start; alone on its host, as anywhere else, it does not.
startd() {
  local starts tries
  for (( starts = 0; starts < 5; starts++ )); do
    if answers; then return; fi
    inside "$self" daemon "$dir"
    for (( tries = 0; tries < 100; tries++ )); do
      if answers; then return; fi
      if (( tries > 5 )); then runs || break; fi
      sleep 0.05
    done
  done
  wait_for_answer
}

runs() {
  local number
  number=$(cat "$dir/run/libvirtd.pid" 2>/dev/null) && inside kill -0 "$number" 2>/dev/null
}

case $action in
  up) up ;;
  down) down ;;
  killd) killd ;;
  startd) startd ;;
  uri) echo "$uri" ;;
  init) run_init ;;      # these two are called by this script itself, inside
  daemon) daemon ;;
  *) usage ;;
esac
