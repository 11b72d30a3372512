//! A real `quire serve` with settings of its own, its command line, and that of another machine.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use quire_testkit::{Ended, Stage};

const QUIRE: &str = env!("CARGO_BIN_EXE_quire");

/// A server, its own command line, and another machine's.
pub struct Served {
    /// The other machine.
    pub stage: Stage,
    /// Where the server is.
    pub url: String,
    server: Option<Child>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Served {
    /// Serves with these settings.
    pub fn start(settings: &str) -> Self {
        Self::on(Stage::new(QUIRE), settings)
    }

    /// As [`Served::start`], with the model of a stage.
    pub fn on(stage: Stage, settings: &str) -> Self {
        let mut served = Self { stage, url: String::new(), server: None };
        let config = served.home().join(".config/quire");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("config.toml"), settings).unwrap();
        let mut server = served.on_server(&["serve", "--listen", "127.0.0.1:0"]);
        let mut server = server.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        while served.url.is_empty() {
            let line = lines.next().expect("it says where it listens").unwrap();
            let mut words = line.split_whitespace().map(|word| word.trim_matches([':', ',']));
            let url = words.find(|word| word.starts_with("http") && !word.contains('#'));
            url.unwrap_or_default().clone_into(&mut served.url);
        }
        std::thread::spawn(move || lines.for_each(drop));
        served.server = Some(server);
        served
    }

    fn home(&self) -> PathBuf {
        self.stage.path().join("server")
    }

    fn on_server(&self, args: &[&str]) -> Command {
        let mut command = Command::new(QUIRE);
        command.args(args).current_dir(self.home()).env_clear().env("HOME", self.home());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        if let Some(url) = self.stage.model_url() {
            command.env("QUIRE_SCRIPTED_URL", url).env("QUIRE_MODEL", "scripted/demo");
        }
        command
    }

    /// What the server's own command line says, and its exit code.
    pub fn admin(&self, args: &[&str]) -> (String, String, i32) {
        let done = self.on_server(args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&done.stdout), text(&done.stderr), done.status.code().unwrap())
    }

    /// The other machine's command line.
    pub fn quire(&self, args: &[&str]) -> Ended {
        self.stage.quire(args.iter().copied()).run()
    }

    /// Signs the other machine in with a token.
    pub fn sign_in(&self, token: &str, name: &str) -> Ended {
        let args = ["login", &self.url, "--token-stdin", "--name", name];
        self.stage.quire(args).stdin(token).run()
    }
}
