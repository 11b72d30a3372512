//! `quire env …` on a server: read, written, and the values of secrets set.

use std::io::Read;

use quire_api::{
    Environment, EnvironmentList, EnvironmentWritten, NewEnvironment, NewSecret, SecretList,
    SecretWritten,
};
use quire_client::Call;

use super::{Command, create, edit, list, secret, show as showing};
use crate::exit::{Exit, usage};
use crate::remote::{Remote, told};
use crate::show::{self, style::plain, table::table};

/// A recipe is at most this long, in bytes.
const MOST_RECIPE: u64 = 256 << 10;

/// Runs a command on a server.
pub async fn run(command: Command, remote: &Remote) -> anyhow::Result<Exit> {
    match command {
        Command::List(args) => list(&args, remote).await,
        Command::Show(args) => show(args, remote).await,
        Command::Create(args) => create(args, remote).await,
        Command::Edit(args) => edit(args, remote).await,
        Command::Delete(named) => {
            let call = Call::delete(&["environments", &named.name]);
            remote.client.tell(call).await.map_err(told)?;
            show::err(&format!("deleted {} and the values of its secrets", named.name));
            Ok(Exit::Done)
        }
        Command::History(named) => {
            let call = Call::get(&["environments", &named.name, "versions"]);
            let found: EnvironmentList = remote.client.ask(call).await.map_err(told)?;
            shown(&found.environments, named.json);
            Ok(Exit::Done)
        }
        Command::Secret(command) => secrets(command, remote).await,
        Command::Test(_) | Command::Shell(_) | Command::Reset(_) | Command::Import(_) => {
            Err(usage("that is done on the machine itself: `test`, `shell`, `reset` and `import`"))
        }
    }
}

async fn list(args: &list::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let call = Call::get(&["environments"]);
    let found: EnvironmentList = remote.client.ask(call).await.map_err(told)?;
    if found.environments.is_empty() && !args.json {
        show::err("no environments yet: `quire env create NAME --from FILE --remote` makes one");
        return Ok(Exit::Done);
    }
    shown(&found.environments, args.json);
    Ok(Exit::Done)
}

fn shown(found: &[Environment], json: bool) {
    if json {
        for one in found {
            let line = serde_json::json!({
                "name": one.name,
                "version": one.version,
                "source": "stored",
                "default_of": one.repository,
                "author": one.author,
                "at": one.at,
            });
            show::out(&line.to_string());
        }
        return;
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|one| {
            let default_of = one.repository.as_deref().unwrap_or("–");
            vec![
                format!("{}@{}", plain(&one.name, false), one.version),
                plain(default_of, false),
                plain(&one.author, false),
            ]
        })
        .collect();
    show::out(table(&["environment", "default of", "by"], &rows, show::width()).trim_end());
}

async fn show(args: showing::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let Some(name) = args.name else {
        return Err(usage("name the environment (`quire env list --remote`)"));
    };
    let found = find(remote, &name, args.version).await?;
    if args.json {
        show::out(&serde_json::to_string_pretty(&found)?);
    } else if args.recipe {
        show::out_bytes(found.recipe.as_bytes());
    } else {
        show::out(&format!(
            "# {}@{}, by {}",
            found.name,
            found.version,
            plain(&found.author, false)
        ));
        show::out(plain(found.recipe.trim_end(), true).as_str());
    }
    Ok(Exit::Done)
}

async fn find(remote: &Remote, name: &str, version: Option<u32>) -> anyhow::Result<Environment> {
    let version = version.map(|version| version.to_string());
    let call = match &version {
        None => Call::get(&["environments", name]),
        Some(version) => Call::get(&["environments", name, "versions", version]),
    };
    remote.client.ask(call).await.map_err(told)
}

async fn create(args: create::Args, remote: &Remote) -> anyhow::Result<Exit> {
    if args.repo.as_deref() == Some(".") {
        return Err(usage("name the repository as the server does, with --repo=NAME"));
    }
    let new = NewEnvironment {
        recipe: read_recipe(args.from.as_deref(), remote)?,
        repository: args.repo,
        based_on: 0,
    };
    put(remote, &args.name, new, args.json, "made").await
}

async fn edit(args: edit::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let based_on = match args.based_on {
        Some(version) => version,
        None => find(remote, &args.name, None).await?.version,
    };
    let recipe = read_recipe(args.from.as_deref(), remote)?;
    let new = NewEnvironment { recipe, repository: None, based_on };
    put(remote, &args.name, new, args.json, "wrote").await
}

async fn put(
    remote: &Remote,
    name: &str,
    new: NewEnvironment,
    json: bool,
    word: &str,
) -> anyhow::Result<Exit> {
    let call = Call::put(&["environments", name]).json(&new);
    let written: EnvironmentWritten = remote.client.ask(call).await.map_err(told)?;
    for warning in &written.warnings {
        show::err(&format!("warning: {}", plain(warning, false)));
    }
    if json {
        let made = serde_json::json!({ "name": name, "version": written.version });
        show::out(&made.to_string());
    } else {
        show::err(&format!("{word} {name}@{}", written.version));
    }
    Ok(Exit::Done)
}

fn read_recipe(from: Option<&str>, remote: &Remote) -> anyhow::Result<String> {
    let Some(from) = from else {
        return Err(usage(
            "give the recipe with --from FILE (`quire env show NAME --recipe --remote` prints the one \
             that is there; `-` is standard input)",
        ));
    };
    let unread = |error| usage(format!("cannot read the recipe {from}: {error}"));
    let mut text = String::new();
    if from == "-" {
        std::io::stdin().lock().take(MOST_RECIPE + 1).read_to_string(&mut text).map_err(unread)?;
    } else {
        let path = remote.surroundings.current_dir.join(from);
        let file = std::fs::File::open(path).map_err(unread)?;
        file.take(MOST_RECIPE + 1).read_to_string(&mut text).map_err(unread)?;
    }
    if text.len() as u64 > MOST_RECIPE {
        return Err(usage(format!("the recipe {from} is longer than 256 KiB")));
    }
    Ok(text)
}

async fn secrets(command: secret::Command, remote: &Remote) -> anyhow::Result<Exit> {
    let of = |env: Option<String>| {
        env.ok_or_else(|| usage("name the environment with --env (`quire env list --remote`)"))
    };
    match command {
        secret::Command::Set(args) => {
            if !args.value.is_empty() || args.name.contains('=') {
                return Err(usage(
                    "a value on the command line is seen by others: give it on standard input",
                ));
            }
            if remote.surroundings.stdin_terminal {
                return Err(usage("give the value on standard input: `… < FILE`"));
            }
            let env = of(args.env)?;
            let value = String::from_utf8(secret::read_value()?.reveal().clone())
                .map_err(|_| usage("the value is not UTF-8"))?;
            let path = ["environments", env.as_str(), "secrets", args.name.as_str()];
            let call = Call::put(&path).json(&NewSecret { value });
            let written: SecretWritten = remote.client.ask(call).await.map_err(told)?;
            if args.json {
                let set = serde_json::json!({ "name": args.name, "version": written.version });
                show::out(&set.to_string());
            } else {
                show::err(&format!("set {} of {env}, version {}", args.name, written.version));
            }
        }
        secret::Command::List(args) => {
            let env = of(args.env)?;
            let call = Call::get(&["environments", &env, "secrets"]);
            let found: SecretList = remote.client.ask(call).await.map_err(told)?;
            for one in &found.secrets {
                show::out(&if args.json {
                    serde_json::to_string(one)?
                } else {
                    format!("{}  version {}", plain(&one.name, false), one.version)
                });
            }
        }
        secret::Command::Delete(args) => {
            let env = of(args.env)?;
            let call = Call::delete(&["environments", &env, "secrets", &args.name]);
            remote.client.tell(call).await.map_err(told)?;
            show::err(&format!("deleted the value of {} of {env}", args.name));
        }
    }
    Ok(Exit::Done)
}
