//! Links that show one task to who has them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::task::Task;

/// A link to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShareLink {
    /// After how many days it ends.
    #[serde(default = "week")]
    #[schema(minimum = 1, maximum = 365, default = 7)]
    pub days: u32,
}

fn week() -> u32 {
    7
}

/// A link, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLink {
    /// What it is called in lists.
    pub id: Uuid,
    /// Who made it.
    pub author: Uuid,
    /// When.
    pub created_at: u64,
    /// Until when it shows the task.
    pub expires_at: u64,
}

/// A link that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLinkMade {
    /// What shows the task, shown this once: sent as a bearer token to `/api/v1/shared`.
    #[schema(example = "quire_share_…")]
    pub secret: String,
    /// What is kept of it.
    pub link: ShareLink,
}

/// The links to a task that were not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLinkList {
    /// Newest first.
    pub links: Vec<ShareLink>,
}

/// What a link shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SharedTask {
    /// The task, with its turns.
    pub task: Task,
    /// Until when the link shows it.
    pub expires_at: u64,
}
