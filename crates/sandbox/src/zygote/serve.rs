//! The zygote's loop.

use super::handle;

/// Serves until the parent is gone.
pub(super) fn run() -> ! {
    let _socket = handle::inherited_socket();
    std::process::exit(0)
}
