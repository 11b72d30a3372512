//! Finds a patch that a model wrote as a shell command instead of a tool call.

/// A patch found in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeredocPatch {
    /// Its text, for [`crate::Patch::parse_at`].
    pub patch: String,
    /// The directory of a leading `cd dir &&`, as written.
    pub workdir: Option<String>,
    /// What the command goes on with after the patch; to be run by the shell, in the command's
    /// own working directory after `workdir`, once the patch was applied.
    pub rest: Option<String>,
}

/// Finds a patch in what was to be given to a shell: `apply_patch` with a heredoc, a quoted
/// word or a pipe from `cat`, and the same as a JSON list of words. `None` where the command
/// is anything else, also one that merely mentions a patch.
pub fn find(command: &str) -> Option<HeredocPatch> {
    let _ = command;
    None
}
