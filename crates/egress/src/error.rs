//! Why the proxy cannot be set up.

/// Why a proxy or a door of it cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// TLS cannot be set up.
    #[error("cannot set up TLS for the egress proxy")]
    Tls(#[source] rustls::Error),
    /// The task's certificate authority cannot be made.
    #[error("cannot make the task's certificate authority")]
    Authority(#[source] rcgen::Error),
    /// A door was opened outside of a runtime that could serve it.
    #[error("cannot open an egress door outside of a runtime")]
    NoRuntime,
}
