//! The parent's end of the zygote.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::net::SendFlags;

use super::MARKER;
use crate::wire;

/// The parent's end of the zygote. The zygote and all its sandboxes die with it.
#[derive(Debug)]
pub struct Zygote {
    socket: OwnedFd,
    child: Child,
}

impl Zygote {
    /// Starts this program again as the zygote. Call it from the main thread, while it is the
    /// only one.
    pub fn spawn() -> io::Result<Self> {
        Self::spawn_program(Path::new("/proc/self/exe"))
    }

    /// Starts `program`, which calls [`super::main`] when its first argument is the marker.
    pub fn spawn_program(program: &Path) -> io::Result<Self> {
        let (ours, theirs) = wire::socket_pair()?;
        let theirs_raw = theirs.as_raw_fd();
        let mut command = Command::new(program);
        command
            .arg0("quire-zygote")
            .arg(MARKER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: the closure makes raw system calls only.
        unsafe {
            command.pre_exec(move || {
                if theirs_raw == 3 {
                    let fd = BorrowedFd::borrow_raw(3);
                    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
                } else if libc::dup2(theirs_raw, 3) < 0 {
                    return Err(io::Error::last_os_error());
                }
                // A session of its own: Ctrl-C at the terminal is ours to handle, not its.
                libc::setsid();
                Ok(())
            });
        }
        let child = command.spawn()?;
        drop(theirs);
        Ok(Self { socket: ours, child })
    }

    /// The process id, for reports.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Hands over a request: `plan` in a memory file, and the sandbox's end of its socket, on
    /// which the zygote and then the guest answer.
    pub(crate) async fn request(&self, plan: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let file = wire::memory_file(&[plan])?;
        let mut all = vec![file.as_fd()];
        all.extend_from_slice(fds);
        for _ in 0..5_000 {
            match wire::send(&self.socket, b"plan", &all, SendFlags::DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
                other => return other,
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // The closed socket tells it to end every sandbox and to clear away. It is not signalled
        // to die with us: killed, it could not.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        for _ in 0..3_000 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // Each guest asked to die with its parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a child of the zygote that must not hold it open.
pub(super) fn close_inherited_socket() {
    // SAFETY: the child never serves on it.
    unsafe { libc::close(3) };
}

/// The descriptor that the zygote is given.
pub(super) fn inherited_socket() -> OwnedFd {
    // SAFETY: by convention descriptor 3 is the socket, and this is called once.
    unsafe { OwnedFd::from_raw_fd(3) }
}
