//! From the lines of a file to requests: everything that can be wrong with a line is told before
//! anything starts.

use std::collections::HashMap;
use std::sync::Arc;

use quire_domain::budget::Budget;
use quire_domain::task::Request;
use quire_orchestrator::found::Source;
use quire_orchestrator::resolution::Resolved;

use super::super::place::Place;
use super::super::request::{budget_of, check, parse_budget, read_images, read_schema, source_of};
use super::super::{Asked, Common};
use super::refuse;
use super::starts::{Start, Starts};
use crate::defaults::defaults_of;
use crate::exit::{Stop, stop, usage};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::show::style::fit;
use crate::task_file::TaskLine;

/// What is to be run.
pub struct Plan {
    /// The tasks, in the order of the file.
    pub tasks: Vec<Planned>,
    /// Where they start.
    pub starts: Starts,
}

/// One task, ready to be written down.
pub struct Planned {
    /// Its line in the file, counted from 1.
    pub line: usize,
    /// The person's own name for it.
    pub id: Option<String>,
    /// Where it starts, by its place in [`Plan::starts`].
    pub start: usize,
    /// What is asked for, without start and environment.
    pub request: Request,
    /// Its environment.
    pub environment: Arc<Resolved>,
    /// Whether a script plays its model.
    pub scripted: bool,
}

impl Planned {
    /// What people know it by: the id, else how its prompt begins.
    pub fn what(&self) -> String {
        match &self.id {
            Some(id) => fit(id, 100),
            None => fit(&self.request.prompt, 100),
        }
    }
}

/// What a repository's own configuration and environment add, read once for each: by its address
/// or top level, the environment that is named, and whether nothing of this machine is shown.
type Environments = HashMap<(Option<String>, Option<String>, bool), Arc<Resolved>>;

/// A model that was asked for.
#[derive(Clone)]
struct Known {
    /// Its whole name.
    name: String,
    /// Whether a script plays it.
    scripted: bool,
    /// Whether it sees pictures.
    images: bool,
}

/// Plans the tasks of a file, the flags being what a line does not say.
///
/// # Errors
///
/// All lines that name something that is not there, told with their numbers.
pub async fn plan(
    installation: &Installation,
    lines: Vec<TaskLine>,
    common: &Common,
    asked: &Asked,
    name: &str,
) -> anyhow::Result<Plan> {
    let mut planner = Planner {
        installation,
        common,
        asked,
        output_schema: read_schema(common, asked.mode, &installation.surroundings.current_dir)?,
        flag: common.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?,
        environments: HashMap::new(),
        models: HashMap::new(),
        starts: Starts::default(),
    };
    let mut tasks = Vec::new();
    let mut bad = Bad::default();
    for line in lines {
        let number = line.line;
        match planner.task(line).await {
            Ok(task) => tasks.push(task),
            Err(error) => bad.note(number, &error),
        }
    }
    let mut starts = planner.starts;
    if bad.lines.is_empty() {
        for (number, error) in starts.look(installation).await {
            bad.note(number, &error);
        }
    }
    bad.refuse(name)?;
    Ok(Plan { tasks, starts })
}

/// Lines that cannot be used.
#[derive(Default)]
struct Bad {
    lines: Vec<String>,
    exit: Option<crate::exit::Exit>,
}

impl Bad {
    fn note(&mut self, line: usize, error: &anyhow::Error) {
        self.exit = self.exit.or_else(|| Some(error.downcast_ref::<Stop>()?.exit));
        self.lines.push(format!("line {line}: {error:#}"));
    }

    fn refuse(self, name: &str) -> anyhow::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let exit = self.exit.unwrap_or(crate::exit::Exit::Usage);
        Err(stop(exit, refuse(name, &self.lines).to_string()))
    }
}

struct Planner<'a> {
    installation: &'a Installation,
    common: &'a Common,
    asked: &'a Asked,
    output_schema: Option<String>,
    flag: Option<Budget>,
    environments: Environments,
    models: HashMap<Option<String>, Known>,
    starts: Starts,
}

impl Planner<'_> {
    async fn task(&mut self, line: TaskLine) -> anyhow::Result<Planned> {
        let (common, asked) = (self.common, self.asked);
        let here = &self.installation.surroundings.current_dir;
        let repo = line.repo.as_deref().or(common.repo.as_deref());
        let start = Start {
            source: source_of(repo, here),
            from: line.from.or_else(|| common.from.clone()),
            bare: line.bare.unwrap_or(common.bare),
        };
        let named = line.env.or_else(|| common.env.clone());
        let environment = self.environment(&start, named).await?;
        let own = &environment.environment;
        let budget = budget_of(line.budget.or(self.flag), own);
        let named = line.model.or_else(|| common.model.clone()).or_else(|| own.model.clone());
        let Known { name: model, scripted, images: sees } = self.model(named).await?;
        let checks = line.checks.as_deref().unwrap_or(&asked.checks);
        let images = line.images.as_deref().unwrap_or(&common.image_file);
        if !images.is_empty() && !sees {
            return Err(usage(format!(
                "{model} sees no pictures: name another model, or no images"
            )));
        }
        let images = read_images(self.installation, images).await?;
        let request = Request {
            mode: asked.mode,
            prompt: line.prompt,
            images,
            model,
            attempts: line.attempts.unwrap_or(common.attempts),
            budget,
            checks: checks.iter().map(|command| check(command)).collect(),
            skip_checks: line.skip_checks.unwrap_or(asked.skip_checks),
            allow_rewrite: line.allow_rewrite.unwrap_or(asked.allow_rewrite),
            questions: false,
            output_schema: self.output_schema.clone(),
            review: None,
            start: None,
            environment: None,
        };
        let start = self.starts.add(start, line.line);
        Ok(Planned { line: line.line, id: line.id, start, request, environment, scripted })
    }

    async fn environment(
        &mut self,
        start: &Start,
        named: Option<String>,
    ) -> anyhow::Result<Arc<Resolved>> {
        let root = start.root();
        let key = match &start.source {
            Source::Url(url) => Some(url.clone()),
            Source::Checkout(_) => root.map(|root| root.display().to_string()),
        };
        let key = (key, named, start.bare);
        if let Some(known) = self.environments.get(&key) {
            return Ok(Arc::clone(known));
        }
        let installation = self.installation;
        let defaults = defaults_of(&Settings::read(&installation.surroundings, root)?)?;
        let place = Place::of(&start.source, root)?;
        let named = key.1.as_deref();
        let resolved = place.environment(installation, defaults, named, start.bare).await?;
        let resolved = Arc::new(resolved);
        self.environments.insert(key, Arc::clone(&resolved));
        Ok(resolved)
    }

    async fn model(&mut self, name: Option<String>) -> anyhow::Result<Known> {
        if let Some(known) = self.models.get(&name) {
            return Ok(known.clone());
        }
        let resolved = self.installation.models.resolve(name.as_deref()).await?;
        let info = resolved.info;
        let known = Known { name: info.name, scripted: info.scripted, images: info.images };
        self.models.insert(name, known.clone());
        Ok(known)
    }
}
