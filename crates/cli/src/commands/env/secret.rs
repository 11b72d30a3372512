//! `quire env secret`: secrets of environments. A value comes from standard input or a prompt, never
//! from the command line, and is shown nowhere.

pub mod prompt;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use clap::Subcommand;
use quire_domain::secret::Secret;
use quire_environment::recipe;
use quire_orchestrator::known_secrets;
use quire_orchestrator::resolution::{OWNER, Resolved};
use quire_orchestrator::secrets_key::KeyError;
use quire_store::{SecretScope, StoreError};
use serde_json::json;

use super::Here;
use crate::commands::task::told;
use crate::exit::{Exit, stop, usage};
use crate::show::style::{plain, since};
use crate::show::{self, table::table};

/// The longest value, in bytes.
const MOST_VALUE: usize = 64 * 1024;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set the value of a secret: asked for, or read from standard input.
    Set(Set),
    /// The secrets of an environment, without their values.
    List(List),
    /// Delete the value of a secret.
    Delete(Delete),
}

/// Arguments of `set`.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// The variable's name, e.g. `NPM_TOKEN`.
    pub(super) name: String,
    /// Whose it is; if not given, of the environment that a run in this checkout would have.
    #[arg(long, value_name = "NAME")]
    pub(super) env: Option<String>,
    /// Say as JSON what was set.
    #[arg(long)]
    pub(super) json: bool,
    /// Caught so that a value is neither taken nor repeated.
    #[arg(hide = true)]
    pub(super) value: Vec<std::ffi::OsString>,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Whose; if not given, of the environment that a run in this checkout would have.
    #[arg(long, value_name = "NAME")]
    pub(super) env: Option<String>,
    /// As JSON, a line each.
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `delete`.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The variable's name.
    pub(super) name: String,
    /// Whose; if not given, of the environment that a run in this checkout would have.
    #[arg(long, value_name = "NAME")]
    pub(super) env: Option<String>,
    /// Say as JSON what was deleted.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(command: Command, here: &Here) -> anyhow::Result<Exit> {
    match command {
        Command::Set(args) => set(args, here).await,
        Command::List(args) => list(&args, here).await,
        Command::Delete(args) => delete(&args, here).await,
    }
}

/// Whose secrets a stored environment has.
pub fn stored_scope(name: &str) -> SecretScope {
    let (owner, environment) = (OWNER.to_owned(), name.to_owned());
    SecretScope { owner, repository: None, environment }
}

impl Here {
    /// The environment whose secrets are meant.
    async fn owner_of_secrets(&self, named: Option<&str>) -> anyhow::Result<Resolved> {
        if named.is_none() && self.place.repository.is_none() {
            return Err(usage(
                "this is no checkout: say whose secret it is with --env NAME (`quire env list`)",
            ));
        }
        self.resolve(named).await
    }
}

async fn set(args: Set, here: &Here) -> anyhow::Result<Exit> {
    if !args.value.is_empty() || args.name.contains('=') {
        return Err(usage(
            "a value on the command line is seen by everybody on this machine, and kept by your \
             shell: change it where it is from, then give the new one on standard input \
             (`quire env secret set NAME < FILE`), or type it when you are asked",
        ));
    }
    let name = &args.name;
    if let Err(why) = recipe::check_variable(name) {
        return Err(usage(format!("`{}` {why}", plain(name, false))));
    }
    let resolved = here.owner_of_secrets(args.env.as_deref()).await?;
    let environment = &resolved.environment;
    let whose = environment.name.clone();
    let worker = &here.installation.worker;
    let value = if here.installation.surroundings.stdin_terminal {
        let asked = format!("value of {name} for {whose} (it is not shown): ");
        match prompt::ask(&asked).await? {
            Some(value) => value,
            None => return Ok(Exit::Cancelled),
        }
    } else {
        read_value()?
    };
    if value.reveal().is_empty() {
        return Err(usage(format!("the value of {name} is empty: nothing was set")));
    }
    if value.reveal().len() > MOST_VALUE {
        return Err(usage(format!("the value of {name} is longer than 64 KiB: nothing was set")));
    }
    if value.reveal().contains(&0) || std::str::from_utf8(value.reveal()).is_err() {
        return Err(usage(format!(
            "the value of {name} is no text (UTF-8 without zero bytes), as a variable's has to be: \
             nothing was set; store it in base64"
        )));
    }
    if let Some(why) = quire_engine::why_not(value.reveal()) {
        return Err(usage(format!(
            "the value of {name} {why}: nothing was set, as such a value cannot be taken out of what \
             is recorded without taking harmless text along. Take a longer one; what is no secret \
             goes to `[variables]`"
        )));
    }
    let key = worker.secrets.to_seal().map_err(no_key)?;
    let now = worker.clock.now();
    let set = worker.store.set_secret(&key, &resolved.scope, name, &value, now).await;
    let version = set.map_err(told)?;
    let used = known_secrets::names(environment).contains(name);
    if args.json {
        let line = json!({
            "name": name,
            "environment": whose,
            "source": resolved.source.to_string(),
            "version": version,
            "used": used,
        });
        show::out(&line.to_string());
        return Ok(Exit::Done);
    }
    show::err(&format!("set {name} of {whose}, version {version}"));
    if !used {
        show::err(&format!(
            "{whose} does not use it yet: add `secrets = [\"{name}\"]`, or a credential with \
             `${{{name}}}`, to its recipe"
        ));
    }
    Ok(Exit::Done)
}

/// All of standard input, without the line end that `echo` adds.
pub(super) fn read_value() -> anyhow::Result<Secret<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(4_096);
    std::io::stdin().lock().take(MOST_VALUE as u64 + 3).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Secret::new(bytes))
}

async fn list(args: &List, here: &Here) -> anyhow::Result<Exit> {
    let resolved = here.owner_of_secrets(args.env.as_deref()).await?;
    let worker = &here.installation.worker;
    let set = worker.store.secrets(&resolved.scope).await.map_err(told)?;
    let used = known_secrets::names(&resolved.environment);
    let unset: Vec<&String> =
        used.iter().filter(|name| !set.iter().any(|one| one.name == **name)).collect();
    let whose = &resolved.environment.name;
    let mut closed = BTreeMap::new();
    for one in &set {
        if let Some(why) = why_closed(here, &resolved.scope, &one.name).await? {
            closed.insert(one.name.clone(), why);
        }
    }
    if args.json {
        for one in &set {
            let used = used.contains(&one.name);
            let line = json!({
                "name": one.name, "environment": whose, "version": one.version,
                "set_at": one.at, "used": used, "opens": !closed.contains_key(&one.name),
            });
            show::out(&line.to_string());
        }
        for name in unset {
            let line = json!({
                "name": name, "environment": whose, "version": null, "set_at": null, "used": true,
            });
            show::out(&line.to_string());
        }
        return Ok(Exit::Done);
    }
    if set.is_empty() && unset.is_empty() {
        show::err(&format!("{whose} ({}) has no secrets", resolved.source));
        return Ok(Exit::Done);
    }
    let now = worker.clock.now();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for one in &set {
        let word = match closed.get(&one.name) {
            Some(_) => format!("does not open: `quire env secret set {}`", one.name),
            None if used.contains(&one.name) => "used".to_owned(),
            None => "not used by the recipe".to_owned(),
        };
        rows.push(vec![
            one.name.clone(),
            format!("version {}", one.version),
            since(now.millis_since(one.at)),
            word,
        ]);
    }
    for name in unset {
        let todo = format!("used: `quire env secret set {name}`");
        rows.push(vec![name.clone(), "not set".to_owned(), "–".to_owned(), todo]);
    }
    let text = table(&["secret", "value", "set", ""], &rows, show::width());
    show::out(text.trim_end());
    // Nearly always the same for all of them.
    let why: BTreeSet<&String> = closed.values().collect();
    for why in why {
        show::err(&format!("warning: {why}"));
    }
    Ok(Exit::Done)
}

/// Why a value does not open, with what to do; `None` where it does.
async fn why_closed(
    here: &Here,
    scope: &SecretScope,
    name: &str,
) -> anyhow::Result<Option<String>> {
    let worker = &here.installation.worker;
    let key = match worker.secrets.to_open() {
        Ok(key) => key,
        Err(error) => return Ok(Some(error.to_string())),
    };
    match worker.store.open_secret(&key, scope, name).await {
        Ok(_) => Ok(None),
        Err(StoreError::Sealed(error)) => Ok(Some(format!(
            "{error}: bring back the key that it was sealed with, or set the value anew"
        ))),
        Err(error) => Err(told(error)),
    }
}

async fn delete(args: &Delete, here: &Here) -> anyhow::Result<Exit> {
    let name = &args.name;
    let scope = match &args.env {
        // Also where its recipe cannot be read any more.
        Some(env) if here.is_stored(env).await? => stored_scope(env),
        env => here.owner_of_secrets(env.as_deref()).await?.scope,
    };
    let worker = &here.installation.worker;
    worker.store.delete_secret(&scope, name, worker.clock.now()).await.map_err(told)?;
    if args.json {
        let environment = &scope.environment;
        show::out(&json!({"name": name, "environment": environment, "deleted": true}).to_string());
    } else {
        show::err(&format!("deleted the value of {} of {}", plain(name, false), scope.environment));
    }
    Ok(Exit::Done)
}

impl Here {
    async fn is_stored(&self, name: &str) -> anyhow::Result<bool> {
        let found = self.installation.worker.store.environment(OWNER, name, None).await;
        Ok(found.map_err(told)?.is_some())
    }
}

fn no_key(error: KeyError) -> anyhow::Error {
    match error {
        KeyError::Io { .. } => anyhow::Error::new(error),
        error => stop(Exit::Usage, error.to_string()),
    }
}
