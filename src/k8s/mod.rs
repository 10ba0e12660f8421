//! Kubernetes as one more way in: a request as a custom resource, and what became of it as its status. One truth: the
//! database. An object is submitted by the same acts and judged by the same rules as a call of the API, approved where every
//! request is, and told what the database says, whatever stood in it before.
//!
//! Five steps, a file each: dereference → validate (pure) → build (pure) → apply → status (pure; `cluster.rs` writes it).
//! `work.rs` drives them, for as long as `task.rs` holds the term; `mirrors.rs` keeps what shows without having been asked for
//! here; both look at the cluster through `view.rs`, and at what our own writes have left through `written.rs`. What keeps two brokers apart: the controller's term (`operation::term`), held in the transaction of
//! every write to the database; the version that every write to the cluster rests on; and the object's UID, which is the key
//! of its request.
//!
//! What the broker's account needs in the cluster, and all that it needs:
//!
//! | resource | verbs |
//! |---|---|
//! | `namespaces` | list, watch (their labels alone are asked for) |
//! | `resourcerequests.cloud.jiyue.io` | get, list, watch, create (mirrors of what came by another way), patch |
//! | `resourcerequests/status` | patch |
//! | `resourcerequests/finalizers` | update (where owner references are guarded: mirrors name their request) |
//! | `machines`, `taskbooks` | list, watch, create, patch (server-side apply that makes a new object is judged as both) |
//! | `machines/status`, `taskbooks/status` | patch |
//!
//! It needs nothing else: no secrets, no pods, no right to update or delete a request, none on the definitions.

pub mod apply;
pub mod build;
pub mod cluster;
pub mod crd;
pub mod dereference;
pub mod mirror;
pub mod mirrors;
pub mod settings;
pub mod status;
pub mod store;
pub mod task;
pub mod validate;
pub mod view;
pub mod work;
pub mod written;
