//! `quire unpack-layer`: unpacks a layer of an image. Called by Quire itself, inside a sandbox, and
//! listed nowhere.

use std::process::ExitCode;

/// The first argument that asks for it.
const MARKER: &str = "unpack-layer";

/// Does it where it is asked for, before anything else is started or read: there is no zygote in a
/// sandbox and nothing to configure. Gives how it went.
pub fn if_asked() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    let asked = words.next().is_some_and(|word| word == MARKER);
    asked.then(|| ExitCode::from(quire_images::unpack_layer(&words.next().unwrap_or_default())))
}
