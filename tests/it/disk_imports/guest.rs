//! An old guest that really boots: what it has written is there after the move, and after the way back.

use super::{District, LIMIT, MIB, Old};
use crate::support::{hosts, hosts::ZONE_BRIDGE, intent, libvirt::small_guest, ssh::Key};
use jiyue::provider::{ImageFormat, Intent, Link, NetworkIntent, seed};
use serde_json::json;
use std::time::{Duration, Instant};

const MARK: &str = "head -c 300000 /dev/urandom > /state/kept; sync; sha256sum < /state/kept";
const READ: &str = "sha256sum < /state/kept; sync";

async fn says(key: &Key, address: &str, command: &str) -> String {
    let began = Instant::now();
    loop {
        match key.run(address, command, "") {
            Ok(said) => return said,
            Err(why) => assert!(began.elapsed() < LIMIT, "{address} does not answer: {why:?}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_guest_runs_in_the_cloud_with_its_data_and_again_in_its_room() {
    let hosts = hosts::shared();
    let district = District::new(hosts, (216, 219), std::fs::read(small_guest()).unwrap(), false).await;
    let key = Key::new();
    // The old guest: the small guest's own disk, and a seed that gives it an address and lets us in.
    let last = 231;
    let network = NetworkIntent {
        network: ZONE_BRIDGE.into(),
        link: Link::Bridge { prefix: 24 },
        mac: format!("52:54:00:07:02:{last:02x}"),
        address: hosts.guest(last),
        gateway: hosts.guest(1),
        dns: hosts.guest(1),
    };
    let image = intent::image(small_guest(), ImageFormat::Qcow2);
    let old_intent = Intent { ssh_keys: vec![key.public()], ..intent::plain("old-oa".into(), image, network) };
    let seed_file = hosts.seen_from_here(super::ROOM, "/var/lib/libvirt/old-seed.img");
    std::fs::write(&seed_file, seed::volume(&old_intent).unwrap()).unwrap();
    let devices = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/old-seed.img'/>\
         <target dev='vdb' bus='virtio'/><readonly/></disk><interface type='bridge'><mac address='{}'/>\
         <source bridge='{ZONE_BRIDGE}'/><model type='virtio'/></interface><rng model='virtio'>\
         <backend model='random'>/dev/urandom</backend></rng>",
        old_intent.network.mac
    );
    let old = Old::with(hosts, "qcow2", &std::fs::read(small_guest()).unwrap(), &devices);
    let (at, began) = (hosts.guest(last).to_string(), Instant::now());
    let machine = district.build("oa", |block| block["ssh_keys"] = json!([key.public()])).await;
    let mark = says(&key, &at, MARK).await;
    println!("both up after {:.1?}", began.elapsed());

    let began = Instant::now();
    let (id, operation) = district.begin(&old, &machine).await;
    district.done(&operation).await;
    let import = district.import(&id).await;
    println!("moved, {} MiB, up after {:.1?}", import["file_bytes"].as_u64().unwrap() / MIB as u64, began.elapsed());
    assert_eq!((&import["answered"], &import["state"]), (&json!(true), &json!("moved")));
    assert_eq!(old.state(), "shut off");
    // What was checked is what lies in the room: the guest has shut down in order, and nobody has written to it since.
    assert_eq!(import["sha256"], json!(super::sha256(&old.file)));
    let path = format!("/v1/machines/{machine}");
    let address = district.broker().get(&path, &district.cast.operator).await.expect(200);
    let address = super::text(&address, "address");
    assert_ne!(address, at, "changed on purpose");
    assert_eq!(says(&key, &address, READ).await, mark);
    let name = says(&key, &address, "hostname").await;
    assert!(name.starts_with("oa-"), "it knows who it is now: {name}");

    let began = Instant::now();
    let back = district.roll_back(&id).await;
    district.done(&back).await;
    assert_eq!((old.state().as_str(), district.machine_state(&machine).as_str()), ("running", "shut off"));
    assert_eq!(says(&key, &at, READ).await, mark);
    println!("back in its room after {:.1?}", began.elapsed());
}
