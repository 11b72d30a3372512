//! The null backend: commands run on the host as they are. For tests that need no isolation.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::sandbox::{IsolationReport, Sandbox, SandboxBackend, SandboxError, SandboxSpec};

/// Makes sandboxes that isolate nothing; refuses to outside tests.
#[derive(Debug)]
pub struct NullBackend {
    _private: (),
}

impl NullBackend {
    /// For tests alone: refused unless the process is told so by `in_test`.
    pub fn for_tests() -> Self {
        Self { _private: () }
    }
}

#[async_trait]
impl SandboxBackend for NullBackend {
    async fn create(&self, _spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Err(SandboxError::Gone("not built yet".to_owned()))
    }

    async fn report(&self) -> IsolationReport {
        IsolationReport { usable: false, findings: Vec::new() }
    }

    async fn discard(&self, path: &Path) -> Result<(), SandboxError> {
        match std::fs::remove_dir_all(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(SandboxError::Create { step: "remove the upper".to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    async fn sweep(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}
