//! A server that encrypts by itself, with a certificate of a company's own authority; and one behind
//! a proxy that does it.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quire_testkit::{Stage, Turn};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::served::Served;

/// A renewed certificate is in use by then; the files are looked at each 10 s.
const PATIENCE: Duration = Duration::from_mins(1);

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {what}-----\n");
    for line in text.as_bytes().chunks(64) {
        writeln!(pem, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    pem + &format!("-----END {what}-----\n")
}

/// Writes `NAME-ca.pem`, and `leaf.pem` with `leaf.key` that it signed for this host.
fn certificates(dir: &Path, name: &str, host: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let file = dir.join(format!("{name}-ca.pem"));
    std::fs::write(&file, pem("CERTIFICATE", root.der())).unwrap();
    std::fs::write(dir.join("leaf.key"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
    std::fs::write(dir.join("leaf.pem"), pem("CERTIFICATE", leaf.der())).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_server_with_an_authority_of_its_own_is_trusted_by_its_file_and_renews_without_a_restart() {
    let mut stage = Stage::new(env!("CARGO_BIN_EXE_quire"));
    stage.model_says([Turn::say("Encrypted. No tests were run.")]);
    let repository = stage.repository("python-slugs");
    let dir = stage.path().join("certificates");
    std::fs::create_dir_all(&dir).unwrap();
    let other = certificates(&dir, "other", "127.0.0.1");
    let first = certificates(&dir, "first", "127.0.0.1");
    let (leaf, key) = (dir.join("leaf.pem"), dir.join("leaf.key"));
    let settings = format!("[serve]\ntls_certificate = {leaf:?}\ntls_key = {key:?}\n");
    let served = Served::on(stage, &settings);
    assert!(served.url.starts_with("https://127.0.0.1:"), "{}", served.url);
    let (token, ..) = served.admin(&["token", "create", "laptop"]);
    let login = |ca: &[&str], name: &str| {
        let args = [&["login", &*served.url, "--token-stdin", "--name", name], ca].concat();
        served.stage.quire(args.iter().copied()).stdin(token.as_str()).run()
    };
    // Who does not know the authority sends no token, and is told what to do.
    for ca in [&[][..], &["--ca", &other]] {
        let refused = login(ca, "no").expect_code(2);
        assert!(refused.stderr.contains("--ca FILE"), "{}", refused.stderr);
    }
    let missing = login(&["--ca", "/nowhere.pem"], "no").expect_code(2);
    assert!(missing.stderr.contains("/nowhere.pem"), "{}", missing.stderr);
    let wrong = login(&["--ca", key.to_str().unwrap()], "no").expect_code(2);
    assert!(wrong.stderr.contains("no certificate"), "{}", wrong.stderr);
    login(&["--ca", &first], "there").expect_code(0);
    let ran = served.stage.quire(["ask", "--remote=there", "safe?"]).in_repository(&repository);
    assert!(ran.run().expect_code(0).stdout.contains("Encrypted."));
    // Plain HTTP gets words and no server.
    let answer = plain(&served.url, "127.0.0.1", "");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");

    // A half-written file is left; then another authority's certificate is taken up.
    std::fs::write(&leaf, "-----BEGIN CERT").unwrap();
    login(&["--ca", &first], "there").expect_code(0);
    let second = certificates(&dir, "second", "127.0.0.1");
    let deadline = Instant::now() + PATIENCE;
    while login(&["--ca", &second], "renewed").code() != Some(0) {
        assert!(Instant::now() < deadline, "the renewed certificate is not in use");
        std::thread::sleep(Duration::from_millis(500));
    }
    served.quire(&["task", "list", "--remote=renewed"]).expect_code(0);
    let ended = served.quire(&["task", "list", "--remote=there"]).expect_code(2);
    assert!(ended.stderr.contains("--ca FILE"), "{}", ended.stderr);
}

#[test]
fn behind_a_proxy_a_name_of_its_own_is_known_and_browsers_are_told_to_stay_encrypted() {
    let settings = "[serve]\nhosts = [\"Quire.example\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let served = Served::start(settings);
    let https = plain(&served.url, "quire.example", "X-Forwarded-Proto: https\r\n");
    assert!(https.starts_with("HTTP/1.1 200"), "{https}");
    assert!(https.contains("strict-transport-security: max-age=31536000"), "{https}");
    let http = plain(&served.url, "quire.example", "X-Forwarded-Proto: http\r\n");
    assert!(http.starts_with("HTTP/1.1 200") && !http.contains("strict-transport"), "{http}");
    let other = plain(&served.url, "evil.example", "X-Forwarded-Proto: https\r\n");
    assert!(other.starts_with("HTTP/1.1 403") && other.contains("serve.hosts"), "{other}");

    // Who is not trusted says nothing of how it came.
    let alone = Served::start("");
    let told = plain(&alone.url, "localhost", "X-Forwarded-Proto: https\r\n");
    assert!(told.starts_with("HTTP/1.1 200") && !told.contains("strict-transport"), "{told}");
}

/// What a request over plain HTTP is answered.
fn plain(url: &str, host: &str, more: &str) -> String {
    let at = url.rsplit('/').next().unwrap();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = "GET /api/v1/server HTTP/1.1\r\nConnection: close\r\n";
    write!(stream, "{head}Host: {host}\r\n{more}\r\n").unwrap();
    let mut answer = String::new();
    // What was not read when it closed may reset the connection; what came before counts.
    let _ = stream.read_to_string(&mut answer);
    answer
}
