//! `run`, `ask` and `review` on a server: what this checkout holds is sent, the task is followed,
//! and its end is printed as if it had run here.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_api::{NewCheck, NewTask, Picture, Review, Task, Wish};
use quire_client::Call;
use quire_domain::budget::Budget;
use quire_domain::task::{Mode, ReviewTarget};
use uuid::Uuid;

use super::request::{parse_budget, read_prompt, read_schema};
use super::{Asked, Common};
use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::remote::follow::{Follow, follow};
use crate::remote::pushing::{self, Local, no_checkout};
use crate::remote::{Remote, told};
use crate::show;
use crate::surroundings::checkout_of;

/// A picture is at most this long, in bytes.
const MOST_IMAGE: u64 = 20 << 20;

/// What of a task is a server's affair alone.
#[derive(Debug, Clone, Default)]
pub struct FarTerms {
    /// The team, where one is in several.
    pub team: Option<String>,
    /// What was pushed before, to start with.
    pub pushed: Option<Uuid>,
    /// Whether this checkout is sent, although a repository is named.
    pub push: bool,
    /// The key by which a server knows it again.
    pub key: Option<Uuid>,
    /// Whether nobody waits for it: it may ask then, and is answered when somebody looks.
    pub detached: bool,
    /// What it may cost, over what the flags say.
    pub budget: Option<Budget>,
}

/// Submits what was asked for, follows it, and prints its end.
pub async fn go_there(
    common: Common,
    asked: Asked,
    context: &Context,
    remote: &Remote,
) -> anyhow::Result<Exit> {
    let value = common.output_schema.is_some();
    let how = Follow { json: common.json, value, from_start: true, ..Follow::default() };
    let task = submit(common, asked, FarTerms::default(), context, remote).await?;
    follow(remote, task, how).await
}

/// Submits what was asked for, and does not wait for it.
pub async fn submit(
    common: Common,
    asked: Asked,
    terms: FarTerms,
    context: &Context,
    remote: &Remote,
) -> anyhow::Result<Task> {
    let prompt = read_prompt(&asked, context)?;
    let new = new_task(common, asked, prompt, terms, context, remote).await?;
    let call = Call::post(&["tasks"]).json(&new.0).key(new.1);
    remote.client.ask(call).await.map_err(told)
}

/// The task as it is submitted, with the key of the request.
async fn new_task(
    common: Common,
    asked: Asked,
    prompt: String,
    terms: FarTerms,
    context: &Context,
    remote: &Remote,
) -> anyhow::Result<(NewTask, Uuid)> {
    if common.bare {
        return Err(usage("--bare is about this machine, and a server shows nothing of it anyway"));
    }
    let budget = common.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?;
    let budget = terms.budget.or(budget);
    let may_ask = common.may_ask(&context.surroundings);
    let questions = may_ask || (terms.detached && !common.no_questions && common.attempts == 1);
    let images = read_pictures(&common.image_file, &context.surroundings.current_dir)?;
    let current = &context.surroundings.current_dir;
    let output_schema = read_schema(&common, asked.mode, current)?;
    let output_schema = output_schema.as_deref().map(serde_json::from_str).transpose()?;
    let wants_push =
        terms.push || (common.repo.is_none() && common.from.is_none() && terms.pushed.is_none());
    let mut review = match &asked.review {
        None => None,
        Some(ReviewTarget::Base(base)) => Some(Review::Base(base.clone())),
        Some(ReviewTarget::Commit(commit)) => Some(Review::Commit(commit.clone())),
        Some(ReviewTarget::Uncommitted) if wants_push => None,
        Some(ReviewTarget::Uncommitted) => {
            return Err(usage(
                "what is not committed lies in this checkout alone: leave --repo out",
            ));
        }
    };
    let (repository, push) = if wants_push {
        let root = checkout_of(current).ok_or_else(no_checkout)?;
        let local = Local::of(pushing::git(remote)?, root).await?;
        let sent = local.push(remote, common.repo.as_deref(), terms.team.as_deref()).await?;
        if sent.uncommitted > 0 && !common.json {
            let files = if sent.uncommitted == 1 { "file" } else { "files" };
            show::err(&format!(
                "{} uncommitted {files} went along; nobody else sees them",
                sent.uncommitted
            ));
        }
        if asked.review == Some(ReviewTarget::Uncommitted) {
            if sent.uncommitted == 0 {
                return Err(usage("there is nothing uncommitted to review"));
            }
            review = Some(Review::Base(local.captured.head.to_string()));
        }
        (sent.repository, Some(sent.pushed.push))
    } else {
        let Some(repository) = common.repo.clone() else {
            return Err(usage("name the repository on the server with --repo (`quire repo list`)"));
        };
        (repository, terms.pushed)
    };
    let checks = asked
        .checks
        .iter()
        .map(|command| NewCheck { command: command.clone(), name: None })
        .collect();
    let wish = Wish {
        prompt,
        mode: Some(asked.mode),
        images,
        model: common.model,
        attempts: common.attempts,
        budget,
        skip_checks: asked.skip_checks,
        questions: questions && asked.mode != Mode::Review,
        output_schema,
    };
    let new = NewTask {
        repository,
        base: common.from,
        environment: common.env,
        team: terms.team,
        checks,
        review,
        push,
        wish,
    };
    Ok((new, terms.key.unwrap_or_else(Uuid::now_v7)))
}

fn read_pictures(files: &[PathBuf], current: &Path) -> anyhow::Result<Vec<Picture>> {
    files
        .iter()
        .map(|file| {
            let path = current.join(file);
            let unread =
                |error| usage(format!("cannot read the picture {}: {error}", file.display()));
            let found = std::fs::metadata(&path).map_err(unread)?;
            if !found.is_file() || found.len() > MOST_IMAGE {
                let shown = file.display();
                return Err(usage(format!("the picture {shown} is no file of at most 20 MiB")));
            }
            let bytes = std::fs::read(&path).map_err(unread)?;
            Ok(Picture { base64: STANDARD.encode(bytes) })
        })
        .collect()
}
