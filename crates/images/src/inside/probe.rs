//! Looks whether a root file system has what a task needs.

use std::io::Read;

use rustix::fs::FileType;

use super::Found;
use super::place::Root;

/// Where programs are looked for.
const PATH: [&str; 6] = ["usr/local/bin", "usr/bin", "bin", "usr/local/sbin", "usr/sbin", "sbin"];

/// Where distributions keep the authorities they believe.
const CERTIFICATES: [&str; 5] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// Package managers, by the program that a Dockerfile's line would call.
const INSTALLERS: [&str; 6] = ["apt-get", "apk", "dnf", "microdnf", "zypper", "pacman"];

/// Directories that a sandbox mounts something on, or makes where they are missing.
const PLACES: [&str; 6] = ["dev", "home", "proc", "run", "tmp", "var"];

/// Looks.
pub fn look(root: &Root) -> Found {
    let program = |name: &str| {
        PATH.iter().find_map(|directory| program(root, &format!("{directory}/{name}")))
    };
    let shell = program("sh");
    let bash = program("bash");
    let is_file = |path: &str| head(root, path).is_some_and(|head| !head.is_empty());
    Found {
        shell: shell.is_some(),
        bash: bash.is_some(),
        git: program("git").is_some(),
        accounts: is_file("etc/passwd"),
        certificates: CERTIFICATES.iter().any(|path| is_file(path)),
        archive: is_file("manifest.json") || is_file("oci-layout"),
        machine: bash.or(shell).and_then(|head| machine(&head)),
        misplaced: PLACES
            .into_iter()
            .filter(|name| is_misplaced(root, name))
            .map(str::to_owned)
            .collect(),
        installer: INSTALLERS.into_iter().find(|name| program(name).is_some()).map(str::to_owned),
    }
}

/// Whether there is something that neither is a directory nor leads to one.
fn is_misplaced(root: &Root, name: &str) -> bool {
    let path = [name.as_bytes()];
    let kind = root.existing(&path).and_then(|place| place.kind());
    match kind {
        Ok(Some(FileType::Directory) | None) | Err(_) => false,
        Ok(Some(_)) => root.directory(&path).is_err(),
    }
}

/// The first bytes of a file that may be executed.
fn program(root: &Root, path: &str) -> Option<Vec<u8>> {
    let file = root.read(path).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    let runs =
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0;
    runs.then(|| first_bytes(file))?
}

fn head(root: &Root, path: &str) -> Option<Vec<u8>> {
    let file = root.read(path).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| first_bytes(file))?
}

fn first_bytes(file: std::os::fd::OwnedFd) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(64);
    std::fs::File::from(file).take(64).read_to_end(&mut head).ok()?;
    Some(head)
}

/// The machine of an ELF program, in the byte order that it names.
fn machine(head: &[u8]) -> Option<u16> {
    let pair: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    match (head.get(..4)?, head.get(5)?) {
        ([0x7f, b'E', b'L', b'F'], 1) => Some(u16::from_le_bytes(pair)),
        ([0x7f, b'E', b'L', b'F'], 2) => Some(u16::from_be_bytes(pair)),
        _ => None,
    }
}
