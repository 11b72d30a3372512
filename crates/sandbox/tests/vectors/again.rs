//! A scenario in a process of its own: as root or as an ordinary user, with a known environment.
//!
//! The programs are copied to where every user reaches them. One scenario runs at a time, since
//! some measure.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Who a scenario runs as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Root,
    Ordinary,
    /// Whoever runs the tests.
    Either,
}

/// A uid that nobody has, and that no range is given to.
const SCRATCH_UID: u32 = 64_321;

/// How long one scenario may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the scenario's programs and files are; set in its process alone.
const PLACE: &str = "QUIRE_VECTORS_PLACE";

/// Held in the environment of the scenario's process, and to be found nowhere inside.
pub const CANARY: &str = "canary-3f1c-of-the-host";

/// The place of the scenario that this process runs.
pub fn place() -> PathBuf {
    PathBuf::from(std::env::var_os(PLACE).expect("this process runs a scenario"))
}

/// Whether this is root of the first user namespace, which maps every id.
pub fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::geteuid().is_root() && whole
}

/// Says something whether or not output is captured.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Runs the body, or the test of this name again in another process that does.
pub fn run<F: Future<Output = ()>>(name: &str, who: Who, body: impl FnOnce() -> F) {
    if std::env::var_os(PLACE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(body());
    }
    let root = is_root();
    if who == Who::Root && !root {
        return say(&format!("skipped {name}: this is not the host's root"));
    }
    let _turn = take_turn();
    let uid = (root && who == Who::Ordinary).then_some(SCRATCH_UID);
    let place = tempfile::Builder::new().prefix("quire-vectors-").tempdir().unwrap();
    lay_out(place.path(), uid);
    let begun = Instant::now();
    let mut child = command(name, place.path(), uid).spawn().unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{name} did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    make_removable(place.path());
    say(&format!("{name}: {:.1} s", begun.elapsed().as_secs_f32()));
    assert!(status.success(), "{name}: see what its process printed above");
}

/// The same program with one test, in a process that can be killed.
pub fn start(name: &str, mode: (&str, &str)) -> Child {
    let mut command = command(name, &place(), None);
    command.env(mode.0, mode.1).stdout(std::process::Stdio::piped());
    command.spawn().unwrap()
}

fn command(name: &str, place: &Path, uid: Option<u32>) -> Command {
    let mut command = Command::new(place.join("bin/vectors"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1", "-q"]);
    command.env_clear().env(PLACE, place).env("TMPDIR", place).env("HOST_TOKEN", CANARY);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(place);
    command.stdout(std::process::Stdio::null());
    if let Some(uid) = uid {
        // Drops the groups as well.
        command.uid(uid).gid(uid);
    }
    command
}

/// Copies the programs, and gives it all to the user.
fn lay_out(place: &Path, uid: Option<u32>) {
    fs::create_dir(place.join("bin")).unwrap();
    let programs = [
        (std::env::current_exe().unwrap(), "bin/vectors"),
        (PathBuf::from(env!("CARGO_BIN_EXE_quire-zygote")), "bin/quire-zygote"),
        (PathBuf::from(env!("CARGO_BIN_EXE_quire-trial")), "bin/quire-trial"),
    ];
    for (from, to) in programs {
        fs::copy(from, place.join(to)).unwrap();
        fs::set_permissions(place.join(to), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(place.join("canary"), CANARY).unwrap();
    std::os::unix::fs::chown(place, uid, uid).unwrap();
}

/// Opens the work directories of overlays, which have no mode bits, so that all can be removed.
fn make_removable(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&entry.path());
        }
    }
}

/// Waits for its turn; the file is unlocked when it is closed.
fn take_turn() -> File {
    let path = std::env::temp_dir().join("quire-vectors.lock");
    let file = File::open(&path).or_else(|_| {
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)
    });
    let file = file.unwrap();
    file.lock().unwrap();
    file
}
