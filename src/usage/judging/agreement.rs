//! What an owner has agreed to: that a machine may be taken back, until a day.

use crate::ids::{AgreementId, MachineId};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;

/// Days that an agreement holds at most; then the owner is asked again.
pub const LONGEST_DAYS: i64 = 366;

/// One that was given. It counts from the day it was given to its last day, and not from the day of its withdrawal on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Agreement {
    #[schema(value_type = String, format = Uuid)]
    pub id: AgreementId,
    #[schema(value_type = String, format = Uuid)]
    pub machine_id: MachineId,
    #[schema(value_type = String, format = Date)]
    pub agreed_on: Date,
    /// The last day.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
    pub reason: Option<String>,
    /// The login of who agreed.
    pub agreed_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub agreed_at: Timestamp,
    #[schema(value_type = Option<String>, format = Date)]
    pub withdrawn_on: Option<Date>,
    pub withdrawn_by: Option<String>,
}

/// Why there can be no agreement until a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untimely {
    Past,
    TooLong,
}

/// Whether an agreement that is given today may last until a day.
pub fn timely(today: Date, until: Date) -> Result<(), Untimely> {
    let days = until.duration_since(today).as_hours() / 24;
    match days {
        ..0 => Err(Untimely::Past),
        LONGEST_DAYS.. => Err(Untimely::TooLong),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn an_agreement_ends_within_a_year() {
        let today = date(2026, 11, 30);
        assert_eq!(timely(today, date(2026, 11, 29)), Err(Untimely::Past));
        assert_eq!(timely(today, today), Ok(()));
        assert_eq!(timely(today, date(2027, 11, 30)), Ok(()));
        assert_eq!(timely(today, date(2027, 12, 1)), Err(Untimely::TooLong));
        assert_eq!(timely(today, Date::MAX), Err(Untimely::TooLong));
    }
}
