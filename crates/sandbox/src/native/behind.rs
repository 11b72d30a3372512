//! Which command made a connection: from its port inside, over the socket and the process that
//! holds it, to the command that started that.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use super::processes::{self, Process};

/// How much is looked at: the rest stays unknown.
const MAX_PROCESSES: usize = 4_096;
const MAX_SOCKETS: usize = 65_536;
const MAX_FILES: usize = 4_096;
const PATIENCE: Duration = Duration::from_millis(100);

/// The number of the command behind `port`, which is connected to the way out at `door`.
/// `commands` has the numbers of commands by their process id inside. Reads `/proc`: some 20 us
/// for each process and 2 us for each file that it has open.
pub fn command(guest: i32, port: u16, door: u16, commands: &HashMap<i32, u64>) -> Option<u64> {
    let begun = Instant::now();
    let socket = ["tcp", "tcp6"].iter().find_map(|table| socket(guest, table, port, door))?;
    let wanted = format!("socket:[{socket}]");
    let all = processes::below(guest, MAX_PROCESSES);
    let mut holder = None;
    for process in &all {
        if begun.elapsed() > PATIENCE {
            return None;
        }
        if holds(process.pid, &wanted) {
            holder = Some(*process);
            break;
        }
    }
    started_by(holder?, &all, guest, commands)
}

/// The inode of the socket that is at `port` and connected to `door`. What connects by a socket
/// of the other version is in that one's table, whatever the address.
fn socket(guest: i32, table: &str, port: u16, door: u16) -> Option<u64> {
    let file = File::open(format!("/proc/{guest}/net/{table}")).ok()?;
    let lines = BufReader::new(file).lines().skip(1).take(MAX_SOCKETS).map_while(Result::ok);
    let port_of = |address: &str| {
        address.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok())
    };
    lines.into_iter().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = port_of(fields.nth(1)?)?;
        let remote = port_of(fields.next()?)?;
        let inode = fields.nth(6)?.parse::<u64>().ok()?;
        (local == port && remote == door && inode != 0).then_some(inode)
    })
}

fn holds(pid: i32, wanted: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files
        .filter_map(Result::ok)
        .take(MAX_FILES)
        .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted))
}

/// Its session is that of a command, unless it took one of its own: then whoever started it
/// knows, up to the guest, with whom those end that nobody waits for.
fn started_by(
    holder: Process,
    all: &[Process],
    guest: i32,
    commands: &HashMap<i32, u64>,
) -> Option<u64> {
    let mut current = holder;
    for _ in 0..all.len() {
        if let Some((own, session)) = processes::numbers_inside(current.pid)
            && let Some(number) = commands.get(&own).or_else(|| commands.get(&session))
        {
            return Some(*number);
        }
        if current.parent == guest {
            return None;
        }
        current = *all.iter().find(|process| process.pid == current.parent)?;
    }
    None
}
