//! A guest that really runs, on its way and after it.
