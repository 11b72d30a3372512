//! A real registry, where one is installed: Debian's `docker-registry`, on loopback.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quire_domain::secret::Secret;
use quire_images::{Credential, Digest, ImageError};
use reqwest::{Client, StatusCode};

use crate::layers::{Tar, busybox};
use crate::pulls::noise;
use crate::registry::{Image, Packed, architecture, descriptor};
use crate::scene::{Scene, settings};

/// A registry that ends with the test.
struct Real {
    child: Child,
    host: String,
    scheme: &'static str,
    client: Client,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Real {
    /// Starts one below `dir`, with more lines of configuration in its `http` part and beside it.
    async fn start(dir: &Path, scheme: &'static str, http: &str, beside: &str) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {host}\n{http}{beside}",
            dir.join("registry").display()
        );
        let path = dir.join("registry.yml");
        std::fs::write(&path, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("skipped: docker-registry is not installed");
            return None;
        };
        let client = trusting(dir);
        let real = Self { child, host, scheme, client };
        for _ in 0..200 {
            if real.client.get(real.url("")).send().await.is_ok() {
                return Some(real);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the registry does not answer");
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}/v2/{path}", self.scheme, self.host)
    }

    /// Pushes an image as any client does; gives its reference.
    async fn push(&self, name: &str, tag: &str, image: &Image) -> String {
        for blob in image.layers.iter().chain([&image.config]) {
            let url = self.url(&format!("{name}/blobs/uploads/"));
            let begun =
                self.client.post(url).basic_auth("me", Some("secret")).send().await.unwrap();
            assert_eq!(begun.status(), StatusCode::ACCEPTED);
            let place = begun.headers()["location"].to_str().unwrap().to_owned();
            let place = if place.contains("://") {
                place
            } else {
                format!("{}://{}{place}", self.scheme, self.host)
            };
            let put = self.client.put(format!("{place}&digest={}", Digest::of(blob)));
            let put = put.basic_auth("me", Some("secret")).body(blob.clone()).send().await.unwrap();
            assert_eq!(put.status(), StatusCode::CREATED);
        }
        self.tag(name, tag, "manifest", &image.manifest).await
    }

    async fn tag(&self, name: &str, tag: &str, kind: &str, manifest: &[u8]) -> String {
        let put = self
            .client
            .put(self.url(&format!("{name}/manifests/{tag}")))
            .header("Content-Type", format!("application/vnd.oci.image.{kind}.v1+json"))
            .basic_auth("me", Some("secret"))
            .body(manifest.to_vec());
        let put = put.send().await.unwrap();
        let status = put.status();
        assert_eq!(status, StatusCode::CREATED, "{}", put.text().await.unwrap());
        format!("{}/{name}:{tag}", self.host)
    }
}

/// A client that believes the certificate in `dir`, if there is one.
fn trusting(dir: &Path) -> Client {
    let mut roots = rustls::RootCertStore::empty();
    if let Ok(pem) = std::fs::read(dir.join("ca.pem")) {
        use rustls::pki_types::pem::PemObject as _;
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

#[tokio::test]
async fn a_real_registry_gives_what_was_pushed_to_it() {
    let Some(lowest) = busybox() else { return };
    let scene = Scene::new().await;
    let Some(registry) = Real::start(scene.dir.path(), "http", "", "").await else { return };
    let image = Image::with(
        &[
            (lowest.file("gone", "").end(), Packed::Gzip),
            (
                Tar::default().file(".wh.gone", "").file("noise", noise(3_000_000)).end(),
                Packed::Zstd,
            ),
        ],
        r#"{"Env":["A=b"]}"#,
        architecture(),
        "linux",
    );
    let name = registry.push("team/tool", "1.0", &image).await;
    let entry = descriptor("manifest.v1+json", &image.manifest).replacen(
        '}',
        &format!(r#","platform":{{"os":"linux","architecture":"{}"}}}}"#, architecture()),
        1,
    );
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{entry}]}}"#
    );
    let listed = registry.tag("team/tool", "list", "index", list.as_bytes()).await;
    let by_digest = format!("{}/team/tool@{}", registry.host, Digest::of(&image.manifest));
    for name in [&name, &listed, &by_digest] {
        let base = scene.image(name).await.unwrap();
        assert_eq!(base.identity, Digest::of(&image.manifest).to_string());
        assert_eq!(
            scene.root_sh(&base, "ls /gone 2>&1 | wc -l; wc -c < /noise").await,
            "1\n3000000\n"
        );
    }
    for absent in ["team/tool:2", "team/none:1"] {
        let refused = scene.image(&format!("{}/{absent}", registry.host)).await.unwrap_err();
        assert!(matches!(refused, ImageError::NotFound { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_real_registry_is_asked_for_the_rest_of_a_layer_only() {
    let Some(tar) = busybox() else { return };
    let scene = Scene::new().await;
    let Some(registry) = Real::start(scene.dir.path(), "http", "", "").await else { return };
    let image = Image::of(&[tar.file("noise", noise(1_000_000)).end()]);
    let name = registry.push("x", "1", &image).await;
    // What a process that was killed had brought.
    let layer = &image.layers[0];
    let part = scene.path("images/blobs").join(format!("{}.part", Digest::of(layer).hex()));
    std::fs::write(part, &layer[..700_000]).unwrap();
    let base = scene.image(&name).await.unwrap();
    assert_eq!(scene.root_sh(&base, "wc -c < /noise").await, "1000000\n");
    let told = scene.told.lock().unwrap().clone();
    let least = told.iter().filter_map(|told| match told {
        quire_images::Progress::Fetching { bytes, .. } => Some(*bytes),
        _ => None,
    });
    assert!(least.min().unwrap() > 700_000, "{told:?}");
}

#[tokio::test]
async fn a_registry_behind_a_companys_own_authority_with_a_password() {
    let Some(tar) = busybox() else { return };
    let mut scene = Scene::new().await;
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=A Company", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(scene.path("key.pem"))
        .arg("-out")
        .arg(scene.path("ca.pem"))
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    // The password is `secret`, by bcrypt.
    let line = "me:$2y$05$Qe0GXhfh8yjYdoXsGUVYKOuqqq7BqIHOjrXy9H/aFdVVAe57/UwiS\n";
    std::fs::write(scene.path("htpasswd"), line).unwrap();
    let (key, certificate) = (scene.path("key.pem"), scene.path("ca.pem"));
    let tls =
        format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
    let auth = format!(
        "auth:\n  htpasswd:\n    realm: company\n    path: {}\n",
        scene.path("htpasswd").display()
    );
    let Some(registry) = Real::start(scene.dir.path(), "https", &tls, &auth).await else { return };
    let name = registry.push("x", "1", &Image::of(&[tar.end()])).await;
    let refused = scene.image(&name).await.unwrap_err();
    assert!(matches!(refused, ImageError::Certificate { .. }), "{refused:?}");
    let mut with = settings();
    with.authorities_pem.push(std::fs::read(&certificate).unwrap());
    scene.set(with.clone());
    let refused = scene.image(&name).await.unwrap_err();
    assert!(matches!(refused, ImageError::Denied { user: None, .. }), "{refused:?}");
    let credential =
        Credential::Basic { user: "me".into(), password: Secret::new("secret".into()) };
    with.credentials.insert(registry.host.clone(), credential);
    scene.set(with);
    scene.image(&name).await.unwrap();
}
