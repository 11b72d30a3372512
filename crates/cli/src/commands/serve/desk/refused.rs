//! What went wrong at the desk, for the person who asked.

use quire_git::GitError;
use quire_orchestrator::prepare::causes;
use quire_orchestrator::resolution::ResolveError;
use quire_orchestrator::submit::SubmitError;
use quire_server::DeskError;

use crate::exit::Stop;

/// A repository, recipe or secret that cannot be used.
pub fn refused(error: SubmitError) -> DeskError {
    match error {
        SubmitError::Store(error) => DeskError::Store(error),
        SubmitError::Git(error @ GitError::DiskFull { .. }) => broken(error),
        SubmitError::Git(error) => DeskError::Refused {
            detail: causes(&error),
            advice: "check the repository and the branch, tag or commit".to_owned(),
        },
        SubmitError::Recipe(error) => DeskError::Refused {
            detail: error.to_string(),
            advice: "mend the recipe, then submit the task again".to_owned(),
        },
        SubmitError::Secrets(error) => DeskError::Refused {
            detail: causes(&error),
            advice: "set the secrets anew (`quire env secret set`)".to_owned(),
        },
        SubmitError::NotPossible(detail) => {
            DeskError::NotPossible { detail, advice: "ask for something else".to_owned() }
        }
    }
}

/// An environment that is not there, or cannot be read.
pub fn not_resolved(error: ResolveError) -> DeskError {
    match error {
        ResolveError::Store(error) => DeskError::Store(error),
        error @ ResolveError::NoSuch { .. } => DeskError::NotFound {
            detail: error.to_string(),
            advice: "`quire env list` shows what there is".to_owned(),
        },
        ResolveError::Recipe(error) => DeskError::Refused {
            detail: error.to_string(),
            advice: "mend the recipe, then submit the task again".to_owned(),
        },
    }
}

/// What the command line would have said; a mistake of the person's where it says so.
pub fn said(error: anyhow::Error) -> DeskError {
    if error.downcast_ref::<Stop>().is_some() {
        return DeskError::Refused {
            detail: error.to_string(),
            advice: "ask whoever runs the server, or name another model".to_owned(),
        };
    }
    DeskError::Broken(error.into())
}

/// There is no such thing.
pub fn not_found(detail: &str) -> DeskError {
    DeskError::NotFound {
        detail: detail.to_owned(),
        advice: "`quire task list` shows what there is".to_owned(),
    }
}

/// Something of ours.
pub fn broken(error: impl std::error::Error + Send + Sync + 'static) -> DeskError {
    DeskError::Broken(Box::new(error))
}
