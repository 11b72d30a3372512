//! Setup as root over the host's view: what it writes to system directories becomes layers that
//! later sandboxes stand on, and the host is left as it was.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod stage;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use quire_domain::sandbox::{
    EgressDoor, FindingLevel, Layer, ListenerSink, SandboxBackend as _, SandboxBase, SandboxSpec,
    SandboxUser,
};
use stage::{Stage, bash, create, run, sh};

/// Whether setup can write all system directories here.
fn can_install(stage: &Stage) -> bool {
    let found = stage.backend.packages_in_setup(&SandboxBase::Host);
    if found.level != FindingLevel::Good {
        eprintln!("skipped: {}", found.detail);
    }
    found.level == FindingLevel::Good
}

fn setup_spec(stage: &Stage, name: &str) -> SandboxSpec {
    let mut spec = stage.spec(name, vec![]);
    spec.user = SandboxUser::SetupRoot;
    spec.env.insert("PATH".to_owned(), "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    spec
}

/// The layers of system directories, as later sandboxes take them.
fn system(frozen: &BTreeMap<String, Layer>) -> BTreeMap<String, Vec<Layer>> {
    let named = |name: &&str| frozen.contains_key(*name);
    ["usr", "etc", "var", "opt", "srv"]
        .iter()
        .filter(|name| named(name))
        .map(|name| ((*name).to_owned(), vec![frozen[*name].clone()]))
        .collect()
}

#[tokio::test]
async fn what_setup_writes_to_system_directories_is_there_for_the_agent_and_not_on_the_host() {
    let stage = Stage::new().await;
    if !can_install(&stage) {
        return;
    }
    let sandbox = create(&stage, setup_spec(&stage, "setup")).await;
    let said = sh(
        &sandbox,
        "set -e; printf '#!/bin/sh\necho tool runs\n' > /usr/local/bin/quire-tool
         chmod 755 /usr/local/bin/quire-tool; chown 105:106 /usr/local/bin/quire-tool
         mkdir /opt/quire-o; echo o > /opt/quire-o/f; echo v > /var/lib/quire-v
         useradd -r quire-daemon; groupadd quire-crowd; rm /usr/bin/yes
         stat -c %u /usr /usr/bin /usr/bin/env /var/lib/dpkg/status | sort -u
         echo done",
    )
    .await;
    assert_eq!(said, "0\ndone\n");
    let frozen = sandbox.freeze().await.unwrap();
    // Nothing was written to /srv.
    let names: Vec<_> = frozen.keys().map(String::as_str).collect();
    assert_eq!(names, ["etc", "home", "opt", "usr", "var", "work"]);
    assert!(!frozen["usr"].path.join("bin/env").exists(), "a layer holds what was written alone");
    let mut spec = stage.spec("agent", vec![frozen["work"].clone()]);
    spec.system = system(&frozen);
    let sandbox = create(&stage, spec.clone()).await;
    let said = sh(
        &sandbox,
        "quire-tool; cat /opt/quire-o/f /var/lib/quire-v; id -u; ls /usr/bin/yes 2>&1 | wc -l
         grep -c quire-daemon /etc/passwd; env true && ls /usr/bin/env
         (echo x > /usr/local/bin/quire-tool) 2>&1 | grep -c 'Read-only'
         (touch /opt/new /etc/new) 2>&1 | grep -c 'Read-only'
         echo w > /var/lib/mine && cat /var/lib/mine; stat -c %u /usr/local/bin/quire-tool",
    )
    .await;
    assert_eq!(said, "tool runs\no\nv\n1000\n1\n1\n/usr/bin/env\n1\n2\nw\n65534\n");
    for path in ["/usr/local/bin/quire-tool", "/opt/quire-o", "/var/lib/quire-v"] {
        assert!(!Path::new(path).exists(), "{path} is on the host");
    }
    assert!(Path::new("/usr/bin/yes").exists());
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    assert!(!passwd.contains("quire-daemon"));
    // A second setup goes on from there, and its layers go on top.
    let mut again = setup_spec(&stage, "again");
    again.system = system(&frozen);
    let sandbox = create(&stage, again).await;
    let said = sh(&sandbox, "quire-tool; echo 'echo again' >> /usr/local/bin/quire-tool; stat -c %u:%g /usr/local/bin/quire-tool; rm -r /opt/quire-o").await;
    assert_eq!(said, "tool runs\n105:106\n");
    let second = sandbox.freeze().await.unwrap();
    for (name, layers) in &mut spec.system {
        if let Some(layer) = second.get(name) {
            layers.insert(0, layer.clone());
        }
    }
    spec.name = "third".to_owned();
    spec.upper = quire_domain::sandbox::Upper::Disk(stage.path("upper-third"));
    let sandbox = create(&stage, spec).await;
    assert_eq!(
        sh(&sandbox, "quire-tool; ls /opt | grep -c quire-o").await,
        "tool runs\nagain\n0\n"
    );
}

#[tokio::test]
async fn setup_goes_on_over_what_it_wrote_when_it_is_made_anew() {
    let stage = Stage::new().await;
    if !can_install(&stage) {
        return;
    }
    let sandbox = create(&stage, setup_spec(&stage, "lives")).await;
    sh(&sandbox, "echo 1 > /usr/local/quire-1; echo s >> /var/lib/dpkg/arch; rm -r /var/lib/ucf; ln -s /etc /var/lib/ucf").await;
    sandbox.fold().await.unwrap();
    let said = run(&sandbox, bash("cat /usr/local/quire-1; tail -1 /var/lib/dpkg/arch")).await;
    assert_eq!(said.0, "1\ns\n");
}

#[tokio::test]
async fn secrets_of_the_hosts_root_stay_out_of_setup() {
    let stage = Stage::new().await;
    if !can_install(&stage) || !Path::new("/opt").is_dir() {
        return;
    }
    let secret = tempfile::Builder::new().prefix("quire-secret-").tempdir_in("/opt").unwrap();
    let key = secret.path().join("key");
    std::fs::write(&key, "canary").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let sandbox = create(&stage, setup_spec(&stage, "secrets")).await;
    let script = format!(
        "cat {}/key /etc/shadow /var/cache/debconf/passwords.dat 2>/dev/null; ls /root /home | wc -l",
        secret.path().display()
    );
    let said = sh(&sandbox, &script).await;
    assert!(!said.contains("canary") && !said.contains("root:"), "{said}");
}

/// Answers `GET http://…/NAME` from files by name.
struct Archive(Arc<BTreeMap<String, Vec<u8>>>);

impl ListenerSink for Archive {
    fn listener(&self, listener: OwnedFd) {
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(false).unwrap();
        let files = Arc::clone(&self.0);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let files = Arc::clone(&files);
                std::thread::spawn(move || answer(&stream, &files));
            }
        });
    }
}

fn answer(mut stream: &TcpStream, files: &BTreeMap<String, Vec<u8>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let name = request.split(' ').nth(1).and_then(|url| url.rsplit('/').next());
        let file = name.and_then(|name| files.get(name));
        let (status, body) = file.map_or(("404 No", &b""[..]), |file| ("200 OK", file));
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
            return;
        }
    }
}

/// A package with a program, a user of its own and a file of that user's.
fn archive(place: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = place.join("package");
    let control = "Package: quire-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\n\
                   Description: says hello\n";
    let postinst = "#!/bin/sh\nset -e\nadduser --system --group --no-create-home quire-hello\n\
                    mkdir -p /var/lib/quire-hello\nchown quire-hello:quire-hello \
                    /var/lib/quire-hello\nchmod 2750 /var/lib/quire-hello\n";
    for (file, content, mode) in [
        ("DEBIAN/control", control, 0o644),
        ("DEBIAN/postinst", postinst, 0o755),
        ("usr/bin/quire-hello", "#!/bin/sh\necho hello from the package\n", 0o755),
        ("etc/quire-hello.conf", "greeting=hello\n", 0o644),
    ] {
        let path = tree.join(file);
        std::fs::create_dir_all(path.parent()?).ok()?;
        std::fs::write(&path, content).ok()?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).ok()?;
    }
    let package = place.join("quire-hello.deb");
    let built = Command::new("dpkg-deb")
        .args(["--build", "--root-owner-group", "-Zgzip"])
        .args([&tree, &package])
        .output();
    built.ok().filter(|built| built.status.success())?;
    let content = std::fs::read(&package).ok()?;
    let sum = Command::new("sha256sum").arg(&package).output().ok()?.stdout;
    let sum = String::from_utf8(sum).ok()?;
    let index = format!(
        "{control}Filename: ./quire-hello.deb\nSize: {}\nSHA256: {}\n\n",
        content.len(),
        sum.split(' ').next()?
    );
    Some(BTreeMap::from([
        ("quire-hello.deb".to_owned(), content),
        ("Packages".to_owned(), index.into_bytes()),
    ]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apt_installs_through_the_way_out_and_the_program_runs_for_the_agent() {
    let stage = Stage::new().await;
    let Some(files) = archive(stage.dir.path()).filter(|_| Path::new("/usr/bin/apt-get").exists())
    else {
        eprintln!("skipped: this host has no apt");
        return;
    };
    if !can_install(&stage) {
        return;
    }
    let mut spec = setup_spec(&stage, "apt");
    spec.egress = Some(EgressDoor { port: 3128, sink: Arc::new(Archive(Arc::new(files))) });
    for name in ["http_proxy", "https_proxy"] {
        spec.env.insert(name.to_owned(), "http://127.0.0.1:3128".to_owned());
    }
    spec.env.insert("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned());
    let sandbox = create(&stage, spec).await;
    let script = "set -e; rm -rf /etc/apt/sources.list.d/*
        echo 'deb [trusted=yes] http://registry.example/debian ./' > /etc/apt/sources.list
        apt-get update && apt-get install -y quire-hello && dpkg --audit && dpkg -s quire-hello
        stat -c '%U:%G %a' /var/lib/quire-hello; quire-hello";
    let (said, end) = run(&sandbox, bash(script)).await;
    assert!(end.success(), "{said}");
    let last: Vec<_> = said.lines().rev().take(2).collect();
    assert_eq!(last, ["hello from the package", "quire-hello:quire-hello 2750"], "{said}");
    let frozen = sandbox.freeze().await.unwrap();
    let mut spec = stage.spec("after", vec![]);
    spec.system = system(&frozen);
    let sandbox = create(&stage, spec).await;
    let said =
        sh(&sandbox, "quire-hello; cat /etc/quire-hello.conf; dpkg-query -W quire-hello").await;
    assert_eq!(said, "hello from the package\ngreeting=hello\nquire-hello\t1.0\n");
    assert!(!Path::new("/usr/bin/quire-hello").exists());
    let status = std::fs::read_to_string("/var/lib/dpkg/status").unwrap();
    assert!(!status.contains("quire-hello"));
}
