//! What every client of the API may rely on, whatever the resource.

mod bulk;
mod events;
mod lists;
mod once;
mod versions;
