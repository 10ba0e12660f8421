# shellcheck shell=bash disable=SC2154  # what run.sh has set
# Sourced by run.sh, after the main job: a district of three rooms and twelve systems goes into the cloud. One system really
# moves: an old guest on a libvirt host of its own (of another network, mounts and processes, on this machine) is stopped, its
# disk travels to a machine of the main job's host, and what it has written is there. Its room is closed.

china() { TZ=CST-8 date "$@"; }     # the broker's days are China's
today=$(china +%F)
sheet() { sed 's/^/    /'; }
rv() { LC_ALL=C virsh -q -c "qemu+unix:///system?socket=$room/h1/run/libvirt-sock" "$@" 8>&-; }
named() { jq -r --arg name "$1" '.items[] | select(.name == $name).id'; }
system_of() { as auditor -o json system list | named "$1"; }
room_of() { as auditor -o json room list | named "$1"; }
server_of() { as auditor -o json server list | named "$1"; }

# A command on a guest, as whoever has the key's private half.
guest() {
  ssh -n -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 -o BatchMode=yes -o LogLevel=ERROR \
    -i "$state/tokens/guest" "root@$1" "$2" 8>&-
}
guest_in_time() {
  local tries said
  for (( tries = 0; tries < 60; tries++ )); do
    if said=$(guest "$1" "$2" 2>&1); then echo "$said"; return; fi
    sleep 1
  done
  die "$1 没有回答：$said"
}

# ---- the room -----------------------------------------------------------------------------------------------------------

step "机房里的旧机：另一台 libvirt 宿主机上的虚拟机"
read -r management zone < <(tests/support/hosts.sh up "$room" 1 --owner $$ 8>&-)
ssh-keygen -q -t ed25519 -N '' -C make-run -f "$state/tokens/guest"
old=oa-dibao old_address=${zone%0/24}21
rv pool-define-as old dir --target /var/lib/libvirt/old > /dev/null
rv pool-build old > /dev/null
rv pool-start old > /dev/null
cp "$image" "$room/h1/lib/old/$old.qcow2"
seed=$room/h1/lib/old-seed.img
truncate -s 1M "$seed"
mkfs.fat -n CIDATA "$seed" > /dev/null
printf 'instance-id: old-1\nlocal-hostname: %s\n' "$old" > "$room/meta-data"
printf '#cloud-config\nssh_authorized_keys:\n  - %s\n' "$(< "$state/tokens/guest.pub")" > "$room/user-data"
cat > "$room/network-config" <<YAML
version: 2
ethernets:
  primary:
    match: {macaddress: "52:54:00:0d:1b:21"}
    dhcp4: false
    addresses: [$old_address/24]
YAML
for file in meta-data user-data network-config; do mcopy -i "$seed" "$room/$file" "::/$file"; done
cat > "$room/$old.xml" <<XML
<domain type='qemu'>
  <name>$old</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>
  <devices>
    <controller type='usb' model='none'/>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/old/$old.qcow2'/>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/old-seed.img'/>
      <target dev='vdb' bus='virtio'/><readonly/></disk>
    <interface type='bridge'><mac address='52:54:00:0d:1b:21'/><source bridge='jyzone'/><model type='virtio'/></interface>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
XML
rv define "$room/$old.xml" > /dev/null
rv autostart "$old" > /dev/null
rv start "$old" > /dev/null
tell "旧机 $old 在 $old_address 启动（$zone，另一个网络）"
# The source host goes into the settings; the service begins anew, and the machines run on meanwhile.
end_service
cat >> "$config" <<TOML

# 民政老楼机房的宿主机：只看、只读盘、停机和开机。
[[source_host]]
name = "mzj-room-1"
uri = "qemu+tls://${management%0/24}11/system?pkipath=$room/pki/good"
TOML
begin_service
tell "源宿主机 mzj-room-1（TLS）写进了设置，服务已重启，三台虚拟机照常在跑"

step "导入普查表：先看差异，再写入"
as authority department create jyj 相城区教育局 > /dev/null
as authority department create wjw 相城区卫生健康委员会 > /dev/null
survey() {
  local digest
  digest=$(as operator -o json room import "$1" | jq -r .digest)
  [[ -n $digest && $digest != null ]] || die "$1 没有核对码"
  if [[ ${2:-} == show ]]; then as operator room import "$1" 2>&1 | sheet; fi
  as operator -o json room import "$1" --apply "$digest" |
    jq -r --arg file "$1" '"\($file)：新增 \(.new)，改动 \(.changed)，已写入"' | sed 's/^/  /'
}
survey samples/district-survey.xlsx
survey samples/district-survey-health.csv show
as auditor room list | sheet

# ---- dispositions and the wave ----------------------------------------------------------------------------------------

step "评估、定去向"
welfare=$(system_of 低保审批系统) pension=$(system_of 老年证管理系统)
advance() { as operator system advance "$1" --step "$2" --evidence "${@:3}" > /dev/null; }
assess() { advance "$(system_of "$1")" assess "评估表 $today"; }
decide() { as authority system decide "$(system_of "$1")" --disposition "$2" --reason "${@:3}" > /dev/null; }
for name in 低保审批系统 老年证管理系统 学籍管理系统 招生报名系统 教师培训系统; do assess "$name"; done
as auditor system move "$welfare" | sheet
decide 低保审批系统 inherit '单机部署，数据和配置都在系统盘上，可整盘迁入'
if refusal=$(as authority system decide "$pension" --disposition discard --reason '几乎无人使用' 2>&1); then
  die "摒弃没有要求证据"
fi
tell "摒弃不写替代系统，被拒绝："
sheet <<< "$refusal"
decide 老年证管理系统 discard '2021 年起改在省平台办理' --replaced-by 民政综合业务管理平台
decide 学籍管理系统 rebuild '数据库版本已停止支持'
decide 招生报名系统 rebuild '与学籍管理系统互相依赖，一并重构'
as authority system exempt "$(system_of 疫苗冷链监测)" --until "$(china -d '+1 year' +%F)" \
  --evidence '冷库现场采集设备清单，现场生产作业' > /dev/null
tell "继承 1、摒弃 1、重构 2，现场生产暂留 1，其余未定"

step "导入旧机的用量历史，排迁移批次，逐项检查"
# A month of the old guest's use, as a monitoring system keeps it: a weekday's rhythm, a sample every five minutes.
china -d "$today" +%s | awk '{
  print "vm,ts,cores,cpu_percent,mem_percent"
  for (at = $1 - 32 * 86400; at <= $1 + 600; at += 300) {
    hour = int((at + 28800) % 86400 / 3600); busy = hour >= 9 && hour < 17
    printf "民政虚机1,%d,2,%.1f,%.1f\n", at, busy ? 22 + at % 7 : 4, busy ? 10.5 : 9.5
  } }' > "$state/old-usage.csv"
as operator usage import "$state/old-usage.csv" | sheet
as operator blackout create --from "$(china -d '+1 day' +%F)" --to "$(china -d '+5 days' +%F)" \
  --reason '年终结算封网' > /dev/null
wave=$(as authority -o json wave create 第一批 --from "$today" --to "$(china -d '+2 days' +%F)" \
  --system "低保审批系统=maintain@2035-12-31" --system 学籍管理系统 | jq -r .id)
as authority wave check "$wave" | sheet
blocking() { as authority -o json wave check "$wave" | jq '[.conflicts[] | select(.level == "blocks")] | length'; }
(( $(blocking) > 0 )) || die "没有查出冲突"
as authority wave set "$wave" --to "$today" --system "低保审批系统=maintain@2035-12-31" > /dev/null
tell "窗口避开封网期，学籍管理系统与招生报名系统一起另排："
as authority wave check "$wave" | sheet
(( $(blocking) == 0 )) || die "批次还有挡住的冲突"

# ---- the move ---------------------------------------------------------------------------------------------------------

step "按实测用量申请、批准、建设"
{ cat samples/migration-block.yaml; printf 'ssh_keys:\n  - %s\n' "$(< "$state/tokens/guest.pub")"; } > "$state/block.yaml"
asked=(system request "$welfare" --task-book 相信任〔2026〕17号 --block "$state/block.yaml" --servers samples/migration-servers.yaml)
as requester "${asked[@]}" --dry-run | sheet
request=$(as requester -o json "${asked[@]}" | jq -r '.requests[0].id')
operation=$(as authority -o json request approve "$request" --comment '第一批，同意' | jq -r .id)
as authority operation watch "$operation" > /dev/null
read -r machine fqdn address < <(as auditor -o json machine list |
  jq -r --arg request "$request" '.items[] | select(.request_id == $request) | "\(.id) \(.fqdn) \(.address)"')
tell "虚拟机已建好：$fqdn，$address"
as operator system advance "$welfare" --step plan --cutover-on "$today" --trigger maintain --evidence 第一批排期表 > /dev/null
advance "$welfare" rehearse "在 $fqdn 上演练，记录 $today"

step "割接：停下旧机，磁盘迁入，校验和相同才启动"
register='head -c 300000 /dev/urandom > /state/register.db; sync; sha256sum < /state/register.db'
written=$(guest_in_time "$old_address" "$register")
tell "旧机上刚写下的业务数据：SHA-256 ${written%% *}"
import=$(as operator -o json disk-import create --old-server "$(server_of 民政虚机1)" --source-host mzj-room-1 \
  --domain "$old" --machine "$machine" --address new | jq -r .id)
as operator operation watch "$(as operator -o json disk-import show "$import" | jq -r .operation_id)" > /dev/null
as operator disk-import show "$import" | sheet
[[ $(rv domstate "$old") == 'shut off' ]] || die "旧机没有停下"
advance "$welfare" cut_over "割接单 $today"

step "迁移后测试、原址停用、归档"
found=$(resolve "$fqdn")
moved=$(guest_in_time "$found" 'sha256sum < /state/register.db')
[[ $moved == "$written" ]] || die "数据不对：旧机上 $written，云上 $moved"
disk=$(sha256sum < "$room/h1/lib/old/$old.qcow2")
[[ ${disk%% *} == "$(as operator -o json disk-import show "$import" | jq -r .sha256)" ]] || die "旧机的磁盘与读出的不同"
tell "${bold}$fqdn${plain} → $found 上读到同样的数据；旧机的磁盘一个字节也没有动"
if refusal=$(as operator system advance "$welfare" --step switch_off --evidence 无 2>&1); then die "没有测试就停了原址"; fi
tell "没有测试就停原址，被拒绝："
sheet <<< "$refusal"
advance "$welfare" test "业务数据校验和一致：${moved%% *}"
advance "$welfare" switch_off "$old 已停机"
as operator disk-import finish "$import" --evidence "原址停用单 $today" > /dev/null
advance "$pension" switch_off '服务器已停机，数据已移交省平台'

# ---- the room's end ---------------------------------------------------------------------------------------------------

step "逐道关口关停民政老楼机房"
office=$(room_of 民政老楼机房)
close() { as operator room record "$office" --gate "$1" --evidence "$2" > /dev/null; }
if refusal=$(as authority room sign "$office" --comment 同意 2>&1); then die "关口没有过就签了字"; fi
tell "关口没有过就签字，被拒绝："
sheet <<< "$refusal"
close servers_off "下电记录 $today，两台"
for system in "$welfare" "$pension"; do advance "$system" archive "归档清单 $today"; done
close equipment_disposed '资产处置单 2 件'
close network_cut '专线已拆'
as requester room sign "$office" --comment '现场核验，同意关停' > /dev/null
tell "相城区民政局 张三 已签字；还要另一个单位的另一个人"
as authority room sign "$office" --comment '同意关停' > /dev/null
as auditor room show "$office" | sheet
[[ $(as auditor -o json room show "$office" | jq -r .closed_on) == "$today" ]] || die "机房没有关停"

step "机房撤并进展，别的机房被什么挡住"
as auditor report rooms
for name in 教育局机房 卫健委机房; do
  printf '\n'
  as auditor room show "$(room_of "$name")"
done
as auditor ledger verify || die "账目不符"
