//! Handing what a sandbox is made from to a process that was made ahead of time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{RecvFlags, SendFlags};
use serde::{Deserialize, Serialize};

use super::{Opened, OpenedMount, System, Task};
use crate::plan::Request;
use crate::wire::{self, MAX_FDS};

/// The largest description that is read.
const LIMIT: usize = 4 << 20;

/// What was opened, without the descriptors, which follow in the order of the fields.
#[derive(Serialize, Deserialize)]
struct Shape {
    upper: bool,
    root: usize,
    /// Links with what they lead to; the others are mounts.
    system: Vec<(String, Option<PathBuf>)>,
    mounts: Vec<MountShape>,
}

#[derive(Serialize, Deserialize)]
enum MountShape {
    /// This many layers.
    Overlay(usize),
    /// Absent, or whether it is a directory.
    Bind(Option<bool>),
}

/// Sends the request as it came, what was opened for it, and the guest's socket.
pub fn give(to: &OwnedFd, request: &OwnedFd, opened: Opened, guest: &OwnedFd) -> io::Result<()> {
    let (shape, fds) = take_apart(opened);
    let shape = wire::memory_file(&[&serde_json::to_vec(&shape)?])?;
    let none = SendFlags::empty();
    wire::send(to, b"task", &[request.as_fd(), shape.as_fd(), guest.as_fd()], none)?;
    for some in fds.chunks(MAX_FDS) {
        let some: Vec<_> = some.iter().map(AsFd::as_fd).collect();
        wire::send(to, b"more", &some, none)?;
    }
    Ok(())
}

/// Waits for it; `None` if the other end is gone.
pub fn take(from: &OwnedFd) -> io::Result<Option<Task>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut buffer = [0; 16];
    let (length, fds) = wire::receive(from, &mut buffer, RecvFlags::empty())?;
    if length == 0 {
        return Ok(None);
    }
    let mut fds = fds.into_iter();
    let (Some(request), Some(shape), Some(socket)) = (fds.next(), fds.next(), fds.next()) else {
        return Err(bad());
    };
    let request = wire::read_memory_file(&request, LIMIT)?;
    let Request::Create(plan) = serde_json::from_slice(&request)? else { return Err(bad()) };
    let shape: Shape = serde_json::from_slice(&wire::read_memory_file(&shape, LIMIT)?)?;
    let mut fds = Vec::new();
    while fds.len() < shape.descriptors() {
        match wire::receive(from, &mut buffer, RecvFlags::empty())? {
            (1.., more) if !more.is_empty() => fds.extend(more),
            _ => return Ok(None),
        }
    }
    let opened = put_together(shape, fds).ok_or_else(bad)?;
    Ok(Some(Task { plan: *plan, opened, socket }))
}

impl Shape {
    fn descriptors(&self) -> usize {
        let system = self.system.iter().filter(|(_, link)| link.is_none()).count();
        let mounts = self.mounts.iter().map(|mount| match mount {
            MountShape::Overlay(layers) => *layers,
            MountShape::Bind(found) => usize::from(found.is_some()),
        });
        usize::from(self.upper) + self.root + system + mounts.sum::<usize>()
    }
}

fn take_apart(opened: Opened) -> (Shape, Vec<OwnedFd>) {
    let Opened { upper, root, system, mounts } = opened;
    let mut shape =
        Shape { upper: upper.is_some(), root: root.len(), system: Vec::new(), mounts: Vec::new() };
    let mut fds: Vec<_> = upper.into_iter().chain(root).collect();
    for (name, one) in system {
        shape.system.push(match one {
            System::Link(target) => (name, Some(target)),
            System::Mount(mount) => {
                fds.push(mount);
                (name, None)
            }
        });
    }
    for mount in mounts {
        shape.mounts.push(match mount {
            OpenedMount::Overlay(layers) => {
                let count = layers.len();
                fds.extend(layers);
                MountShape::Overlay(count)
            }
            OpenedMount::Bind(found) => MountShape::Bind(found.map(|(mount, is_dir)| {
                fds.push(mount);
                is_dir
            })),
        });
    }
    (shape, fds)
}

fn put_together(shape: Shape, fds: Vec<OwnedFd>) -> Option<Opened> {
    let mut fds = fds.into_iter();
    let upper = if shape.upper { Some(fds.next()?) } else { None };
    let root = fds.by_ref().take(shape.root).collect();
    let mut system = Vec::with_capacity(shape.system.len());
    for (name, link) in shape.system {
        system.push(match link {
            Some(target) => (name, System::Link(target)),
            None => (name, System::Mount(fds.next()?)),
        });
    }
    let mut mounts = Vec::with_capacity(shape.mounts.len());
    for mount in shape.mounts {
        mounts.push(match mount {
            MountShape::Overlay(layers) => {
                OpenedMount::Overlay(fds.by_ref().take(layers).collect())
            }
            MountShape::Bind(None) => OpenedMount::Bind(None),
            MountShape::Bind(Some(is_dir)) => OpenedMount::Bind(Some((fds.next()?, is_dir))),
        });
    }
    Some(Opened { upper, root, system, mounts })
}
