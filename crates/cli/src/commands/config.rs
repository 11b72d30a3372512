//! `quire config show`: the configuration, and where each value comes from.

use clap::Subcommand;

use crate::commands::Context;
use crate::exit::Exit;
use crate::settings::Settings;
use crate::show::{self, style::plain, table::table};
use crate::surroundings::checkout_of;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Each setting, its value, and where it comes from.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(command: &Command, context: &Context) -> anyhow::Result<Exit> {
    let Command::Show { json } = command;
    let surroundings = &context.surroundings;
    let repository = checkout_of(&surroundings.current_dir);
    let mut settings = Settings::read(surroundings, repository)?;
    if let Some(data_dir) = &context.data_dir {
        settings.data_dir = Some(data_dir.clone());
    }
    let rows = settings.rows();
    if *json {
        let list: Vec<_> = rows
            .iter()
            .map(|[name, value, origin]| {
                serde_json::json!({"name": name, "value": value, "origin": origin})
            })
            .collect();
        show::out(&serde_json::to_string_pretty(&list)?);
    } else {
        // A repository's file may have said them.
        let plain = |row: [String; 3]| row.iter().map(|cell| plain(cell, false)).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().map(plain).collect();
        let text = table(&["setting", "value", "from"], &rows, show::width());
        show::out(text.trim_end());
    }
    Ok(Exit::Done)
}
