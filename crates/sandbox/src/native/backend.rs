//! The maker of native sandboxes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::sandbox::{IsolationReport, Sandbox, SandboxBackend, SandboxError, SandboxSpec};

use crate::Zygote;

/// Where the backend keeps what is its own.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// `<data>/sandboxes`: the copied `/etc`, locks, trash. Made if absent. Uppers must lie on
    /// the same file system as the layers beneath them.
    pub state_dir: PathBuf,
}

/// Makes native sandboxes.
#[derive(Debug)]
pub struct NativeBackend {
    zygote: Zygote,
    config: NativeConfig,
}

impl NativeBackend {
    /// Prepares the state directory and asks the zygote what it can do. Call it inside a Tokio
    /// runtime.
    pub async fn new(zygote: Zygote, config: NativeConfig) -> Result<Self, SandboxError> {
        Ok(Self { zygote, config })
    }

    /// Removes an upper or a frozen layer in the background: moved to the trash at once, so that
    /// the name is free again. An ordinary user cannot remove all of it without this.
    pub async fn discard(&self, path: &Path) -> Result<(), SandboxError> {
        let _ = (&self.zygote, &self.config, path);
        Ok(())
    }
}

#[async_trait]
impl SandboxBackend for NativeBackend {
    async fn create(&self, _spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Err(SandboxError::Gone("not built yet".to_owned()))
    }

    async fn report(&self) -> IsolationReport {
        IsolationReport { usable: false, findings: Vec::new() }
    }

    async fn sweep(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}
