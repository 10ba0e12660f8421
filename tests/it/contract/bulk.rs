//! Many requests decided by one call.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::Raw,
};
use serde_json::{Value, json};

async fn submit(broker: &Broker, cast: &Cast, name: &str, machines: u32) -> String {
    let mut block = broker::request();
    block["域名"] = json!(format!("{name}.xiangcheng.example"));
    block["申请虚拟机数量"] = json!(machines);
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    made["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_decided_on_its_own_and_told_in_the_order_asked() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
        broker.furnish(&cast).await;
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(submit(&broker, &cast, &format!("many{n}"), 1).await);
        }
        let gone = submit(&broker, &cast, "gone", 1).await;
        broker.post(&format!("/v1/requests/{gone}/cancel"), &cast.requester, &json!({})).await.expect(200);
        let nobody = jiyue::ids::RequestId::new().text();
        let asked = [&ids[2], &gone, &ids[0], &nobody];
        let reply = raw.json("/v1/requests/approve", &cast.authority, &json!({"ids": asked, "comment": "同意"})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let items = reply.json()["items"].as_array().unwrap().clone();
        let told: Vec<_> = items
            .iter()
            .map(|item| (item["request_id"].as_str().unwrap().to_owned(), item["status"].as_u64().unwrap()))
            .collect();
        let expected: Vec<_> = asked.iter().map(|id| (*id).clone()).zip([202, 409, 202, 404]).collect();
        assert_eq!(told, expected, "{on:?}");
        assert_eq!(items[0]["operation"]["kind"], "build");
        assert_eq!(items[1]["problem"]["code"], "request_not_waiting");
        assert_eq!(items[3]["problem"]["code"], "not_found");
        let back = json!({"ids": [&ids[1], &ids[2]], "reason": "材料不全"});
        let reply = raw.json("/v1/requests/return", &cast.authority, &back).await;
        let statuses: Vec<_> = reply.json()["items"].as_array().unwrap().iter().map(|i| i["status"].clone()).collect();
        assert_eq!(statuses, [json!(200), json!(409)], "{on:?} {}", reply.text);
        let url = &broker.setup.database_url;
        for (action, count) in [("request.approve", 2), ("request.return", 1)] {
            let sql = format!("select count(*) from audit where action = '{action}' and outcome = 'done'");
            assert_eq!(plain::number(url, &sql).await, count, "{on:?} {action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_than_there_is_room_for_as_many_are_approved_as_fit() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    broker.furnish(&cast).await;
    plain::run(&broker.setup.database_url, "update task_books set limit_machines = 5").await.unwrap();
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(submit(&broker, &cast, &format!("short{n}"), 1).await);
    }
    let reply = raw.json("/v1/requests/approve", &cast.authority, &json!({"ids": ids})).await.json();
    let items = reply["items"].as_array().unwrap();
    let count = |status: u64| items.iter().filter(|item| item["status"] == json!(status)).count();
    assert_eq!((count(202), count(409)), (5, 3), "{reply:#}");
    let short = items.iter().find(|item| item["status"] == json!(409)).unwrap();
    assert_eq!(short["problem"]["shortage"][0]["dimension"], "machines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_one_is_refused_whole() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    let many: Vec<Value> = (0..201).map(|n| json!(n.to_string())).collect();
    for (ids, field) in [(json!([]), "/ids"), (json!(many), "/ids"), (json!(["a", "b", "a"]), "/ids/2")] {
        let reply = raw.json("/v1/requests/approve", &cast.authority, &json!({"ids": ids})).await;
        assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"));
        assert!(reply.json()["detail"].as_str().unwrap().starts_with(field), "{}", reply.text);
    }
    let mine = raw.json("/v1/requests/approve", &cast.requester, &json!({"ids": ["a"]})).await;
    assert_eq!((mine.status, mine.problem().as_str()), (403, "forbidden"));
}
