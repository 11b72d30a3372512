//! The domain's words as those of the wire.

use quire_api as wire;
use quire_domain::attempt::{Attempt, AttemptResult};
use quire_domain::task::Turn;
use quire_store::Listed;

pub(crate) fn summary(listed: &Listed) -> wire::TaskSummary {
    wire::TaskSummary {
        task: listed.task.number.0,
        id: listed.task.id.0,
        title: listed.task.title.clone(),
        repository: listed.task.repository.clone(),
        team: listed.owner.team.0,
        author: listed.owner.author.0,
        state: listed.state.clone(),
        mode: listed.mode,
        turns: listed.turns,
        attempts: listed.attempts.iter().map(attempt).collect(),
        created_at: listed.task.created_at.0,
        updated_at: listed.updated_at.0,
        archived_at: listed.task.archived_at.map(|at| at.0),
        changed: listed.changed,
    }
}

pub(crate) fn attempt(attempt: &Attempt) -> wire::AttemptSummary {
    wire::AttemptSummary {
        id: attempt.id.0,
        attempt: attempt.ordinal,
        state: attempt.state.clone(),
        epoch: attempt.epoch.0,
        spent: attempt.spent,
        result: attempt.result.as_ref().map(result),
        queue_place: None,
        created_at: attempt.created_at.0,
        updated_at: attempt.updated_at.0,
    }
}

fn result(result: &AttemptResult) -> wire::ResultSummary {
    wire::ResultSummary {
        base: result.base.as_ref().map(ToString::to_string),
        head: result.head.as_ref().map(ToString::to_string),
        diff_stat: result.diff_stat,
        checks_passed: result.checks.map(|(passed, _)| passed),
        checks_run: result.checks.map(|(_, run)| run),
        partial: result.partial,
        final_hash: result.final_hash.as_ref().map(ToString::to_string),
    }
}

pub(crate) fn turn(turn: &Turn, attempts: &[Attempt]) -> wire::Turn {
    let chosen = attempts.iter().find(|attempt| Some(attempt.id) == turn.chosen);
    let request = &turn.request;
    wire::Turn {
        id: turn.id.0,
        turn: turn.ordinal,
        mode: request.mode,
        prompt: request.prompt.clone(),
        images: u32::try_from(request.images.len()).unwrap_or(u32::MAX),
        model: request.model.clone(),
        budget: request.budget,
        base: request.start.as_ref().map(|start| start.base.to_string()),
        branch: request.start.as_ref().and_then(|start| start.branch.clone()),
        environment: request
            .environment
            .as_ref()
            .map(|used| wire::EnvironmentUsed { name: used.name.clone(), version: used.version }),
        chosen: chosen.map(|attempt| attempt.ordinal),
        attempts: attempts.iter().map(self::attempt).collect(),
        created_at: turn.created_at.0,
    }
}
