//! Who is told of a team's tasks, and what was sent to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeChannel {
    /// By a signed request.
    Webhook,
    /// By e-mail.
    Email,
}

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeAbout {
    /// A task waits for a person, or stands still.
    NeedsYou,
    /// A task ended.
    Ended,
    /// A step of a task's plan is done, or its checks began.
    Progress,
    /// Nothing: somebody wanted to see whether it comes. Sent to who is asked to be sent it alone.
    Test,
}

/// Somebody to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// The team whose tasks it is about, by name or id; may be left out by who is in one alone.
    #[serde(default)]
    pub team: Option<String>,
    /// How.
    pub channel: NoticeChannel,
    /// Where to: an `https` URL or an e-mail address.
    #[schema(example = "https://example.com/hooks/quire", max_length = 2048)]
    pub target: String,
    /// Of what; if left out, of what needs a person and of what ended.
    #[serde(default)]
    #[schema(max_items = 3)]
    pub kinds: Option<Vec<NoticeAbout>>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    /// Its id.
    pub id: Uuid,
    /// The team.
    pub team: Uuid,
    /// How.
    pub channel: NoticeChannel,
    /// Where to.
    pub target: String,
    /// Of what.
    pub kinds: Vec<NoticeAbout>,
    /// When it was set up, in milliseconds since 1970.
    pub created_at: u64,
    /// What webhooks are signed with: `whsec_` and base64. Shown once, when it is set up or made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Something that was sent, or is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its id, the same at each try: what the header `webhook-id` holds.
    pub id: Uuid,
    /// What it is about.
    pub about: NoticeAbout,
    /// The task's number; absent in a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u64>,
    /// `waiting`, `delivered` or `given_up`.
    #[schema(example = "delivered")]
    pub state: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, in milliseconds since 1970; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<u64>,
    /// The status of the last answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong last; empty where nothing did.
    pub detail: String,
    /// When it last changed, in milliseconds since 1970.
    pub updated_at: u64,
}
