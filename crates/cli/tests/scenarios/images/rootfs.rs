//! A root file system made of this machine's own bash, git and small tools with the libraries they
//! need: what an image has to bring, and no more.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What Quire and the scenarios run in it.
const PROGRAMS: [&str; 21] = [
    "bash", "git", "cat", "chmod", "cp", "find", "grep", "head", "id", "ls", "mkdir", "mv", "rm",
    "sed", "sleep", "sort", "tail", "touch", "tr", "wc", "xargs",
];

/// Where they are looked for.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/opt/bin"];

/// Lays it out in `to`, without the programs in `without`.
pub fn lay_out(to: &Path, without: &[&str]) {
    let wanted = PROGRAMS.iter().filter(|name| !without.contains(name));
    for name in wanted {
        let mut places = PLACES.iter().map(|place| Path::new(place).join(name));
        let program = places.find(|place| place.is_file());
        let program = program.unwrap_or_else(|| panic!("{name} is not installed here"));
        copy(&program, &to.join("usr/bin").join(name));
        for library in libraries(&program) {
            copy(&library, &to.join(library.strip_prefix("/").unwrap()));
        }
    }
    if !without.contains(&"bash") {
        std::os::unix::fs::symlink("bash", to.join("usr/bin/sh")).unwrap();
    }
    std::os::unix::fs::symlink("usr/bin", to.join("bin")).unwrap();
    write(to, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    write(to, "etc/group", "root:x:0:\n");
}

/// The whole paths in what `ldd` says, the loader among them.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let said = Command::new("ldd").arg(program).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let words = said.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).filter(|path| path.is_file()).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

/// Writes a file of it.
pub fn write(to: &Path, path: &str, text: &str) {
    let path = to.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// All below `dir` as a tar that anybody may read, owned by root.
pub fn tar(dir: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(dir).args(["--owner=0", "--group=0", "-cf"]).arg(to).arg(".");
    let made = tar.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o644)).unwrap();
}
