#!/bin/bash
# `make run`: from an empty Debian 12 to two machines that answer by their domain names and one that answers SQL, then a
# small district out of its machine rooms (district.sh), then on serving.
#
#   run.sh           everything, then serves until Ctrl-C
#   ONCE=1 run.sh    everything, then stops all it has started; the exit code is the result
#   run.sh stop      stops what an earlier run has left
#
# Each run starts afresh: what an earlier one has left, also one that was killed, is removed first. Removed is only what
# is this script's own: domains that carry the broker's mark *and* have all their disks in this script's pool, the pool
# whose folder is ours, and the network that has our name *and* our bridge.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

state=/var/lib/jiyue-demo      # database, images, tokens, log, disks
runtime=/run/jiyue-demo        # lock, process numbers
name=jiyue-demo                # of the pool and of the network
bridge=jydemo0
uri=qemu:///system
config=$state/jiyue.toml
log=$state/serve.log
room=$state/room               # the departmental room's libvirt host
steps=22

# ---- what people see --------------------------------------------------------------------------------------------------

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi
at=0 doing=准备
step() { at=$(( at + 1 )); doing=$1; printf '\n%s[%d/%d] %s%s %s（第 %d 秒）%s\n' "$bold" "$at" "$steps" "$1" "$plain" "$dim" "$SECONDS" "$plain"; }
tell() { printf '  %s\n' "$*"; }
die() { printf '%s%s%s\n' "$red" "$*" "$plain" >&2; exit 1; }

(( EUID == 0 )) || die "需要 root：要装系统软件包、用 libvirt 建网络和虚拟机。请用 sudo make run"
. scripts/env.sh
once=${ONCE:-}; [[ $once != 0 ]] || once=''
wanted=${JIYUE_LISTEN:-}
export JIYUE_CACHE=$jiyue_cache
# A broker's settings in this shell are meant for another broker than this one.
for variable in "${!JIYUE_@}"; do [[ $variable == JIYUE_CACHE ]] || unset "$variable"; done

# ---- one run at a time ------------------------------------------------------------------------------------------------

# The process in the file, provided that its command line still says so.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
  { tr '\0' ' ' < "/proc/$pid/cmdline" | grep -F -- "$2" > /dev/null; } 2> /dev/null || return 1
  echo "$pid"
}

# Asks a process to end, and ends it when it does not.
end() {
  local pid tries
  pid=$(alive "$1" "$2") || return 0
  kill "$pid" 2>/dev/null || return 0
  for (( tries = 0; tries < 200; tries++ )); do
    alive "$1" "$2" > /dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

# Takes over from a run that is still there. Descriptor 8 is the lock; nothing that outlives this script inherits it.
take_over() {
  mkdir -p "$runtime"
  exec 8>> "$runtime/lock"
  if ! flock -n 8; then
    tell "上一个 make run 还在，先请它停下"
    end "$runtime/run.pid" scripts/run.sh
    flock -w 60 8 || die "另一个 make run 停不下来；看 $runtime/run.pid 里的进程"
  fi
  echo $$ > "$runtime/run.pid"
}

# ---- cleaning up ------------------------------------------------------------------------------------------------------

v() { LC_ALL=C virsh -q -c "$uri" "$@" 8>&-; }

libvirtd() { hypervisor/libvirtd.sh "$1" --pid-file "$runtime/libvirtd.pid" 8>&-; }

# Ours: marked by the broker as a machine or a probe, and every disk in our pool.
is_ours() {
  local disks
  v metadata "$1" urn:jiyue:machine:1 &> /dev/null || v metadata "$1" urn:jiyue:probe:1 &> /dev/null || return 1
  disks=$(v domblklist "$1" | awk '{ print $2 }')
  [[ -n $disks ]] && ! grep -qv "^$state/pool/" <<< "$disks"
}

# Removes everything on the hypervisor that is ours; the disks' folder only after all that could use it is gone.
clear_hypervisor() {
  local domains networks pools domain path
  domains=$(v list --all --uuid) && networks=$(v net-list --all --name) && pools=$(v pool-list --all --name) \
    || die "libvirt 不回答：virsh -c $uri list"
  for domain in $domains; do
    is_ours "$domain" || continue
    v destroy "$domain" &> /dev/null || true
    v undefine "$domain" > /dev/null || die "虚拟机 $domain 删不掉"
  done
  if grep -qx "$name *" <<< "$networks"; then
    [[ $(v net-info "$name" | awk '$1 == "Bridge:" { print $2 }') == "$bridge" ]] \
      || die "libvirt 里有一个不是 make run 建的网络 $name；请先改名或删除它"
    v net-destroy "$name" &> /dev/null || true
    v net-undefine "$name" > /dev/null || die "网络 $name 删不掉"
    # The second stays where others' machines are behind it.
    v nwfilter-undefine "jiyue-network-1-$name" &> /dev/null || true
    v nwfilter-undefine jiyue-guest-1 &> /dev/null || true
  fi
  if grep -qx "$name *" <<< "$pools"; then
    path=$(v pool-dumpxml "$name" | sed -n 's:.*<path>\(.*\)</path>.*:\1:p')
    [[ $path == "$state/pool" ]] || die "libvirt 里有一个不是 make run 建的存储池 $name；请先改名或删除它"
    v pool-destroy "$name" &> /dev/null || true
    v pool-undefine "$name" > /dev/null || die "存储池 $name 删不掉"
  fi
  rm -rf "${state:?}/pool"
}

end_service() { end "$runtime/serve.pid" "--config $config"; rm -f "$runtime/serve.pid"; }

# The departmental room's host, with what runs on it; a run that was killed has taken it along.
end_room() { if [[ -d $room ]]; then tests/support/hosts.sh down "$room" 8>&-; fi; }

# Stops all that a run has started; the database and the log stay for reading, the next run removes them.
stop_everything() {
  end_service
  end_room
  if command -v virsh > /dev/null; then
    if [[ -d $state ]]; then libvirtd start > /dev/null; fi
    if libvirtd status > /dev/null; then clear_hypervisor; fi
    libvirtd stop > /dev/null
  fi
  rm -rf "${state:?}/images" "${state:?}/tokens" "${room:?}"
}

case ${1:-} in
  '') ;;
  clear) stop_everything; exit 0 ;;      # for this script itself
  stop)
    take_over
    stop_everything
    rm -rf "${state:?}" "${runtime:?}"
    tell "make run 的服务、虚拟机、网络和存储池都已停掉、删除"
    exit 0 ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

# ---- how it ends ------------------------------------------------------------------------------------------------------

finished=''
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'leave $?' EXIT
leave() {
  local code=$1
  trap - EXIT; trap '' INT TERM HUP
  set +e
  if [[ -z $finished ]]; then
    printf '\n%s✗ 没有做完：第 %d 步“%s”，退出码 %d%s\n' "$red" "$at" "$doing" "$code" "$plain" >&2
    if [[ -n ${serving:-} ]]; then
      printf '服务日志 %s 的最后几行：\n' "$log" >&2
      tail -n 15 "$log" | sed 's/^/  /' >&2
    fi
    (( code != 0 )) || code=1
  fi
  if [[ -n $once ]]; then
    tell "收场：停掉这次启动的一切"
    # In a process of its own, so that a step that fails ends it.
    scripts/run.sh clear || code=1
  else
    end_service
    if [[ -z $finished ]]; then
      echo "可以直接再来一次：make run（会先清掉这一次留下的）；只想收拾干净：make stop" >&2
    else
      printf '\n服务已停。虚拟机还在运行，状态都在 %s：\n' "$state"
      printf '  %s serve --config %s   接着服务\n  make stop   全部停掉、删除\n  make run    清掉这一次，从头再来\n' "$jiyue" "$config"
    fi
  fi
  rm -f "$runtime/run.pid"
  if [[ -n $once ]]; then
    if (( code == 0 )); then printf '%s✓ 全部做完并已收场，用时 %d 秒%s\n' "$green" "$SECONDS" "$plain"; fi
    rm -f "$runtime/lock"
    rmdir --ignore-fail-on-non-empty "$runtime"
  fi
  exit "$code"
}

# ---- the way ----------------------------------------------------------------------------------------------------------

take_over

step "系统软件包"
hypervisor/install.sh run 8>&- 2>&1 | sed 's/^/  /'

step "编译 jiyue"
cargo build --locked ${RELEASE:+--release} 8>&-
jiyue=$(cargo metadata --locked --format-version 1 --no-deps | jq -r .target_directory)/${RELEASE:+release}
jiyue=${jiyue%/}; [[ -n ${RELEASE:-} ]] || jiyue=$jiyue/debug
jiyue=$jiyue/jiyue

step "libvirt"
libvirtd start | sed 's/^/  /'
end_service
end_room
clear_hypervisor
rm -rf "${state:?}"
mkdir -p -m 0711 "$state"

step "小型客户机镜像，一个空的，一个带 PostgreSQL"
image=$(hypervisor/guest/build.sh small 8>&-)
database_image=$(hypervisor/guest/build.sh postgresql 8>&-)
for built in "$image" "$database_image"; do tell "$built（$(( $(stat -c %s "$built") / 1000000 )) MB）"; done

step "启动服务"
busy() { [[ -n $(ss -Hltn "sport = :$1") ]]; }
if [[ -n $wanted ]]; then
  ! busy "${wanted##*:}" || die "$wanted 已有别的程序在用；换一个：JIYUE_LISTEN=127.0.0.1:端口 make run"
else
  port=8460
  while busy "$port"; do port=$(( port + 1 )); done
  wanted=127.0.0.1:$port
fi
cat > "$config" <<TOML
# 由 make run 写成；每次重写。
listen = "$wanted"
database_url = "sqlite:$state/jiyue.db"
image_folder = "$state/images"
secret_key_file = "$state/secret.key"
# 正式用是 60；这里两秒读一次，表里很快就有数。
usage_seconds = 2
TOML
export JIYUE_SERVER=http://$wanted
umask 077
begin_service() {
  local tries
  # Should this script be killed, the kernel ends the service.
  NO_COLOR=1 setsid setpriv --pdeathsig TERM "$jiyue" serve --config "$config" < /dev/null >> "$log" 2>&1 8>&- &
  serving=$!
  echo "$serving" > "$runtime/serve.pid"
  for (( tries = 0; ; tries++ )); do
    if curl -fs --noproxy '*' -o /dev/null "$JIYUE_SERVER/readyz"; then break; fi
    kill -0 "$serving" 2>/dev/null || die "服务没有起来"
    (( tries < 300 )) || die "服务 30 秒没有就绪"
    sleep 0.1
  done
}
begin_service
tell "$JIYUE_SERVER，SQLite 数据库 $state/jiyue.db"

step "令牌、建设单位、任务书"
mkdir "$state/tokens"
token() {
  local file=$state/tokens/$1; shift
  "$jiyue" token create --config "$config" "$@" > "$file" 2> "$file.error" || { cat "$file.error" >&2; return 1; }
  rm "$file.error"
}
as() { JIYUE_TOKEN=$(< "$state/tokens/$1") "$jiyue" "${@:2}" 8>&-; }
token authority --person wang --name 王审 --unit 区信息办 --role authority
token operator --person ma --name 马维 --unit 政务云运维 --role operator
token auditor --person shen --name 沈计 --unit 区审计局 --role auditor
as authority department create mzj 相城区民政局
token requester --person zhang --name 张三 --role requester --department mzj
tell "四个角色的令牌在 $state/tokens（只有 root 能读）"
as authority task-book import samples/task-book.yaml

step "接入本机为宿主机（启动一台探测机，看哪种虚拟化真的能用）"
free_range() {
  local range
  for range in 192.168.{151..169}.0/24 172.30.{151..169}.0/24 10.151.{151..169}.0/24; do
    # No route leads there but the default one, and none leads to a part of it.
    if [[ -z $(ip -4 route show match "${range%0/24}1" | grep -v ^default) && -z $(ip -4 route show root "$range") ]]; then
      echo "$range"
      return
    fi
  done
  return 1
}
range=$(free_range) || die "找不到没有用过的私有网段"
as operator host add local --uri "$uri" --pool "$name" --pool-path "$state/pool" \
  --zone "zone=government_extranet,network=$name,bridge=$bridge,cidr=$range"

step "导入镜像"
as operator image import "$image" --os debian-12 --name '小型客户机（Debian 内核与 busybox，代替 Debian 12）' --stand-in
as operator image import "$database_image" --os debian-12 --database postgresql-15 \
  --name '小型客户机与 Debian 的 PostgreSQL 15（代替 Debian 12）' --stand-in

step "检查并提交申请（samples/feasibility-report.docx：一份可研报告，一组两台应用、一组一台数据库）"
as requester request check samples/feasibility-report.docx
mapfile -t requests < <(as requester -o json request submit samples/feasibility-report.docx | jq -r '.items[].id')
(( ${#requests[@]} == 2 )) || die "应有两份申请，只有 ${#requests[@]} 份"
tell "申请编号 ${requests[*]}"

step "批准并建设"
operations=()
for request in "${requests[@]}"; do
  operations+=("$(as authority -o json request approve "$request" --comment 同意 | jq -r .id)")
done
for operation in "${operations[@]}"; do as authority operation watch "$operation" > /dev/null; done
tell "区信息办已批准，三台都已建好"

step "按域名访问每一台"
gateway=$(as operator -o json host show local | jq -r '.zones[0].gateway')
machines=$(as requester -o json machine list)
# The address that the zone's DNS gives a name.
resolve() { host -t A -W 2 "$1" "$gateway" | sed -n 's/.* has address //p'; }
answered=()
while read -r fqdn address <&3; do
  for (( tries = 0; ; tries++ )); do
    found=$(resolve "$fqdn" || true)
    body=''
    if [[ -n $found ]] && body=$(curl -fsS --noproxy '*' -m 5 --resolve "$fqdn:80:$found" "http://$fqdn/" 2>&1); then break; fi
    (( tries < 30 )) || die "$fqdn 没有回答（DNS $gateway 给出 ${found:-空}）：$body"
    sleep 1
  done
  [[ $found == "$address" ]] || die "$fqdn 的 DNS 记录是 $found，账上是 $address"
  answered+=("$fqdn")
  tell "${bold}http://$fqdn/${plain} → $found 回答："
  sed 's/^/    /' <<< "$body"
done 3< <(jq -r '.items | map(select(.database | not)) | sort_by([(.fqdn | length), .fqdn])[] | "\(.fqdn) \(.address)"' <<< "$machines")
(( ${#answered[@]} == 2 )) || die "应有两台应用虚拟机，只有 ${#answered[@]} 台"

step "领取数据库口令，按域名查询数据库"
# The password goes from the answer into a file that psql reads, and nowhere else.
read -r machine fqdn < <(jq -r '.items[] | select(.database) | "\(.id) \(.fqdn)"' <<< "$machines") || die "没有数据库虚拟机"
found=$(resolve "$fqdn")
export PGPASSFILE=$state/tokens/pgpass
as requester -o json machine credentials "$machine" \
  | jq -r --arg found "$found" '"\($found):\(.port):\(.database):\(.role):\(.password)"' > "$PGPASSFILE"
IFS=: read -r _ port database role _ < "$PGPASSFILE"
if as requester machine credentials "$machine" &> /dev/null; then die "口令领到了两次"; fi
tell "口令已领取，存在 $PGPASSFILE（只有 root 能读）；再领一次已被拒绝"
query=(psql -X -q -h "$found" -p "$port" -U "$role" -d "$database")
"${query[@]}" -v ON_ERROR_STOP=1 8>&- <<'SQL'
create table 办件 (编号 int primary key, 事项 text not null);
insert into 办件 values (1, '高龄津贴'), (2, '婚姻登记预约'), (3, '高龄津贴');
SQL
asked="select current_user as 角色, split_part(version(), ' (', 1) as 版本, count(*) as 办件 from 办件"
answer=$("${query[@]}" -c "$asked" 8>&-) || die "$fqdn 没有回答 SQL"
tell "${bold}psql -h $fqdn${plain} → $found:$port 回答："
sed 's/^/    /' <<< "$answer"

step "读到每台虚拟机的实际用量"
for (( tries = 0; ; tries++ )); do
  usage=$(as requester -o json usage list)
  read -r measured < <(jq '[.items[] | select(.usage.samples >= 3)] | length' <<< "$usage")
  (( measured < 3 )) || break
  (( tries < 60 )) || die "等了一分钟，三台里只有 $measured 台有用量"
  sleep 1
done
tell "三台都有了用量"

printf '\n%s这次做成了什么%s（用时 %d 秒）\n' "$bold" "$plain" "$SECONDS"
as operator machine list
echo
jq -r '[.items[] | select(.stand_in) | .image] | unique[] |
  "注意：申请的是 Debian 12，这里跑的是替身镜像“\(.)”，不是 Debian 12 本身。"' <<< "$machines"
printf '\nvirsh -c %s list\n' "$uri"
setsid --wait virsh -c "$uri" list 8>&-    # without a terminal of its own it asks for no polkit agent
as operator ledger verify || die "账目不符"
printf '\n实际用量（来自 libvirt；没有样本的时间是不知道，不是闲置）\n'
as operator usage list

. scripts/district.sh

finished=yes
[[ -z $once ]] || exit 0

# ---- on serving -------------------------------------------------------------------------------------------------------

cat <<TEXT

${bold}服务在 $JIYUE_SERVER，Ctrl-C 停止。${plain}另开一个 root 终端试试：
  export JIYUE_SERVER=$JIYUE_SERVER
  export JIYUE_TOKEN=\$(cat $state/tokens/requester)   # 申请人；还有 authority、operator、auditor
  alias jiyue=$jiyue
  jiyue machine list
  jiyue usage list                      # 实际用量；判定和闲置报告从过完的第一天起有：jiyue report idle
  jiyue machine stop ID --wait          # start、delete、restore 同理；log 看串口
  jiyue report rooms                    # 机房撤并；room list、system move ID、wave list、disk-import list
  PGPASSFILE=$PGPASSFILE ${query[*]:0:1} ${query[*]:3}
  jiyue request submit samples/feasibility-report.docx   # 再交一次：会被拒绝，并说明与哪一份重复
  jiyue --help
TEXT
trap 'exit 0' INT TERM
code=0
wait "$serving" || code=$?
finished='' doing=服务
die "服务自己停了（退出码 $code）"
