//! A table in memory that remembers what was done to it and fails when told, and a clock that
//! stands still until it is moved.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use agent_api::{GrantRequest, Role};
use filter_abi::{Grant, Impact, ImpactKey};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::{Clock, Moment},
    config::Config,
    engine::{Caller, Engine, Moving},
    kernel::{GrantId, Judge, KernelError, Maps, Probed, Show, Switches},
    ledger::Ledger,
    policy::Policy,
};

pub(crate) const NS: u64 = 1_000_000_000;
pub(crate) const ROOT: Caller = Caller {
    role: Role::Operator,
    uid: 0,
};
pub(crate) const PORTAL: Caller = Caller {
    role: Role::Portal,
    uid: 901,
};

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) grants: BTreeMap<GrantId, Grant>,
    pub(crate) done: Vec<&'static str>,
    pub(crate) refuse_puts: bool,
    /// How many more pieces are removed before it fails once.
    pub(crate) fail_removal_after: Option<u32>,
    pub(crate) policy: Policy,
    pub(crate) switches: Switches,
    pub(crate) denies: BTreeMap<IpNet, u64>,
    pub(crate) alive_until_ns: u64,
    pub(crate) probed: Vec<u8>,
    pub(crate) answer: Probed,
    pub(crate) impact: Vec<(ImpactKey, Impact)>,
}

#[derive(Debug, Default)]
pub(crate) struct FakeMaps(Mutex<Table>);

impl FakeMaps {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap()
    }

    fn doing(&self, what: &'static str) -> MutexGuard<'_, Table> {
        let mut table = self.table();
        table.done.push(what);
        table
    }
}

impl Maps for FakeMaps {
    fn read(&self, id: GrantId) -> Result<Option<Grant>, KernelError> {
        Ok(self.table().grants.get(&id).copied())
    }

    fn put(&self, id: GrantId, grant: Grant) -> Result<(), KernelError> {
        let mut table = self.doing("put");
        if table.refuse_puts {
            return Err(KernelError::Rejected("the test says no".into()));
        }
        table.grants.insert(id, grant);
        Ok(())
    }

    fn remove(&self, id: GrantId) -> Result<(), KernelError> {
        self.doing("remove").grants.remove(&id);
        Ok(())
    }

    fn put_many(&self, grants: &[(GrantId, Grant)]) -> Result<(), KernelError> {
        if !grants.is_empty() {
            self.doing("put many").grants.extend(grants.iter().copied());
        }
        Ok(())
    }

    fn remove_many(&self, ids: &[GrantId]) -> Result<(), KernelError> {
        {
            let mut table = self.table();
            match table.fail_removal_after {
                Some(0) => {
                    table.fail_removal_after = None;
                    return Err(KernelError::Rejected("the test says no".into()));
                }
                Some(left) => table.fail_removal_after = Some(left - 1),
                None => {}
            }
        }
        if !ids.is_empty() {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            self.doing("remove many")
                .grants
                .retain(|id, _| ids.binary_search(id).is_err());
        }
        Ok(())
    }

    fn scan(&self, show: Show<'_>) -> Result<(), KernelError> {
        let all: Vec<(GrantId, Grant)> = self
            .table()
            .grants
            .iter()
            .map(|(id, grant)| (*id, *grant))
            .collect();
        if !all.is_empty() {
            show(&all);
        }
        Ok(())
    }

    fn apply(&self, policy: &Policy, switches: &Switches) -> Result<(), KernelError> {
        let mut table = self.doing("apply");
        table.policy = policy.clone();
        table.switches = switches.clone();
        Ok(())
    }

    fn switch(&self, switches: &Switches) -> Result<(), KernelError> {
        self.doing("switch").switches = switches.clone();
        Ok(())
    }

    fn deny(&self, denies: &BTreeMap<IpNet, u64>) -> Result<(), KernelError> {
        self.doing("deny").denies = denies.clone();
        Ok(())
    }

    fn impact(&self) -> Result<Vec<(ImpactKey, Impact)>, KernelError> {
        Ok(self.table().impact.clone())
    }

    fn clear_impact(&self) -> Result<(), KernelError> {
        self.doing("clear impact").impact.clear();
        Ok(())
    }

    fn heartbeat(&self, alive_until_ns: u64) -> Result<(), KernelError> {
        self.doing("heartbeat").alive_until_ns = alive_until_ns;
        Ok(())
    }

    fn counters(&self) -> Result<Vec<u64>, KernelError> {
        Ok((0..u64::from(filter_abi::COUNTERS)).collect())
    }
}

impl Judge for FakeMaps {
    fn probe(&self, frame: &[u8], _at_ns: u64) -> Result<Probed, KernelError> {
        let mut table = self.doing("probe");
        table.probed = frame.to_vec();
        Ok(table.answer)
    }
}

#[derive(Debug)]
pub(crate) struct FakeClock(Mutex<Moment>);

impl FakeClock {
    /// Both clocks go on.
    pub(crate) fn advance(&self, seconds: u32) {
        let mut now = self.0.lock().unwrap();
        now.wall += SignedDuration::from_secs(i64::from(seconds));
        now.boot_ns += u64::from(seconds) * NS;
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_wall(&self, by_seconds: i64) {
        self.0.lock().unwrap().wall += SignedDuration::from_secs(by_seconds);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        *self.0.lock().unwrap()
    }
}

/// An engine with everything around it; the folder goes when the test ends.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) maps: Arc<FakeMaps>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) const CONFIG: &str = r#"
[filter]
interfaces = ["eth0"]
capacity = 3
[portal]
user = 901
endpoints = ["192.0.2.1:8443"]
[[service]]
name = "web"
targets = ["198.51.100.10 tcp/80"]
groups = ["staff"]
max = "8h"
idle = "30m"
[[service]]
name = "ssh"
targets = ["198.51.100.10 tcp/22"]
groups = ["admins"]
"#;

impl World {
    pub(crate) async fn new() -> Self {
        let (folder, maps, clock) = Self::parts();
        let ledger = Self::ledger(folder.path(), &clock).await;
        Self::over(folder, ledger, maps, clock).await
    }

    /// The same under another configuration.
    pub(crate) async fn with(config: &str) -> Self {
        let (folder, maps, clock) = Self::parts();
        std::fs::write(folder.path().join("agent.toml"), config).unwrap();
        let ledger = Self::ledger(folder.path(), &clock).await;
        Self::over(folder, ledger, maps, clock).await
    }

    /// The same on a disk that fails every sync.
    pub(crate) async fn on_a_failing_disk() -> Self {
        let (folder, maps, clock) = Self::parts();
        let ledger = Self::ledger(folder.path(), &clock).await;
        Self::over(folder, ledger.on_a_failing_disk(), maps, clock).await
    }

    fn parts() -> (tempfile::TempDir, Arc<FakeMaps>, Arc<FakeClock>) {
        let folder = tempfile::tempdir().unwrap();
        let start = Moment {
            wall: Timestamp::from_second(1_800_000_000).unwrap(),
            boot_ns: 5_000 * NS,
        };
        let clock = Arc::new(FakeClock(Mutex::new(start)));
        let maps = Arc::new(FakeMaps::default());
        (folder, maps, clock)
    }

    async fn over(
        folder: tempfile::TempDir,
        ledger: Ledger,
        maps: Arc<FakeMaps>,
        clock: Arc<FakeClock>,
    ) -> Self {
        let engine = Self::engine(folder.path(), ledger, &maps, &clock).await;
        engine.start().await.unwrap();
        maps.table().done.clear();
        Self {
            engine,
            maps,
            clock,
            folder,
        }
    }

    async fn ledger(folder: &Path, clock: &Arc<FakeClock>) -> Ledger {
        Ledger::open(&folder.join("ledger"), "boot", clock.now())
            .await
            .unwrap()
    }

    async fn engine(
        folder: &Path,
        ledger: Ledger,
        maps: &Arc<FakeMaps>,
        clock: &Arc<FakeClock>,
    ) -> Arc<Engine> {
        let path = folder.join("agent.toml");
        if !path.exists() {
            std::fs::write(&path, CONFIG).unwrap();
        }
        let config = Config::load(&path).unwrap();
        let maps: Arc<dyn Maps> = Arc::<FakeMaps>::clone(maps);
        let clock: Arc<dyn Clock> = Arc::<FakeClock>::clone(clock);
        Arc::new(
            Engine::new(maps, ledger, clock, config, path)
                .await
                .unwrap(),
        )
    }

    /// The agent died; another one starts over the same ledger and map.
    pub(crate) async fn restart(&mut self) {
        self.engine.ledger().close().await;
        let ledger = Self::ledger(self.folder.path(), &self.clock).await;
        self.engine = Self::engine(self.folder.path(), ledger, &self.maps, &self.clock).await;
        self.maps.table().done.clear();
    }

    pub(crate) fn in_kernel(&self, source: &str, service: &str) -> Option<Grant> {
        let service = self.engine.state().ids[service];
        let id = GrantId {
            source: source.parse().unwrap(),
            service,
        };
        self.maps.table().grants.get(&id).copied()
    }

    /// Writes holders straight into the ledger, for 10.0.0.0 onwards, as of a site with very many;
    /// a restart and a reconcile make the engine know them.
    pub(crate) async fn crowd(&mut self, service: &str, count: u32, user: &str, seconds: u64) {
        self.seed(0x0a00_0000, service, count, user, seconds).await;
    }

    /// The same for one source.
    pub(crate) async fn crowd_one(
        &mut self,
        source: &str,
        service: &str,
        user: &str,
        seconds: u64,
    ) {
        let source: std::net::Ipv4Addr = source.parse().unwrap();
        self.seed(source.to_bits(), service, 1, user, seconds).await;
    }

    async fn seed(&mut self, first: u32, service: &str, count: u32, user: &str, seconds: u64) {
        let service = self.engine.state().ids[service];
        let url = format!("sqlite://{}", self.folder.path().join("ledger").display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
             INSERT INTO holders SELECT unhex(printf('%08x', $6 + i)), $2, $3, 'pwd otp', 0, \
             'portal', $4, $5, 0 FROM n",
        )
        .bind(count)
        .bind(service)
        .bind(user)
        .bind(i64::MAX / 2)
        .bind(i64::try_from(self.clock.now().boot_ns + seconds * NS).unwrap())
        .bind(first)
        .execute(&pool)
        .await
        .unwrap();
        pool.close().await;
        self.restart().await;
        self.engine.reconcile(Moving::Still).await.unwrap();
        self.maps.table().done.clear();
    }

    pub(crate) async fn audit(&self) -> Vec<agent_api::AuditRecord> {
        self.engine
            .ledger()
            .audit(&agent_api::AuditQuery::default())
            .await
            .unwrap()
    }
}

pub(crate) fn ask(source: &str, service: &str, user: &str, seconds: u64) -> GrantRequest {
    GrantRequest {
        source: source.parse().unwrap(),
        service: service.into(),
        user: user.into(),
        for_seconds: Some(seconds),
        exact: false,
        factor: Some("pwd otp".into()),
        reason: None,
        request_id: Some("r1".into()),
    }
}
