//! Stands in for our own binary in tests: the zygote, the unpacker, and one that brings an image.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use quire_domain::environment::{BaseSpec, Limits};
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, SandboxBackend, SandboxBase, SandboxError, SandboxSpec,
    SandboxUser, Upper,
};
use quire_images::{Base, Images, ImagesConfig, PrivateHosts, Settings, Timing};
use quire_sandbox::{NativeBackend, NativeConfig, Zygote};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    if quire_sandbox::zygote::is_zygote() {
        quire_sandbox::zygote::main();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack-layer", job] => ExitCode::from(quire_images::unpack_layer(job)),
        ["bring", dir, what] => bring(dir, what, None),
        ["run", dir, what, script] => bring(dir, what, Some(script)),
        _ => ExitCode::from(2),
    }
}

/// Brings a base into the store below `dir` and says how: an image, `tar:PATH` or `directory:PATH`.
/// Then runs a script over it, as the agent and as setup's root.
fn bring(dir: &str, what: &str, script: Option<&str>) -> ExitCode {
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
            let said = base.notes.iter().chain(base.lacks.iter().map(|lack| &lack.what));
            let said = said.fold(String::new(), |all, note| format!("{all}\n{note}"));
            let mut said = format!("{} {}{said}", base.layers.len(), base.identity);
            for user in [SandboxUser::Agent, SandboxUser::SetupRoot] {
                if let Some(script) = script {
                    said.push_str(&over(&backend, &base, user, script).await?);
                }
            }
            Ok(said)
        })
    };
    let (text, code) = match told() {
        Ok(text) => (text, 0),
        Err(error) => (format!("error: {error}"), 1),
    };
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::from(code)
}

/// What a script prints over a base.
async fn over(
    backend: &dyn SandboxBackend,
    base: &Base,
    user: SandboxUser,
    script: &str,
) -> Result<String, SandboxError> {
    let spec = SandboxSpec {
        name: format!("stand-in-{}", std::process::id()),
        base: SandboxBase::Layers(base.layers.clone()),
        system: BTreeMap::new(),
        overlays: Vec::new(),
        binds: Vec::new(),
        upper: Upper::Memory,
        workdir: PathBuf::from("/work"),
        home: PathBuf::from("/home/quire"),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())]),
        user,
        limits: Limits { disk_bytes: 1 << 30, ..Limits::default() },
        egress: None,
    };
    let sandbox = backend.create(spec).await?;
    let command = Command {
        argv: vec!["bash".to_owned(), "-c".to_owned(), script.to_owned()],
        env: BTreeMap::new(),
        workdir: None,
        io: CommandIo::Output,
    };
    let mut output = sandbox.start(command).await?.output;
    let mut said = format!("\n{user:?}: ");
    while let CommandEvent::Output(bytes) = output.next().await? {
        said.push_str(&String::from_utf8_lossy(&bytes));
    }
    sandbox.end().await?;
    Ok(said)
}
