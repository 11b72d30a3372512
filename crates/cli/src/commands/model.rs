//! `quire model`: what models there are, whether one answers, and playing a script as one.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Subcommand;
use quire_models::play::{self, PlayOptions, Script};

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::CatalogueModels;
use crate::settings::Settings;
use crate::show::{self, style::count, style::duration, table::table};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Models of the catalogue, with windows and prices.
    List {
        /// As JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Ask a model a tiny question: is it there, how fast, does it call tools.
    Test {
        /// The model; the one that would be used if not given.
        model: Option<String>,
    },
    /// Play a script of model turns as an HTTP server on this machine.
    Play {
        /// The script, JSON or TOML.
        file: PathBuf,
        /// The port; a free one if not given.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

/// Runs it.
pub async fn run(command: Command, context: Context) -> anyhow::Result<Exit> {
    match command {
        Command::List { json } => Ok(list(&models(&context)?, json)),
        Command::Test { model } => test(&models(&context)?, model.as_deref()).await,
        Command::Play { file, port } => play(file, port).await,
    }
}

fn models(context: &Context) -> anyhow::Result<CatalogueModels> {
    let settings = Settings::read(&context.surroundings, None)?;
    CatalogueModels::new(&context.surroundings, &settings)
}

fn list(models: &CatalogueModels, json: bool) -> Exit {
    let mut rows = Vec::new();
    for provider in models.catalogue.providers() {
        for entry in &provider.models {
            let name = format!("{}/{}", provider.id, entry.name);
            let price = entry.price.as_ref();
            if json {
                let line = serde_json::json!({
                    "name": name,
                    "window_tokens": entry.abilities.window_tokens,
                    "max_output_tokens": entry.abilities.max_output_tokens,
                    "images": entry.abilities.images,
                    "price": price,
                    "scripted": provider.scripted,
                });
                show::out(&line.to_string());
                continue;
            }
            let dollars = match price {
                _ if provider.scripted => "played from a script".to_owned(),
                _ if provider.free => "free".to_owned(),
                None => "unknown".to_owned(),
                Some(price) => format!(
                    "{} / {} / {} ({})",
                    price.input, price.cached_input, price.output, price.as_of
                ),
            };
            rows.push(vec![name, count(entry.abilities.window_tokens), dollars]);
        }
        if provider.models.is_empty() && !json {
            let any = "any model that it serves".to_owned();
            rows.push(vec![format!("{}/…", provider.id), "–".to_owned(), any]);
        }
    }
    if !json {
        let heading = ["model", "window", "input / cached / output per million tokens"];
        show::out(table(&heading, &rows, show::width()).trim_end());
    }
    Exit::Done
}

async fn test(models: &CatalogueModels, name: Option<&str>) -> anyhow::Result<Exit> {
    let resolved = models.resolve(name).await?;
    if let Some(because) = &resolved.chosen_because {
        show::err(&format!("{} ({because})", resolved.info.name));
    }
    if resolved.info.scripted {
        show::out(&format!(
            "{}: a script plays it, so there is nothing to test",
            resolved.info.name
        ));
        return Ok(Exit::Done);
    }
    let model = models.connect(resolved);
    let report = quire_models::probe::probe(model.as_ref(), &models.settings).await;
    if let Some(error) = &report.error {
        show::out(&format!("{}: {error}", report.model));
    } else {
        let tools = if report.calls_tools { "calls tools" } else { "did not call the tool" };
        let ms = u64::try_from(report.latency.as_millis()).unwrap_or(u64::MAX);
        show::out(&format!(
            "{}: answered in {}, {tools}, {} tokens",
            report.model,
            duration(ms),
            report.tokens
        ));
    }
    if let Some(advice) = &report.advice {
        show::out(advice);
    }
    Ok(if report.is_usable() { Exit::Done } else { Exit::NoModel })
}

async fn play(file: PathBuf, port: u16) -> anyhow::Result<Exit> {
    let script = Script::read(&file).map_err(|error| {
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            let _ = write!(text, ": {cause}");
        }
        usage(text)
    })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let server = play::serve(script, address, PlayOptions::default()).await?;
    show::out(&server.url());
    show::err(&format!(
        "playing {} until Ctrl-C; use it with\n  QUIRE_SCRIPTED_URL={} quire run --model scripted/demo \"…\"",
        file.display(),
        server.url()
    ));
    tokio::signal::ctrl_c().await?;
    Ok(Exit::Done)
}
