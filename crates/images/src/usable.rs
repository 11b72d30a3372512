//! What a task will miss in a base, and the line that brings it.

use crate::base::{Lack, LackKind};
use crate::inside::{Counts, Found};
use crate::manifest::Platform;
use crate::store::{LayerFacts, Record};

/// What is missing.
pub(crate) fn lacks(found: &Found) -> Vec<Lack> {
    let mut all = Vec::new();
    let mut lack = |kind, what: String, remedy: String| all.push(Lack { kind, what, remedy });
    if found.archive && !found.shell {
        lack(
            LackKind::Shell,
            "it holds an image's parts and no root file system (as `docker save` writes it)".into(),
            "use `docker export` of a container, or name the image in a registry".into(),
        );
        return all;
    }
    if !found.shell {
        lack(
            LackKind::Shell,
            "it has no shell (`sh`)".into(),
            match install(found, "bash git") {
                Some(line) => format!("add `RUN {line}` to its Dockerfile"),
                None => FROM_ONE_WITH.to_owned(),
            },
        );
    }
    if let (Some(machine), Some(own)) = (found.machine, Platform::own_machine())
        && machine != own
    {
        lack(
            LackKind::Architecture,
            format!("its programs are made for {}, this machine is {}", named(machine), named(own)),
            format!("use one that is built for {}", Platform::own()),
        );
    }
    if !found.bash && found.shell {
        lack(LackKind::Bash, "it has no `bash`, by which commands run".into(), add(found, "bash"));
    }
    if !found.misplaced.is_empty() {
        let names: Vec<String> = found.misplaced.iter().map(|name| format!("`/{name}`")).collect();
        let names = names.join(", ");
        let paths = found.misplaced.iter().map(|name| format!("/{name}"));
        let paths = paths.collect::<Vec<_>>().join(" ");
        lack(
            LackKind::Places,
            format!("{names} in it: neither a directory nor a link to one"),
            format!("add `RUN rm {paths} && mkdir {paths}` to its Dockerfile"),
        );
    }
    if !found.git {
        lack(LackKind::Git, "it has no `git`".into(), add_or_set_up(found, "git"));
    }
    if !found.accounts {
        let line = "RUN echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd";
        lack(
            LackKind::Accounts,
            "it has no `/etc/passwd`; the agent is given one, setup runs without".into(),
            format!("add `{line}` to its Dockerfile if setup needs account names"),
        );
    }
    if !found.certificates {
        lack(
            LackKind::Certificates,
            "it has no certificate authorities: programs believe no server over TLS".into(),
            add_or_set_up(found, "ca-certificates"),
        );
    }
    all
}

/// What is to be done about an image that nothing can be installed in.
const FROM_ONE_WITH: &str = "build it on an image with a shell and a package manager: `FROM debian` and \
                             `RUN apt-get update && apt-get install -y bash git`, then what it had";

/// The line that installs packages, by the package manager that is there.
fn add(found: &Found, packages: &str) -> String {
    match install(found, packages) {
        Some(line) => format!("add `RUN {line}` to its Dockerfile"),
        None => format!("it has no package manager to bring {packages}: {FROM_ONE_WITH}"),
    }
}

/// The same for what setup can bring as well.
fn add_or_set_up(found: &Found, packages: &str) -> String {
    match install(found, packages) {
        Some(line) => format!(
            "add `{line}` to `setup` in .quire/environment.toml, or `RUN {line}` to its Dockerfile"
        ),
        None => add(found, packages),
    }
}

fn install(found: &Found, packages: &str) -> Option<String> {
    Some(match found.installer.as_deref() {
        Some("apt-get") => format!("apt-get update && apt-get install -y {packages}"),
        Some("apk") => format!("apk add --no-cache {packages}"),
        Some("pacman") => format!("pacman -Sy --noconfirm {packages}"),
        Some(other) => format!("{other} install -y {packages}"),
        None => return None,
    })
}

fn named(machine: u16) -> String {
    match machine {
        3 => "386".to_owned(),
        21 => "ppc64le".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "amd64".to_owned(),
        183 => "arm64".to_owned(),
        243 => "riscv64".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

/// What was ignored or left out of an image, a sentence each.
pub(crate) fn notes(record: &Record, layers: &[LayerFacts]) -> Vec<String> {
    let mut all = Vec::new();
    if record.described.starts {
        all.push("its entry point and command are not run: Quire runs its own commands".to_owned());
    }
    if let Some(user) = &record.described.user {
        all.push(format!(
            "it names the user `{user}`; commands run as uid 1000, and as root in setup"
        ));
    }
    let sum = |of: fn(&Counts) -> u64| layers.iter().map(|facts| of(&facts.counts)).sum::<u64>();
    for (count, what) in [
        (sum(|counts| counts.devices), "device nodes were left out: a sandbox has its own"),
        (
            sum(|counts| counts.owners),
            "owners could not be given, as this user has no range of sub-ids: those files belong \
             to root inside",
        ),
        (sum(|counts| counts.attributes), "extended attributes were left out"),
        (sum(|counts| counts.unknown), "entries of unknown kinds were left out"),
    ] {
        if count > 0 {
            all.push(format!("{count} {what}"));
        }
    }
    all
}
