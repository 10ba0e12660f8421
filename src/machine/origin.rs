//! What a request's machines start from: an image of their system, and for a database one that has it in it, or else a
//! full system on which it is installed on the first start. Pure.

use super::image::Image;
use crate::{
    catalogue::{
        Catalogue, DatabaseEntry,
        database::{DatabaseProfile, Least},
    },
    error::Problem,
    provider::{DatabaseIntent, DatabaseStart},
};

/// An image, and what becomes a database of it.
#[derive(Clone, Debug)]
pub struct Origin {
    pub image: Image,
    pub database: Option<Template>,
}

/// What the databases of one request have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    key: String,
    profile: DatabaseProfile,
    start: DatabaseStart,
}

/// The origin of a block's machines, or what has to be imported first. `images` are those of the system, the most wanted
/// first; `database` is the catalogue's key, where anything is said of a database.
pub fn choose(catalogue: &Catalogue, images: &[Image], os: &str, database: Option<&str>) -> Result<Origin, Problem> {
    let entry = match database.map(|key| (key, catalogue.database(key))) {
        Some((key, None)) => {
            return Err(Problem::conflict("image_missing", format!("目录里没有数据库 {key}，建不了；请退回申请")));
        }
        found => found.and_then(|(_, entry)| entry).filter(|entry| !entry.is_none()),
    };
    match entry {
        None => plain(images, false).map(|image| Origin { image, database: None }),
        Some(entry) => with_database(images, os, entry),
    }
    .ok_or_else(|| missing(os, entry))
}

fn plain(images: &[Image], real_only: bool) -> Option<Image> {
    images.iter().find(|image| image.database.is_none() && !(real_only && image.stand_in)).cloned()
}

/// A database whose entry has no profile cannot be built.
fn with_database(images: &[Image], os: &str, entry: &DatabaseEntry) -> Option<Origin> {
    let profile = entry.profile.as_ref()?;
    let of = |image: Image, start: DatabaseStart| {
        let database = Template { key: entry.key.clone(), profile: profile.clone(), start };
        Origin { image, database: Some(database) }
    };
    if let Some(baked) = images.iter().find(|image| image.database.as_ref() == Some(&entry.key)) {
        return Some(of(baked.clone(), DatabaseStart::Baked));
    }
    let install = profile.install.as_ref().filter(|install| install.os.iter().any(|known| known == os))?;
    Some(of(plain(images, true)?, DatabaseStart::CloudInit { part: install.part.clone() }))
}

fn missing(os: &str, database: Option<&DatabaseEntry>) -> Problem {
    let Some(entry) = database else {
        let detail = format!("还没有操作系统 {os} 的镜像；请先导入：jiyue image import 文件 --os {os} --name 名称");
        return Problem::conflict("image_missing", detail);
    };
    let install = entry.profile.as_ref().and_then(|profile| profile.install.as_ref());
    let other = if install.is_some_and(|install| install.os.iter().any(|known| known == os)) {
        format!("；或导入 {os} 本身（不是替身）的镜像，数据库在第一次启动时安装")
    } else {
        String::new()
    };
    let detail = format!(
        "还没有带 {} 的 {os} 镜像；请先导入：jiyue image import 文件 --os {os} --database {} --name 名称{other}",
        entry.name, entry.key
    );
    Problem::conflict("image_missing", detail)
}

impl Template {
    /// What a machine must at least have to start from here.
    pub fn least(&self) -> Least {
        match (&self.start, &self.profile.install) {
            (DatabaseStart::CloudInit { .. }, Some(install)) => install.least,
            _ => self.profile.least,
        }
    }

    /// The database of the machine with this name.
    pub fn of(&self, machine: &str) -> DatabaseIntent {
        let name = name_of(machine);
        DatabaseIntent {
            key: self.key.clone(),
            engine: self.profile.engine,
            major: self.profile.major,
            port: self.profile.port,
            role: name.clone(),
            name,
            start: self.start.clone(),
            password: None,
        }
    }
}

/// A name of a database and its role: `[a-z][a-z0-9_]{0,62}`, and none that `PostgreSQL` keeps for itself.
fn name_of(machine: &str) -> String {
    let name: String =
        machine.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.starts_with("pg_")
        && !matches!(name.as_str(), "postgres" | "template0" | "template1");
    let name = if plain { name } else { format!("d_{name}") };
    name.chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::Catalogue, provider::ImageFormat, units::Bytes};

    fn image(name: &str, stand_in: bool, database: Option<&str>) -> Image {
        Image {
            sha256: name.to_owned(),
            name: name.to_owned(),
            os_type: "debian-12".to_owned(),
            database: database.map(str::to_owned),
            stand_in,
            format: ImageFormat::Qcow2,
            size: Bytes::MAX,
            virtual_size: Bytes::MAX,
            path: String::new(),
            imported_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_baked_image_comes_first_then_an_installation_on_the_real_system_and_never_on_a_stand_in() {
        let catalogue = Catalogue::embedded().unwrap();
        let (real, stand_in) = (image("real", false, None), image("stand-in", true, None));
        let (baked, other) = (image("baked", true, Some("postgresql-15")), image("other", false, Some("mysql-8")));
        let chosen = |images: &[&Image], os: &str, database: &str| {
            let images: Vec<_> = images.iter().map(|image| (*image).clone()).collect();
            let database = Some(database).filter(|key| !key.is_empty());
            let origin = choose(&catalogue, &images, os, database).map_err(|problem| problem.detail)?;
            Ok::<_, String>((origin.image.name, origin.database.map(|d| d.start)))
        };
        let install = || Some(DatabaseStart::CloudInit { part: "postgresql".to_owned() });
        let (debian, pg, baked_start) = ("debian-12", "postgresql-15", || Some(DatabaseStart::Baked));
        assert_eq!(chosen(&[&real, &stand_in, &baked], debian, pg), Ok(("baked".into(), baked_start())));
        assert_eq!(chosen(&[&other, &real, &stand_in], debian, pg), Ok(("real".into(), install())));
        let missing = chosen(&[&other, &stand_in], debian, pg).unwrap_err();
        assert!(missing.contains("--os debian-12 --database postgresql-15") && missing.contains("本身"), "{missing}");
        // Its packages are of another release there.
        let missing = chosen(&[&real], "debian-13", pg).unwrap_err();
        assert!(missing.contains("--os debian-13 --database postgresql-15") && !missing.contains("本身"), "{missing}");
        assert_eq!(chosen(&[&baked], "debian-13", pg), Ok(("baked".into(), baked_start())));
        for database in ["none", ""] {
            let missing = chosen(&[&baked, &other], debian, database).unwrap_err();
            assert!(!missing.contains("--database"), "no database where none was asked for: {missing}");
            assert_eq!(chosen(&[&baked, &stand_in], debian, database), Ok(("stand-in".into(), None)));
        }
        assert!(chosen(&[&real], debian, "unknown-1").is_err(), "never a machine without the database asked for");
        assert!(chosen(&[&real, &image("m", false, Some("mysql-5.7"))], debian, "mysql-5.7").is_err());
        let least = |image: &Image| {
            choose(&catalogue, std::slice::from_ref(image), debian, Some(pg)).unwrap().database.unwrap().least()
        };
        assert!(least(&real).memory > least(&baked).memory);
    }

    #[test]
    fn names_are_such_as_postgresql_takes() {
        for (machine, name) in [
            ("oa-db-0bc74e31", "oa_db_0bc74e31"),
            ("9-lives", "d_9_lives"),
            ("pg-1", "d_pg_1"),
            ("postgres", "d_postgres"),
            ("-x", "d__x"),
            ("pgx-1", "pgx_1"),
        ] {
            assert_eq!(name_of(machine), name);
        }
        assert_eq!(name_of(&"9".repeat(63)).len(), 63);
    }
}
