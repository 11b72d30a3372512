//! Whether there is a snapshot that fits, and what is to be run where there is none. Pure.

use quire_domain::time::Timestamp;

use super::key::{Inputs, Key};
use super::manifest::Manifest;

/// Snapshots that lie on one another at most: beyond, setup runs anew, as each one costs a mount
/// and keeps what the ones below wrote and later ones removed.
const MOST_BELOW: usize = 8;

/// What an attempt wants beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose it is.
    pub owner: String,
    /// The environment.
    pub environment: String,
    /// What it hangs on.
    pub inputs: Inputs,
    /// The commit that the attempt starts from.
    pub commit: String,
    /// What setup runs.
    pub setup: String,
    /// What is run in place of it where only lock files differ, and on another commit.
    pub maintenance: Option<String>,
    /// Milliseconds after which a snapshot is made anew.
    pub lifetime_ms: u64,
    /// What was made before counts as if it were not there.
    pub not_before: Option<Timestamp>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This one fits: its directory's name.
    Use {
        /// Which.
        name: String,
    },
    /// Maintenance is run on a snapshot that is there.
    Maintain {
        /// What the result is found by.
        key: Key,
        /// The name of the snapshot it is run on.
        over: String,
        /// Why, for people.
        why: String,
    },
    /// Setup is run.
    Setup {
        /// What the result is found by.
        key: Key,
        /// Why, for people.
        why: String,
    },
}

impl Decision {
    /// What the result is found by, where something is to be run.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Use { .. } => None,
            Self::Maintain { key, .. } | Self::Setup { key, .. } => Some(key),
        }
    }
}

/// What is to be done; `kept` are the snapshots that lie there, by name.
pub fn decide(wanted: &Wanted, kept: &[(String, Manifest)], now: Timestamp) -> Decision {
    let mut own: Vec<&(String, Manifest)> = kept
        .iter()
        .filter(|(_, one)| one.owner == wanted.owner && one.environment == wanted.environment)
        .collect();
    // The newest first.
    own.sort_by_key(|(_, one)| std::cmp::Reverse(one.made_at));
    let whole =
        |one: &Manifest| one.below.iter().all(|below| kept.iter().any(|(name, _)| name == below));
    let fresh: Vec<&(String, Manifest)> = own
        .iter()
        .copied()
        .filter(|(_, one)| !one.is_over(wanted.lifetime_ms, now) && whole(one))
        .filter(|(_, one)| wanted.not_before.is_none_or(|since| one.made_at >= since))
        .collect();
    let with = |key: &Key| fresh.iter().find(|(_, one)| &one.key == key);
    let key = wanted.inputs.key();
    if let Some((name, found)) = with(&key) {
        let Some(maintenance) = wanted.maintenance.as_deref() else {
            return Decision::Use { name: name.clone() };
        };
        if found.commit == wanted.commit {
            return Decision::Use { name: name.clone() };
        }
        let key = key.derived(&["maintenance", maintenance, &wanted.commit]);
        if let Some((name, _)) = with(&key) {
            return Decision::Use { name: name.clone() };
        }
        let why = "another commit than it was made on".to_owned();
        return Decision::Maintain { key, over: name.clone(), why };
    }
    if wanted.maintenance.is_some() {
        let near = fresh.iter().find(|(_, one)| {
            one.below.len() < MOST_BELOW && wanted.inputs.changed_since(&one.inputs).only_lock_files
        });
        if let Some((name, near)) = near {
            let why = wanted.inputs.changed_since(&near.inputs).to_string();
            return Decision::Maintain { key, over: name.clone(), why };
        }
    }
    let why = match own.first() {
        None => "the first of this environment".to_owned(),
        Some((_, newest)) => {
            let changed = wanted.inputs.changed_since(&newest.inputs);
            match (changed.names.is_empty(), wanted.not_before) {
                (false, _) => changed.to_string(),
                (true, None) => "the last one is too old".to_owned(),
                (true, Some(_)) => "it was asked for anew".to_owned(),
            }
        }
    };
    Decision::Setup { key, why }
}

#[cfg(test)]
mod tests {
    use quire_domain::sandbox::UpperUse;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn inputs(lock: &str) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.add_text("setup script", "npm ci");
        inputs.add_lock_file("package-lock.json", lock.as_bytes());
        inputs
    }

    fn wanted(lock: &str, commit: &str, maintenance: Option<&str>) -> Wanted {
        Wanted {
            owner: "me".to_owned(),
            environment: "web".to_owned(),
            inputs: inputs(lock),
            commit: commit.to_owned(),
            setup: "npm ci".to_owned(),
            maintenance: maintenance.map(str::to_owned),
            lifetime_ms: 12 * HOUR,
            not_before: None,
        }
    }

    fn kept(name: &str, lock: &str, made_at: u64) -> (String, Manifest) {
        let inputs = inputs(lock);
        let manifest = Manifest {
            key: inputs.key(),
            owner: "me".to_owned(),
            environment: "web".to_owned(),
            inputs,
            commit: "c1".to_owned(),
            script: "npm ci".to_owned(),
            made_at: Timestamp(made_at),
            ms: 1,
            lifetime_ms: 12 * HOUR,
            below: Vec::new(),
            overlays: Vec::new(),
            variables: std::collections::BTreeMap::new(),
            hooks_path: None,
            limits_met: Vec::new(),
            notes: Vec::new(),
            used: UpperUse::default(),
        };
        (name.to_owned(), manifest)
    }

    const NOW: Timestamp = Timestamp(100 * HOUR);

    #[test]
    fn a_snapshot_with_the_same_inputs_is_used_until_its_time_is_over() {
        let is_used = |made_at: u64| {
            let decision = decide(&wanted("{}", "c2", None), &[kept("s", "{}", made_at)], NOW);
            decision == Decision::Use { name: "s".to_owned() }
        };
        assert!(is_used(NOW.0) && is_used(NOW.0 - 12 * HOUR + 1));
        assert!(!is_used(NOW.0 - 12 * HOUR));
        assert!(!is_used(NOW.0 + 1), "the clock jumped back");
    }

    #[test]
    fn a_miss_says_why() {
        let why = |kept: &[(String, Manifest)]| match decide(&wanted("{}", "c1", None), kept, NOW) {
            Decision::Setup { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&[]), "the first of this environment");
        assert_eq!(why(&[kept("s", "{1}", NOW.0)]), "package-lock.json changed");
        assert_eq!(why(&[kept("s", "{}", 1)]), "the last one is too old");
    }

    #[test]
    fn another_owner_never_has_it_even_with_equal_recipes() {
        let other = Wanted { owner: "you".to_owned(), ..wanted("{}", "c1", None) };
        let decision = decide(&other, &[kept("s", "{}", NOW.0)], NOW);
        assert!(matches!(decision, Decision::Setup { .. }));
    }

    #[test]
    fn maintenance_runs_on_another_commit_and_where_only_lock_files_differ() {
        let there = [kept("s", "{}", NOW.0)];
        let same = decide(&wanted("{}", "c1", Some("npm i")), &there, NOW);
        assert_eq!(same, Decision::Use { name: "s".to_owned() });
        let Decision::Maintain { key, over, .. } =
            decide(&wanted("{}", "c2", Some("npm i")), &there, NOW)
        else {
            panic!("another commit")
        };
        assert_eq!(over, "s");
        assert_ne!(key, inputs("{}").key());
        let lock = decide(&wanted("{2}", "c2", Some("npm i")), &there, NOW);
        let why = "package-lock.json changed".to_owned();
        let key = inputs("{2}").key();
        assert_eq!(lock, Decision::Maintain { key, over: "s".to_owned(), why });
    }

    #[test]
    fn what_was_made_before_it_was_asked_for_anew_does_not_count() {
        let anew = |since| Wanted { not_before: Some(since), ..wanted("{}", "c1", Some("npm i")) };
        let there = [kept("s", "{}", NOW.0)];
        let Decision::Setup { why, .. } = decide(&anew(Timestamp(NOW.0 + 1)), &there, NOW) else {
            panic!("it is older")
        };
        assert_eq!(why, "it was asked for anew");
        // Who asked at the same time, and was second, takes what the first one made.
        let used = decide(&anew(NOW), &there, NOW);
        assert_eq!(used, Decision::Use { name: "s".to_owned() });
    }

    #[test]
    fn what_lies_on_one_that_is_gone_does_not_count() {
        let (name, mut manifest) = kept("s", "{}", NOW.0);
        manifest.below = vec!["gone".to_owned()];
        let decision = decide(&wanted("{}", "c1", None), &[(name, manifest)], NOW);
        assert!(matches!(decision, Decision::Setup { .. }));
    }
}
