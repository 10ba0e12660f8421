//! The public surface, as clients meet it.

use crate::support::broker::{self, Broker, Cast, On, Setup};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_travels_from_submission_to_delivery() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        let id = made["items"][0]["id"].as_str().unwrap();
        let operation = broker
            .post(&format!("/v1/requests/{id}/approve"), &cast.authority, &serde_json::json!({}))
            .await
            .expect(202);
        let done = broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(20)).await;
        assert_eq!(done["state"], "succeeded", "{on:?} {done:#}");
        let request = broker.get(&format!("/v1/requests/{id}"), &cast.requester).await.expect(200);
        assert_eq!(request["state"], "delivered");
        assert_eq!(request["machines"].as_array().unwrap().len(), 2);
        let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
        assert_eq!(ledger["consistent"], true, "{ledger:#}");
    }
}
