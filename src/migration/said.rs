//! What people have said, and whose it is: what every other file here keeps with a thing.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A department as it was called when this was written.
pub use crate::identity::Department as Unit;

/// What somebody has said, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SurveySaid)]
pub struct Said {
    /// The evidence, or the reason.
    pub text: String,
    #[schema(value_type = String, format = Date)]
    pub on: Date,
    /// A login.
    pub by: String,
    /// 单位
    pub unit: String,
}
