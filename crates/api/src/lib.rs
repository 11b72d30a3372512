//! The words of the wire: what a server is asked and what it answers. No I/O.
//!
//! One file for each resource. A type says in its own words what it means; the OpenAPI document is
//! generated from these words. Fields may be added, never taken away or given another meaning:
//! who reads must ignore what it does not know.

mod attempt;
mod audit;
mod environment;
mod input;
mod notices;
mod people;
mod problem;
mod repository;
mod server;
mod share;
mod sign_in;
mod state;
mod stream;
mod task;
mod token;
mod usage;

pub use attempt::{
    Attempt, AttemptResult, Change, ChangeQuery, Citations, Event, EventPage, EventQuery,
    FileChange, FileQuery, Hunk, LineQuery, OutputLines, OutputPiece, PieceQuery,
};
pub use audit::{AuditPage, AuditQuery, AuditRow};
pub use environment::{
    BranchList, Environment, EnvironmentList, EnvironmentWritten, Model, ModelList, NewEnvironment,
    NewSecret, SecretInfo, SecretList, SecretWritten, TeamQuery,
};
pub use input::{InputTaken, NewInput, Wanted};
pub use notices::{Delivery, NewSubscription, NoticeAbout, NoticeChannel, Subscription};
pub use people::{
    Member, MemberList, MemberRole, NewTeam, NewUser, SignInLink, Team, TeamList, User, UserChange,
    UserList,
};
pub use problem::{Problem, ProblemKind, Problems};
pub use repository::{
    CommitsAsked, CommitsKnown, NewRepository, PackQuery, PushQuery, Pushed, Repository,
    RepositoryList, RepositoryQuery,
};
pub use server::{Me, Membership, Ready, ServerInfo};
pub use share::{NewShareLink, ShareLink, ShareLinkList, ShareLinkMade, SharedTask};
pub use sign_in::{PasswordChange, SessionInfo, SessionList, SignIn, SignInMeans, SignedIn};
pub use stream::{ChangeStreamQuery, LivePiece, Resync, StreamEnd, TaskEvent, TaskStreamQuery};
pub use task::{
    AttemptSummary, Choice, EnvironmentUsed, NewCheck, NewFork, NewTask, NewTurn, Picture,
    ResultSummary, Review, Task, TaskPage, TaskQuery, TaskSummary, Turn, Wish,
};
pub use token::{NewToken, TokenInfo, TokenList, TokenMade};
pub use usage::{Quota, QuotaList, QuotaUsed, UsageBy, UsageLine, UsageList, UsageQuery};
