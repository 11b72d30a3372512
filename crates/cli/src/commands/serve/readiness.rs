//! Tells the service manager how the server stands, where it asks for that (`NOTIFY_SOCKET`, the
//! protocol of systemd): one datagram of lines.

use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::surroundings::Surroundings;

/// Where the service manager listens, if there is one.
#[derive(Debug)]
pub struct Readiness {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Readiness {
    /// As the environment says. What cannot be reached is not told.
    pub fn of(surroundings: &Surroundings) -> Self {
        let socket = surroundings.variable("NOTIFY_SOCKET").and_then(|name| {
            let address = address(name)?;
            Some((UnixDatagram::unbound().ok()?, address))
        });
        Self { socket }
    }

    /// It takes requests.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// It lets go of its work and ends.
    pub fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={status}\n"));
    }

    fn tell(&self, lines: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(lines.as_bytes(), address);
        }
    }
}

/// A path, or a name in the abstract namespace after `@`.
fn address(name: &str) -> Option<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_service_manager_is_told_when_it_is_ready_and_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let surroundings = Surroundings {
            variables: BTreeMap::from([(
                "NOTIFY_SOCKET".to_owned(),
                path.to_str().unwrap().to_owned(),
            )]),
            home: None,
            current_dir: dir.path().to_owned(),
            stdout_terminal: false,
            stderr_terminal: false,
            stdin_terminal: false,
        };
        let readiness = Readiness::of(&surroundings);
        readiness.ready("8 slots");
        readiness.stopping("letting go");
        let mut heard = [0; 200];
        for said in ["READY=1\nSTATUS=8 slots\n", "STOPPING=1\nSTATUS=letting go\n"] {
            let length = manager.recv(&mut heard).unwrap();
            assert_eq!(std::str::from_utf8(&heard[..length]).unwrap(), said);
        }
    }
}
