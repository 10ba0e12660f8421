//! Machines on a cluster: a real API server with KubeVirt's own definitions, under RBAC; `virt-controller` is played.

mod faults;
mod lab;
mod life;
mod player;
mod provider;
mod requests;
