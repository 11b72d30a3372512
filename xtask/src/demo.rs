//! `cargo xtask demo`: builds Quire and runs three real tasks at once on bundled repositories.
//!
//! The build is the one the tests use, as it is there soonest. Without a key a script plays the
//! model, and says so; sandbox, commands, tests, commits and evidence are real either way.

mod acts;
mod lines;
mod player;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, bail};

use self::acts::{ACTS, Act};
use self::player::Player;
use crate::outcome::{Chore, Verdict};
use crate::{cargo, needs};

/// What `demo` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Play the scripts, also where there is a key.
    #[arg(long)]
    scripted: bool,
    /// A model to use, as `quire model list` names it; else what the key in the environment is for.
    #[arg(long, conflicts_with = "scripted")]
    model: Option<String>,
}

/// Where the demo keeps what it makes, emptied at its start.
struct Stage {
    quire: PathBuf,
    repos: PathBuf,
    data: PathBuf,
}

/// One task that runs.
struct Running {
    act: &'static Act,
    child: Child,
    shown: lines::Shown,
    /// The played model, if it is played; ends with this value.
    _player: Option<Player>,
}

/// Builds, runs the three, verifies each, and says what to try next.
pub fn run(args: &Args) -> Chore {
    let lacks = needs::lacks();
    needs::tell(&lacks);
    if !lacks.is_empty() {
        bail!("the demo needs what is missing above");
    }
    let acts = playable();
    let model = chosen_model(args)?;
    let stage = set_up(&acts)?;
    match &model {
        Model::Scripted => {
            println!(
                "\nThe model is SCRIPTED: its words were written beforehand, so no key is needed."
            );
            println!("Sandboxes, commands, tests, commits, citations and evidence are real.");
        }
        Model::Real(why) => {
            println!("\nThe model is real ({why}); what it uses is paid for as usual.");
        }
    }
    println!(
        "{} tasks at once, each in a sandbox of its own with the network closed:\n",
        acts.len()
    );
    for act in &acts {
        println!("  {:<14} quire {} {:?}", act.repository, act.verb, act.prompt);
    }
    println!();
    let running: anyhow::Result<Vec<Running>> =
        acts.iter().map(|act| start(&stage, act, &model, args.model.as_deref())).collect();
    // All have ended before the first is shown, so that no line of work stands among the answers.
    let ended: anyhow::Result<Vec<Done>> = running?.into_iter().map(Running::wait).collect();
    let mut verdict = Verdict::Good;
    let mut numbers = Vec::new();
    for done in ended? {
        match show(&stage, &done)? {
            Some(number) => numbers.push(number),
            None => verdict = Verdict::Bad,
        }
    }
    next_steps(&stage, numbers.first().map_or("1", String::as_str), acts.first());
    Ok(verdict)
}

/// One task that has ended.
struct Done {
    act: &'static Act,
    status: ExitStatus,
    answer: String,
}

impl Running {
    fn wait(mut self) -> anyhow::Result<Done> {
        let status = self.child.wait()?;
        Ok(Done { act: self.act, status, answer: self.shown.wait() })
    }
}

/// Who answers.
enum Model {
    Scripted,
    /// With the reason it was taken.
    Real(String),
}

fn chosen_model(args: &Args) -> anyhow::Result<Model> {
    if args.scripted {
        return Ok(Model::Scripted);
    }
    if let Some(name) = &args.model {
        return Ok(Model::Real(format!("{name}, as you asked")));
    }
    let keys = acts::key_variables(cargo::root())?;
    let set =
        keys.into_iter().find(|name| std::env::var_os(name).is_some_and(|key| !key.is_empty()));
    Ok(set.map_or(Model::Scripted, |name| Model::Real(format!("{name} is set"))))
}

/// The acts whose language is installed; says which are left out.
fn playable() -> Vec<&'static Act> {
    let (playable, left_out): (Vec<_>, Vec<_>) = ACTS.iter().partition(|act| {
        act.program.is_none_or(|(program, _)| needs::version_line(program).is_some())
    });
    let lacks: Vec<_> = left_out
        .iter()
        .filter_map(|act| act.program.map(|need| (act.repository, need)))
        .map(|(name, (program, package))| {
            needs::lack(&format!("{program}: the task in {name} is left out without it"), package)
        })
        .collect();
    needs::tell(&lacks);
    playable
}

fn set_up(acts: &[&Act]) -> anyhow::Result<Stage> {
    let quire = cargo::build_quire(cargo::Profile::Dev)?;
    let root = cargo::target_dir().join("demo");
    if root.exists() {
        std::fs::remove_dir_all(&root).context("cannot remove what an earlier demo made")?;
    }
    let stage = Stage { quire, repos: root.join("repos"), data: root.join("data") };
    std::fs::create_dir_all(&stage.repos)?;
    for act in acts {
        let made = Command::new("bash")
            .arg(cargo::root().join("fixtures/make-repo.sh"))
            .arg(act.repository)
            .arg(stage.repos.join(act.repository))
            .status()
            .context("cannot start bash")?;
        if !made.success() {
            bail!("the repository {} could not be made", act.repository);
        }
    }
    Ok(stage)
}

fn start(
    stage: &Stage,
    act: &'static Act,
    model: &Model,
    name: Option<&str>,
) -> anyhow::Result<Running> {
    let mut command = Command::new(&stage.quire);
    command.arg(act.verb).current_dir(stage.repos.join(act.repository));
    let player = match model {
        Model::Scripted => {
            let script = cargo::root().join(format!("fixtures/scripts/{}.toml", act.repository));
            let player = Player::start(&stage.quire, &script)?;
            command.args(["--model", "scripted/demo"]).env("QUIRE_SCRIPTED_URL", player.url());
            Some(player)
        }
        Model::Real(_) => {
            command.args(name.map(|name| format!("--model={name}")));
            None
        }
    };
    command.arg(act.prompt).env("QUIRE_DATA_DIR", &stage.data);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start quire")?;
    let shown = lines::show(act.repository, &mut child);
    Ok(Running { act, child, shown, _player: player })
}

/// Shows a task's answer and what became of its evidence. Gives its number if all is well.
fn show(stage: &Stage, done: &Done) -> anyhow::Result<Option<String>> {
    println!("\n━━ {} ━━", done.act.repository);
    println!("{}", done.answer.trim_end());
    if !done.status.success() {
        println!("{} ended with {}; its last lines are above", done.act.repository, done.status);
        return Ok(None);
    }
    let number = task_of(stage, done.act)?;
    let output =
        quire(stage).args(["verify", &number, "--json"]).output().context("cannot start quire")?;
    let verified = acts::verified(&String::from_utf8_lossy(&output.stdout));
    match verified {
        Some(words) if output.status.success() => {
            println!("\nquire verify {number}: {words}");
            Ok(Some(number))
        }
        _ => {
            println!("\nquire verify {number}: THE EVIDENCE DOES NOT HOLD");
            println!("{}", String::from_utf8_lossy(&output.stdout));
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            Ok(None)
        }
    }
}

/// The number that the list gives to the task of this repository.
fn task_of(stage: &Stage, act: &Act) -> anyhow::Result<String> {
    let output =
        quire(stage).args(["task", "list", "--json"]).output().context("cannot start quire")?;
    let text = String::from_utf8_lossy(&output.stdout);
    acts::task_number(&text, &stage.repos.join(act.repository))
        .with_context(|| format!("the task of {} is not in the list", act.repository))
}

fn quire(stage: &Stage) -> Command {
    let mut command = Command::new(&stage.quire);
    command.env("QUIRE_DATA_DIR", &stage.data).current_dir(&stage.repos);
    command
}

fn next_steps(stage: &Stage, number: &str, first: Option<&&'static Act>) {
    let steps = [
        (
            format!("export QUIRE_DATA_DIR={}", stage.data.display()),
            "where the demo keeps its tasks",
        ),
        (format!("alias quire={}", stage.quire.display()), "the binary just built"),
        ("quire task list".to_owned(), "the three, and what became of them"),
        (format!("quire task show {number}"), "answer, citations, checks, cost"),
        (format!("quire task diff {number}"), "what it changed"),
        (format!("quire verify {number} --rerun"), "repeat the commands it cites"),
        ("quire doctor".to_owned(), "what isolation this machine gives"),
        ("OPENAI_API_KEY=… cargo xtask demo".to_owned(), "the same with a real model"),
    ];
    println!("\n━━ to try next ━━");
    for (command, why) in steps {
        println!("  {command:<60} # {why}");
    }
    if let Some(act) = first {
        let checkout = stage.repos.join(act.repository);
        println!("  cd {} && quire task apply {number}", relative(&checkout).display());
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(cargo::root()).unwrap_or(path)
}
