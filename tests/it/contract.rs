//! What every client of the API may rely on, whatever the resource.

mod bulk;
mod document;
mod events;
mod examples;
mod lists;
mod once;
mod strict;
mod versions;
