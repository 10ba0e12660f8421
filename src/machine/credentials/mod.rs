//! The password of a machine's database: made with the machine, kept sealed, handed over once.

pub mod service;
pub mod store;

use super::Machine;
use crate::{ids::MachineId, secret::Password};
use serde::Serialize;

/// What a project team needs to use its database. Given once; the broker does not have it afterwards.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Credentials {
    #[schema(value_type = String, format = Uuid)]
    pub machine_id: MachineId,
    /// `postgresql`
    pub engine: &'static str,
    pub address: String,
    pub port: u16,
    pub database: String,
    pub role: String,
    pub password: String,
}

impl Credentials {
    fn of(machine: &Machine, password: &Password) -> Option<Self> {
        let database = machine.intent.database.as_ref()?;
        Some(Self {
            machine_id: machine.id,
            engine: database.engine.word(),
            address: machine.intent.network.address.to_string(),
            port: database.port,
            database: database.name.clone(),
            role: database.role.clone(),
            password: password.reveal().to_owned(),
        })
    }
}
