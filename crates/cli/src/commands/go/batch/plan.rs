//! From the lines of a file to requests: everything that can be wrong with a line is told before
//! anything starts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use quire_domain::budget::Budget;
use quire_domain::environment::Limits;
use quire_domain::task::Request;

use super::super::request::{check, parse_budget, read_images, source_of};
use super::super::{Asked, Common};
use super::refuse;
use super::starts::{Start, Starts};
use crate::exit::{Stop, stop, usage};
use crate::installation::{Installation, limits_of};
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
    /// What its sandbox may use where no recipe says otherwise.
    pub limits: Limits,
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

/// What a checkout's own configuration adds, read once for each.
struct Defaults {
    model: Option<String>,
    budget: Budget,
    wall_ms: u64,
    limits: Limits,
}

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
        flag: common.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?,
        defaults: HashMap::new(),
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
    flag: Option<Budget>,
    defaults: HashMap<Option<PathBuf>, Defaults>,
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
        let root = start.root().map(Path::to_owned);
        let defaults = self.defaults(root)?;
        let (own_model, own_budget) = (defaults.model.clone(), defaults.budget);
        let (wall_ms, limits) = (defaults.wall_ms, defaults.limits);
        let mut budget = line.budget.or(self.flag).unwrap_or(own_budget);
        budget.wall_ms = Some(wall_ms);
        let named = line.model.or_else(|| common.model.clone()).or(own_model);
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
            review: None,
            start: None,
            environment: None,
        };
        let start = self.starts.add(start, line.line);
        Ok(Planned { line: line.line, id: line.id, start, request, limits, scripted })
    }

    fn defaults(&mut self, root: Option<PathBuf>) -> anyhow::Result<&Defaults> {
        use std::collections::hash_map::Entry;
        match self.defaults.entry(root) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let surroundings = &self.installation.surroundings;
                let settings = Settings::read(surroundings, place.key().as_deref())?;
                let budget = match &settings.budget {
                    Some(setting) => parse_budget(&setting.value, &setting.origin)?,
                    None => Budget::default(),
                };
                Ok(place.insert(Defaults {
                    limits: limits_of(&settings),
                    budget,
                    wall_ms: settings.minutes.value.saturating_mul(60_000),
                    model: settings.model.map(|setting| setting.value),
                }))
            }
        }
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
