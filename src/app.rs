//! Builds the parts once, starts them, and stops them gracefully.

mod error;

pub use error::StartError;

use crate::{
    capacity::{inventory::Inventory, maintenance::Maintenance, providers::Providers, service::Allowed},
    catalogue::Catalogue,
    config::{LogFormat, Settings},
    console,
    db::{Db, Gather, Options, Ways},
    dns::Zones,
    http::{self, Api, Parts, once::UnderWay, readiness::Readiness},
    identity::door::Door,
    jurisdiction::Profile,
    k8s::task::Controller,
    machine::{
        approval::Approver,
        build::Build,
        credentials,
        distribution::{
            courier::{self, Courier},
            service::Distribution,
        },
        drain,
        name::{
            Names,
            registrar::{self, Registrar},
        },
        power::Power,
        relocate::{Migrate, Rebuild},
        resize::Resize,
        service::{Images, Machines},
        steps::Patience,
    },
    metrics::Metrics,
    migration::{
        moving::{DiskImports, Moves, OldGuests, Sources},
        register,
        service::Estates,
    },
    operation::{
        Kind, Operation, store,
        worker::{self, Bell, Pulse, Runner, Worker},
    },
    provider::kubevirt,
    report::{self, capacity::service::Capacities, service::Reports},
    request::service::Rules,
    rule::Code,
    secret::{KeyFault, Vault},
    serve::{Limits, Server, tls},
    system::service::Systems,
    time::Clock,
    usage::{
        self, Interval,
        advice::Sizing,
        gauges::service::Gauges,
        import::Importer,
        judging::{self, service::Judges},
        service::Collector,
        source::{Source, settings},
        verdict::RuleSets,
        zombie::service::Zombies,
    },
    watch::{service::Watch, task::Rounds},
};
use std::{
    collections::HashMap,
    io::{self, IsTerminal},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long everything may take to finish when the end has been announced. `main` gives calls to hosts a little more.
const LAST_STEPS: Duration = Duration::from_millis(6500);
/// A worker that does not come round for so long, and its pause, is stuck.
const LONGEST_ROUND: Duration = Duration::from_secs(30);

/// The database alone: for acts on the console.
pub async fn open_database(settings: &Settings) -> Result<Db, StartError> {
    if let Some(path) = settings.database_url.strip_prefix("sqlite:")
        && let Some(folder) = Path::new(path).parent()
    {
        // An unusable folder shows when the file is opened, with the file's name.
        let _ = tokio::fs::create_dir_all(folder).await;
    }
    let options = Options {
        url: settings.database_url.clone(),
        read_connections: settings.database_read_connections,
        clock: Clock::System,
    };
    Db::open(options).await.map_err(|source| StartError::Db { url: settings.database_shown(), source })
}

/// The key of the kept passwords, which must be the one that they were sealed by.
async fn open_vault(db: &Db, settings: &Settings) -> Result<Vault, StartError> {
    let vault = Vault::open_or_create(&settings.secret_key_file)?;
    let unread = |source| StartError::Db { url: settings.database_shown(), source };
    let mut conn = db.read().await.map_err(unread)?;
    let others = credentials::store::of_other_keys(&mut conn, vault.key_id()).await.map_err(unread)?;
    if others == 0 {
        return Ok(vault);
    }
    let shown = settings.secret_key_file.display();
    Err(StartError::Secret(KeyFault {
        fault: format!("{shown} 不是封存数据库里那 {others} 个口令的密钥"),
        mend: "换回原来的文件；几个 jiyue serve 共用一个数据库的，用同一个文件。确已丢失的，删去 machine_secrets 表里的这些行：那些口令不能再领取".to_owned(),
    }))
}

/// Starts logging; once per process.
pub fn start_logging(settings: &Settings) -> Result<(), StartError> {
    let filter = EnvFilter::try_new(&settings.log_filter)
        .map_err(|source| StartError::LogFilter { filter: settings.log_filter.clone(), source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = match settings.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Serves until SIGTERM or SIGINT, and then for as long as it takes to finish what is under way, within bounds: the end
/// comes within ten seconds, whoever hangs.
pub async fn serve(settings: Settings) -> Result<(), StartError> {
    start_logging(&settings)?;
    settings.check()?;
    for warning in settings.warnings() {
        tracing::warn!(%warning, "settings.warning");
    }
    // Taken at once: until somebody does, SIGHUP ends a process.
    let hangup = signal(SignalKind::hangup()).map_err(StartError::Serve)?;
    let ended = ending().map_err(StartError::Serve)?;
    let db = open_database(&settings).await?;
    let vault = open_vault(&db, &settings).await?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|source| StartError::Listen { address: settings.listen, source })?;
    let address = listener.local_addr().map_err(StartError::Serve)?;
    let (tls, keeper) = speak(&settings)?.unzip();
    let encrypted = tls.is_some();
    let stop = CancellationToken::new();
    let Service { api, worker, rounds, registrar, courier, collector, gauges, controller } =
        assemble(db, vault, &settings, stop.clone())?;
    tokio::spawn(keep(keeper, hangup, api.metrics.clone()));
    let working = tokio::spawn(worker.run(stop.child_token()));
    let watching = tokio::spawn(rounds.run(stop.child_token()));
    let draining = tokio::spawn(drain::run(api.machines.clone(), stop.child_token()));
    let registering = tokio::spawn(registrar.run(stop.child_token()));
    let sending = tokio::spawn(courier.run(stop.child_token()));
    let collecting = tokio::spawn(usage::task::run(collector, stop.child_token()));
    let reporting = tokio::spawn(report::task::run(api.reports.clone(), stop.child_token()));
    let gauging = tokio::spawn(gauges.run(stop.child_token()));
    let controlling = controller.map(|controller| tokio::spawn(controller.run(stop.child_token())));
    let limits = Limits {
        header: Duration::from_secs(settings.http_header_seconds),
        stall: Duration::from_secs(settings.http_stall_seconds),
    };
    let router = http::router(api.clone(), console::pages(&api, encrypted));
    let server = Server { listener, router, tls, limits };
    let serving = tokio::spawn(server.run(stop.clone()));
    tracing::info!(%address, tls = encrypted, database = %settings.database_shown(), "service.started");
    ended.await;
    tracing::info!("service.stopping");
    stop.cancel();
    watching.abort();
    draining.abort();
    collecting.abort();
    reporting.abort();
    gauging.abort();
    // Calls end by their own bounds. Steps that are under way come to their end; what is not finished is taken up at the
    // next start.
    let controlled = async {
        if let Some(task) = controlling {
            let _ = task.await;
        }
    };
    let all = async { tokio::join!(serving, working, registering, sending, controlled) };
    if tokio::time::timeout(LAST_STEPS, all).await.is_err() {
        tracing::warn!("service.stopped_with_work_under_way");
    }
    tracing::info!("service.stopped");
    Ok(())
}

/// How connections are encrypted, if at all, and what keeps the certificate up to date.
fn speak(settings: &Settings) -> Result<Option<(TlsAcceptor, tls::Keeper)>, StartError> {
    let Some((certificate, key)) = settings.tls() else { return Ok(None) };
    let files = tls::Files { certificate: certificate.to_owned(), key: key.to_owned() };
    tls::open(files).map(Some).map_err(StartError::Tls)
}

/// Answers SIGHUP, for ever. Without a certificate it means nothing.
async fn keep(keeper: Option<tls::Keeper>, mut hangup: Signal, metrics: Metrics) {
    if let Some(keeper) = keeper {
        return keeper.run(hangup, metrics).await;
    }
    while hangup.recv().await.is_some() {
        tracing::info!("service.reload.nothing_to_do");
    }
}

/// Everything that runs.
pub struct Service {
    pub api: Api,
    pub worker: Worker,
    pub rounds: Rounds,
    pub registrar: Registrar,
    pub courier: Courier,
    pub collector: Collector,
    pub gauges: Gauges,
    pub controller: Option<Controller>,
}

/// What most parts stand on.
#[derive(Clone)]
struct Shared {
    db: Db,
    inventory: Inventory,
    providers: Providers,
    bell: Bell,
    pulse: Pulse,
    names: Names,
    metrics: Metrics,
    vault: Vault,
}

/// What registers names in a DNS server.
fn names(db: &Db, settings: &Settings) -> Result<Names, StartError> {
    Ok(Names {
        zones: Zones::open(&settings.dns, db.clock()).map_err(StartError::Dns)?,
        bell: Bell::default(),
        wait: Duration::from_secs(settings.dns_wait_seconds),
    })
}

fn zombies(db: &Db, rules: &Rules, settings: &Settings) -> Zombies {
    Zombies {
        db: db.clone(),
        profile: Arc::clone(&rules.profile),
        thresholds: settings.zombie_thresholds(),
        answer_days: i64::from(settings.zombie_answer_days),
    }
}

fn estates(db: &Db, rules: &Rules) -> Result<Estates, StartError> {
    Ok(Estates {
        db: db.clone(),
        profile: Arc::clone(&rules.profile),
        registers: Arc::new(register::registers(&rules.profile.rooms.registers)?),
        reader: rules.reader.clone(),
        catalogue: Arc::clone(&rules.catalogue),
        sizing: Sizing::embedded()?,
        last: Arc::default(),
    })
}

/// Puts the parts together.
pub fn assemble(db: Db, vault: Vault, settings: &Settings, stop: CancellationToken) -> Result<Service, StartError> {
    let catalogue = Arc::new(Catalogue::embedded()?);
    let shared = Shared {
        inventory: Inventory::default(),
        providers: Providers::new(db.clone(), &settings.insecure_networks, &settings.cluster),
        bell: Bell::default(),
        pulse: Pulse::default(),
        names: names(&db, settings)?,
        metrics: Metrics::new()?,
        vault,
        db,
    };
    shared.db.counted_by(&shared.metrics);
    shared.metrics.rules(Code::ALL.iter().map(|code| code.as_str()));
    let rules = Rules {
        db: shared.db.clone(),
        profile: Arc::new(Profile::named(&settings.jurisdiction)?),
        catalogue: Arc::clone(&catalogue),
        metrics: shared.metrics.clone(),
        reader: crate::request::apart::Reader::default(),
    };
    let distribution = distribution(&shared, &catalogue);
    let courier = courier(distribution.clone(), settings);
    let old_hosts = Sources::open(&settings.source_host, &settings.insecure_networks);
    let (worker, registrar) = (worker(&shared, &courier, &old_hosts, settings), registrar(&shared, settings));
    let sources: Arc<[Source]> = sources(settings)?.into();
    shared.metrics.usage_sources(sources.iter().map(|source| source.name.as_str()));
    let (collector, gauges) = (collector(&shared, settings, Arc::clone(&sources)), gauges(&shared, settings));
    let reports = reports(&shared.db, settings)?;
    let Shared { db, inventory, providers, bell, pulse, names, metrics, vault } = shared;
    let readiness = readiness(pulse, &vault, settings, stop.clone());
    let watch = Watch {
        db: db.clone(),
        providers: providers.clone(),
        inventory: inventory.clone(),
        bell: bell.clone(),
        distribution: distribution.clone(),
    };
    let rounds = Rounds {
        watch: watch.clone(),
        metrics: metrics.clone(),
        every: Duration::from_secs(settings.listing_seconds),
        silence: Duration::from_secs(settings.silence_seconds),
    };
    let estates = estates(&db, &rules)?;
    let machines = Machines {
        db: db.clone(),
        inventory: inventory.clone(),
        providers,
        bell: bell.clone(),
        catalogue: Arc::clone(&catalogue),
        names,
        vault: vault.clone(),
    };
    let api = Api::new(Parts {
        capacities: Capacities::new(db.clone(), estates.clone(), Arc::clone(&rules.profile)),
        approver: Approver {
            db: db.clone(),
            inventory: inventory.clone(),
            bell,
            metrics: metrics.clone(),
            rules: rules.clone(),
            vault: vault.clone(),
        },
        maintenance: Maintenance {
            db: db.clone(),
            inventory: inventory.clone(),
            fence_command: settings.fence_command.clone(),
        },
        images: Images {
            db: db.clone(),
            catalogue,
            folder: settings.image_folder.clone(),
            max_bytes: settings.image_max_bytes,
            entering: Arc::default(),
            bell: distribution.bell.clone(),
        },
        disk_imports: DiskImports { machines: machines.clone(), sources: old_hosts },
        machines,
        systems: Systems { db: db.clone() },
        zombies: zombies(&db, &rules, settings),
        estates,
        watch,
        distribution,
        importer: Importer { db: db.clone(), metrics: metrics.clone() },
        door: Door::new(db.clone()),
        operations: operations(&db),
        db,
        inventory,
        rules,
        judges: reports.judges.clone(),
        reports,
        metrics,
        vault,
        under_way: UnderWay::default(),
        stop,
        readiness,
        sources,
        allowed_hosts: allowed(settings),
    });
    Ok(Service { controller: controller(&api, settings), api, worker, rounds, registrar, courier, collector, gauges })
}

fn distribution(shared: &Shared, catalogue: &Arc<Catalogue>) -> Distribution {
    Distribution {
        db: shared.db.clone(),
        providers: shared.providers.clone(),
        inventory: shared.inventory.clone(),
        catalogue: Arc::clone(catalogue),
        bell: Bell::default(),
    }
}

/// What takes requests from a cluster, where one is named.
fn controller(api: &Api, settings: &Settings) -> Option<Controller> {
    Some(Controller {
        db: api.db.clone(),
        rules: api.rules.clone(),
        machines: api.machines.clone(),
        metrics: api.metrics.clone(),
        settings: settings.kubernetes.clone()?,
        owner: uuid::Uuid::now_v7().to_string(),
        lease: settings.lease(),
    })
}

/// Which hosts may be added.
fn allowed(settings: &Settings) -> Allowed {
    Allowed {
        simulated: settings.allow_simulated_hosts,
        insecure_networks: settings.insecure_networks.clone(),
        clusters: settings.cluster.clone(),
    }
}

/// The sources of the settings, each with the clusters that name it.
fn sources(settings: &Settings) -> Result<Vec<Source>, StartError> {
    let mut sources = settings::open(&settings.usage_source).map_err(StartError::UsageSource)?;
    for source in &mut sources {
        let named = settings.cluster.iter().filter(|cluster| cluster.usage_source.as_ref() == Some(&source.name));
        source.clusters = named.map(|cluster| format!("{}{}", kubevirt::SCHEME, cluster.name)).collect();
    }
    Ok(sources)
}

/// What reads machines' use.
fn collector(shared: &Shared, settings: &Settings, sources: Arc<[Source]>) -> Collector {
    Collector {
        db: shared.db.clone(),
        providers: shared.providers.clone(),
        metrics: shared.metrics.clone(),
        every: Interval::seconds(settings.usage_seconds).unwrap_or(Interval::MINUTE),
        sources,
    }
}

/// What makes reports. It needs the database alone, so that they can be made without a server.
pub fn reports(db: &Db, settings: &Settings) -> Result<Reports, StartError> {
    let catalogue = Arc::new(Catalogue::embedded()?);
    let sets = RuleSets::open(settings.idle_rules.as_deref())?;
    let rules = judging::Rules {
        set: sets.judging().cloned().ok_or(StartError::NoIdleRules)?,
        assumed: sets.assumed().clone(),
        sizing: Sizing::embedded()?,
        bounds: catalogue.bounds.clone(),
    };
    Ok(Reports {
        db: db.clone(),
        judges: Judges { db: db.clone(), rules: Arc::new(rules), catalogue, one: Arc::default() },
        profile: Arc::new(Profile::named(&settings.jurisdiction)?),
    })
}

fn gauges(shared: &Shared, settings: &Settings) -> Gauges {
    let every = Interval::seconds(settings.usage_seconds).unwrap_or(Interval::MINUTE);
    Gauges::new(shared.db.clone(), shared.metrics.clone(), every, settings.usage_machine_metrics)
}

/// How operations are looked at. One that is over is never taken up again.
fn operations(db: &Db) -> Gather<Operation> {
    Gather::new(
        db.clone(),
        Ways {
            find: |conn, ids| Box::pin(store::find_all(conn, ids)),
            settled: |operation| operation.state.is_final(),
        },
    )
}

/// What `/readyz` looks for.
fn readiness(pulse: Pulse, vault: &Vault, settings: &Settings, stop: CancellationToken) -> Readiness {
    Readiness {
        stop,
        pulse,
        longest_round: LONGEST_ROUND + settings.poll(),
        image_folder: settings.image_folder.clone(),
        secret_key_file: settings.secret_key_file.clone(),
        key_id: vault.key_id().to_owned(),
    }
}

/// The worker, with a runner for every kind of operation.
fn worker(shared: &Shared, courier: &Courier, old_hosts: &Sources, settings: &Settings) -> Worker {
    let Shared { db, inventory, providers, bell, pulse, names, metrics, vault } = shared.clone();
    let patience = Patience {
        answer: Duration::from_secs(settings.answer_seconds),
        install: Duration::from_secs(settings.install_seconds),
        other: Duration::from_secs(settings.step_seconds),
    };
    let power = Arc::new(Power {
        db: db.clone(),
        providers: providers.clone(),
        inventory: inventory.clone(),
        metrics: metrics.clone(),
        patience,
        grace: Duration::from_secs(settings.shutdown_seconds),
        names: names.clone(),
        twin: Arc::new(OldGuests { db: db.clone(), sources: old_hosts.clone() }),
    });
    let build = Arc::new(Build {
        db: db.clone(),
        providers,
        inventory,
        metrics: metrics.clone(),
        patience,
        boots: Arc::new(Semaphore::new(settings.boots_at_once)),
        names,
        courier: courier.clone(),
        vault,
    });
    let mut runners: HashMap<Kind, Arc<dyn Runner>> = HashMap::new();
    runners.insert(Kind::Build, build.clone());
    for kind in [Kind::Start, Kind::Stop, Kind::Bin, Kind::Restore, Kind::Reboot] {
        runners.insert(kind, power.clone());
    }
    runners.insert(Kind::Resize, Arc::new(Resize { power: power.clone() }));
    runners.insert(Kind::Migrate, Arc::new(Migrate { power: power.clone(), courier: courier.clone() }));
    let moves = Arc::new(Moves { power: power.clone(), sources: old_hosts.clone() });
    runners.insert(Kind::ImportDisk, moves.clone());
    runners.insert(Kind::ReturnDisk, moves);
    runners.insert(Kind::Rebuild, Arc::new(Rebuild { power, build }));
    Worker {
        db,
        runners,
        settings: worker::Settings {
            owner: uuid::Uuid::now_v7().to_string(),
            lease: settings.lease(),
            poll: settings.poll(),
            width: settings.worker_width,
        },
        bell,
        pulse,
        metrics,
    }
}

fn courier(distribution: Distribution, settings: &Settings) -> Courier {
    Courier {
        distribution,
        settings: courier::Settings {
            width: settings.image_sends_at_once,
            poll: settings.poll(),
            lease: settings.lease(),
            longest_pause: Duration::from_secs(settings.image_retry_seconds),
        },
    }
}

fn registrar(shared: &Shared, settings: &Settings) -> Registrar {
    Registrar {
        db: shared.db.clone(),
        names: shared.names.clone(),
        metrics: shared.metrics.clone(),
        settings: registrar::Settings {
            poll: settings.poll(),
            limit: Duration::from_secs(settings.dns_timeout_seconds),
            lease: settings.lease(),
            longest_pause: Duration::from_secs(settings.dns_retry_seconds),
        },
    }
}

/// The wish to end. The handlers are in place when this returns, not when somebody begins to wait.
fn ending() -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
