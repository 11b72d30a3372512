//! The rights as types, so that a route cannot be without one.

use quire_domain::access::Right;

/// What a route needs.
pub trait Needs: Send + Sync + 'static {
    /// The right; `None` is to be signed in.
    const RIGHT: Option<Right>;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $right:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Needs for $name {
            const RIGHT: Option<Right> = $right;
        }
    )*};
}

rights! {
    /// To be signed in, with whatever rights.
    SignedIn = None;
    /// [`Right::ReadTasks`].
    ReadTasks = Some(Right::ReadTasks);
    /// [`Right::WriteTasks`].
    WriteTasks = Some(Right::WriteTasks);
    /// [`Right::ReadEnvironments`].
    ReadEnvironments = Some(Right::ReadEnvironments);
    /// [`Right::WriteEnvironments`].
    WriteEnvironments = Some(Right::WriteEnvironments);
    /// [`Right::ManageTeam`].
    ManageTeam = Some(Right::ManageTeam);
    /// [`Right::ReadUsage`].
    ReadUsage = Some(Right::ReadUsage);
    /// [`Right::ReadAudit`].
    ReadAudit = Some(Right::ReadAudit);
    /// [`Right::ManageServer`].
    ManageServer = Some(Right::ManageServer);
}
