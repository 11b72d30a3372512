//! A disk that is full: which one is said, what to do, and the work goes on when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;

use quire_testkit::{Call, Ended, Turn};

use crate::scene::{Scene, expect_in_order, outcome};

/// A file system of 48 MiB for the data directory, in memory. Gone when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    #[expect(clippy::print_stdout, reason = "a test says why it was skipped")]
    fn mount(scene: &Scene) -> Option<Self> {
        let at = scene.stage.path().join("small");
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m,mode=0755", "small"]).arg(&at);
        if !mount.output().is_ok_and(|out| out.status.success()) {
            println!("SKIPPED: this user may not mount a small disk");
            return None;
        }
        Some(Self(at))
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it until so many KiB are left.
    fn leave(&self, kib: u64) {
        let free = free_kib(&self.0);
        let take = free.saturating_sub(kib);
        std::fs::write(self.ballast(), vec![7; usize::try_from(take << 10).unwrap()]).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn free_kib(at: &Path) -> u64 {
    let out = Command::new("df").args(["--output=avail", "-k"]).arg(at).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().last().unwrap().trim().parse().unwrap()
}

/// A model that commits a line, prints it, and says so.
fn writer(command: &str) -> Scene {
    Scene::where_model_says([
        Turn::shell(command),
        Turn::shell("cat more.txt"),
        Turn::say("More is said 【F:more.txt†L1】; no tests were run."),
        Turn::say("More is said 【F:more.txt†L1】; no tests were run."),
        Turn::say("More is said 【F:more.txt†L1】; no tests were run."),
    ])
}

const COMMIT: &str = "echo more >> more.txt && git add more.txt && git commit -q -m 'Say more'";

fn call(scene: &Scene, disk: &SmallDisk, args: &[&str]) -> Call {
    scene.call(args.iter().copied()).env("QUIRE_DATA_DIR", disk.data())
}

fn quire(scene: &Scene, disk: &SmallDisk, args: &[&str]) -> Ended {
    call(scene, disk, args).run()
}

/// What was said names the disk, and what helps; it is not long, and blames nobody else.
fn expect_told(ended: &Ended, disk: &SmallDisk, help: &str) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let data = disk.data();
    assert!(said.contains(data.to_str().unwrap()) || said.contains("data directory"), "{said}");
    for word in ["is full", help] {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
    for blamed in ["quire doctor", "report it", "panicked"] {
        assert!(!said.contains(blamed), "{said}");
    }
    let errors = ended.stderr.lines().filter(|line| line.starts_with("error:")).count();
    assert!(errors <= 1, "{}", ended.stderr);
}

#[test]
fn wherever_a_disk_gets_full_it_is_said_and_the_run_goes_on_when_there_is_room() {
    let mut seen = Vec::new();
    for kib in [0, 8, 64, 160, 240, 320, 480, 640, 800, 1000, 1300] {
        let scene = writer(COMMIT);
        let Some(disk) = SmallDisk::mount(&scene) else { return };
        disk.leave(kib);
        let ended = quire(&scene, &disk, &["run", "Go on."]);
        let code = ended.code().unwrap();
        seen.push(code);
        match code {
            // There was room for all of it.
            0 => continue,
            // There is no task yet: it is asked for again.
            1 => {
                expect_told(&ended, &disk, "try again");
                disk.make_room();
                let tasks = quire(&scene, &disk, &["task", "list", "--json"]).expect_code(0);
                assert_eq!(tasks.stdout, "", "with {kib} KiB a task was left");
                quire(&scene, &disk, &["run", "Go on."]).expect_code(0);
            }
            5 => {
                expect_told(&ended, &disk, "task resume");
                disk.make_room();
                quire(&scene, &disk, &["task", "resume", "1"]).expect_code(0);
            }
            code => panic!("with {kib} KiB it ended with {code}: {}{}", ended.stdout, ended.stderr),
        }
        let log = quire(&scene, &disk, &["task", "logs", "1", "--json"]).expect_code(0);
        expect_in_order(&log);
        quire(&scene, &disk, &["verify", "1"]).expect_code(0);
    }
    assert!(seen.contains(&1) && seen.contains(&5), "{seen:?}");
}

#[test]
fn a_command_that_fills_the_disk_stops_the_run_and_not_the_work() {
    let fills = format!("{COMMIT}; head -c 100M /dev/zero > big; rm -f big");
    let prints = format!("{COMMIT}; yes | head -c 100M");
    for command in [fills, prints] {
        let scene = writer(&command);
        let Some(disk) = SmallDisk::mount(&scene) else { return };
        disk.leave(6_000);
        let ended = quire(&scene, &disk, &["run", "Go on."]);
        if ended.code() == Some(0) {
            // The command made room again before the record needed it.
            continue;
        }
        expect_told(&ended.expect_code(5), &disk, "task resume");
        disk.make_room();
        let resumed = quire(&scene, &disk, &["task", "resume", "1", "--json"]).expect_code(0);
        assert_eq!(outcome(&resumed), "changed");
        let diff = quire(&scene, &disk, &["task", "diff", "1"]).expect_code(0).stdout;
        assert!(diff.contains("+more"), "{diff}");
    }
}

#[test]
fn a_setup_that_finds_no_room_stands_still_and_is_done_when_there_is() {
    // The last fills the disk and ends well: what it wrote cannot be kept then.
    for setup in ["head -c 40M /dev/zero > ~/f", "cat /dev/zero > ~/f || true"] {
        let scene = writer(COMMIT);
        let recipe = |setup: &str| {
            let text = format!("setup = \"{setup}\"\n");
            scene.repository.write(".quire/environment.toml", &text);
            scene.repository.commit("Set up");
        };
        recipe(setup);
        let Some(disk) = SmallDisk::mount(&scene) else { return };
        disk.leave(12_000);
        let ended = quire(&scene, &disk, &["run", "Go on."]);
        expect_told(&ended.expect_code(5), &disk, "task resume");
        let snapshots = std::fs::read_dir(disk.data().join("layers/snapshots")).unwrap();
        for entry in snapshots.flatten().filter(|entry| entry.path().is_dir()) {
            let name = entry.file_name().into_string().unwrap();
            assert!(name.starts_with("making-"), "half a snapshot: {name}");
        }
        if setup.contains("40M") {
            disk.make_room();
            quire(&scene, &disk, &["task", "resume", "1"]).expect_code(0);
        }
    }
}

#[test]
fn a_sandbox_that_finds_no_room_says_so() {
    let scene = writer(COMMIT);
    let Some(disk) = SmallDisk::mount(&scene) else { return };
    quire(&scene, &disk, &["task", "list"]).expect_code(0);
    disk.leave(100);
    let ended = quire(&scene, &disk, &["sandbox", "--", "true"]).expect_code(1);
    expect_told(&ended, &disk, "try again");
    disk.make_room();
    quire(&scene, &disk, &["sandbox", "--", "true"]).expect_code(0);
}
