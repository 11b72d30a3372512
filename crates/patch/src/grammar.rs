//! The format as a Lark grammar, for providers that hold a tool's free text to one.

/// What a model may write into the `apply_patch` custom tool: the canonical form only. What
/// [`crate::Patch::parse`] reads beyond it is for models that are not held to it.
pub const GRAMMAR: &str = include_str!("grammar.lark");
