//! What others take over the same tree: copies of it, and programs that isolate.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::{Outcome, Percentiles, ms};

/// What the programs that isolate run.
const PROGRAM: &str = "/usr/bin/true";

/// Prints a line for each; `ours` is the p50 of a creation to its first command, in ms.
pub fn compare(home: &Path, tree: &Path, ours: f64) -> Outcome<()> {
    println!("others over the same tree, and how many times ours (p50, from the pool):");
    copies(home, tree, ours)?;
    let bundle = home.join("bundle");
    bundle_of(&bundle, tree)?;
    let rootfs = bundle.join("rootfs");
    let (tree, rootfs, bundle) = (text(tree), text(&rootfs), text(&bundle));
    let mounted = format!("{tree}:/workspace");
    // None of them gives a writable copy of the tree: it is shown as it is.
    row("bwrap", ours, 30, |_| {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr"]);
        for (link, to) in LINKS {
            command.args(["--symlink", to, &format!("/{link}")]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
        command.args(["--bind", &tree, "/workspace", "--chdir", "/workspace", PROGRAM]);
        command
    });
    for program in ["runc", "crun"] {
        row(program, ours, 10, |round| {
            let mut command = Command::new(program);
            let name = format!("quire-bench-{}-{round}", std::process::id());
            command.args(["run", "--bundle", &bundle, &name]);
            command
        });
    }
    row("podman run --rootfs", ours, 5, |_| {
        let mut command = Command::new("podman");
        command.args(["run", "--rm", "--network", "none", "-v", "/usr:/usr:ro", "-v", &mounted]);
        command.args(["--rootfs", &rootfs, PROGRAM]);
        command
    });
    Ok(())
}

fn copies(home: &Path, tree: &Path, ours: f64) -> Outcome<()> {
    let copy = home.join("copy");
    let plain = [vec!["-r"], vec!["-r", "--reflink=always"]];
    for (name, options) in ["cp -r", "cp -r --reflink=always"].into_iter().zip(plain) {
        row(name, ours, 1, |_| {
            let mut command = Command::new("cp");
            command.args(options.clone()).arg(tree).arg(&copy);
            command
        });
        let _ = fs::remove_dir_all(&copy);
    }
    let repository = home.join("repository");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-C", &text(&repository), "-c", "user.name=b", "-c", "user.email=b@example"]);
        command.args(["-c", "core.compression=0", "-c", "gc.auto=0"]).args(arguments);
        command
    };
    fs::create_dir_all(&repository)?;
    let work = format!("--work-tree={}", text(tree));
    let dir = format!("--git-dir={}/.git", text(&repository));
    for arguments in [
        &["init", "--quiet"][..],
        &[&dir, &work, "add", "--all"],
        &["commit", "--quiet", "--message", "all"],
    ] {
        if let Err(why) = run(&mut git(arguments)) {
            println!("  git: {why}");
            return Ok(());
        }
    }
    row("git worktree add", ours, 1, |_| git(&["worktree", "add", "--detach", &text(&copy)]));
    let _ = fs::remove_dir_all(&copy);
    fs::remove_dir_all(&repository)?;
    Ok(())
}

/// What `/bin` and its like are on a merged system.
const LINKS: [(&str, &str); 3] = [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

/// A bundle for the runtimes of containers: the host's `/usr` and the tree.
fn bundle_of(bundle: &Path, tree: &Path) -> Outcome<()> {
    let rootfs = bundle.join("rootfs");
    for name in ["usr", "proc", "dev", "tmp", "workspace"] {
        fs::create_dir_all(rootfs.join(name))?;
    }
    for (link, to) in LINKS {
        symlink(to, rootfs.join(link))?;
    }
    let namespaces = ["pid", "mount", "ipc", "uts", "network"];
    let namespaces = namespaces.map(|kind| serde_json::json!({ "type": kind }));
    let config = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [PROGRAM],
            "env": ["PATH=/usr/bin"],
            "cwd": "/workspace",
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
            { "destination": "/workspace", "type": "bind", "source": tree, "options": ["rbind"] },
        ],
        "linux": { "namespaces": namespaces },
    });
    fs::write(bundle.join("config.json"), config.to_string())?;
    Ok(())
}

fn row(name: &str, ours: f64, rounds: usize, command: impl Fn(usize) -> Command) {
    let mut times = Vec::new();
    // What is read from disk the first time is not counted, but for what takes seconds.
    let warm_up = usize::from(rounds > 1);
    for round in 0..rounds + warm_up {
        let begun = Instant::now();
        if let Err(why) = run(&mut command(round)) {
            println!("  {name:<28} does not run here: {why}");
            return;
        }
        if round >= warm_up {
            times.push(ms(begun.elapsed()));
        }
    }
    let Percentiles { p50, p95, .. } = Percentiles::of(times);
    println!("  {name:<28} p50 {p50:>9.2}  p95 {p95:>9.2} ms   ×{:.1}", p50 / ours);
}

/// Why it failed, in the first line that it says.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{}: {}", output.status, line.chars().take(160).collect::<String>()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
