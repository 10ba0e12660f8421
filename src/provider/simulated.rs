//! stub until the merge
use super::{Capacity, Intent, Observed, Part, Provider, ProviderError, Stop};
use crate::units::Bytes;
#[derive(Debug, Default)]
pub struct SimulatedHost;
#[async_trait::async_trait]
impl Provider for SimulatedHost {
    async fn capacity(&self) -> Result<Capacity, ProviderError> {
        Ok(Capacity { vcpu: 1_000_000, memory: Bytes::MAX, disk: Bytes::MAX })
    }
    async fn ensure(&self, _: Part, _: &Intent) -> Result<(), ProviderError> {
        Ok(())
    }
    async fn remove(&self, _: Part, _: &Intent) -> Result<(), ProviderError> {
        Ok(())
    }
    async fn observe(&self, _: &Intent) -> Result<Observed, ProviderError> {
        Ok(Observed::Absent)
    }
    async fn stop(&self, _: &Intent, _: Stop) -> Result<(), ProviderError> {
        Ok(())
    }
    async fn console(&self, _: &Intent, _: usize) -> Result<String, ProviderError> {
        Ok(String::new())
    }
}
