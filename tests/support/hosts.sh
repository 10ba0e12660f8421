#!/bin/bash
# Several libvirt hosts on one machine, for a test of its own:
#
#   hosts.sh up DIR COUNT [--owner PID]   power all on; prints the two /24 ranges they live in
#   hosts.sh boot DIR N        power host N on; what was defined on it is kept, /run is new
#   hosts.sh kill DIR N        a power cut: daemon, guests and network of host N are gone at once
#   hosts.sh killd DIR N       kill -9 of libvirtd alone; its guests live on
#   hosts.sh startd DIR N      start libvirtd again beside its guests
#   hosts.sh cut DIR N         take the cable out of host N's management port
#   hosts.sh mend DIR N        and put it back
#   hosts.sh down DIR          everything ends; DIR stays
#
# Each host has namespaces of its own: network, mounts, host name, processes.
# Two bridges of this machine stand for the switches. On the first, for
# management and migration, this machine is .1 and host N is .1N; libvirtd
# listens there with TLS and without. The second is the zone of the guests,
# whose end on each host is the bridge 'jyzone'. Guests of any host reach each
# other and this machine (.1) there.
#
# Outside stand DIR/hN/run/libvirt-sock, which no cut cable touches, and
# DIR/pki/CASE/{cacert,clientcert,clientkey}.pem for clients.
set -euo pipefail

self=$(realpath "${BASH_SOURCE[0]}")
hypervisor=$(realpath "$(dirname "$self")/../../hypervisor")
PATH=$PATH:/usr/sbin:/sbin
die() { printf 'hosts.sh: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,13s/^# \{0,1\}//p' "$self" >&2; exit 2; }
# shellcheck source=tests/support/capabilities.sh
. "$(dirname "$self")/capabilities.sh"

action=${1:-}; [[ -n ${2:-} ]] || usage
dir=$(realpath -m -- "$2"); shift 2
state="etc:/etc/libvirt pki:/etc/pki lib:/var/lib/libvirt run:/run/libvirt log:/var/log/libvirt cache:/var/cache/libvirt"
pid_inside=/run/libvirt/libvirtd.pid

number() { cat "$dir/number"; }
management() { echo "10.77.$(number)"; }
zone() { echo "10.78.$(number)"; }
port() { echo "jy$1$(number)h$2"; }                   # m: management, z: zone; of host $2
card() { if [[ $1 == m ]]; then echo 01; else echo 02; fi; }
address() { echo "$(management).1$1"; }
uri() { echo "qemu+unix:///system?socket=$dir/h$1/run/libvirt-sock"; }
answers() { [[ -S $dir/h$1/run/libvirt-sock ]] && timeout 10 virsh -q -c "$(uri "$1")" uri >/dev/null 2>&1; }

# The process whose end is the end of the host: 'unshare', outside.
keeper() {
  local pid
  pid=$(cat "$dir/h$1/pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
  { tr '\0' '\n' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -xF -- "$dir" > /dev/null || return 1
  echo "$pid"
}

inside() {
  local n=$1 pid; shift
  pid=$(keeper "$n") || die "host $n is off"
  pid=$(pgrep -P "$pid" | head -n 1)
  nsenter --target "$pid" --mount --uts --net --pid -- "$@"
}

wait_for_answer() {
  local tries
  for (( tries = 0; tries < 400; tries++ )); do
    if answers "$1"; then return 0; fi
    if (( tries > 20 )); then keeper "$1" >/dev/null || break; fi
    sleep 0.03
  done
  tail -n 20 "$dir/h$1/log/init.log" "$dir/h$1/log/libvirtd.log" >&2 2>/dev/null || true
  die "libvirtd of host $1 does not answer; its logs are in $dir/h$1/log"
}

# ---- certificates -------------------------------------------------------

# certificate FOLDER NAME CA EXTENSIONS [openssl x509's arguments]
certificate() {
  local at=$1 name=$2 ca=$3 extensions=$4; shift 4
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=Jiyue test/CN=$name" \
    -keyout "$at.key" -out "$at.csr" 2>/dev/null
  openssl x509 -req -in "$at.csr" -CA "$ca.pem" -CAkey "$ca.key" -set_serial "0x$(openssl rand -hex 8)" -out "$at.pem" \
    -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n%s' "$extensions") \
    "$@" 2>/dev/null
}

authority() {
  openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$2" -keyout "$1.key" -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# A client's folder as libvirt's pkipath wants it: CASE CA [certificate]
client() {
  mkdir -p "$dir/pki/$1"
  cp "$2.pem" "$dir/pki/$1/cacert.pem"
  if [[ -n ${3:-} ]]; then cp "$3.pem" "$dir/pki/$1/clientcert.pem"; cp "$3.key" "$dir/pki/$1/clientkey.pem"; fi
}

make_certificates() {
  local n at=$dir/pki/make
  mkdir -p "$at"
  authority "$at/ca" "Jiyue test CA" & authority "$at/other" "Somebody else's CA" & wait
  for (( n = 1; n <= $1; n++ )); do
    certificate "$at/h$n" "kvm$n" "$at/ca" "subjectAltName=IP:$(address "$n"),DNS:kvm$n" -days 2 &
  done
  certificate "$at/client" broker "$at/ca" "" -days 2 &
  certificate "$at/expired" broker "$at/ca" "" -not_before 20200101000000Z -not_after 20200201000000Z || true &
  certificate "$at/foreign" broker "$at/other" "" -days 2 &
  wait
  # Older OpenSSL cannot date a certificate back without the trappings of a CA.
  if [[ ! -s $at/expired.pem ]]; then expired_by_ca "$at"; fi
  client good "$at/ca" "$at/client"
  client wrong-ca "$at/other" "$at/foreign"
  client expired "$at/ca" "$at/expired"
  client foreign "$at/ca" "$at/foreign"
  client none "$at/ca"
}

expired_by_ca() {
  local at=$1
  : > "$at/index"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\norganizationName=optional\ncommonName=supplied\n[x]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:%s\n' \
    "$at/index" "$at" "$(management).1" > "$at/ca.cnf"
  openssl ca -batch -notext -config "$at/ca.cnf" -cert "$at/ca.pem" -keyfile "$at/ca.key" -in "$at/expired.csr" \
    -startdate 20200101000000Z -enddate 20200201000000Z -out "$at/expired.pem" 2>/dev/null
}

# ---- one host -----------------------------------------------------------

prepare() {
  local n=$1 h=$dir/h$1 pair
  mkdir -p "$h"/{etc,pki/CA,pki/libvirt/private,pki/qemu,lib,run,log,cache}
  for pair in $state; do mkdir -p "${pair#*:}"; done
  use_cache "$h/cache"
  if [[ -s $h/etc/libvirtd.conf ]]; then return; fi
  # The places that libvirt looks in by itself: as a server, and as a client of the other hosts.
  local at=$dir/pki/make
  cp "$at/ca.pem" "$h/pki/CA/cacert.pem"
  cp "$at/h$n.pem" "$h/pki/libvirt/servercert.pem"; cp "$at/h$n.key" "$h/pki/libvirt/private/serverkey.pem"
  cp "$at/h$n.pem" "$h/pki/libvirt/clientcert.pem"; cp "$at/h$n.key" "$h/pki/libvirt/private/clientkey.pem"
  # And those of QEMU, for what migration carries.
  cp "$at/ca.pem" "$h/pki/qemu/ca-cert.pem"
  for pair in server client; do
    cp "$at/h$n.pem" "$h/pki/qemu/$pair-cert.pem"; cp "$at/h$n.key" "$h/pki/qemu/$pair-key.pem"
  done
  {
    cat "$hypervisor/qemu.conf"
    # A dead neighbour is noticed within three seconds: tests have little time.
    printf 'keepalive_interval = 1\nkeepalive_count = 2\n'
  } > "$h/etc/qemu.conf"
  {
    printf 'unix_sock_group = "root"\nunix_sock_rw_perms = "0700"\nunix_sock_ro_perms = "0700"\n'
    printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
    printf 'listen_tls = 1\nlisten_tcp = 1\nlisten_addr = "0.0.0.0"\nauth_tcp = "none"\nauth_tls = "none"\n'
    printf 'host_uuid = "%s"\n' "$(cat /proc/sys/kernel/random/uuid)"
    printf 'log_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n'
    printf 'keepalive_interval = 1\nkeepalive_count = 2\n'
    printf 'max_clients = 200\nmax_workers = 40\nmax_client_requests = 20\n'
  } > "$h/etc/libvirtd.conf"
}

# Powers host N on; its daemon answers a little later.
switch_on() {
  local n=$1 h=$dir/h$1 pid kind tries theirs
  if keeper "$n" >/dev/null; then return; fi
  prepare "$n"
  rm -rf "${h:?}/run"; mkdir "$h/run"
  setsid unshare --net --mount --uts --pid --fork --mount-proc --kill-child -- "$self" init "$dir" "$n" \
    < /dev/null > "$h/log/init.log" 2>&1 &
  pid=$!
  echo "$pid" > "$h/pid"
  # Until it has left this network namespace, its cables would be laid in here.
  for (( tries = 0; ; tries++ )); do
    theirs=$(readlink "/proc/$pid/ns/net") || die "host $n did not come up; see $h/log/init.log"
    [[ $theirs == "$(readlink /proc/self/ns/net)" ]] || break
    (( tries < 3000 )) || die "host $n does not come up"
    sleep 0.01
  done
  for kind in m z; do
    # Of a life before this one, which the kernel may still be clearing away.
    ip link delete "$(port "$kind" "$n")" 2>/dev/null || true
    # The same hardware address at each boot, or its neighbours would look for the old one for half a minute.
    ip link add "$(port "$kind" "$n")" type veth peer name "eth-$kind" address "02:6a:79:$(card "$kind"):$(printf '%02x:%02x' "$(number)" "$n")" netns "$pid"
    ip link set "$(port "$kind" "$n")" master "jy$kind$(number)" up
  done
}

# Process 1 of the host. As such it inherits every process whose parent has
# gone, QEMU first of all, and bash reaps whatever it inherits; a libvirtd in
# this place would not, and migrations would wait for its zombies.
run_init() {
  local n=$1 pair
  hostname "kvm$n"
  mount --make-rprivate /
  for pair in $state; do mount --bind "$dir/h$n/${pair%%:*}" "${pair#*:}"; done
  mount -t sysfs sysfs /sys                           # the links of this namespace
  sed "1i $(address "$n") kvm$n" /etc/hosts > "$dir/h$n/hosts"; mount --bind "$dir/h$n/hosts" /etc/hosts
  ip link set lo up
  until [[ -e /sys/class/net/eth-m && -e /sys/class/net/eth-z ]]; do sleep 0.01; done
  ip link add jyzone type bridge
  ip link set dev eth-z master jyzone up
  ip link set jyzone up
  ip addr add "$(address "$n")/24" dev eth-m
  ip addr add "$(management).11$n/24" dev eth-m           # an address that is not in its certificate
  ip link set dev eth-m up
  daemon
  while :; do sleep 3600 & wait $! || true; done
}

daemon() { env -u LIBVIRT_DEFAULT_URI libvirtd --listen --daemon --pid-file "$pid_inside"; }

switch_off() {
  local pid tries
  pid=$(keeper "$1") || return 0
  kill -9 "$pid" 2>/dev/null || true
  for (( tries = 0; tries < 200; tries++ )); do
    keeper "$1" >/dev/null || break
    sleep 0.01
  done
  rm -f "$dir/h$1/pid"
}

killd() {
  local pid; pid=$(cat "$dir/h$1/run/libvirtd.pid" 2>/dev/null) || die "no daemon on host $1"
  inside "$1" kill -9 "$pid"
  while inside "$1" kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
  rm -f "$dir/h$1/run/libvirtd.pid" "$dir/h$1/run/"libvirt-sock*
}

startd() {
  if answers "$1"; then return; fi
  inside "$1" "$self" daemon "$dir" "$1"
  wait_for_answer "$1"
}

# ---- all hosts ----------------------------------------------------------

# Making the bridge is what reserves the number and with it both ranges.
take_number() {
  local n tries
  if [[ -s $dir/number ]]; then return; fi
  for (( tries = 0; tries < 254; tries++ )); do
    n=$(( ($$ + tries) % 254 + 1 ))
    if ip link add "jym$n" type bridge 2>/dev/null; then
      echo "$n" > "$dir/number"
      rm -rf "$dir/pki" "$dir"/h*/etc "$dir"/h*/pki   # addresses stand in the certificates
      ip link add "jyz$n" type bridge
      ip addr add "$(management).1/24" dev "jym$n"; ip link set "jym$n" up
      ip addr add "$(zone).1/24" dev "jyz$n"; ip link set "jyz$n" up
      return
    fi
  done
  die "no range of addresses is free"
}

up() {
  local count=$1 owner=${2:-} n
  (( EUID == 0 )) || die "needs root"
  (( count >= 1 && count <= 9 )) || die "1 to 9 hosts"
  (( ${#dir} < 80 )) || die "$dir is too long for a unix socket; choose a shorter folder"
  mkdir -p "$dir"
  take_number
  echo "$count" > "$dir/count"
  [[ -d $dir/pki/good ]] || make_certificates "$count"
  for (( n = 1; n <= count; n++ )); do switch_on "$n"; done
  if [[ -n $owner ]]; then watch_owner "$owner"; fi
  for (( n = 1; n <= count; n++ )); do wait_for_answer "$n"; done
  keep_cache "$(uri 1)" "$dir/h1/cache"
  echo "$(management).0/24 $(zone).0/24"
}

# A test that is killed cannot clean up; this does it.
watch_owner() {
  # shellcheck disable=SC2016  # expanded by the watcher
  setsid bash -c 'tail --pid="$1" -f /dev/null; rm -f "$3/watcher"; "$2" down "$3"' \
    watcher "$1" "$self" "$dir" < /dev/null > "$dir/watcher.log" 2>&1 &
  echo $! > "$dir/watcher"
}

down() {
  local pid n count; count=$(cat "$dir/count" 2>/dev/null || echo 0)
  if pid=$(cat "$dir/watcher" 2>/dev/null); then
    rm -f "$dir/watcher"
    if [[ $({ tr '\0' ' ' < "/proc/$pid/cmdline"; } 2>/dev/null) == *" $dir " ]]; then kill -- "-$pid" 2>/dev/null || true; fi
  fi
  for (( n = 1; n <= count; n++ )); do switch_off "$n"; done
  if [[ -s $dir/number ]]; then
    ip link delete "jym$(number)" 2>/dev/null || true
    ip link delete "jyz$(number)" 2>/dev/null || true
    rm -f "$dir/number"
  fi
}

host() { [[ ${1:-} =~ ^[1-9]$ ]] || usage; echo "$1"; }
case $action in
  up) owner=; [[ ${2:-} != --owner ]] || owner=${3:?--owner needs a pid}; up "${1:?how many?}" "$owner" ;;
  boot) switch_on "$(host "${1:-}")"; wait_for_answer "$1" ;;
  kill) switch_off "$(host "${1:-}")" ;;
  killd) killd "$(host "${1:-}")" ;;
  startd) startd "$(host "${1:-}")" ;;
  cut) ip link set "$(port m "$(host "${1:-}")")" down ;;
  mend) ip link set "$(port m "$(host "${1:-}")")" up ;;
  down) down ;;
  init) run_init "$1" ;;      # these two are called by this script itself, inside
  daemon) daemon ;;
  *) usage ;;
esac
