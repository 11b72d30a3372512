//! A door that listens on the host's loopback, a far end, and what came of their meeting.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::network::{NetworkPolicy, NetworkRule};
use quire_egress::{
    Audit, AuditRecord, Credential, Door, EgressLimits, EgressProxy, EgressSettings, Parent,
    Policy, PrivateHost, Resolver, Roots, environment,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::far_end::{FarEnd, Root};

/// How long anything in a test may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The host that far ends are known as.
pub const HOST: &str = "registry.example";

/// Names and their answers, in turn; the last one stays.
#[derive(Default)]
pub struct Names {
    pub answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub asked: Mutex<Vec<String>>,
}

impl Names {
    pub fn set(&self, host: &str, answers: &[&[&str]]) {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        self.answers.lock().unwrap().insert(host.to_owned(), answers);
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut all = self.answers.lock().unwrap();
        let Some(answers) = all.get_mut(host) else { return Err(io::ErrorKind::NotFound.into()) };
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// Keeps every record.
#[derive(Default)]
pub struct Records(pub Mutex<Vec<AuditRecord>>);

impl Audit for Records {
    fn record(&self, record: AuditRecord) {
        self.0.lock().unwrap().push(record);
    }
}

/// What a stage is made with.
pub struct Plot {
    pub network: NetworkPolicy,
    pub credentials: Vec<Credential>,
    pub limits: EgressLimits,
    pub parent: Option<Parent>,
    pub private: Vec<String>,
}

impl Plot {
    /// These rules, where `PORT` stands for the port of the far end over TLS and `PLAIN` for the
    /// other one. Both are listed as private.
    pub fn rules(rules: &[&str], stage: &Ends) -> Self {
        let rules = rules.iter().map(|rule| stage.rule(rule)).collect();
        Self::of(NetworkPolicy::Rules(rules), stage)
    }

    pub fn of(network: NetworkPolicy, stage: &Ends) -> Self {
        let private = [&stage.tls, &stage.plain]
            .map(|end| format!("{HOST}:{}=127.0.0.1", end.address.port()))
            .to_vec();
        Self {
            network,
            credentials: Vec::new(),
            limits: EgressLimits::default(),
            parent: None,
            private,
        }
    }
}

/// The far ends.
pub struct Ends {
    pub root: Root,
    pub tls: FarEnd,
    pub plain: FarEnd,
    pub dir: tempfile::TempDir,
}

impl Ends {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new();
        let config = root.server(&[HOST, "other.example"]);
        let tls = FarEnd::start(Some(config), dir.path().to_owned()).await;
        let plain = FarEnd::start(None, dir.path().to_owned()).await;
        Self { root, tls, plain, dir }
    }

    /// With the ports of the far ends in place of their names.
    pub fn fill(&self, text: &str) -> String {
        text.replace("PORT", &self.tls.address.port().to_string())
            .replace("PLAIN", &self.plain.address.port().to_string())
    }

    pub fn rule(&self, text: &str) -> NetworkRule {
        self.fill(text).parse().unwrap()
    }
}

/// A door, and what is behind it.
pub struct Stage {
    pub ends: Ends,
    pub door: Door,
    pub address: SocketAddr,
    pub records: Arc<Records>,
    pub names: Arc<Names>,
    pub ca: PathBuf,
}

impl Stage {
    pub async fn with_rules(rules: &[&str]) -> Self {
        let ends = Ends::start().await;
        let plot = Plot::rules(rules, &ends);
        Self::new(ends, plot).await
    }

    #[expect(clippy::unused_async, reason = "a door wants a runtime")]
    pub async fn new(ends: Ends, plot: Plot) -> Self {
        let names: Arc<Names> = Arc::default();
        let private: Vec<PrivateHost> =
            plot.private.iter().map(|text| text.parse().unwrap()).collect();
        let proxy = EgressProxy::new(EgressSettings {
            roots: Roots::none().with_pem(ends.root.pem.as_bytes()).unwrap(),
            parent: plot.parent,
            private,
            resolver: Arc::clone(&names) as Arc<dyn Resolver>,
            limits: plot.limits,
        });
        let records: Arc<Records> = Arc::default();
        let policy =
            Policy { network: plot.network, credentials: plot.credentials, ..Policy::default() };
        let audit = Arc::clone(&records) as Arc<dyn Audit>;
        let door = proxy.open(policy, audit).unwrap();
        let address = listen(&door);
        let trust = door.trust();
        let ca = ends.dir.path().join("ca.pem");
        std::fs::write(&ca, trust.bundle_pem).unwrap();
        std::fs::write(ends.dir.path().join("ca.jks"), trust.java_store).unwrap();
        Self { ends, door, address, records, names, ca }
    }

    /// The variables that the sandbox would have.
    pub fn variables(&self) -> BTreeMap<String, String> {
        environment(self.address.port(), &self.ca)
    }

    /// Runs a program with nothing but these variables, and gives what it printed.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| self.ends.fill(argument)).collect();
        let run = Command::new(program)
            .args(&arguments)
            .env_clear()
            .envs(self.variables())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.ends.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .current_dir(self.ends.dir.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap()
    }

    /// What curl prints, and its exit status.
    pub async fn curl(&self, arguments: &[&str]) -> (String, i32) {
        let mut all = vec!["-sS", "--max-time", "30"];
        all.extend(arguments);
        let output = self.run("curl", &all).await;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (text, output.status.code().unwrap_or(-1))
    }

    /// What the proxy answers to these bytes until it closes or is silent for a moment.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        read_some(&mut stream).await
    }

    /// Every record so far, as one line each.
    pub async fn told(&self, count: usize) -> Vec<String> {
        let wait = async {
            while self.records.0.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, wait).await;
        let all = self.records.0.lock().unwrap();
        assert!(arrived.is_ok(), "{all:?}");
        all.iter().map(|record| self.line(record)).collect()
    }

    fn line(&self, record: &AuditRecord) -> String {
        let egress = &record.egress;
        let mut line = String::from(if record.allowed { "allowed" } else { "denied" });
        for word in [Some(&egress.host), egress.method.as_ref(), egress.path.as_ref()] {
            line.push(' ');
            line.push_str(word.map_or("-", String::as_str));
        }
        line.extend([" [", &egress.rule, "]"]);
        if let Some(reason) = &egress.reason {
            line.extend([" ", reason]);
        }
        line.replace(&self.ends.tls.address.port().to_string(), "PORT")
            .replace(&self.ends.plain.address.port().to_string(), "PLAIN")
    }

    /// The file that the far end serves below `/files`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.ends.dir.path().join(name)
    }
}

/// A listener on a free port of the host's loopback, handed to the door as a sandbox would.
pub fn listen(door: &Door) -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    door.sink().listener(OwnedFd::from(listener));
    address
}

/// Reads until the other side closes, or is silent for a quarter of a second after it said something.
pub async fn read_some(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let limit = if all.is_empty() { PATIENCE } else { Duration::from_millis(250) };
        match tokio::time::timeout(limit, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) | Err(_) => return String::from_utf8_lossy(&all).into_owned(),
            Ok(Ok(count)) => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Whether a program is there to be tried.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| Path::new(&dir).join(program).exists())
}
