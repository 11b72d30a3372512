//! A checkout, and a change that was made inside, ready to be applied.

use quire_domain::ids::CommitId;
use quire_git::{ApplyReport, ConflictKind, OnConflict, ResultStore};

use super::{Inside, Stage};

/// A checkout, and a change made inside that was received.
pub struct Changed {
    pub stage: Stage,
    pub store: ResultStore,
    pub base: CommitId,
    pub head: CommitId,
}

impl Changed {
    pub async fn by(stage: Stage, change: impl FnOnce(&Inside)) -> Self {
        let checkout = stage.git.inspect(&stage.repo.path).await.unwrap();
        let mirror = stage.git.mirror_checkout(&checkout).await.unwrap();
        let captured = stage.git.capture(&checkout, &mirror).await.unwrap();
        let (base, repository) = (captured.base.clone(), captured.repository(&mirror));
        let inside = stage.inside(repository.clone(), &base).await;
        change(&inside);
        let head = inside.repo.commit_all("change");
        let store = stage.results(repository).await;
        stage.receive(&store, &base, head.as_str(), inside.export(&head)).await.unwrap();
        Self { stage, store, base, head }
    }

    pub async fn apply(&self, on_conflict: OnConflict) -> ApplyReport {
        let checkout = self.stage.git.inspect(&self.stage.repo.path).await.unwrap();
        self.stage
            .git
            .apply(&checkout, &self.store, &self.base, &self.head, on_conflict)
            .await
            .unwrap()
    }

    pub async fn refused(&self) -> Vec<(String, ConflictKind)> {
        let before = self.stage.repo.fingerprint();
        let report = self.apply(OnConflict::Refuse).await;
        let ApplyReport::Refused(conflicts) = report else { panic!("{report:?}") };
        // The lock stays, and the directories' times with it. Of objects that it meets again git
        // renews the time, also where the mirror shares the file.
        let lines = |lines: Vec<String>| {
            lines
                .into_iter()
                .filter(|l| !l.contains("quire-apply.lock") && !l.contains("/.git 7"))
                .map(|l| match l.split_once(".git/objects/") {
                    Some((_, object)) => object.split(' ').take(3).collect::<Vec<_>>().join(" "),
                    None => l,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(before), lines(self.stage.repo.fingerprint()), "something was touched");
        conflicts.into_iter().map(|c| (c.path.to_string(), c.kind)).collect()
    }
}

pub fn names(paths: &[quire_git::RepoPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}
