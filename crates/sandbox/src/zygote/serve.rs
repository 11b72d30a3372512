//! The zygote's loop: takes requests, forks sandboxes, reaps them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags};

use super::spawn::Parent;
use super::{handle, measured, remove, spawn, written};
use crate::plan::{Answer, Request};
use crate::wire;

/// The largest plan that is read.
pub(super) const PLAN_LIMIT: usize = 4 << 20;

/// Serves until the parent is gone.
pub(super) fn run() -> ! {
    let socket = handle::inherited_socket();
    let _ = rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC);
    match spawn::Nursery::prepare() {
        Ok(mut nursery) => {
            while serve_one(&socket, &mut nursery) {}
            nursery.clear_away();
        }
        Err(_) => std::process::exit(70),
    }
    std::process::exit(0)
}

/// Waits for one request and answers it; `false` when the parent is gone.
fn serve_one(socket: &OwnedFd, nursery: &mut spawn::Nursery) -> bool {
    reap();
    let mut polled = [PollFd::new(socket, PollFlags::IN)];
    // Reaping is not urgent: the parent holds pidfds. A second bounds how long the dead stay.
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    match rustix::event::poll(&mut polled, Some(&second)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return true,
        Ok(_) => {}
        Err(_) => return false,
    }
    let mut buffer = [0; 64];
    let (length, fds) = match wire::receive(socket, &mut buffer, RecvFlags::empty()) {
        Ok(message) => message,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return true,
        Err(_) => return false,
    };
    if length == 0 {
        return false;
    }
    let mut fds = fds.into_iter();
    let (Some(plan), Some(answer_to)) = (fds.next(), fds.next()) else {
        return true;
    };
    let answer = handle_request(&plan, &answer_to, &fds.collect::<Vec<_>>(), nursery);
    if let Some(answer) = answer {
        send_answer(&answer_to, &answer, None);
    }
    true
}

/// Does what was asked. `None` where the answer was or will be sent by another.
fn handle_request(
    plan: &OwnedFd,
    answer_to: &OwnedFd,
    groups: &[OwnedFd],
    nursery: &mut spawn::Nursery,
) -> Option<Answer> {
    let request = wire::read_memory_file(plan, PLAN_LIMIT)
        .and_then(|bytes| serde_json::from_slice::<Request>(&bytes).map_err(io::Error::other));
    match request {
        Ok(Request::Create(mut plan)) => {
            nursery.remember(std::mem::take(&mut plan.groups));
            match nursery.create(*plan, answer_to, groups, Parent::Us) {
                Ok((pid, pidfd)) => {
                    send_answer(answer_to, &Answer::Spawned { pid }, Some(&pidfd));
                    None
                }
                Err(failed) => Some(failed),
            }
        }
        Ok(Request::Stem { range, groups: paths }) => {
            nursery.remember(paths);
            nursery.stem(answer_to, groups, range)
        }
        Ok(Request::Measure { dir, most }) => measured::in_child(&dir, most, answer_to),
        Ok(Request::Remove(path)) => remove::in_child(&path, answer_to),
        Ok(Request::Forfeit(path)) => {
            nursery.forfeit(path);
            Some(Answer::Done)
        }
        Ok(Request::Open { dir, path }) => match written::open(&dir, &path) {
            Ok(opened) => {
                send_answer(answer_to, &Answer::Done, Some(&opened));
                None
            }
            Err(errno) => Some(Answer::Failed { step: "open".to_owned(), errno }),
        },
        Ok(Request::Probe(place)) => Some(Answer::Abilities(nursery.probe(&place))),
        Err(error) => {
            Some(Answer::Failed { step: format!("read the request: {error}"), errno: libc::EINVAL })
        }
    }
}

/// Sends an answer; whoever does not read it has gone.
pub(super) fn send_answer(socket: impl AsFd, answer: &Answer, fd: Option<&OwnedFd>) {
    let Ok(bytes) = serde_json::to_vec(answer) else { return };
    let fds: Vec<_> = fd.map(AsFd::as_fd).into_iter().collect();
    let _ = wire::send(socket, &bytes, &fds, SendFlags::DONTWAIT);
}

/// Buries sandboxes that ended.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}
