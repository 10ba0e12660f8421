//! Acts on hosts: adding one, after it has shown what it can do.

use super::{
    Amount, Host, HostNetwork, ProviderKind,
    inventory::{Inventory, usable},
    providers::{self},
    standing::Standing,
    store, zones,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    error::{Kind, Problem, story},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{HostId, NetworkId},
    labels::{MlpsLevel, Zone},
    provider::{
        Capacity, DomainType, NetworkIntent, Provider, ProviderError,
        kubevirt::{ClusterSettings, KubevirtCluster, SCHEME},
        libvirt::{self, LibvirtHost, NetworkSetup, Way},
        simulated::SimulatedHost,
    },
    units::Bytes,
};
use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use serde_json::json;
use std::net::Ipv4Addr;

/// What an operator says about a new host.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHost {
    /// 1 to 32 lower-case letters, digits and hyphens.
    pub name: String,
    /// `kubernetes:NAME` for a cluster that the settings name, else libvirt's address: `qemu:///system`, `qemu+unix:///system?socket=/path`,
    /// `qemu+tls://host/system?pkipath=/folder`, or `qemu+tcp://host/system` in a network that the settings list as
    /// insecure.
    pub uri: String,
    /// The storage pool that machines' disks go to; made when it is not there.
    #[serde(default = "default_pool")]
    pub pool: String,
    /// The pool's directory on the host.
    #[serde(default = "default_pool_path")]
    pub pool_path: String,
    /// One network for each zone that the host serves.
    pub zones: Vec<NewZone>,
    /// vCPUs given out for each processor of the host.
    #[serde(default = "default_overcommit")]
    pub vcpu_overcommit: u32,
    /// Memory kept back for the host itself.
    #[serde(default = "default_reserve")]
    pub memory_reserve_bytes: i64,
    /// The highest MLPS level (等保级别) that the host may carry, 1 to 4; 4 when it is not said.
    #[serde(default = "default_level")]
    pub mlps_level: i64,
}

/// A zone's network on the new host.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewZone {
    /// `government_extranet`, `internet` or `government_private`.
    pub zone: String,
    /// The libvirt network's name; made when it is not there. Not with `segment`. On a cluster `pod`, its pod network.
    #[serde(default)]
    pub network: Option<String>,
    /// The bridge; on a cluster, with `segment`, the network attachment as `namespace/name`.
    #[serde(default)]
    pub bridge: String,
    /// The range of addresses, of which the first is the host's own, as in `192.168.150.0/24`.
    pub cidr: String,
    /// The name of a network that hosts share, reached by the bridge, which must be there. Machines on it can move from
    /// host to host and have fixed addresses.
    #[serde(default)]
    pub segment: Option<String>,
    /// With `segment`: the way out, when it is not the range's first address.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub gateway: Option<Ipv4Addr>,
    /// With `segment`: who answers names, when it is not the gateway.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub dns: Option<Ipv4Addr>,
    /// With `segment`: the part of the range that machines may have, as in `10.8.0.50-10.8.0.200`.
    #[serde(default)]
    pub addresses: Option<String>,
}

fn default_pool() -> String {
    "jiyue".to_owned()
}

fn default_pool_path() -> String {
    "/var/lib/jiyue/pool".to_owned()
}

const fn default_reserve() -> i64 {
    1 << 30
}

const fn default_overcommit() -> u32 {
    4
}

fn default_level() -> i64 {
    MlpsLevel::HIGHEST.get().into()
}

/// Which hosts the settings let be added.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    pub simulated: bool,
    pub insecure_networks: Vec<IpNet>,
    pub clusters: Vec<ClusterSettings>,
}

/// Prepares the host (pool, networks), boots a probe on it, measures it, and enters it.
pub async fn add_host(
    db: &Db,
    inventory: &Inventory,
    actor: &Actor,
    new: NewHost,
    allowed: &Allowed,
) -> Result<Host, Problem> {
    policy::scope(actor, Act::HostAdd)?;
    let mut host = draft(&new)?;
    if let Ok(way) = Way::read(&host.uri) {
        let vetted = libvirt::vet(&way, &allowed.insecure_networks).await;
        vetted.map_err(|fault| Problem::new(Kind::Refused, "host_refused", format!("/uri: {fault}")))?;
    }
    if host.provider == ProviderKind::Simulated && !allowed.simulated {
        return Err(Problem::new(
            Kind::Refused,
            "simulated_host_refused",
            "/uri: 模拟宿主机上不会运行任何虚拟机，仅供压力与故障测试；测试环境可在配置中设置 allow_simulated_hosts = true",
        ));
    }
    {
        let mut conn = db.read().await?;
        if store::find_host(&mut conn, &host.name).await?.is_some() {
            return Err(Problem::conflict("host_name_taken", format!("宿主机 {} 已登记", host.name)));
        }
        agrees(&host, &store::list_hosts(&mut conn).await?)?;
    }
    let (capacity, domain_type) = match cluster(&host, allowed)? {
        Some(settings) => (examine(&host, settings).await?, DomainType::Kvm),
        None => explore(&host, &allowed.insecure_networks).await.map_err(|error| unusable(&host, &error))?,
    };
    for warning in host.warnings() {
        tracing::warn!(host = host.name, uri = host.uri, "host.insecure: {warning}");
    }
    host.domain_type = domain_type;
    host.limit = match cluster(&host, allowed)?.and_then(ClusterSettings::grant) {
        // What the settings grant is meant as it is written.
        Some(_) => limit(capacity, &NewHost { vcpu_overcommit: 1, memory_reserve_bytes: 0, ..new }),
        None => limit(capacity, &new),
    };
    enter(db, actor, host.clone()).await?;
    inventory.stale();
    Ok(host)
}

/// Reads hosts and claims into the index if it is behind, inside the transaction that will claim. Answers whether it was.
pub async fn refresh(inventory: &Inventory, tx: &mut Tx) -> Result<bool, DbError> {
    if inventory.is_fresh() {
        return Ok(false);
    }
    let mark = inventory.mark();
    let reading = store::reading(tx.conn()).await?;
    inventory.replace(mark, reading);
    Ok(true)
}

/// Its networks fit to those that are registered.
fn agrees(host: &Host, hosts: &[Host]) -> Result<(), Problem> {
    let faults = zones::contradictions(&host.networks, hosts);
    if faults.is_empty() { Ok(()) } else { Err(Problem::new(Kind::Refused, "host_refused", faults.join("；"))) }
}

/// Writes the host's row with its audit record.
pub async fn enter(db: &Db, actor: &Actor, host: Host) -> Result<(), Problem> {
    let who = Who::from(actor);
    db.write(async move |tx| -> Result<(), Problem> {
        // Once more: looking at the host takes seconds, in which another may have come.
        agrees(&host, &store::list_hosts(tx.conn()).await?)?;
        store::insert_host(tx, &host).await.map_err(|error| {
            if error.is_duplicate_of("name") {
                Problem::conflict("host_name_taken", format!("宿主机 {} 已登记", host.name))
            } else {
                error.into()
            }
        })?;
        let record = Record {
            who: who.clone(),
            action: Act::HostAdd.word(),
            object_type: "host",
            object_id: host.id.text(),
            department_id: None,
            outcome: Outcome::Done,
            detail: json!({"name": host.name, "uri": host.uri, "domain_type": host.domain_type.word(),
                "mlps_level": host.mlps_level}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await
}

/// The settings of the cluster that the host is, if it is one.
fn cluster<'a>(host: &Host, allowed: &'a Allowed) -> Result<Option<&'a ClusterSettings>, Problem> {
    if host.provider != ProviderKind::Kubevirt {
        return Ok(None);
    }
    let found = providers::cluster_of(&allowed.clusters, &host.uri);
    let unknown = || {
        let detail =
            format!("/uri: 配置里没有 {} 这个集群；先在配置文件里写一段 [[cluster]]，重启服务后再登记", host.uri);
        Problem::new(Kind::Refused, "host_refused", detail)
    };
    found.map(Some).ok_or_else(unknown)
}

/// What a cluster has, if machines can be built there.
async fn examine(host: &Host, settings: &ClusterSettings) -> Result<Capacity, Problem> {
    let opened = KubevirtCluster::new(settings.clone());
    let unusable = |story: &str| {
        let (name, uri) = (&host.name, &host.uri);
        let detail = format!("集群 {name}（{uri}）无法使用：{story}");
        Problem::new(Kind::Refused, "host_unusable", detail)
    };
    let failed = |error: ProviderError| {
        let story = story(&error).join("：");
        unusable(&format!("{story}；请检查 [[cluster]] 的 kubeconfig、网络和 KubeVirt 后重试"))
    };
    let missing = opened.examine().await.map_err(failed)?;
    if missing.is_empty() { opened.capacity().await.map_err(failed) } else { Err(unusable(&missing.join("；"))) }
}

async fn explore(host: &Host, insecure_networks: &[IpNet]) -> Result<(Capacity, DomainType), ProviderError> {
    if host.provider == ProviderKind::Simulated {
        return Ok((SimulatedHost::default().capacity().await?, DomainType::Qemu));
    }
    let opened = LibvirtHost::new(providers::settings(host, insecure_networks));
    let networks: Vec<_> = host
        .networks
        .iter()
        .filter(|network| network.segment.is_none())
        .map(|network| NetworkSetup {
            network: network.network.clone(),
            bridge: network.bridge.clone(),
            gateway: network.gateway,
            prefix: network.cidr.prefix_len(),
            domain: None,
            forward: true,
        })
        .collect();
    opened.prepare(&networks).await?;
    let cards: Vec<_> = host.networks.iter().map(card).collect();
    Ok((opened.capacity().await?, opened.probe_domain_type(&cards).await?))
}

/// A probe's card on this network. The probe never speaks there, so it may bear the gateway's address.
fn card(network: &HostNetwork) -> NetworkIntent {
    NetworkIntent {
        network: network.device().to_owned(),
        link: network.link(),
        mac: String::new(),
        address: network.gateway,
        gateway: network.gateway,
        dns: network.dns,
    }
}

fn unusable(host: &Host, error: &ProviderError) -> Problem {
    let story = story(error).join("：");
    let (name, uri) = (&host.name, &host.uri);
    // libvirt names what it stumbles over: "Cannot get interface MTU on 'br0': No such device".
    let about_bridges = ["bridge", "interface"].iter().any(|word| story.contains(word));
    let stumbled = |network: &HostNetwork| {
        let named = |word: &str| word.trim_matches(['\'', ':', ',', ')', ';']) == network.bridge;
        about_bridges && story.split_whitespace().any(named)
    };
    let bridge = host.networks.iter().enumerate().find(|(_, network)| stumbled(network));
    // A line is known by the bridge that it names before it is known by its wording, but for filters, which name one too.
    let meaning =
        libvirt::explain_filter(&story).or_else(|| if bridge.is_none() { libvirt::explain(&story) } else { None });
    let detail = match (meaning, bridge) {
        (Some(meaning), _) => format!("宿主机 {name}（{uri}）无法使用：{meaning}（原文：{story}）"),
        (None, Some((index, HostNetwork { bridge, segment: Some(segment), .. }))) => format!(
            "/zones/{index}/bridge: 宿主机 {name} 上用不了网桥 {bridge}：共用网段 {segment} 的网桥须先在宿主机上建好（ip link add {bridge} type bridge，并接上该网段的网卡）；请建好，或改正网桥名（原文：{story}）"
        ),
        (None, Some((index, HostNetwork { bridge, .. }))) => format!(
            "/zones/{index}/bridge: 宿主机 {name} 上用不了网桥 {bridge}：libvirt 网络要自己建这个网桥，名称已被别的接口占用；请换一个网桥名（原文：{story}）"
        ),
        (None, None) => format!("宿主机 {name}（{uri}）无法使用：{story}；请检查地址、libvirt 服务与网络后重试"),
    };
    Problem::new(Kind::Refused, "host_unusable", detail)
}

fn limit(capacity: Capacity, new: &NewHost) -> Amount {
    Amount {
        machines: 0,
        vcpu: i64::from(capacity.vcpu).saturating_mul(i64::from(new.vcpu_overcommit)),
        memory_bytes: (capacity.memory.get() - new.memory_reserve_bytes).max(0),
        disk_bytes: capacity.disk.get(),
    }
}

/// Every fault of what the operator wrote, at once.
fn draft(new: &NewHost) -> Result<Host, Problem> {
    let mut faults = Vec::new();
    let slug = |text: &str, max: usize| {
        !text.is_empty()
            && text.len() <= max
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
    };
    if !slug(&new.name, 32) {
        faults.push("/name: 只能由 1 至 32 个小写字母、数字和连字符组成".to_owned());
    }
    let provider = if new.uri.starts_with("simulated:") {
        Some(ProviderKind::Simulated)
    } else if new.uri.starts_with(SCHEME) {
        Some(ProviderKind::Kubevirt)
    } else {
        match Way::read(&new.uri) {
            Ok(_) => Some(ProviderKind::Libvirt),
            Err(fault) => {
                faults.push(format!("/uri: {fault}"));
                None
            }
        }
    };
    if !slug(&new.pool, 32) {
        faults.push("/pool: 只能由 1 至 32 个小写字母、数字和连字符组成".to_owned());
    }
    if !new.pool_path.starts_with('/')
        || new.pool_path.contains("..")
        || !new.pool_path.bytes().all(|b| b.is_ascii_graphic())
    {
        faults.push("/pool_path: 须为绝对路径，例如 /var/lib/jiyue/pool".to_owned());
    }
    if !(1..=16).contains(&new.vcpu_overcommit) {
        faults.push("/vcpu_overcommit: 须在 1 至 16 之间".to_owned());
    }
    if Bytes::new(new.memory_reserve_bytes).is_none() {
        faults.push("/memory_reserve_bytes: 须为不小于 0 的整数".to_owned());
    }
    let level = MlpsLevel::new(new.mlps_level);
    if level.is_none() {
        faults.push("/mlps_level: 等保级别须为 1 至 4".to_owned());
    }
    if new.zones.is_empty() || new.zones.len() > Zone::ALL.len() {
        faults.push("/zones: 至少写明一个网络区域，每个区域一个".to_owned());
    }
    let on_cluster = provider == Some(ProviderKind::Kubevirt);
    let mut networks: Vec<HostNetwork> = Vec::new();
    for (index, zone) in new.zones.iter().enumerate() {
        match network(zone, on_cluster) {
            Ok(network) if networks.iter().any(|held| held.zone == network.zone) => {
                faults.push(format!("/zones/{index}/zone: 区域 {} 重复", zone.zone));
            }
            Ok(network) => networks.push(network),
            Err(fault) => faults.push(format!("/zones/{index}{fault}")),
        }
        match (&zone.network, &zone.segment) {
            (Some(_), Some(_)) => faults.push(format!(
                "/zones/{index}/segment: 与 network 二选一：libvirt 网络只属于这一台，segment 由多台宿主机共用"
            )),
            (Some(name), None) | (None, Some(name)) if slug(name, 32) => {}
            (Some(_), None) => faults.push(format!("/zones/{index}/network: 只能由小写字母、数字和连字符组成")),
            (None, Some(_)) => faults.push(format!("/zones/{index}/segment: 只能由小写字母、数字和连字符组成")),
            (None, None) => {
                faults.push(format!("/zones/{index}/network: 写明 libvirt 网络名，或者用 segment 写明共用网段"));
            }
        }
        if on_cluster {
            faults.extend(attachment(index, zone));
        } else if !slug(&zone.bridge, 15) {
            faults.push(format!("/zones/{index}/bridge: 网桥名不超过 15 个字符"));
        }
    }
    if networks.len() == new.zones.len() {
        faults.extend(zones::shared_within(&networks));
    }
    match (provider, level) {
        (Some(provider), Some(mlps_level)) if faults.is_empty() => Ok(Host {
            id: HostId::new(),
            name: new.name.clone(),
            provider,
            uri: new.uri.clone(),
            pool: new.pool.clone(),
            pool_path: new.pool_path.clone(),
            domain_type: DomainType::Qemu,
            standing: Standing::default(),
            mlps_level,
            limit: Amount::default(),
            used: Amount::default(),
            networks,
        }),
        _ => Err(Problem::new(Kind::Refused, "host_refused", faults.join("；"))),
    }
}

/// What a zone of a cluster is attached to.
fn attachment(index: usize, zone: &NewZone) -> Option<String> {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match (&zone.segment, zone.network.as_deref()) {
        (None, Some("pod")) if zone.bridge.is_empty() => None,
        (None, Some("pod")) => Some(format!("/zones/{index}/bridge: Pod 网络没有网桥，不用写")),
        (None, Some(_)) => {
            Some(format!("/zones/{index}/network: 集群上写 pod（Pod 网络），或者用 segment 写明节点接入的网段"))
        }
        (Some(_), None) if zone.bridge.split_once('/').is_some_and(|(space, name)| part(space) && part(name)) => None,
        (Some(_), None) => {
            Some(format!("/zones/{index}/bridge: 写明 NetworkAttachmentDefinition，如 jiyue-networks/extranet"))
        }
        // Neither or both, which is told already.
        _ => None,
    }
}

fn network(new: &NewZone, cluster: bool) -> Result<HostNetwork, String> {
    let zone: Zone =
        new.zone.parse().map_err(|_| "/zone: 须为 government_extranet、internet 或 government_private".to_owned())?;
    let cidr: Ipv4Net = new.cidr.parse().map_err(|_| "/cidr: 须为地址段，例如 192.168.150.0/24".to_owned())?;
    let cidr = cidr.trunc();
    if !(8..=29).contains(&cidr.prefix_len()) || !cidr.network().is_private() {
        return Err("/cidr: 须为私有地址段，前缀长度 8 至 29".to_owned());
    }
    let own = cidr.hosts().next().ok_or("/cidr: 地址段内没有可用地址")?;
    let (mut first, mut last) = usable(cidr);
    if new.segment.is_none() && (new.gateway.is_some() || new.dns.is_some() || new.addresses.is_some()) {
        return Err("/segment: gateway、dns、addresses 只用于共用网段".to_owned());
    }
    let inside = |address: &Ipv4Addr| cidr.contains(address);
    if new.gateway.as_ref().is_some_and(|gateway| !inside(gateway)) {
        return Err("/gateway: 须在 cidr 之内".to_owned());
    }
    if let Some(text) = &new.addresses {
        let ends = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
        (first, last) = ends
            .filter(|(a, b): &(Ipv4Addr, Ipv4Addr)| a <= b && *a >= first && *b <= last)
            .ok_or("/addresses: 须为 cidr 之内的起止地址，例如 10.8.0.50-10.8.0.200")?;
    }
    let gateway = new.gateway.unwrap_or(own);
    Ok(HostNetwork {
        id: NetworkId::new(),
        zone,
        network: new.network.clone().unwrap_or_default(),
        bridge: if cluster && new.segment.is_none() { "pod".to_owned() } else { new.bridge.clone() },
        cidr,
        gateway,
        dns: new.dns.unwrap_or(gateway),
        segment: new.segment.clone(),
        first,
        last,
        cluster,
    })
}
