//! Has a layer unpacked inside a throw-away sandbox, and hears how it goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quire_domain::environment::Limits as SandboxLimits;
use quire_domain::sandbox::{
    BindMount, Command, CommandEvent, CommandIo, ExitStatus, Layer, OverlayMount, Sandbox,
    SandboxBackend, SandboxBase, SandboxError, SandboxSpec, SandboxUser, Upper,
};
use tokio_util::sync::CancellationToken;

use crate::error::{ImageError, TooLarge};
use crate::inside::{Done, Fault, Job, Said};
use crate::settings::Limits;

/// Where things are inside.
const ROOT: &str = "/layer";
const PROGRAM: &str = "/unpack/program";
const BLOB: &str = "/unpack/blob";
const HOME: &str = "/unpack/home";

/// The most that is taken of what the unpacker says: a line of it, and all of what it complains.
const MAX_LINE: usize = 64 << 10;
const MAX_COMPLAINT: usize = 4 << 10;

/// What is to be unpacked over what.
pub(crate) struct Unpacking<'a> {
    /// For messages: `layer 2 of …`.
    pub(crate) what: &'a str,
    /// Our own binary.
    pub(crate) program: &'a Path,
    /// The blob; none to look at the layers only.
    pub(crate) blob: Option<&'a Path>,
    /// What lies beneath, topmost first.
    pub(crate) beneath: Vec<Layer>,
    /// How much may be written.
    pub(crate) limits: &'a Limits,
    /// How long it may take.
    pub(crate) most: Duration,
    /// Whoever calls it off.
    pub(crate) cancel: &'a CancellationToken,
}

impl Unpacking<'_> {
    /// Unpacks into `upper`, which then holds the layer as its overlay `layer`, synced.
    pub(crate) async fn unpack(
        &self,
        backend: &dyn SandboxBackend,
        upper: PathBuf,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Done, ImageError> {
        let sandbox = backend.create(self.spec(Upper::Disk(upper))).await?;
        let done = self.run(&*sandbox, told).await;
        if done.is_ok() {
            sandbox.freeze().await?;
        }
        // After the freeze nothing runs any more.
        sandbox.end().await?;
        done
    }

    /// Only looks at what is there.
    pub(crate) async fn look(&self, backend: &dyn SandboxBackend) -> Result<Done, ImageError> {
        let sandbox = backend.create(self.spec(Upper::Memory)).await?;
        let done = self.run(&*sandbox, &|_| {}).await;
        sandbox.end().await?;
        done
    }

    fn spec(&self, upper: Upper) -> SandboxSpec {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let bind = |source: &Path, target: &str| BindMount {
            source: source.to_owned(),
            target: PathBuf::from(target),
            optional: false,
        };
        let mut binds = vec![bind(self.program, PROGRAM)];
        binds.extend(self.blob.map(|blob| bind(blob, BLOB)));
        let in_memory = upper == Upper::Memory;
        SandboxSpec {
            name: format!("quire-unpack-{}-{number}", std::process::id()),
            base: SandboxBase::Host,
            system: BTreeMap::new(),
            overlays: vec![OverlayMount {
                target: PathBuf::from(ROOT),
                lowers: self.beneath.clone(),
                name: "layer".to_owned(),
            }],
            binds,
            upper,
            workdir: PathBuf::from(HOME),
            home: PathBuf::from(HOME),
            env: BTreeMap::from([
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("HOME".to_owned(), HOME.to_owned()),
            ]),
            // Owners are given as the image says, as far as there are ids for it.
            user: SandboxUser::SetupRoot,
            limits: SandboxLimits {
                memory_bytes: 1 << 30,
                cpu_millis: 2_000,
                processes: 64,
                disk_bytes: if in_memory {
                    16 << 20
                } else {
                    self.limits.unpacked_bytes.saturating_add(1 << 30)
                },
                tmp_bytes: 16 << 20,
                inodes: if in_memory { 1_000 } else { self.limits.entries.saturating_mul(2) },
                open_files: 4_096,
                ..SandboxLimits::default()
            },
            egress: None,
        }
    }

    async fn run(
        &self,
        sandbox: &dyn Sandbox,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Done, ImageError> {
        let job = Job {
            root: PathBuf::from(ROOT),
            blob: self.blob.map(|_| PathBuf::from(BLOB)),
            max_bytes: self.limits.unpacked_bytes,
            max_entries: self.limits.entries,
            max_ratio: self.limits.ratio,
        };
        let job = serde_json::to_string(&job).map_err(|error| self.ended(&error.to_string()))?;
        let command = Command {
            argv: vec![PROGRAM.to_owned(), "unpack-layer".to_owned(), job],
            env: BTreeMap::new(),
            workdir: None,
            io: CommandIo::Separate,
        };
        let mut output = sandbox.start(command).await.map_err(|error| self.failed(error))?.output;
        let deadline = tokio::time::sleep(self.most);
        tokio::pin!(deadline);
        let mut heard = Heard::default();
        let status = loop {
            let event = tokio::select! {
                () = self.cancel.cancelled() => return Err(ImageError::Cancelled),
                () = &mut deadline => {
                    return Err(self.ended(&format!("it took longer than {:?}", self.most)));
                }
                event = output.next() => event.map_err(|error| self.failed(error))?,
            };
            match event {
                CommandEvent::Output(bytes) => heard.take(&bytes, told),
                CommandEvent::Error(bytes) => heard.complain(&bytes),
                CommandEvent::Exited(status) => break status,
            }
        };
        match (heard.last, status) {
            (Some(Said::Done(done)), ExitStatus::Code(0)) => Ok(done),
            (Some(Said::Failed(fault)), _) => Err(self.fault(fault)),
            (_, status) => {
                let complaint = String::from_utf8_lossy(&heard.complaint);
                let complaint: String = complaint.chars().filter(|c| !c.is_control()).collect();
                let how = match status {
                    ExitStatus::Code(code) => format!("it ended with {code}"),
                    ExitStatus::Signal(9) => "it was ended: it used too much memory".to_owned(),
                    ExitStatus::Signal(signal) => format!("it was ended by signal {signal}"),
                };
                Err(self.ended(format!("{how} {complaint}").trim()))
            }
        }
    }

    fn fault(&self, fault: Fault) -> ImageError {
        let what = self.what.to_owned();
        let too_large = |limit| ImageError::TooLarge { what: self.what.to_owned(), limit };
        match fault {
            Fault::Malformed(why) => ImageError::Malformed { what, why },
            Fault::Entry { name, why } => ImageError::Entry { what, entry: name, why },
            Fault::Bytes => too_large(TooLarge::Bytes { limit: self.limits.unpacked_bytes }),
            Fault::Entries => too_large(TooLarge::Entries { limit: self.limits.entries }),
            Fault::Ratio => too_large(TooLarge::Ratio { limit: self.limits.ratio }),
            Fault::DiskFull => ImageError::DiskFull { path: "the image store".to_owned() },
        }
    }

    fn failed(&self, error: SandboxError) -> ImageError {
        match error {
            SandboxError::HostDiskFull => {
                ImageError::DiskFull { path: "the image store".to_owned() }
            }
            SandboxError::DiskFull => ImageError::TooLarge {
                what: self.what.to_owned(),
                limit: TooLarge::Bytes { limit: self.limits.unpacked_bytes },
            },
            SandboxError::LimitExceeded { what } => {
                self.ended(&format!("it used more than its limit of {what}"))
            }
            SandboxError::Spawn { source, .. } => self.ended(&format!(
                "`{}` does not start inside a sandbox ({source}); others must be able to read and \
                 execute it",
                self.program.display()
            )),
            other => other.into(),
        }
    }

    fn ended(&self, why: &str) -> ImageError {
        ImageError::Unpack { what: self.what.to_owned(), why: why.to_owned() }
    }
}

/// What the unpacker said. It reads hostile bytes, so what it says is bounded.
#[derive(Default)]
struct Heard {
    line: Vec<u8>,
    last: Option<Said>,
    complaint: Vec<u8>,
}

impl Heard {
    fn take(&mut self, bytes: &[u8], told: &(dyn Fn(u64) + Sync)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                match serde_json::from_slice(&self.line) {
                    Ok(Said::Bytes(bytes)) => told(bytes),
                    Ok(last) => self.last = Some(last),
                    Err(_) => {}
                }
                self.line.clear();
            }
        }
    }

    fn complain(&mut self, bytes: &[u8]) {
        let room = MAX_COMPLAINT.saturating_sub(self.complaint.len());
        self.complaint.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
