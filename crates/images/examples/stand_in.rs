//! Stands in for our own binary in tests: the zygote, the unpacker, and one that brings an image.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use quire_domain::environment::BaseSpec;
use quire_images::{Images, ImagesConfig, PrivateHosts, Settings, Timing};
use quire_sandbox::{NativeBackend, NativeConfig, Zygote};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    if quire_sandbox::zygote::is_zygote() {
        quire_sandbox::zygote::main();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack-layer", job] => ExitCode::from(quire_images::unpack_layer(job)),
        ["bring", dir, what] => bring(dir, what),
        _ => ExitCode::from(2),
    }
}

/// Brings a base into the store below `dir` and says how: an image, `tar:PATH` or `directory:PATH`.
fn bring(dir: &str, what: &str) -> ExitCode {
    let dir = PathBuf::from(dir);
    let told = || -> Result<String, Box<dyn std::error::Error>> {
        let program = std::env::current_exe()?;
        let zygote = Zygote::spawn_program(&program)?;
        let settings = Settings {
            private_hosts: PrivateHosts::Any,
            timing: Timing { backoff: Duration::from_millis(10), ..Timing::default() },
            ..Settings::default()
        };
        let images = Images::open(ImagesConfig { dir: dir.join("images"), program, settings })?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let config = NativeConfig { state_dir: dir.join("sandboxes") };
            let backend = NativeBackend::new(zygote, config).await?;
            let spec = match what.split_once(':') {
                Some(("tar", path)) => BaseSpec::Tar { path: path.to_owned() },
                Some(("directory", path)) => BaseSpec::Directory { path: path.to_owned() },
                _ => BaseSpec::Image { reference: what.to_owned() },
            };
            let cancel = CancellationToken::new();
            let base = images.base(&spec, &backend, &|_| {}, &cancel).await?;
            let said = base.notes.into_iter().chain(base.lacks.into_iter().map(|lack| lack.what));
            let said = said.fold(String::new(), |all, note| format!("{all}\n{note}"));
            Ok(format!("{} {}{said}", base.layers.len(), base.identity))
        })
    };
    let (text, code) = match told() {
        Ok(text) => (text, 0),
        Err(error) => (format!("error: {error}"), 1),
    };
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::from(code)
}
