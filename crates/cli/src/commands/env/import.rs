//! `quire env import`: a recipe from what other tools have written down.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use quire_environment::import::{MOST_BYTES, PATHS, import};
use quire_environment::recipe::RECIPE_PATH;
use serde_json::json;

use super::Here;
use crate::exit::{Exit, usage};
use crate::show::{self, style::plain};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file; if not given, the first of the known ones that this checkout has.
    path: Option<PathBuf>,
    /// Write the recipe to `.quire/environment.toml` of this checkout, and print nothing.
    #[arg(long)]
    write: bool,
    /// Write it over one that is there.
    #[arg(long, requires = "write")]
    force: bool,
    /// As JSON: the recipe, and what could not be carried over.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args, here: &Here) -> anyhow::Result<Exit> {
    let root = here.place.repository.as_deref().map(Path::new);
    let current = &here.installation.surroundings.current_dir;
    let path = match (&args.path, root) {
        (Some(path), _) => current.join(path),
        (None, Some(root)) => PATHS
            .iter()
            .map(|path| root.join(path))
            .find(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
            .ok_or_else(|| {
                let known = PATHS.join(", ");
                usage(format!("this checkout has none of {known}: name the file"))
            })?,
        (None, None) => return Err(usage("this is no checkout: name the file to import")),
    };
    let text = read(&path)?;
    let shown = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(&path);
    let imported = import(&shown.display().to_string(), &text);
    let imported = imported.map_err(|error| usage(plain(&error.to_string(), false)))?;
    let written = if args.write {
        let root =
            root.ok_or_else(|| usage("this is no checkout: there is nowhere to write to"))?;
        let target = root.join(RECIPE_PATH);
        write(&target, &imported.recipe, args.force)?;
        Some(RECIPE_PATH)
    } else {
        None
    };
    if args.json {
        let left: Vec<_> = imported
            .left
            .iter()
            .map(|left| {
                json!({
                    "line": left.at.line, "column": left.at.column,
                    "what": left.what, "why": left.why,
                })
            })
            .collect();
        let value = json!({"recipe": imported.recipe, "left": left, "written": written});
        show::out(&serde_json::to_string_pretty(&value)?);
        return Ok(Exit::Done);
    }
    match written {
        None => show::out(imported.recipe.trim_end()),
        Some(path) => show::err(&format!("wrote {path}: read it, then try `quire env show`")),
    }
    if !imported.left.is_empty() {
        show::err(&format!(
            "not carried over from {}:",
            plain(&shown.display().to_string(), false)
        ));
        for left in &imported.left {
            show::err(&format!("  {}", plain(&left.to_string(), false)));
        }
    }
    Ok(Exit::Done)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let failed = |why: String| usage(format!("cannot import {shown}: {why}"));
    let found = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !found.is_file() || found.len() > MOST_BYTES as u64 {
        return Err(failed(format!("it is no file of at most {MOST_BYTES} bytes")));
    }
    fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

/// Writes the recipe through no link, and over nothing unless that was asked for.
fn write(target: &Path, recipe: &str, force: bool) -> anyhow::Result<()> {
    let dir = target.parent().unwrap_or(Path::new("/"));
    if dir.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        return Err(usage(format!("{} is not a directory", dir.display())));
    }
    fs::create_dir_all(dir)?;
    if force {
        match fs::remove_file(target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let file = fs::OpenOptions::new().write(true).create_new(true).open(target);
    let mut file = file.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return usage(format!("{RECIPE_PATH} is there already: --force writes over it"));
        }
        error.into()
    })?;
    Ok(file.write_all(recipe.as_bytes())?)
}
