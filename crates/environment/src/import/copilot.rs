//! `copilot-setup-steps.yml`: a workflow with one job whose steps prepare a machine.

use super::Fault;
use super::draft::{Draft, Said, UNSET, quoted};
use super::node::{Entry, Node, Value};
use crate::recipe::Position;

/// The name of the job that counts.
const JOB: &str = "copilot-setup-steps";

/// Translates a whole file.
pub fn draft(document: &Node) -> Result<Draft, Fault> {
    let jobs = document.get("jobs").map_or(&[][..], Node::entries);
    let job = jobs.iter().find(|job| job.key == JOB);
    let Some(job) = job.or_else(|| jobs.first().filter(|_| jobs.len() == 1)) else {
        let at = document.get("jobs").map(|jobs| jobs.at);
        return Err((at, format!("there is no job `{JOB}` below `jobs`")));
    };
    let mut draft = Draft::default();
    for entry in document.entries() {
        match entry.key.as_str() {
            "jobs" => {
                for other in jobs.iter().filter(|other| other.key != job.key) {
                    draft.leave(other.at, format!("jobs.{}", other.key), "only one job is taken");
                }
            }
            "env" => variables(&mut draft, &entry.value, "env"),
            "defaults" => defaults(&mut draft, entry),
            "on" | "name" | "permissions" | "concurrency" | "run-name" => {
                let why = "says how the forge runs the workflow; no forge runs this";
                draft.leave(entry.at, entry.key.clone(), why);
            }
            other => draft.leave(entry.at, other, "is not known to Quire"),
        }
    }
    let mut translation =
        Job { draft, directory: default_of(document).or_else(|| default_of(&job.value)) };
    for entry in job.value.entries() {
        translation.key(entry);
    }
    Ok(translation.finish())
}

/// The working directory of steps that name none.
fn default_of(node: &Node) -> Option<String> {
    Some(node.get("defaults")?.get("run")?.text_of("working-directory")?.to_owned())
}

/// Says what of `defaults` is not heeded.
fn defaults(draft: &mut Draft, entry: &Entry) {
    let run = entry.value.get("run").map_or(&[][..], Node::entries);
    let others = entry.value.entries().iter().filter(|other| other.key != "run");
    for other in others.chain(run.iter().filter(|other| other.key != "working-directory")) {
        let what = format!("defaults: {}: {}", other.key, other.value.brief());
        draft.leave(other.at, what, "only the working directory is heeded: the shell is bash");
    }
}

struct Job {
    draft: Draft,
    directory: Option<String>,
}

impl Job {
    fn key(&mut self, entry: &Entry) {
        let at = entry.at;
        match entry.key.as_str() {
            "steps" => {
                for step in entry.value.items() {
                    self.step(step);
                }
            }
            "env" => variables(&mut self.draft, &entry.value, "env"),
            "timeout-minutes" => {
                let text = entry.value.text().unwrap_or_default().to_owned();
                self.draft.timeout_minutes = Some(Said { at, from: entry.key.clone(), text });
            }
            "container" => self.container(entry),
            "services" => {
                for service in entry.value.entries() {
                    let image = service.value.text_of("image").unwrap_or("its image").to_owned();
                    self.draft.leave(
                        service.at,
                        format!("services.{}: {image}", service.key),
                        "containers are not nested: start it from a program of the base as \
                         `[[services]]`, with `command` and `ready`",
                    );
                }
            }
            "runs-on" => self.draft.leave(
                at,
                format!("runs-on: {}", entry.value.brief()),
                "that machine's programs are not here: the base has to bring what the steps use (your \
                 own machine, or an `image`)",
            ),
            "defaults" => defaults(&mut self.draft, entry),
            "name" | "permissions" | "concurrency" | "environment" | "outputs" => {
                self.draft.leave(at, entry.key.clone(), "says how the forge runs the job; no forge runs this");
            }
            other => self.draft.leave(at, format!("{other}: {}", entry.value.brief()), "is not heeded"),
        }
    }

    fn container(&mut self, entry: &Entry) {
        let image = entry.value.text().or_else(|| entry.value.text_of("image"));
        match image {
            Some(image) if !image.contains("${{") => {
                let said =
                    Said { at: entry.at, from: "container".to_owned(), text: image.to_owned() };
                self.draft.image = Some(said);
            }
            _ => self.draft.leave(entry.at, "container", "names no image: write it as `image`"),
        }
        for option in entry.value.entries() {
            match option.key.as_str() {
                "image" => {}
                "env" => variables(&mut self.draft, &option.value, "container.env"),
                name => self.draft.leave(
                    option.at,
                    format!("container.{name}"),
                    "has no place in a recipe",
                ),
            }
        }
    }

    fn step(&mut self, step: &Node) {
        let name = step.text_of("name").or_else(|| step.text_of("uses")).map(str::to_owned);
        let name = name.or_else(|| Some(format!("run: {}", step.get("run")?.brief())));
        let name = name.unwrap_or_else(|| "a step without a name".to_owned());
        if let Some(condition) = step.get("if") {
            let always = ["always()", "success()", "true"];
            let plain = condition.text().unwrap_or_default();
            let plain = plain.trim().trim_start_matches("${{").trim_end_matches("}}").trim();
            if !always.contains(&plain) {
                let why = format!(
                    "runs only if `{}`: nobody knows here; add it to `setup` if it applies",
                    condition.brief()
                );
                self.draft.leave(condition.at, name, why);
                return;
            }
        }
        match (step.text_of("uses"), step.get("run")) {
            (Some(uses), _) => self.uses(step, uses),
            (None, Some(run)) if run.text().is_some() => self.run(step, run, &name),
            _ => self.draft.leave(step.at, name, "neither uses nor runs anything"),
        }
        for entry in step.entries() {
            let why = match entry.key.as_str() {
                "timeout-minutes" => {
                    "steps have no limits of their own: `snapshot.timeout_minutes` holds for all"
                }
                "name" | "id" | "uses" | "run" | "with" | "env" | "if" | "shell"
                | "working-directory" | "continue-on-error" => continue,
                _ => "is not known to Quire",
            };
            self.draft.leave(entry.at, format!("{}: {}", entry.key, entry.value.brief()), why);
        }
    }

    fn uses(&mut self, step: &Node, uses: &str) {
        let action = uses.split('@').next().unwrap_or(uses);
        let with = step.get("with");
        if action == "actions/checkout" {
            for option in with.map_or(&[][..], Node::entries) {
                let why = match option.key.as_str() {
                    "submodules" | "lfs" => {
                        "submodules are not filled, and LFS pointers stay pointers"
                    }
                    "fetch-depth" => "the whole history is there anyway",
                    _ => "the commit that the task starts from is there already",
                };
                self.draft.leave(
                    option.at,
                    format!("checkout with {}: {}", option.key, option.value.brief()),
                    why,
                );
            }
            return;
        }
        let options = with.map(Node::brief).filter(|with| !with.is_empty());
        let what = match &options {
            Some(options) => format!("{uses} ({options})"),
            None => uses.to_owned(),
        };
        let why = match action.rsplit('/').next().and_then(|name| name.strip_prefix("setup-")) {
            Some(tool) => format!(
                "the base has to bring {tool}: your own machine does, or name an `image` that has it"
            ),
            None if action.contains("cache") => {
                "what setup wrote is kept as a snapshot anyway".to_owned()
            }
            None => "actions are not run: do what it does in `setup`".to_owned(),
        };
        self.draft.leave(step.at, what, why);
    }

    fn run(&mut self, step: &Node, run: &Node, name: &str) {
        let shell = step.text_of("shell").unwrap_or("bash");
        let first = shell.split_whitespace().next().unwrap_or_default();
        if !["bash", "sh"].contains(&first) {
            let why = format!("is written for `{first}`: call it in `setup` yourself");
            self.draft.leave(step.at, name, why);
            return;
        }
        let mut lines = Vec::new();
        let own = self.directory.clone();
        let directory = step.text_of("working-directory").or(own.as_deref());
        let directory = directory.filter(|directory| !matches!(*directory, "." | "./" | ""));
        if let Some(directory) = directory {
            let Some(directory) = self.expanded(run.at, name, directory, true) else { return };
            lines.push(format!("cd -- {directory}"));
        }
        for variable in step.get("env").map_or(&[][..], Node::entries) {
            if !is_name(&variable.key) {
                self.draft.leave(
                    variable.at,
                    format!("{name}: env.{}", variable.key),
                    "is no name of a variable",
                );
                return;
            }
            let text = variable.value.text().unwrap_or_default();
            let Some(value) = self.expanded(variable.at, name, text, true) else { return };
            lines.push(format!("export {}={value}", variable.key));
        }
        let Some(script) = self.expanded(run.at, name, run.text().unwrap_or_default(), false)
        else {
            return;
        };
        let simple = lines.is_empty()
            && !script.trim_end().contains('\n')
            && !["cd ", "export ", "set ", "exit", "#"].iter().any(|word| script.contains(word));
        let goes_on = step.text_of("continue-on-error") == Some("true");
        lines.push(script.trim_end().to_owned());
        let script = lines.join("\n");
        let script = if simple { script } else { format!("(\n{script}\n)") };
        let text = if goes_on { format!("{script} || true") } else { script };
        self.draft.setup.push(Said { at: run.at, from: name.to_owned(), text });
    }

    /// A text with what `${{ … }}` stands for, as a word of the shell where it is a value. `None`
    /// where that is not known here: the step is left out then.
    fn expanded(&mut self, at: Position, step: &str, text: &str, value: bool) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, after) = after.split_once("}}").unwrap_or((after, ""));
            let expression = expression.trim();
            let line = before.rsplit('\n').next().unwrap_or_default();
            if !value && line.matches('\'').count() % 2 == 1 {
                let why = format!(
                    "has `{expression}` in single quotes, where a shell leaves its variable as it \
                     is: add it to `setup` by hand"
                );
                self.draft.leave(at, step, why);
                return None;
            }
            let Some(variable) = self.variable(at, step, expression) else {
                let why = format!(
                    "uses `{expression}`, which is not known here: add it to `setup` by hand"
                );
                self.draft.leave(at, step, why);
                return None;
            };
            expanded.push_str(&if value { literal(before) } else { before.to_owned() });
            if value {
                expanded.extend(["\"", &variable, "\""]);
            } else {
                expanded.push_str(&variable);
            }
            rest = after;
        }
        expanded.push_str(&if value { literal(rest) } else { rest.to_owned() });
        Some(if expanded.is_empty() && value { "''".to_owned() } else { expanded })
    }

    fn variable(&mut self, at: Position, step: &str, expression: &str) -> Option<String> {
        let (context, name) = expression.split_once('.')?;
        if !is_name(name) {
            return None;
        }
        match (context, name) {
            ("secrets", "GITHUB_TOKEN") | ("github", "token") => None,
            ("secrets", name) => {
                let from = format!("{step}: secrets.{name}");
                self.draft.secrets.push(Said { at, from, text: name.to_owned() });
                Some(format!("${{{name}}}"))
            }
            ("env", name) => Some(format!("${{{name}}}")),
            ("github", "workspace") => Some("${GITHUB_WORKSPACE}".to_owned()),
            ("runner", "temp") => Some("${TMPDIR:-/tmp}".to_owned()),
            _ => None,
        }
    }

    fn finish(self) -> Draft {
        let mut draft = self.draft;
        let uses = |text: &str| draft.setup.iter().any(|part| part.text.contains(text));
        let (workspace, env, path) =
            (uses("GITHUB_WORKSPACE"), uses("GITHUB_ENV"), uses("GITHUB_PATH"));
        if !draft.setup.is_empty() {
            draft.before.insert(0, UNSET.to_owned());
        }
        if workspace {
            draft.before.push("export GITHUB_WORKSPACE=$PWD".to_owned());
        }
        if env {
            draft.before.push(
                "# What is written there reaches the agent's commands, and not the steps below.\n\
                 export GITHUB_ENV=$QUIRE_ENV"
                    .to_owned(),
            );
        }
        if path {
            draft.before.push("GITHUB_PATH=$(mktemp); export GITHUB_PATH".to_owned());
            draft.after.push(
                "while read -r entry; do PATH=$entry:$PATH; done < \"$GITHUB_PATH\"\n\
                 echo \"PATH=$PATH\" >> \"$QUIRE_ENV\""
                    .to_owned(),
            );
        }
        draft
    }
}

/// Variables of all steps.
fn variables(draft: &mut Draft, node: &Node, table: &str) {
    for variable in node.entries() {
        let from = format!("{table}.{}", variable.key);
        let text = match &variable.value.value {
            Value::Text(text) => text.clone(),
            Value::Null => String::new(),
            _ => {
                draft.leave(variable.at, from, "is no single value");
                continue;
            }
        };
        let secret = text.trim().strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
        let secret = secret.and_then(|inside| inside.trim().strip_prefix("secrets."));
        match secret.filter(|name| is_name(name) && is_name(&variable.key)) {
            Some(name) if name != "GITHUB_TOKEN" => {
                if name != variable.key {
                    // Not a variable of the recipe: those are seen by the agent's commands, too.
                    draft.before.push(format!("export {}=\"${name}\"", variable.key));
                }
                draft.secrets.push(Said { at: variable.at, from, text: name.to_owned() });
            }
            _ if text.contains("${{") => {
                let why = "its value is not known here: write it out in `[variables]`; where it is \
                           secret, store it under this name and add it to `secrets`";
                draft.leave(variable.at, format!("{from}: {text}"), why);
            }
            _ => {
                let said = Said { at: variable.at, from, text };
                draft.variables.push((variable.key.clone(), said));
            }
        }
    }
}

fn literal(text: &str) -> String {
    if text.is_empty() { String::new() } else { quoted(text) }
}

/// Whether a shell takes it for the name of a variable.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}
