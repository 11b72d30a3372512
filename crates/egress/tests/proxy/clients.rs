//! Programs that are told nothing but the variables, with TLS ended on their way.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::stage::{Stage, has};

/// TLS is ended for this host, so that each program has to believe the task's authority.
async fn stage() -> Stage {
    Stage::with_rules(&["registry.example:PORT GET,HEAD", "registry.example:PLAIN"]).await
}

fn print(output: &std::process::Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn python_believes_the_task_s_authority() {
    let stage = stage().await;
    let code = "import urllib.request as u; r = u.urlopen('https://registry.example:PORT/bytes/5'); \
                print(r.status, r.read())";
    let output = stage.run("python3", &["-c", code]).await;
    assert_eq!(print(&output), "200 b'xxxxx'\n");
}

#[tokio::test]
async fn git_clones_through_it() {
    let stage = stage().await;
    let made = |arguments: &[&str], at: &Path| {
        let done = Command::new("git")
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.org",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .current_dir(at)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "{arguments:?}");
    };
    let dir = stage.ends.dir.path().to_owned();
    std::fs::create_dir(dir.join("source")).unwrap();
    made(&["init"], &dir.join("source"));
    std::fs::write(dir.join("source/file"), "content").unwrap();
    made(&["add", "."], &dir.join("source"));
    made(&["commit", "-m", "one"], &dir.join("source"));
    made(&["clone", "--bare", "source", "source.git"], &dir);
    made(&["update-server-info"], &dir.join("source.git"));

    let output = stage
        .run("git", &["clone", "-q", "https://registry.example:PORT/files/source.git", "copy"])
        .await;
    assert!(output.status.success(), "{}", print(&output));
    assert_eq!(std::fs::read_to_string(dir.join("copy/file")).unwrap(), "content");
}

#[tokio::test]
async fn node_believes_the_task_s_authority() {
    if !has("node") {
        return;
    }
    let stage = stage().await;
    // Older clients of Node know no proxy: a tunnel is asked for by hand, TLS is Node's own.
    let code = format!(
        "const http = require('http'), https = require('https');\
         http.request({{ host: '127.0.0.1', port: {}, method: 'CONNECT', path: 'registry.example:PORT' }})\
         .on('connect', (_, socket) => https.get('https://registry.example:PORT/bytes/4', {{ socket, agent: false }}, \
         r => {{ let t = ''; r.on('data', d => t += d).on('end', () => console.log(r.statusCode, t)) }})).end()",
        stage.address.port()
    );
    let output = stage.run("node", &["-e", &code]).await;
    assert_eq!(print(&output), "200 xxxx\n");
}

#[tokio::test]
async fn java_believes_the_task_s_authority() {
    if !has("java") || !has("javac") {
        return;
    }
    let stage = stage().await;
    let code = "public class Ask { public static void main(String[] a) throws Exception { \
                System.out.println(new String(new java.net.URL(\"https://registry.example:PORT/bytes/4\")\
                .openStream().readAllBytes())); } }";
    std::fs::write(stage.file("Ask.java"), stage.ends.fill(code)).unwrap();
    let output = stage.run("java", &["Ask.java"]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "xxxx\n", "{}", print(&output));
}

#[tokio::test]
async fn a_program_that_does_not_believe_it_is_told_of() {
    let stage = stage().await;
    let (text, exit) = stage
        .curl(&[
            "--cacert",
            "/dev/null",
            "--capath",
            "/nonexistent",
            "https://registry.example:PORT/",
        ])
        .await;
    assert_ne!(exit, 0, "{text}");
    let told = stage.told(1).await;
    assert!(told[0].ends_with("client_tls"), "{told:?}");
}
