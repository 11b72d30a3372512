//! What a person wants of a task on a server.

use std::time::Duration;

use quire_api::{AttemptSummary, Choice, NewFork, NewTurn, Task, Wanted, Wish};
use quire_client::Call;
use quire_domain::attempt::AttemptState;
use quire_domain::ids::AttemptRef;
use quire_domain::task::Mode;

use super::super::{
    answer, approve, archive, cancel, choose, fork, go_on, message, pause, reject, resume, retry,
    steer,
};
use crate::commands::go::parse_budget;
use crate::exit::{Exit, usage};
use crate::remote::follow::{Follow, follow, say};
use crate::remote::{Remote, tasks, told};
use crate::show;

/// How long an end that was asked for is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// `quire task message`: a word to one that works, else a follow-up.
pub async fn message(args: message::Args, remote: &Remote) -> anyhow::Result<Exit> {
    go_on::words(&args.prompt)?;
    let task = tasks::task(remote, args.task.task.0).await?;
    let number = task.summary.task;
    let open = |one: &AttemptSummary| !matches!(one.state, AttemptState::Done { .. });
    if task.summary.attempts.iter().any(open) {
        let wanted = Wanted::Message { text: args.prompt };
        say(remote, number, args.task.ordinal, wanted).await?;
        show::err(&format!("task {number} is told after its turn"));
        return Ok(Exit::Done);
    }
    let json = args.options.json;
    let new = NewTurn { continues: args.task.ordinal, wish: wish(args.prompt, &args.options)? };
    let call = Call::post(&["tasks", &number.to_string(), "turns"]).json(&new);
    let task: Task = remote.client.ask(call).await.map_err(told)?;
    follow(remote, task, Follow { json, from_start: true, ..Follow::default() }).await
}

/// `quire task fork`.
pub async fn fork(args: fork::Args, remote: &Remote) -> anyhow::Result<Exit> {
    go_on::words(&args.prompt)?;
    let json = args.options.json;
    let task = tasks::task(remote, args.task.task.0).await?;
    let turn = match args.turn {
        None => task.history.last(),
        Some(ordinal) => task.history.iter().find(|turn| turn.turn == ordinal),
    };
    let Some(turn) = turn else {
        return Err(usage(format!("task {} has no such turn", task.summary.task)));
    };
    let ordinal = args.task.ordinal.or(turn.chosen);
    let attempt = match (ordinal, turn.attempts.as_slice()) {
        (Some(ordinal), all) => all.iter().find(|one| one.attempt == ordinal),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(attempt) = attempt else {
        return Err(usage("several attempts and none chosen: name one, as in `42.2`"));
    };
    let new = NewFork { attempt: Some(attempt.id), wish: wish(args.prompt, &args.options)? };
    let number = task.summary.task.to_string();
    let call = Call::post(&["tasks", &number, "fork"]).json(&new);
    let task: Task = remote.client.ask(call).await.map_err(told)?;
    follow(remote, task, Follow { json, from_start: true, ..Follow::default() }).await
}

fn wish(prompt: String, options: &go_on::Options) -> anyhow::Result<Wish> {
    let budget = options.budget.as_deref();
    Ok(Wish {
        prompt,
        mode: options.ask.then_some(Mode::Ask),
        images: Vec::new(),
        model: options.model.clone(),
        attempts: options.attempts,
        budget: budget.map(|text| parse_budget(text, "--budget")).transpose()?,
        skip_checks: false,
        questions: true,
        output_schema: None,
    })
}

/// `quire task answer`.
pub async fn answer(args: answer::Args, remote: &Remote) -> anyhow::Result<Exit> {
    go_on::words(&args.answer)?;
    let named = tasks::find(remote, args.task).await?;
    let events = tasks::known(&tasks::events(remote, &named.attempt, 1).await?);
    let question = events.iter().rev().find_map(|event| match &event.body {
        quire_domain::event::EventBody::QuestionAsked(question) => Some(question),
        _ => None,
    });
    let text = question.map_or_else(
        || args.answer.clone(),
        |question| crate::commands::go::chosen(question, &args.answer),
    );
    spoken(remote, args.task, Wanted::Answer { text }, args.json).await
}

/// `quire task approve`.
pub async fn approve(args: approve::Args, remote: &Remote) -> anyhow::Result<Exit> {
    if args.edit {
        return Err(usage(
            "edit the plan in a file and give it with --plan-file (`quire task show` prints it)",
        ));
    }
    let text = match &args.plan_file {
        None => None,
        Some(file) => {
            let path = remote.surroundings.current_dir.join(file);
            let read = std::fs::read_to_string(&path);
            let shown = file.display();
            Some(read.map_err(|error| usage(format!("cannot read the plan {shown}: {error}")))?)
        }
    };
    spoken(remote, args.task, Wanted::Approve { text }, args.json).await
}

/// `quire task reject`.
pub async fn reject(args: reject::Args, remote: &Remote) -> anyhow::Result<Exit> {
    go_on::words(&args.why)?;
    spoken(remote, args.task, Wanted::Reject { text: args.why }, args.json).await
}

/// Says something that a task goes on with, and follows it.
async fn spoken(
    remote: &Remote,
    name: AttemptRef,
    wanted: Wanted,
    json: bool,
) -> anyhow::Result<Exit> {
    let number = name.task.0;
    say(remote, number, name.ordinal, wanted).await?;
    let task = moved(remote, number).await?;
    follow(remote, task, Follow { json, ..Follow::default() }).await
}

/// The task once what was said to it has been taken up: it stands still until then.
async fn moved(remote: &Remote, number: u64) -> anyhow::Result<Task> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let task = tasks::task(remote, number).await?;
        let still = |one: &AttemptSummary| {
            matches!(
                one.state,
                AttemptState::WaitingForUser
                    | AttemptState::WaitingForApproval
                    | AttemptState::Suspended { .. }
            )
        };
        if !task.summary.attempts.iter().all(still) || tokio::time::Instant::now() > until {
            return Ok(task);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// `quire task steer`.
pub async fn steer(args: steer::Args, remote: &Remote) -> anyhow::Result<Exit> {
    go_on::words(&args.text)?;
    let (number, ordinal) = (args.task.task.0, args.task.ordinal);
    say(remote, number, ordinal, Wanted::Steer { text: args.text }).await?;
    stands(remote, number, args.json, "is told before its model is asked the next time").await
}

/// `quire task pause`.
pub async fn pause(args: pause::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let (number, ordinal) = (args.task.task.0, args.task.ordinal);
    say(remote, number, ordinal, Wanted::Pause { now: args.now }).await?;
    until(remote, args.task, |state| !is_at_work(state)).await?;
    stands(remote, number, args.json, "").await
}

/// `quire task cancel`.
pub async fn cancel(args: cancel::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let number = args.task.task.0;
    let task = tasks::task(remote, number).await?;
    let done = |one: &AttemptSummary| matches!(one.state, AttemptState::Done { .. });
    if task.summary.attempts.iter().all(done) {
        show::err(&format!("task {number} has ended already"));
        return Ok(Exit::Done);
    }
    say(remote, number, args.task.ordinal, Wanted::Cancel).await?;
    let ended =
        until(remote, args.task, |state| matches!(state, AttemptState::Done { .. })).await?;
    let exit = stands(remote, number, args.json, "").await?;
    Ok(if ended { exit } else { Exit::Failed })
}

/// `quire task resume`.
pub async fn resume(args: resume::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let (number, ordinal) = (args.task.task.0, args.task.ordinal);
    let task = tasks::task(remote, number).await?;
    let wanted = match &args.budget {
        None => Wanted::Resume,
        Some(text) => {
            let mut budget = parse_budget(text, "--budget")?;
            budget.wall_ms = task.history.last().and_then(|turn| turn.budget.wall_ms);
            Wanted::RaiseBudget { budget }
        }
    };
    say(remote, number, ordinal, wanted).await?;
    let task = moved(remote, number).await?;
    follow(remote, task, Follow { json: args.json, ..Follow::default() }).await
}

/// `quire task retry`.
pub async fn retry(args: retry::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let named = tasks::find(remote, args.task).await?;
    let number = named.task.summary.task;
    let call = Call::post(&["tasks", &number.to_string(), "retry"])
        .json(&Choice { attempt: named.attempt.attempt });
    let made: AttemptSummary = remote.client.ask(call).await.map_err(told)?;
    let mut task = tasks::task(remote, number).await?;
    task.summary.attempts.retain(|one| one.id == made.id);
    follow(remote, task, Follow { json: args.json, from_start: true, ..Follow::default() }).await
}

/// `quire task choose`.
pub async fn choose(args: choose::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let number = args.attempt.task.0;
    let Some(attempt) = args.attempt.ordinal else {
        return Err(usage(format!("name the attempt, as in `{number}.2`")));
    };
    let call = Call::put(&["tasks", &number.to_string(), "choice"]).json(&Choice { attempt });
    remote.client.tell(call).await.map_err(told)?;
    stands(remote, number, args.json, &format!("counts attempt {number}.{attempt}")).await
}

/// `quire task archive`.
pub async fn archive(args: archive::Args, remote: &Remote) -> anyhow::Result<Exit> {
    for number in args.tasks {
        let path = number.to_string();
        let path = ["tasks", path.as_str(), "archived"];
        let call = if args.undo { Call::delete(&path) } else { Call::put(&path) };
        remote.client.tell(call).await.map_err(told)?;
        show::err(&if args.undo {
            format!("task {number} is back")
        } else {
            format!(
                "task {number} is archived (`quire task archive --undo {number}{}`)",
                remote.flag
            )
        });
    }
    Ok(Exit::Done)
}

fn is_at_work(state: &AttemptState) -> bool {
    matches!(state, AttemptState::Queued | AttemptState::Preparing | AttemptState::Working)
}

/// Waits until the attempts that are meant stand where they should; whether they do.
async fn until(
    remote: &Remote,
    name: AttemptRef,
    there: impl Fn(&AttemptState) -> bool,
) -> anyhow::Result<bool> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let task = tasks::task(remote, name.task.0).await?;
        let mut meant = task
            .summary
            .attempts
            .iter()
            .filter(|one| name.ordinal.is_none_or(|ordinal| one.attempt == ordinal));
        if meant.all(|one| there(&one.state)) {
            return Ok(true);
        }
        if tokio::time::Instant::now() > until {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// Says where a task stands now.
async fn stands(remote: &Remote, number: u64, json: bool, also: &str) -> anyhow::Result<Exit> {
    let task = tasks::task(remote, number).await?;
    if json {
        let attempts: Vec<_> = task
            .summary
            .attempts
            .iter()
            .map(|one| serde_json::json!({ "attempt": one.attempt, "state": one.state }))
            .collect();
        show::out(&serde_json::json!({ "task": number, "attempts": attempts }).to_string());
        return Ok(Exit::Done);
    }
    if also.is_empty() {
        for one in &task.summary.attempts {
            show::err(&format!("attempt {number}.{}: {}", one.attempt, one.state.word()));
        }
    } else {
        show::err(&format!("task {number} {also}"));
    }
    Ok(Exit::Done)
}
