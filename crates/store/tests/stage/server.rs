//! A Postgres server for tests, from the system's package: one for all test processes that run at
//! the same time, a database for each test.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What is said where there is none.
const MISSING: &str = "no Postgres is installed, and the store is tested on one: \
    on Debian or Ubuntu, `apt-get install postgresql`";

/// A server in a directory of its own, reached by a socket in it.
pub struct Server {
    pub directory: PathBuf,
    programs: PathBuf,
}

impl Server {
    /// Makes a server in a new directory and starts it. A crash may lose what it has: `durable`
    /// ones wait for the disk as a real one does.
    pub fn new(durable: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("quire-pg-").tempdir().unwrap().keep();
        let server = Self { directory, programs: programs() };
        if is_root() {
            fs::set_permissions(&server.directory, fs::Permissions::from_mode(0o755)).unwrap();
            run(Command::new("chown").arg("postgres").arg(&server.directory));
        }
        run(server.program("initdb").args(["-A", "trust", "-U", "quire", "-E", "UTF8", "-N"]));
        let socket = server.directory.display();
        let mut settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nmax_connections = 200\n\
             shared_buffers = '32MB'\n"
        );
        if !durable {
            settings += "fsync = off\nfull_page_writes = off\n";
        }
        let file = server.data().join("postgresql.conf");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, before + &settings).unwrap();
        server.start();
        server
    }

    pub fn start(&self) {
        run(self.program("pg_ctl").args(["start", "-w", "-s", "-t", "60", "-l"]).arg(self.log()));
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        run(self.program("pg_ctl").args(["stop", "-s", "-m", "immediate"]));
    }

    /// Makes a new database and gives its address.
    pub fn database(&self, name: &str) -> String {
        let make = format!("CREATE DATABASE {name}");
        run(Command::new(self.programs.join("psql"))
            .args(["-q", "-U", "quire", "-d", "postgres", "-c", &make, "-h"])
            .arg(&self.directory));
        let socket = self.directory.to_string_lossy().replace('/', "%2F");
        format!("postgres://quire@{socket}/{name}")
    }

    fn is_up(&self) -> bool {
        let mut ask = Command::new(self.programs.join("pg_isready"));
        let asked = ask.arg("-q").arg("-h").arg(&self.directory).status();
        asked.is_ok_and(|status| status.success())
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// A program of the server. Postgres refuses to be root.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.directory).arg("-D").arg(self.data());
        command
    }

    /// A server for all test processes of this moment: started by the first, ended a little after
    /// the last by a process that looks after it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<(Server, File)> = OnceLock::new();
        &SHARED
            .get_or_init(|| {
                let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
                let [used, starting, file] =
                    ["postgres.used", "postgres.starting", "postgres"].map(|name| place.join(name));
                // Held as long as this process lives.
                let mine = File::create(&used).unwrap();
                mine.lock_shared().unwrap();
                let turn = File::create(&starting).unwrap();
                turn.lock().unwrap();
                let programs = programs();
                if let Ok(directory) = fs::read_to_string(&file) {
                    let server = Self { directory: directory.into(), programs: programs.clone() };
                    if server.is_up() {
                        return (server, mine);
                    }
                }
                let server = Self::new(false);
                server.look_after(&used, &starting);
                fs::write(&file, server.directory.as_os_str().as_encoded_bytes()).unwrap();
                (server, mine)
            })
            .0
    }

    #[expect(clippy::zombie_processes, reason = "it outlives this process")]
    fn look_after(&self, used: &Path, starting: &Path) {
        let script = r#"
            while sleep 2; do
                flock "$2" flock -n "$1" true || continue
                flock "$2" sh -c 'flock -n "$0" true && kill -QUIT "$(head -n 1 "$1"/data/postmaster.pid)"' \
                    "$1" "$3" && break
            done
            sleep 1
            rm -rf "$3""#;
        Command::new("sh")
            .args(["-c", script, "sh"])
            .args([used, starting, &self.directory])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .unwrap();
    }
}

/// Where the newest version's programs are.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").map(|found| {
        let mut found: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
        found.sort();
        found
    });
    let newest = versions.ok().and_then(|mut found| found.pop()).unwrap_or_default();
    assert!(newest.join("bin/initdb").exists(), "{MISSING}");
    newest.join("bin")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn run(command: &mut Command) {
    // The server that `pg_ctl` starts would keep a pipe open.
    let output = tempfile::tempfile().unwrap();
    command.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
    let status = command.stdin(Stdio::null()).status().unwrap();
    if !status.success() {
        use std::io::{Read, Seek};
        let mut said = String::new();
        let mut output = output;
        output.rewind().unwrap();
        output.read_to_string(&mut said).unwrap();
        panic!("{command:?}: {status}\n{said}");
    }
}
