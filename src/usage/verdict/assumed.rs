//! What no meter tells of a machine and rules ask all the same: what its image does by itself, and what its link can carry.
//! Operators' settings in the file of the rules, each with where it is from; what is not there is unknown.

use super::judgement::{Facts, Floor};
use crate::labels::Zone;
use serde::Deserialize;

/// What machines of one system or of one image do when nobody uses them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFloor {
    /// A key of the catalogue's, as `debian-12`.
    #[serde(default)]
    pub os: Option<String>,
    /// An image's name; goes before the system's.
    #[serde(default)]
    pub image: Option<String>,
    pub vcpus: f64,
    /// Bytes per second.
    pub received: f64,
    pub sent: f64,
    pub disk: f64,
    /// Measured when and how, or that it is assumed and why.
    pub source: String,
}

/// What a machine's card can send in a zone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneLink {
    pub zone: Zone,
    pub bytes_per_second: f64,
    pub source: String,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assumed {
    pub floors: Vec<ImageFloor>,
    pub links: Vec<ZoneLink>,
}

impl Assumed {
    /// Tells the facts what is set of a machine. Answers a sentence for each, as it is kept with the evidence.
    pub fn tell(&self, facts: &mut Facts, os: &str, image: &str, zone: Zone) -> Vec<String> {
        let of_image = self.floors.iter().find(|floor| floor.image.as_deref() == Some(image));
        let floor = of_image.or_else(|| self.floors.iter().find(|floor| floor.os.as_deref() == Some(os)));
        let link = self.links.iter().find(|link| link.zone == zone);
        let mut sentences = Vec::new();
        if let Some(ImageFloor { image, os, vcpus, received, sent, disk, source }) = floor {
            facts.floor = Some(Floor { vcpus: *vcpus, received: *received, sent: *sent, disk: *disk });
            let of = image.as_deref().or(os.as_deref()).unwrap_or_default();
            sentences.push(format!(
                "镜像 {of} 的底噪按 {vcpus} 核、每秒收 {received} 字节、发 {sent} 字节、读写盘 {disk} 字节计（{source}）"
            ));
        }
        if let Some(ZoneLink { zone, bytes_per_second, source }) = link {
            facts.link = Some(*bytes_per_second);
            sentences.push(format!("{}的网卡按每秒 {bytes_per_second} 字节计（{source}）", zone.label()));
        }
        sentences
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut said = |at: String, text: &str| {
            if text.trim().is_empty() || text.chars().count() > 200 {
                faults.push(format!("{at}: not of 1 to 200 characters"));
            }
        };
        for (n, floor) in self.floors.iter().enumerate() {
            said(format!("/floors/{n}/source"), &floor.source);
        }
        for (n, link) in self.links.iter().enumerate() {
            said(format!("/links/{n}/source"), &link.source);
        }
        for (n, floor) in self.floors.iter().enumerate() {
            if floor.os.is_some() == floor.image.is_some() {
                faults.push(format!("/floors/{n}: neither os nor image, or both"));
            }
            let same = |other: &ImageFloor| (&other.os, &other.image) == (&floor.os, &floor.image);
            if self.floors[..n].iter().any(same) {
                faults.push(format!("/floors/{n}: is there already"));
            }
            let all = [
                ("vcpus", floor.vcpus, 1.0),
                ("received", floor.received, 1e6),
                ("sent", floor.sent, 1e6),
                ("disk", floor.disk, 1e7),
            ];
            for (name, value, most) in all {
                // More than this is work, whatever does it.
                if !(value >= 0.0 && value <= most) {
                    faults.push(format!("/floors/{n}/{name}: not within 0 to {most}"));
                }
            }
        }
        for (n, link) in self.links.iter().enumerate() {
            if self.links[..n].iter().any(|other| other.zone == link.zone) {
                faults.push(format!("/links/{n}: is there already"));
            }
            if !(link.bytes_per_second > 0.0 && link.bytes_per_second <= 1e12) {
                faults.push(format!("/links/{n}/bytes_per_second: not above 0 and at most 1e12"));
            }
        }
        faults
    }
}
