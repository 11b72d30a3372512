//! Limits that no control group holds: looked at from outside while something runs.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quire_domain::environment::Limits;
use quire_domain::sandbox::UpperUse;
use tokio::time::{Instant, sleep};

use super::backend::measured_by_zygote;
use super::guest::{Guest, Reason};
use super::{measure, processes};
use crate::zygote::Zygote;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(250);

/// How long the size of an upper may go unmeasured while something runs.
const MEASURE_AT_LEAST: Duration = Duration::from_secs(30);

/// Beside that: how often at most, and the part of the time that measuring may take. What others
/// free on the same file system hides what an upper takes, so growth alone is not trusted.
const MEASURE_AGAIN: Duration = Duration::from_secs(1);
const MEASURE_SHARE: u32 = 20;

/// The most processes whose memory is added up.
const MAX_PROCESSES: usize = 20_000;

/// What is watched.
pub struct Watched {
    /// The upper, where it lies on disk.
    pub upper: Option<WatchedUpper>,
    /// Whether memory is watched: no control group limits it.
    pub memory: bool,
    /// How much there may be.
    pub limits: Limits,
}

/// An upper on disk.
pub struct WatchedUpper {
    /// It.
    pub directory: Arc<OwnedFd>,
    /// Where it lies.
    pub path: PathBuf,
    /// Looks at what is closed to us.
    pub zygote: Weak<Zygote>,
}

impl WatchedUpper {
    async fn measure(&self, most: u64) -> Option<UpperUse> {
        let shared = Arc::clone(&self.directory);
        let measured = tokio::task::spawn_blocking(move || measure::measure(&shared, most)).await;
        let measured = measured.ok()?.ok()?;
        if measured.partly && measured.used.files < most {
            let zygote = self.zygote.upgrade()?;
            let seen = measured_by_zygote(&zygote, &self.path, most).await;
            return Some(
                seen.filter(|all| all.files >= measured.used.files).unwrap_or(measured.used),
            );
        }
        Some(measured.used)
    }
}

/// Watches until the guest is gone; wakes only while something runs.
pub async fn watch(guest: Arc<Guest>, watched: Watched) {
    let mut disk = Disk {
        used: UpperUse::default(),
        free: None,
        measured: Instant::now(),
        took: Duration::ZERO,
    };
    loop {
        guest.started.notified().await;
        loop {
            sleep(EVERY).await;
            if guest.is_gone() {
                return;
            }
            if watched.memory {
                let used = memory(guest.pid);
                if used > watched.limits.memory_bytes {
                    let what = format!("memory ({} MiB)", watched.limits.memory_bytes >> 20);
                    guest.kill(Reason::Limit(what));
                    return;
                }
            }
            if let Some(upper) = &watched.upper
                && let Some(reason) = disk.is_over(upper, &watched.limits).await
            {
                guest.kill(reason);
                return;
            }
            if !guest.is_busy() && processes::children(guest.pid).is_empty() {
                break;
            }
        }
        if guest.is_gone() {
            return;
        }
    }
}

/// What is known of an upper's size.
struct Disk {
    used: UpperUse,
    /// Free bytes and inodes of its file system when it was measured.
    free: Option<(u64, u64)>,
    measured: Instant,
    /// How long the last measuring took.
    took: Duration,
}

impl Disk {
    /// Measures where the file system filled by a quarter of what is left to the upper.
    async fn is_over(&mut self, upper: &WatchedUpper, limits: &Limits) -> Option<Reason> {
        let stat = rustix::fs::fstatvfs(&upper.directory).ok()?;
        let free = (stat.f_bavail * stat.f_frsize, stat.f_ffree);
        let left = limits.disk_bytes.saturating_sub(self.used.bytes);
        let left_files = limits.inodes.saturating_sub(self.used.files);
        let due = self.free.is_none_or(|(bytes, files)| {
            bytes.saturating_sub(free.0) > left / 4 || files.saturating_sub(free.1) > left_files / 4
        });
        let again = (self.took * MEASURE_SHARE).clamp(MEASURE_AGAIN, MEASURE_AT_LEAST);
        if !due && self.measured.elapsed() < again {
            return None;
        }
        let started = Instant::now();
        if let Some(used) = upper.measure(limits.inodes.saturating_add(1)).await {
            self.used = used;
        }
        self.free = Some(free);
        self.measured = Instant::now();
        self.took = started.elapsed();
        if self.used.bytes > limits.disk_bytes {
            return Some(Reason::Disk);
        }
        (self.used.files > limits.inodes).then_some(Reason::Files(limits.inodes))
    }
}

/// Anonymous and shared memory of a process and all below it, in bytes. What was double-forked
/// hangs below the guest.
fn memory(guest: i32) -> u64 {
    let page = rustix::param::page_size() as u64;
    let mut pages = 0;
    let all = processes::below(guest, MAX_PROCESSES);
    for pid in std::iter::once(guest).chain(all.into_iter().map(|process| process.pid)) {
        if let Ok(statm) = fs::read_to_string(format!("/proc/{pid}/statm")) {
            let mut fields =
                statm.split(' ').skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
            let (resident, shared) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
            pages += resident.saturating_sub(shared);
        }
    }
    pages * page
}

/// How many processes there are below the guest; counting stops at `most`.
pub fn processes(guest: i32, most: u32) -> u32 {
    let found = processes::below(guest, most as usize).len();
    u32::try_from(found).unwrap_or(most)
}
