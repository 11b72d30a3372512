//! A company's package registry for pip, npm and cargo, over TLS on the loopback: it answers nobody
//! without the token, and keeps what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What sandboxes know it as.
pub const HOST: &str = "registry.example";

/// The one package, of version 1.0.0, in all three.
pub const PACKAGE: &str = "quire-canary";

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry that serves until the test ends.
pub struct Registry {
    /// Where it listens.
    pub port: u16,
    /// The authority that its certificate is signed by, in PEM.
    pub authority: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its header `Authorization`.
    pub authorization: String,
}

type Files = BTreeMap<String, (&'static str, Vec<u8>)>;

impl Registry {
    /// Serves the package to whoever shows this header; `dir` is for making it.
    pub fn start(authorization: &str, dir: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let files = Arc::new(files(dir, port));
        let (config, authority) = tls();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (all, expected) = (Arc::clone(&seen), authorization.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, files) = (Arc::clone(&config), Arc::clone(&files));
                let (all, expected) = (Arc::clone(&all), expected.clone());
                // A client that goes away ends its own connection and no other.
                std::thread::spawn(move || serve(stream?, config, &files, &all, &expected));
            }
        });
        Self { port, authority, seen }
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn tls() -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).unwrap();
    let lines = STANDARD.encode(root.der());
    let lines: Vec<&str> =
        lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let authority =
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (Arc::new(config), authority)
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    files: &Files,
    seen: &Mutex<Vec<Seen>>,
    expected: &str,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if (&mut reader).take(64 << 10).read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let Some(line) = head.first() else { return Ok(()) };
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let header = head.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
        });
        let authorization = header.unwrap_or_default();
        let allowed = authorization == expected;
        seen.lock().unwrap().push(Seen { path: path.clone(), authorization });
        let path = path.split('?').next().unwrap_or_default();
        let (status, kind, body): (_, _, &[u8]) = match files.get(path) {
            _ if !allowed => ("401 Unauthorized", "text/plain", b"a token is needed"),
            Some((kind, body)) => ("200 OK", kind, body),
            None => ("404 Not Found", "text/plain", b"there is no such thing"),
        };
        let length = body.len();
        let answer = reader.get_mut();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
             www-authenticate: Basic realm=\"packages\"\r\n\r\n"
        );
        answer.write_all(&[head.as_bytes(), body].concat())?;
        answer.flush()?;
    }
}

/// The package as each of the three managers is served it.
fn files(dir: &Path, port: u16) -> Files {
    let here = format!("https://{HOST}:{port}");
    let mut files = Files::new();
    let mut add = |path: &str, kind: &'static str, body: Vec<u8>| {
        files.insert(path.to_owned(), (kind, body));
    };
    let wheel = made(dir, WHEEL, "quire_canary-1.0.0-py3-none-any.whl");
    let digest = digest(dir, "sha256sum", &wheel);
    let page = format!(
        "<!DOCTYPE html><html><body><a href=\"{here}/pip/files/quire_canary-1.0.0-py3-none-any.whl\
         #sha256={digest}\">quire_canary-1.0.0-py3-none-any.whl</a></body></html>"
    );
    add("/pip/simple/quire-canary/", "text/html", page.into_bytes());
    add("/pip/files/quire_canary-1.0.0-py3-none-any.whl", "application/zip", wheel);

    let tarball = made(dir, TARBALL, "package.tgz");
    let shasum = self::digest(dir, "sha1sum", &tarball);
    let document = serde_json::json!({
        "name": PACKAGE, "dist-tags": { "latest": "1.0.0" },
        "versions": { "1.0.0": { "name": PACKAGE, "version": "1.0.0", "dist": {
            "tarball": format!("{here}/npm/-/quire-canary-1.0.0.tgz"), "shasum": shasum } } },
    });
    add("/npm/quire-canary", "application/json", document.to_string().into_bytes());
    add("/npm/-/quire-canary-1.0.0.tgz", "application/octet-stream", tarball);

    let crate_file = made(dir, CRATE, "quire-canary-1.0.0.crate");
    let config = serde_json::json!({
        "dl": format!("{here}/cargo/dl"), "api": format!("{here}/cargo"), "auth-required": true,
    });
    let entry = serde_json::json!({
        "name": PACKAGE, "vers": "1.0.0", "deps": [], "features": {}, "yanked": false,
        "cksum": self::digest(dir, "sha256sum", &crate_file),
    });
    add("/cargo/index/config.json", "application/json", config.to_string().into_bytes());
    add("/cargo/index/qu/ir/quire-canary", "text/plain", entry.to_string().into_bytes());
    add("/cargo/dl/quire-canary/1.0.0/download", "application/gzip", crate_file);
    files
}

const WHEEL: &str = r#"python3 - <<'END'
import zipfile
info = "quire_canary-1.0.0.dist-info/"
with zipfile.ZipFile("quire_canary-1.0.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("quire_canary.py", "WORD = 'from pip'\n")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: quire-canary\nVersion: 1.0.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", f"quire_canary.py,,\n{info}METADATA,,\n{info}WHEEL,,\n{info}RECORD,,\n")
END"#;

const TARBALL: &str = r#"mkdir package
printf '{"name":"quire-canary","version":"1.0.0","main":"index.js"}' > package/package.json
echo "module.exports = 'from npm'" > package/index.js
tar czf package.tgz package"#;

const CRATE: &str = r#"mkdir -p quire-canary-1.0.0/src
printf '[package]\nname = "quire-canary"\nversion = "1.0.0"\nedition = "2021"\n' > quire-canary-1.0.0/Cargo.toml
echo 'pub const WORD: &str = "from cargo";' > quire-canary-1.0.0/src/lib.rs
tar czf quire-canary-1.0.0.crate quire-canary-1.0.0"#;

/// What a script makes.
fn made(dir: &Path, script: &str, file: &str) -> Vec<u8> {
    let made = Command::new("bash").args(["-euc", script]).current_dir(dir).status().unwrap();
    assert!(made.success(), "{file} was not made");
    std::fs::read(dir.join(file)).unwrap()
}

fn digest(dir: &Path, program: &str, bytes: &[u8]) -> String {
    let file = dir.join("to-digest");
    std::fs::write(&file, bytes).unwrap();
    let said = Command::new(program).arg(&file).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(said.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
