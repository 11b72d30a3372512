//! Landlock: writes only where the sandbox may write, whatever the mounts say.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::plan::{MountPlan, Plan};

/// Places that every sandbox may write to.
const ALWAYS: [&str; 5] = ["/tmp", "/var", "/dev", "/proc", "/run"];

/// Restricts this process; gives what is weaker than it should be.
pub fn restrict(plan: &Plan) -> Result<Option<String>, std::io::Error> {
    let writes = AccessFs::from_write(ABI::V3);
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(writes)
        .and_then(|ruleset| ruleset.scope(Scope::AbstractUnixSocket))
        .and_then(|ruleset| ruleset.scope(Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(std::io::Error::other)?;
    let mut ruleset = ruleset;
    for path in writable(plan) {
        ruleset = add(ruleset, &path, writes)?;
    }
    let status = ruleset.restrict_self().map_err(std::io::Error::other)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => None,
        RulesetStatus::PartiallyEnforced => Some("Landlock is partly enforced".to_owned()),
        RulesetStatus::NotEnforced => Some("this kernel has no Landlock".to_owned()),
    })
}

fn add(
    ruleset: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, std::io::Error> {
    match PathFd::new(path) {
        Ok(fd) => ruleset.add_rule(PathBeneath::new(fd, access)).map_err(std::io::Error::other),
        // What is absent needs no rule.
        Err(_) => Ok(ruleset),
    }
}

fn writable(plan: &Plan) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = ALWAYS.iter().map(PathBuf::from).collect();
    paths.push(plan.home.clone());
    for mount in &plan.mounts {
        if let MountPlan::Overlay { target, .. } = mount {
            paths.push(target.clone());
        }
    }
    if matches!(plan.root, crate::plan::RootPlan::Layers(_)) {
        paths.push(plan.workdir.clone());
    }
    paths.dedup();
    paths
}
