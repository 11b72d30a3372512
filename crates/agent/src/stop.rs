//! Reasons to do something else than to ask the model, each in a file of its own.

pub mod budget;
pub mod cut_replies;
pub mod endless;
pub mod stand_still;
pub mod stuck;
pub mod window;
