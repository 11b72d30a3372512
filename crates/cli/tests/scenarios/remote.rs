//! The command line against a real `quire serve`, from a machine of its own: another home, another
//! directory.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quire_testkit::{Ended, Repository, Stage, Turn};

const QUIRE: &str = env!("CARGO_BIN_EXE_quire");

/// A server over a data directory of its own, and the machine of a person who speaks to it.
struct Two {
    /// The person's side; its model is the server's too.
    stage: Stage,
    repository: Repository,
    server: Option<Server>,
}

struct Server {
    process: Child,
    url: String,
    link: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Two {
    fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        let mut stage = Stage::new(QUIRE);
        stage.model_says(turns);
        let repository = stage.repository("python-slugs");
        let mut two = Self { stage, repository, server: None };
        two.start("127.0.0.1:0");
        two
    }

    fn start(&mut self, listen: &str) {
        let home = self.stage.path().join("server");
        std::fs::create_dir_all(&home).unwrap();
        let mut process = Command::new(QUIRE)
            .args(["serve", "--listen", listen])
            .current_dir(&home)
            .env_clear()
            .env("HOME", &home)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("QUIRE_SCRIPTED_URL", self.stage.model_url().unwrap())
            .env("QUIRE_MODEL", "scripted/demo")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut url, mut link) = (String::new(), String::new());
        while link.is_empty() {
            let line = lines.next().expect("it says where it listens").unwrap();
            let mut words = line.split_whitespace().map(|word| word.trim_matches([':', ',']));
            if let Some(found) = words.find(|word| word.starts_with("http://")) {
                if found.contains('#') { &mut link } else { &mut url }.push_str(found);
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        self.server = Some(Server { process, url, link });
    }

    /// As if the plug were pulled.
    fn kill(&mut self) -> String {
        self.server.take().map(|server| server.url.replace("http://", "")).unwrap()
    }

    fn sign_in(&self) -> Ended {
        let link = self.server.as_ref().unwrap().link.clone();
        self.quire(&["login", &link, "--name", "there"])
    }

    fn quire(&self, args: &[&str]) -> Ended {
        self.stage.quire(args.iter().copied()).in_repository(&self.repository).run()
    }
}

fn change(path: &str, line: &str) -> Vec<Turn> {
    let shell = format!("echo {line} > {path} && git add -A && git commit -q -m 'A new file'");
    vec![Turn::shell(&shell), Turn::say("Done.")]
}

#[test]
fn what_is_here_is_worked_on_there_and_comes_back() {
    let mut two = Two::new(change("greeting.txt", "hello"));
    two.repository.write("half-done.txt", "mine\n");
    let first = two.quire(&["task", "list", "--remote"]).expect_code(2);
    assert!(first.stderr.contains("quire login"), "{}", first.stderr);
    two.sign_in().expect_code(0);
    let used = two.sign_in().expect_code(2);
    assert!(used.stderr.contains("used before"), "{}", used.stderr);

    let ran = two.quire(&["run", "--remote", "greet"]).expect_code(0);
    assert!(ran.stderr.contains("1 uncommitted file"), "{}", ran.stderr);
    assert!(ran.stdout.contains("quire task apply 1 --remote"), "{}", ran.stdout);
    let listed = two.quire(&["task", "list", "--remote", "--here", "--json"]).expect_code(0).json();
    assert_eq!((listed[0]["task"].as_u64(), listed[0]["mode"].as_str()), (Some(1), Some("code")));
    let log = two.quire(&["task", "logs", "1", "--remote", "--json"]).expect_code(0).json();
    assert_eq!(log.first().unwrap()["kind"], "submitted");
    assert_eq!(log.last().unwrap()["kind"], "finished");
    let diff = two.quire(&["task", "diff", "1", "--remote"]).expect_code(0).stdout;
    assert!(diff.contains("+hello") && !diff.contains("half-done"), "{diff}");

    // As a branch, beside what is not committed, and never in the place of another.
    let branch = ["checkout", "1", "--remote", "--only-branch"];
    two.quire(&branch).expect_code(0);
    let taken = ["checkout", "1", "--remote", "--only-branch", "--branch", "main"];
    let taken = two.quire(&taken).expect_code(2);
    assert!(taken.stderr.contains("holds something else"), "{}", taken.stderr);
    // A file of the person's own in the way is kept.
    two.repository.write("greeting.txt", "my own words\n");
    let refused = two.quire(&["task", "apply", "1", "--remote"]).expect_code(7);
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    std::fs::remove_file(two.repository.path().join("greeting.txt")).unwrap();
    two.quire(&["task", "apply", "1", "--remote"]).expect_code(0);
    assert_eq!(two.repository.read("greeting.txt"), "hello\n");
    assert_eq!(two.repository.read("half-done.txt"), "mine\n");

    // The server is killed; what was written down is done when it is there again.
    let submitted = two.quire(&["task", "new", "--remote", "--ask", "--json", "again?"]);
    assert_eq!(submitted.expect_code(0).json()[0]["task"], 2);
    let at = two.kill();
    let away = two.quire(&["task", "list", "--remote"]).expect_code(1);
    assert!(away.stderr.contains("cannot reach"), "{}", away.stderr);
    two.start(&at);
    two.quire(&["task", "watch", "2", "--remote", "--quiet"]).expect_code(0);

    let lines = "{\"prompt\": \"one\", \"id\": \"a\"}\n{\"prompt\": \"two\"}\n";
    two.repository.write("tasks.jsonl", lines);
    let batch = ["task", "new", "--remote", "--from", "tasks.jsonl", "--parallel", "1", "--json"];
    let batch = two.quire(&batch).expect_code(0).json();
    assert_eq!(batch.iter().map(|one| one["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert!(batch.iter().all(|one| one["state"]["state"] == "done"), "{batch:?}");

    // What was pushed belongs to its repository.
    let pushed = two.quire(&["push"]).expect_code(0).stdout;
    two.quire(&["repo", "add", "other", "--remote"]).expect_code(0);
    let start = |repository: &str| {
        let args = ["task", "new", "--remote", "--repo", repository, "--base-push", pushed.trim()];
        two.quire(&[&args[..], &["--ask", "--wait", "what is here?"]].concat())
    };
    let wrong = start("other").expect_code(2);
    assert!(wrong.stderr.contains("another repository"), "{}", wrong.stderr);
    start("python-slugs").expect_code(0);
    let elsewhere = two.quire(&["doctor", "--remote"]).expect_code(2);
    assert!(elsewhere.stderr.contains("leave --remote out"), "{}", elsewhere.stderr);
    two.quire(&["logout", "there"]).expect_code(0);
    two.quire(&["task", "list", "--remote"]).expect_code(2);
}

#[test]
fn whoever_follows_a_task_misses_nothing_and_hears_nothing_twice_while_the_server_is_killed() {
    let mut turns: Vec<Turn> =
        (0..15).map(|n| Turn::shell(&format!("sleep 0.2; echo {n}"))).collect();
    turns.extend((0..9).map(|_| Turn::say("Done.")));
    let mut two = Two::new(turns);
    two.sign_in().expect_code(0);
    two.quire(&["task", "new", "--remote", "--ask", "go"]).expect_code(0);
    let follow = |args: &[&str]| {
        let call = two.stage.quire(args.iter().copied()).in_repository(&two.repository);
        std::thread::spawn(move || call.run())
    };
    let watch = follow(&["task", "watch", "1", "--remote", "--json"]);
    let logs = follow(&["task", "logs", "1", "--remote", "--follow", "--json"]);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(1_500));
        let at = two.kill();
        two.start(&at);
    }
    let (watch, logs) = (watch.join().unwrap(), logs.join().unwrap());
    let all = two.quire(&["task", "logs", "1", "--remote", "--json"]).expect_code(0).stdout;
    assert!(all.contains("\"kind\":\"claimed\",") && all.contains("\"epoch\":3"), "{all}");
    assert_eq!(watch.expect_code(0).stdout, all);
    assert_eq!(logs.expect_code(0).stdout, all);
}

#[test]
fn a_wrong_address_or_token_is_told_before_anything_is_kept() {
    let two = Two::new([Turn::say("Nothing.")]);
    let url = two.server.as_ref().unwrap().url.clone();
    let login = |url: &str, token: &str| {
        let mut call = two.stage.quire(["login", url, "--token-stdin"]);
        call = call.stdin(token);
        call.run()
    };
    let wrong = login(&url, "quire_not-a-token\n").expect_code(2);
    assert!(wrong.stderr.contains("does not know this token"), "{}", wrong.stderr);
    let empty = login(&url, "\n").expect_code(2);
    assert!(empty.stderr.contains("no token was given"), "{}", empty.stderr);
    // A model's server is none of ours.
    let model = login(&two.stage.model_url().unwrap(), "quire_x\n");
    assert_ne!(model.code(), Some(0), "{}", model.stderr);
    assert!(!two.stage.home().join(".config/quire/servers.toml").exists());

    two.sign_in().expect_code(0);
    let kept = two.stage.home().join(".config/quire/servers.toml");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // A token that was taken back, or has ended.
    let mut text = String::new();
    std::fs::File::open(&kept).unwrap().read_to_string(&mut text).unwrap();
    let token = text.split("quire_").nth(1).unwrap().split('"').next().unwrap();
    std::fs::write(&kept, text.replace(token, "gone")).unwrap();
    let gone = two.quire(&["task", "list", "--remote"]).expect_code(2);
    assert!(gone.stderr.contains("sign in again"), "{}", gone.stderr);
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = two.quire(&["task", "list", "--remote"]).expect_code(2);
    assert!(open.stderr.contains("chmod 600"), "{}", open.stderr);
}
