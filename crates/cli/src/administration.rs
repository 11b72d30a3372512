//! What an administrator's commands share: the store of the installation, people and teams by their
//! names, and in whose name changes are written down.

use quire_domain::access::{LOCAL_USER, TeamName, UserName};
use quire_domain::ids::{TeamId, UserId};
use quire_store::{Actor, Store, StoreError};

use crate::commands::Context;
use crate::exit::usage;
use crate::installation::data_dir_of;
use crate::settings::Settings;

/// Opens the store. What is changed through it is written down as done at the command line.
pub async fn open(context: &Context) -> anyhow::Result<Store> {
    let store = match settings(context)? {
        Settings { store_url: Some(url), .. } => Store::open_url(url.value.reveal()).await?,
        settings => Store::open(&data_dir_of(&settings)?.join("quire.db")).await?,
    };
    let address = "command line".to_owned();
    Ok(store.acting(Actor { user: Some(LOCAL_USER), address, ..Actor::default() }))
}

/// The settings of the installation.
pub fn settings(context: &Context) -> anyhow::Result<Settings> {
    let mut settings = Settings::read(&context.surroundings, None)?;
    if context.data_dir.is_some() {
        settings.data_dir.clone_from(&context.data_dir);
    }
    Ok(settings)
}

/// A team by its name.
pub async fn team(store: &Store, name: &str) -> anyhow::Result<TeamId> {
    let parsed = TeamName::parse(name).map_err(|error| usage(error.to_string()))?;
    store.team_by_name(&parsed).await.map(|team| team.id).map_err(told)
}

/// A person by their name.
pub async fn user(store: &Store, name: &str) -> anyhow::Result<UserId> {
    let parsed = UserName::parse(name).map_err(|error| usage(error.to_string()))?;
    store.user_by_name(&parsed).await.map(|user| user.id).map_err(told)
}

/// What the person asked for is told as their mistake, with what to do; the rest as what it is.
pub fn told(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::NotFound { .. }
        | StoreError::Taken { .. }
        | StoreError::Kept { .. }
        | StoreError::OutOfBounds { .. } => usage(format!("{error}: {}", error.advice())),
        error => error.into(),
    }
}
