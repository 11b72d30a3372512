//! `devcontainer.json`: what of it a recipe can say.

use super::Fault;
use super::draft::{Draft, Said, UNSET, quoted};
use super::node::{Entry, Node, Value};

/// Keys that have no place in a recipe, and why.
const LEFT: &[(&str, &str)] = &[
    (
        "build",
        "images are not built here: build it where you have a container engine, push it to a \
         registry, and name it as `image`; or export it and name the file as `tar`",
    ),
    ("dockerFile", "see `build`: build it elsewhere, and name it as `image` or `tar`"),
    ("context", "belongs to `dockerFile`"),
    (
        "dockerComposeFile",
        "containers are not nested: name one image as `image`, and start what else is needed as \
         `[[services]]` from programs that are in it",
    ),
    ("service", "belongs to `dockerComposeFile`"),
    ("runServices", "belongs to `dockerComposeFile`: see `[[services]]`"),
    ("initializeCommand", "runs on your own machine; nothing of a recipe does"),
    (
        "postStartCommand",
        "runs at each start: what has to be there goes into `setup`, what has to run into \
         `[[services]]`",
    ),
    ("postAttachCommand", "runs for an editor that attaches itself; there is none"),
    ("waitFor", "setup is waited for as a whole"),
    ("forwardPorts", "no port is forwarded: commands inside reach their own services on 127.0.0.1"),
    ("appPort", "no port is forwarded: commands inside reach their own services on 127.0.0.1"),
    ("portsAttributes", "no port is forwarded"),
    ("otherPortsAttributes", "no port is forwarded"),
    ("mounts", "nothing of the machine is mounted but what the base shows"),
    ("workspaceMount", "the repository is mounted by Quire"),
    (
        "workspaceFolder",
        "the repository lies at the path of your checkout, or at /workspace/NAME; in setup it is \
         the working directory",
    ),
    (
        "remoteUser",
        "setup runs as root inside, the agent's commands as an ordinary user; neither can be chosen",
    ),
    (
        "containerUser",
        "setup runs as root inside, the agent's commands as an ordinary user; neither can be chosen",
    ),
    ("updateRemoteUserUID", "ids are mapped anyway"),
    ("userEnvProbe", "shells read no profile: put variables into `[variables]`"),
    ("overrideCommand", "an image's own command is not run: see `[[services]]`"),
    ("shutdownAction", "what runs inside ends with the task"),
    ("init", "process 1 of a sandbox is always one that reaps"),
    ("privileged", "there are no privileged sandboxes"),
    ("capAdd", "no capability can be added"),
    ("securityOpt", "isolation cannot be loosened"),
    ("runArgs", "there is no container engine whose arguments these could be"),
    ("hostRequirements", "what a sandbox may use at most is said in `[limits]`"),
    ("customizations", "belongs to editors"),
    ("extensions", "belongs to editors"),
    ("settings", "belongs to editors"),
    ("overrideFeatureInstallOrder", "belongs to `features`"),
];

/// Commands that are run once, in the order in which they run.
const COMMANDS: [&str; 3] = ["onCreateCommand", "updateContentCommand", "postCreateCommand"];

/// Tables of variables; the later one counts.
const VARIABLES: [&str; 2] = ["containerEnv", "remoteEnv"];

/// Names that stand for the place of the repository, and hold within setup as variables do.
const PLACES: &str = "containerWorkspaceFolder=$PWD localWorkspaceFolder=$PWD
containerWorkspaceFolderBasename=${PWD##*/} localWorkspaceFolderBasename=${PWD##*/}";

/// Translates a whole file.
pub fn draft(document: &Node) -> Result<Draft, Fault> {
    if !matches!(document.value, Value::Map(_)) {
        return Err((Some(document.at), "a table of keys is expected".to_owned()));
    }
    let mut draft = Draft::default();
    for entry in document.entries() {
        key(&mut draft, entry);
    }
    for name in VARIABLES {
        if let Some(table) = document.entries().iter().find(|entry| entry.key == name) {
            for variable in table.value.entries() {
                environment(&mut draft, table, variable);
            }
        }
    }
    // In the order in which they run, whatever the order in the file.
    for name in COMMANDS {
        if let Some(entry) = document.entries().iter().find(|entry| entry.key == name) {
            command(&mut draft, entry);
        }
    }
    let uses = |text: &str| draft.setup.iter().any(|part| part.text.contains(text));
    let (places, unset) = (uses("WorkspaceFolder"), !draft.setup.is_empty());
    if places {
        draft.before.push(PLACES.to_owned());
    }
    if unset {
        draft.before.insert(0, UNSET.to_owned());
    }
    Ok(draft)
}

fn key(draft: &mut Draft, entry: &Entry) {
    let said = |text: &str| Said { at: entry.at, from: entry.key.clone(), text: text.to_owned() };
    match (entry.key.as_str(), entry.value.text()) {
        // It names the file's own shape.
        ("$schema", _) => {}
        ("name", Some(name)) => draft.name = Some(said(name)),
        ("image", Some(image)) if image.contains("${") => {
            let why = "its name is made of variables of another machine: write it out as `image`";
            draft.leave(entry.at, format!("image: {image}"), why);
        }
        ("image", Some(image)) => draft.image = Some(said(image)),
        ("features", _) => {
            for feature in entry.value.entries() {
                let with = match &feature.value.value {
                    Value::Map(entries) if entries.is_empty() => String::new(),
                    _ => format!(" ({})", feature.value.brief()),
                };
                draft.leave(
                    feature.at,
                    format!("features: {}{with}", feature.key),
                    "features are not supported: choose an `image` that brings it, or install it in \
                     `setup`",
                );
            }
        }
        ("secrets", _) => {
            for secret in entry.value.entries() {
                let from = format!("secrets.{}", secret.key);
                draft.secrets.push(Said { at: secret.at, from, text: secret.key.clone() });
            }
        }
        (name, _) if COMMANDS.contains(&name) || VARIABLES.contains(&name) => {}
        (name, _) => {
            let known = LEFT.iter().find(|(known, _)| *known == name);
            let why = known.map_or("is not known to Quire", |(_, why)| why);
            draft.leave(entry.at, format!("{name}: {}", entry.value.brief()), why);
        }
    }
}

fn environment(draft: &mut Draft, table: &Entry, variable: &Entry) {
    let from = format!("{}.{}", table.key, variable.key);
    match variable.value.text() {
        Some(text) if text.contains("${") => {
            let why = if variable.key == "PATH" {
                "`PATH` is added to by a line of setup: `echo \"PATH=/more:$PATH\" >> \"$QUIRE_ENV\"`"
            } else {
                "takes its value from another machine's or the image's variables: write it out in \
                 `[variables]`; where it is secret, store it and name it in `secrets`"
            };
            draft.leave(variable.at, format!("{from}: {text}"), why);
        }
        Some(text) => {
            let said = Said { at: variable.at, from, text: text.to_owned() };
            draft.variables.push((variable.key.clone(), said));
        }
        None => draft.leave(variable.at, from, "has no value: variables cannot be taken away"),
    }
}

fn command(draft: &mut Draft, entry: &Entry) {
    let mut parts = Vec::new();
    match &entry.value.value {
        Value::Map(entries) => {
            for named in entries {
                let from = format!("{}.{}", entry.key, named.key);
                part(draft, &mut parts, named, from);
            }
        }
        _ => part(draft, &mut parts, entry, entry.key.clone()),
    }
    if entry.key == "updateContentCommand" {
        draft.maintenance.extend(parts.iter().cloned());
    }
    draft.setup.extend(parts);
}

fn part(draft: &mut Draft, parts: &mut Vec<Said>, entry: &Entry, from: String) {
    let text = match &entry.value.value {
        Value::Text(text) => text.clone(),
        Value::List(words) if words.iter().all(|word| word.text().is_some()) => {
            words.iter().filter_map(Node::text).map(quoted).collect::<Vec<_>>().join(" ")
        }
        _ => {
            draft.leave(entry.at, from, "is neither a command nor a list of words");
            return;
        }
    };
    if text.trim().is_empty() {
        return;
    }
    if ["${localEnv:", "${containerEnv:", "${devcontainerId"].iter().any(|name| text.contains(name))
    {
        let why = "takes variables of another machine: write them out, and add it to `setup`";
        draft.leave(entry.at, format!("{from}: {}", entry.value.brief()), why);
        return;
    }
    // A directory that it changes to must not be the next one's.
    let alone = !text.contains('\n') && !text.contains("cd ") && !text.contains('#');
    let text = if alone { text } else { format!("(\n{}\n)", text.trim_end()) };
    parts.push(Said { at: entry.at, from, text });
}
