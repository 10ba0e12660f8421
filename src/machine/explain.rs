//! Where machines would go, and why: decided as an approval would, on a fresh reading, without claiming anything.

use super::{approval, origin, store};
use crate::{
    capacity::{
        self, Size,
        inventory::{Ask, Explanation, Inventory},
        placement::{PlaceKind, Wanted},
    },
    catalogue::Catalogue,
    db::Db,
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    labels::{MlpsLevel, ProviderWish, Spread, Zone},
    request, time,
    units::Bytes,
};
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;

/// As many as a request may ask for.
const MOST: u32 = 64;
/// A lease of more than ten years is a slip of the pen.
const LONGEST_LEASE: u32 = 120;
/// Hosts told of that would come next.
const NEXT: usize = 3;

/// What is asked: either a request as it was submitted, or sizes and conditions of machines that nobody has asked for yet.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    /// A request's id; nothing else is given then.
    pub request: Option<String>,
    /// How many machines, 1 to 64; 1 when it is not said.
    pub machines: Option<u32>,
    pub vcpu: Option<u32>,
    pub memory_bytes: Option<i64>,
    pub disk_bytes: Option<i64>,
    /// 网络区域
    pub zone: Option<String>,
    /// 等保级别, 1 to 4; 1 when it is not said.
    pub mlps_level: Option<i64>,
    /// Key of the catalogue; without it every host's images will do.
    pub os: Option<String>,
    /// 运维周期; without it the ends of leases play no part.
    pub om_period_months: Option<u32>,
    /// 分散要求: `prefer` or `require`.
    pub spread: Option<Spread>,
    /// 落位要求: `any`, `libvirt` or `kubevirt`.
    pub provider: Option<ProviderWish>,
}

impl Question {
    fn speaks_of_sizes(&self) -> bool {
        let given = [
            self.machines.is_some(),
            self.vcpu.is_some(),
            self.memory_bytes.is_some(),
            self.disk_bytes.is_some(),
            self.zone.is_some(),
            self.mlps_level.is_some(),
            self.os.is_some(),
            self.om_period_months.is_some(),
            self.spread.is_some(),
            self.provider.is_some(),
        ];
        given.contains(&true)
    }
}

/// What was asked, as it was understood.
#[derive(Clone, Debug)]
pub struct Asked {
    pub machines: u32,
    pub size: Size,
    pub zone: Zone,
    pub mlps_level: MlpsLevel,
    pub os: Option<String>,
    pub database: Option<String>,
    pub lease_end: Option<Date>,
    pub spread: Spread,
    pub provider: ProviderWish,
    /// A name is to be registered for it.
    pub fixed_address: bool,
    pub serves_database: bool,
}

/// Decides without claiming.
pub async fn explain(
    db: &Db,
    catalogue: &Catalogue,
    actor: &Actor,
    question: &Question,
) -> Result<(Asked, Explanation), Problem> {
    let scope = policy::scope(actor, Act::PlacementExplain)?;
    let (now, today) = (db.clock().now().as_second(), db.clock().today());
    let mut conn = db.read().await?;
    let mut asked = match &question.request {
        Some(_) if question.speaks_of_sizes() => {
            return Err(refused("/request: 给了申请编号，就不能再给规格和条件"));
        }
        Some(id) => {
            let request = request::store::find(&mut conn, id, scope.filter().as_deref()).await?;
            let block = request.ok_or_else(|| Problem::not_found("申请"))?.block;
            Asked {
                machines: block.machines,
                size: Size { vcpu: block.vcpu, memory: block.memory, disk: block.disk },
                zone: block.zone,
                mlps_level: block.mlps_level,
                lease_end: Some(approval::lease_end(&block, today)),
                fixed_address: block.machine_names().is_some(),
                serves_database: false,
                os: Some(block.os),
                database: Some(block.database),
                spread: block.spread,
                provider: block.provider,
            }
        }
        None => understand(question, today).map_err(|faults| refused(&faults.join("；")))?,
    };
    let image = match &asked.os {
        Some(os) => {
            let images = store::images_of(&mut conn, os).await?;
            let origin = origin::choose(catalogue, &images, os, asked.database.as_deref())?;
            asked.serves_database = origin.database.is_some();
            Some(origin.image)
        }
        None => None,
    };
    let inventory = Inventory::default();
    inventory.replace(inventory.mark(), capacity::store::reading(&mut conn).await?);
    let ask = Ask {
        wanted: asked.wanted(now),
        image: image.as_ref().map(super::image::Image::need),
        count: asked.machines,
        siblings: &[],
    };
    let explanation = inventory.explain(&ask, NEXT);
    Ok((asked, explanation))
}

impl Asked {
    fn wanted(&self, now: i64) -> Wanted {
        Wanted {
            size: self.size,
            zone: self.zone,
            mlps_level: self.mlps_level,
            lease_end: self.lease_end.map(time::day_begins),
            spread: self.spread,
            fixed_address: self.fixed_address,
            database: self.serves_database,
            kind: PlaceKind::wished(self.provider),
            now,
        }
    }
}

fn refused(faults: &str) -> Problem {
    Problem::new(Kind::Refused, "placement_question_refused", faults)
}

/// Every fault of the question, at once.
fn understand(question: &Question, today: Date) -> Result<Asked, Vec<String>> {
    let mut faults = Vec::new();
    let mut fault = |text: &str| faults.push(text.to_owned());
    let machines = question.machines.unwrap_or(1);
    if !(1..=MOST).contains(&machines) {
        fault("/machines: 台数须在 1 至 64 之间");
    }
    let vcpu = question.vcpu.filter(|vcpu| (1..=1024).contains(vcpu));
    if vcpu.is_none() {
        fault("/vcpu: 须写明每台的 CPU 核数，1 至 1024");
    }
    let positive = |bytes: Option<i64>| bytes.and_then(Bytes::new).filter(|bytes| bytes.get() > 0);
    let (memory, disk) = (positive(question.memory_bytes), positive(question.disk_bytes));
    if memory.is_none() {
        fault("/memory_bytes: 须写明每台的内存，以字节计");
    }
    if disk.is_none() {
        fault("/disk_bytes: 须写明每台的磁盘，以字节计");
    }
    let zone = question.zone.as_deref().and_then(|zone| zone.parse().ok());
    if zone.is_none() {
        fault("/zone: 须写明网络区域：government_extranet、internet 或 government_private");
    }
    let mlps_level = MlpsLevel::new(question.mlps_level.unwrap_or(1));
    if mlps_level.is_none() {
        fault("/mlps_level: 等保级别须为 1 至 4");
    }
    let months = question.om_period_months;
    if months.is_some_and(|months| !(1..=LONGEST_LEASE).contains(&months)) {
        fault("/om_period_months: 运维周期须在 1 至 120 个月之间");
    }
    match (vcpu, memory, disk, zone, mlps_level) {
        (Some(vcpu), Some(memory), Some(disk), Some(zone), Some(mlps_level)) if faults.is_empty() => Ok(Asked {
            machines,
            size: Size { vcpu, memory, disk },
            zone,
            mlps_level,
            os: question.os.clone(),
            database: None,
            lease_end: months.map(|months| today.saturating_add(i64::from(months).months())),
            spread: question.spread.unwrap_or_default(),
            provider: question.provider.unwrap_or_default(),
            fixed_address: false,
            serves_database: false,
        }),
        _ => Err(faults),
    }
}
