//! Debian's `docker-registry` on loopback, and a client that pushes to it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quire_images::Digest;

/// A registry that ends with the test.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:port`.
    pub host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// Starts one that keeps what it is given below `dir`. `None`, and a word, where the program is
    /// not installed.
    #[expect(clippy::print_stdout, reason = "a test says why it was skipped")]
    pub fn start(dir: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {host}\n",
            dir.join("registry").display()
        );
        let path = dir.join("registry.yml");
        std::fs::write(&path, config).unwrap();
        let mut program = Command::new("docker-registry");
        program.arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = program.spawn() else {
            println!("SKIPPED: docker-registry is not installed");
            return None;
        };
        let registry = Self { child, host };
        let began = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "the registry does not answer");
            std::thread::yield_now();
        }
        Some(registry)
    }

    /// Pushes an image of these layers, tars as they are, with a `config` of its configuration;
    /// gives its name.
    pub fn push(&self, name: &str, tag: &str, layers: &[&Path], config: &str) -> String {
        let layers: Vec<Vec<u8>> = layers.iter().map(|path| std::fs::read(path).unwrap()).collect();
        let machine = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let diff_ids: Vec<String> =
            layers.iter().map(|layer| format!("\"{}\"", Digest::of(layer))).collect();
        let config = format!(
            r#"{{"architecture":"{machine}","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            diff_ids.join(",")
        );
        let described: Vec<String> =
            layers.iter().map(|layer| descriptor("layer.v1.tar", layer)).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
            descriptor("config.v1+json", config.as_bytes()),
            described.join(",")
        );
        for blob in layers.iter().map(Vec::as_slice).chain([config.as_bytes()]) {
            self.upload(name, blob);
        }
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let path = format!("/v2/{name}/manifests/{tag}");
        let said = self.ask("PUT", &path, kind, manifest.as_bytes());
        assert!(said.starts_with("HTTP/1.1 201"), "{said}");
        format!("{}/{name}:{tag}", self.host)
    }

    fn upload(&self, name: &str, blob: &[u8]) {
        let begun = self.ask("POST", &format!("/v2/{name}/blobs/uploads/"), "", b"");
        let place = begun.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let place = place.trim().trim_start_matches("http://").trim_start_matches(&self.host);
        let path = format!("{place}&digest={}", Digest::of(blob));
        let said = self.ask("PUT", &path, "application/octet-stream", blob);
        assert!(said.starts_with("HTTP/1.1 201"), "{said}");
    }

    /// One request; gives the answer's text.
    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if !kind.is_empty() {
            write!(head, "Content-Type: {kind}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }
}

fn descriptor(kind: &str, content: &[u8]) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{}","size":{}}}"#,
        Digest::of(content),
        content.len()
    )
}
