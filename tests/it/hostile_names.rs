//! A hundred hostile strings in everything that people write (`hazards` S1, S2): names, notes, reasons, units, comments of
//! keys, task books, hosts, images. Most are refused. What is accepted stays in the broker's books: on the host stand our own
//! slugs only, in XML that libvirt's schemas accept, and a seed says what the intent says. The readers are not the product's:
//! `virt-xml-validate`, Python's XML and YAML, mtools.

mod strings;

use crate::support::{
    broker::{self, Broker, Cast, On, Setup, halting_image},
    intent,
    raw::{Raw, Reply},
    site::{Site, between},
    sql::Sql,
};
use jiyue::{
    provider::{ImageFormat, ImageRef, Intent, Link, NetworkIntent, seed},
    units::Bytes,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMBOF11sz54+bPZs6DViXtHXPljimFjdnCDOdz0c5uq6";
/// Machines that are really built; each carries several of the strings.
const BUILT: usize = 20;
/// Where a request has free text, and words that are looked up.
const FIELDS: &[&str] = &[
    "remarks",
    "workload_description",
    "om_unit/name",
    "om_unit/contact",
    "ssh_keys",
    "no_domain_reason",
    "domain",
    "os_type",
    "db_type",
    "network_zone",
    "memory",
    "task_book",
    "deploy_milestone",
];
/// Of these, the ones that keep what was written.
const FREE: &[&str] = &["remarks", "workload_description", "om_unit/name", "om_unit/contact", "ssh_keys"];

fn put(block: &mut Value, field: &str, text: &str) {
    match field {
        "om_unit/name" => block["om_unit"]["name"] = json!(text),
        "om_unit/contact" => block["om_unit"]["contact"] = json!(text),
        "ssh_keys" => block["ssh_keys"] = json!([format!("{KEY} {text}")]),
        "no_domain_reason" => {
            block["domain"] = Value::Null;
            block["no_domain_reason"] = json!(text);
        }
        field => block[field] = json!(text),
    }
}

/// The sample with the API's own names for its fields.
fn block() -> Value {
    let sample = broker::request();
    json!({
        "task_book": sample["任务书编号"], "vm_count": 1, "basis": "per_machine", "domain": Value::Null,
        "no_domain_reason": "仅供本项目内部调用", "os_type": "Debian 12", "db_type": "无", "cpu_count": 1, "memory": "128M",
        "disk": "1G", "workload_description": "应用服务", "remarks": "", "network_zone": "政务外网",
        "secrecy_level": "非涉密", "mlps_level": 2, "deploy_milestone": "2035-06-30", "om_period_months": 36,
        "om_unit": sample["om_unit"], "ssh_keys": sample["ssh_keys"],
    })
}

/// Neither a fault of ours nor silence.
#[track_caller]
fn judged(reply: &Reply, what: &str) -> bool {
    assert!((200..500).contains(&reply.status), "{what}: {reply:?}");
    if reply.status >= 400 {
        reply.problem();
    }
    reply.status < 300
}

struct Stage {
    broker: Broker,
    cast: Cast,
    raw: Raw,
    site: Site,
    folder: PathBuf,
    strings: Vec<String>,
}

impl Stage {
    async fn new() -> Self {
        let site = Site::new();
        let broker = Broker::start(Setup::new(On::Sqlite).with("JIYUE_BOOTS_AT_ONCE", "8")).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 100, "vcpu": 100, "memory": "400 GiB", "disk": "400 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        // A slug that YAML takes for nothing.
        let mut host = site.host();
        host["name"] = json!("null");
        broker.post("/v1/hosts", &cast.operator, &host).await.expect(201);
        broker.image(&cast, halting_image()).await;
        let (seed, strings) = strings::all();
        eprintln!("{} strings, seed {seed}", strings.len());
        let folder = crate::support::scratch("names");
        Self { raw: Raw::new(&broker), broker, cast, site, folder, strings }
    }

    /// Every string in every field of a request: which of them are accepted where.
    async fn check_requests(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut accepted: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for field in FIELDS {
            for text in &self.strings {
                let mut block = block();
                put(&mut block, field, text);
                let reply = self.raw.json("/v1/requests/check", &self.cast.requester, &block).await;
                if judged(&reply, &format!("{field} {text:?}")) {
                    accepted.entry(field).or_default().push(text.clone());
                }
            }
            let count = accepted.get(field).map_or(0, Vec::len);
            eprintln!("{field}: {count} of {} accepted", self.strings.len());
            assert!(count < self.strings.len(), "{field} takes everything");
        }
        accepted
    }

    /// Every string in every field of a task book, a department, a host, an image, a reason.
    async fn offer_the_rest(&self) {
        let offer = async |path: &str, token: &str, document: &Value, what: &str| -> bool {
            judged(&self.raw.json(path, token, document).await, what)
        };
        let (authority, operator) = (&self.cast.authority, &self.cast.operator);
        let mut taken = BTreeMap::<&str, usize>::new();
        for (number, text) in self.strings.iter().enumerate() {
            for pointer in
                ["/number", "/project/code", "/project/name", "/issued_by", "/governance_clauses/0", "/department"]
            {
                let mut book = broker::task_book();
                book["number"] = json!(format!("相信任〔2026〕{}号", 1000 + number));
                book["version"] = json!(1);
                *book.pointer_mut(pointer).expect("a field") = json!(text);
                let fine = offer("/v1/task-books", authority, &book, &format!("book {pointer} {text:?}")).await;
                *taken.entry("task books").or_default() += usize::from(fine);
            }
            for (code, name) in [(text.as_str(), "某单位"), ("x", text.as_str())] {
                let department = json!({"code": code, "name": name});
                let fine = offer("/v1/departments", authority, &department, &format!("department {text:?}")).await;
                *taken.entry("departments").or_default() += usize::from(fine);
            }
            for pointer in [
                "/name",
                "/uri",
                "/pool",
                "/pool_path",
                "/zones/0/network",
                "/zones/0/bridge",
                "/zones/0/cidr",
                "/zones/0/zone",
            ] {
                // Nobody listens there: what is a slug after all goes no further.
                let mut host = self.site.host();
                host["name"] = json!("other");
                host["uri"] = json!("qemu+unix:///system?socket=/nonexistent/socket");
                *host.pointer_mut(pointer).expect("a field") = json!(text);
                let reply = self.raw.json("/v1/hosts", operator, &host).await;
                assert!(!judged(&reply, &format!("host {pointer} {text:?}")));
                let slug = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                let dialled = reply.problem() == "host_unusable";
                assert!(slug || !dialled || pointer == "/pool_path", "host {pointer} {text:?}: {reply:?}");
            }
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            // Each fifth is an image of its own and goes to the host.
            let mut image = halting_image();
            image[4096] = u8::try_from(number / 5 + 1).expect("few");
            let path = format!("/v1/images?name={encoded}&os_type=debian-12&stand_in=true");
            let reply = self.raw.post(&path, operator, "application/octet-stream", image).await;
            *taken.entry("images").or_default() += usize::from(judged(&reply, &format!("image {text:?}")));
            let path = format!("/v1/images/{encoded}");
            judged(&self.raw.get(&path, operator).await, &path);
            let path = format!("/v1/images/{encoded}/distribute");
            judged(&self.raw.json(&path, operator, &json!({"hosts": [text]})).await, &path);
        }
        eprintln!("taken besides: {taken:?}");
    }

    /// Builds machines that carry what was accepted. Answers their requests.
    async fn build(&self, accepted: &BTreeMap<&'static str, Vec<String>>) -> Vec<String> {
        self.site.play_guests(u8::try_from(BUILT + 4).expect("few"), true).await;
        let (mut requests, mut operations) = (Vec::new(), Vec::new());
        for number in 0..BUILT {
            let mut block = block();
            for (place, field) in FREE.iter().enumerate() {
                let texts = &accepted[field];
                put(&mut block, field, &texts[(number * FREE.len() + place) % texts.len()]);
            }
            // Two requests of one purpose would be one need.
            block["domain"] = json!(format!("{}-n{number}.xiangcheng.example", self.site.name));
            block["no_domain_reason"] = Value::Null;
            let made = self.broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
            let id = made["items"][0]["id"].as_str().expect("an id").to_owned();
            let comment = &accepted["remarks"][number % accepted["remarks"].len()];
            let path = format!("/v1/requests/{id}/approve");
            let answer = self.broker.post(&path, &self.cast.authority, &json!({"comment": comment})).await.expect(202);
            operations.push(answer["id"].as_str().expect("an id").to_owned());
            requests.push(id);
        }
        for operation in operations {
            let done = self.broker.finished(&operation, &self.cast.authority, Duration::from_secs(240)).await;
            assert_eq!(done["state"], "succeeded", "{done:#}");
        }
        requests
    }
}

/// `virt-xml-validate` says that it is what it is called.
fn validate(folder: &Path, kind: &str, xml: &str) {
    let file = folder.join("validate.xml");
    std::fs::write(&file, xml).expect("a file");
    let out = Command::new("virt-xml-validate").arg(&file).arg(kind).output().expect("virt-xml-validate is installed");
    assert!(
        out.status.success(),
        "{kind}: {}{}\n{xml}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// What a Python program says of its arguments, as JSON.
fn python(program: &str, args: &[&Path]) -> Value {
    let out = Command::new("python3").args(["-c", program]).args(args).output().expect("python3 is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

/// Elements and their attributes' names, in order: what an injection would change.
const SKELETON: &str = "
import json, sys, xml.etree.ElementTree as tree
print(json.dumps([[[e.tag, sorted(e.attrib)] for e in tree.parse(f).iter()] for f in sys.argv[1:]]))";

/// Each file as YAML 1.1 reads it, which is what cloud-init does.
const YAML: &str = "
import json, sys, yaml
print(json.dumps([yaml.safe_load(open(f, encoding='utf-8', newline='')) for f in sys.argv[1:]]))";

/// The three files of a seed's volume, by mtools.
fn unpack(volume: &Path, to: &Path) -> [PathBuf; 3] {
    ["meta-data", "user-data", "network-config"].map(|name| {
        let file = to.join(format!("{}.{name}", volume.file_name().expect("a name").to_string_lossy()));
        let out = Command::new("mcopy").args(["-n", "-i"]).arg(volume).arg(format!("::{name}")).arg(&file).output();
        let out = out.expect("mtools are installed");
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        file
    })
}

/// What the three files are to say.
fn wanted(machine: &str, name: &str, fqdn: Option<&str>, keys: &Value, mac: &str) -> Value {
    let mut user = json!({"hostname": name, "manage_etc_hosts": true, "ssh_pwauth": false, "disable_root": false,
        "ssh_authorized_keys": keys});
    if let Some(fqdn) = fqdn {
        user["fqdn"] = json!(fqdn);
    }
    json!([{"instance-id": machine, "local-hostname": name}, user,
        {"version": 2, "ethernets": {"primary": {"match": {"macaddress": mac}, "dhcp4": true}}}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_people_write_never_becomes_a_node_on_the_host() {
    let stage = Stage::new().await;
    let lists = || (Site::virsh(&["pool-list", "--all", "--name"]), Site::virsh(&["net-list", "--all", "--name"]));
    let ours = |list: &(String, String)| list.0.contains(&stage.site.name) && list.1.contains(&stage.site.name);
    assert!(ours(&lists()));
    let accepted = stage.check_requests().await;
    stage.offer_the_rest().await;
    let requests = stage.build(&accepted).await;

    // Domains: all of one skeleton, ours by name, and nothing in them that somebody wrote.
    let domains = stage.site.domains();
    assert_eq!(domains.len(), BUILT);
    let long: Vec<_> = stage.strings.iter().filter(|text| text.chars().count() >= 7).collect();
    let mut files = Vec::new();
    for (uuid, domain) in &domains {
        let slug = domain.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        assert!(slug && (1..=63).contains(&domain.name.len()), "{}", domain.name);
        let xml = Site::virsh(&["dumpxml", "--inactive", uuid]);
        for text in &long {
            assert!(!xml.contains(text.as_str()), "{text:?} in {xml}");
        }
        validate(&stage.folder, "domain", &xml);
        files.push(stage.folder.join(format!("{uuid}.xml")));
        std::fs::write(files.last().expect("a file"), xml).expect("a file");
    }
    let skeletons = python(SKELETON, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let different: BTreeSet<_> = skeletons.as_array().expect("a list").iter().map(Value::to_string).collect();
    assert_eq!(different.len(), 1, "domains are not all alike: {different:#?}");

    let network = Site::virsh(&["net-dumpxml", "--inactive", &stage.site.name]);
    validate(&stage.folder, "network", &network);
    validate(&stage.folder, "storagepool", &Site::virsh(&["pool-dumpxml", &stage.site.name]));
    assert!(long.iter().all(|text| !network.contains(text.as_str())), "{network}");
    let volumes = stage.site.volumes();
    assert_eq!(volumes.len(), 3 * BUILT);
    for name in &volumes {
        let xml = Site::virsh(&["vol-dumpxml", "--pool", &stage.site.name, name]);
        validate(&stage.folder, "storagevol", &xml);
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        assert!(name.bytes().all(fits) && long.iter().all(|text| !xml.contains(text.as_str())), "{xml}");
    }

    // Seeds, as the host has them, say what was intended and nothing else.
    let mut sql = Sql::reading(&stage.broker.setup.database_url).await;
    let rows =
        sql.rows("select machines.id, name, mac, fqdn from machines join claims on machine_id = machines.id").await;
    assert_eq!(rows.len(), BUILT);
    for row in rows {
        let [id, name, mac, fqdn] = &row[..] else { panic!("{row:?}") };
        let xml = Site::virsh(&["dumpxml", "--inactive", id]);
        let seed = between(&xml, "<source file='", "'").find(|file| file.ends_with(".seed.img")).expect("a seed");
        let files = unpack(Path::new(seed), &stage.folder);
        let said = python(YAML, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        assert_eq!(said, wanted(id, name, Some(fqdn), &json!([KEY]), mac));
    }
    // The books have it as it was written, in one normal form.
    for id in &requests {
        let request = stage.broker.get(&format!("/v1/requests/{id}"), &stage.cast.requester).await.expect(200);
        let remarks = request["block"]["remarks"].as_str().unwrap_or_default().to_owned();
        let kept = accepted["remarks"].iter().any(|text| {
            use unicode_normalization::UnicodeNormalization;
            text.replace("\r\n", "\n").replace(['\r'], "\n").replace('\t', " ").trim().nfc().collect::<String>()
                == remarks
        });
        assert!(kept, "{remarks:?}");
    }
    eprintln!("{BUILT} machines, {} volumes, {} pools", volumes.len(), lists().0.lines().count());
}

/// Should a hostile string come as far as the seed, it is a string there too.
#[test]
fn a_seed_says_what_the_intent_says() {
    let (seed, strings) = strings::all();
    eprintln!("{} seeds, seed {seed}", strings.len());
    let folder = crate::support::scratch("seeds");
    let (mut files, mut intended) = (Vec::new(), Vec::new());
    for (number, text) in strings.iter().enumerate() {
        let address = Ipv4Addr::new(10, 8, 0, 5);
        let image = ImageRef {
            sha256: "ab".repeat(32),
            format: ImageFormat::Raw,
            size: Bytes::mib(1).unwrap(),
            path: PathBuf::new(),
        };
        let network = NetworkIntent {
            network: text.clone(),
            link: Link::Network,
            mac: text.clone(),
            address,
            gateway: address,
            dns: address,
        };
        let intent = Intent {
            fqdn: Some(text.clone()),
            ssh_keys: vec![text.clone(), format!("{KEY} {text}")],
            ..intent::plain(text.clone(), image, network)
        };
        let volume = folder.join(format!("{number}.img"));
        std::fs::write(&volume, seed::volume(&intent).unwrap()).unwrap();
        files.extend(unpack(&volume, &folder));
        let keys = json!(intent.ssh_keys);
        let Value::Array(three) = wanted(&intent.machine.text(), text, Some(text), &keys, text) else { unreachable!() };
        intended.extend(three);
    }
    let said = python(YAML, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let said = said.as_array().unwrap();
    assert_eq!(said.len(), 3 * strings::COUNT);
    for (number, (said, intended)) in said.iter().zip(&intended).enumerate() {
        assert_eq!(said, intended, "{:?}", strings[number / 3]);
    }
    assert!(std::fs::read_to_string(&files[1]).unwrap().starts_with("#cloud-config\n"));
}
