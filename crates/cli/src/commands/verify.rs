//! `quire verify`: checks the evidence of a task, offline.

mod about;
mod file;

use std::path::PathBuf;

use quire_client::Call;
use quire_domain::ids::AttemptRef;
use quire_evidence::bundle::{Bundle, CitedLines};
use quire_evidence::dsse::Verdict;
use quire_evidence::keys::PublicKey;
use quire_orchestrator::bases::Bring;
use quire_orchestrator::rerun::{Network, Rerunning, rerun};
use tokio_util::sync::CancellationToken;

use crate::commands::Context;
use crate::commands::task::find;
use crate::commands::verify::file::Unread;
use crate::exit::{Exit, stop, usage};
use crate::installation::Installation;
use crate::remote::{Remote, tasks, told};
use crate::show::{self, bringing::Bringing, style::Style};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), one attempt (`42.3`), or the file of an evidence bundle.
    what: String,
    /// A public key to trust (PEM), beside this installation's own; may be given several times.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Repeat each cited command twice at the final commit and compare.
    #[arg(long)]
    rerun: bool,
    /// With --rerun: the way out that the commands had. Without it, what reached something is not
    /// repeated.
    #[arg(long, requires = "rerun")]
    network: bool,
    /// Write the bundle to this file as well.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A bundle is at most this long, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// A public key is at most this long, in bytes.
const MOST_KEY_BYTES: u64 = 64 << 10;

/// The evidence of an attempt on a server. Who vouches for it is the server's key, which is told
/// as unknown unless it is given with `--key`.
async fn there(remote: &Remote, name: AttemptRef) -> anyhow::Result<Bundle> {
    let named = tasks::find(remote, name).await?;
    let id = named.attempt.id.to_string();
    let download = remote.client.download(Call::get(&["attempts", &id, "evidence"])).await;
    let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let bytes = download.map_err(told)?.whole(most).await.map_err(told)?;
    let damaged =
        |why: String| stop(Exit::NotVerified, format!("the evidence for {name} is damaged: {why}"));
    let text = std::str::from_utf8(&bytes).map_err(|error| damaged(error.to_string()))?;
    Bundle::parse(text).map_err(|error| damaged(error.to_string()))
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let mut trusted = Vec::new();
    for path in &args.key {
        let text = file::text(path, MOST_KEY_BYTES)
            .map_err(|error| usage(format!("cannot use the key {}: {error}", path.display())))?;
        let key = PublicKey::parse(&text)
            .map_err(|error| usage(format!("{}: {error}", path.display())))?;
        trusted.push(key);
    }
    let style = Style::new(context.surroundings.colour());
    if args.what.parse::<AttemptRef>().is_err() {
        if args.rerun {
            return Err(usage("--rerun needs a task of this installation, not a file"));
        }
        let path = context.surroundings.current_dir.join(&args.what);
        let text = file::text(&path, MOST_BYTES).map_err(|error| match error {
            Unread::Absent => {
                usage(format!("`{}` is neither a task nor a file: {error}", args.what))
            }
            error => usage(format!("`{}` is no evidence bundle: {error}", args.what)),
        })?;
        let bundle = Bundle::parse(&text).map_err(|error| usage(error.to_string()))?;
        return Ok(tell(&bundle, &trusted, Vec::new(), style, args.json));
    }
    let name: AttemptRef = args.what.parse().map_err(|error| usage(format!("{error}")))?;
    if let Some(remote) = context.remote()? {
        if args.rerun {
            return Err(usage("--rerun needs a task of this installation, not of a server"));
        }
        let bundle = there(&remote, name).await?;
        if let Some(export) = &args.export {
            std::fs::write(export, bundle.to_text())?;
            show::err(&format!("written to {}", export.display()));
        }
        return Ok(tell(&bundle, &trusted, Vec::new(), style, args.json));
    }
    let installation = Installation::open(context, None).await?;
    trusted.push(installation.worker.key.public());
    let named = find(&installation, name).await?;
    let worker = &installation.worker;
    let path = quire_orchestrator::seal::bundle_path(worker, named.attempt.id);
    let damaged = |why: String| {
        let path = path.display();
        stop(Exit::NotVerified, format!("the evidence for {name} is damaged: {why} ({path})"))
    };
    let text = file::text(&path, MOST_BYTES).map_err(|error| match error {
        Unread::Absent => stop(
            Exit::NotVerified,
            format!(
                "there is no evidence for {name}: it is signed when an attempt ends \
                 (`quire task resume` goes on with one that was cut off)"
            ),
        ),
        Unread::Io(error) => {
            let path = path.display();
            stop(
                Exit::NotVerified,
                format!("cannot read the evidence for {name}: {error} ({path})"),
            )
        }
        error => damaged(error.to_string()),
    })?;
    let bundle = Bundle::parse(&text).map_err(|error| damaged(error.to_string()))?;
    if let Some(export) = &args.export {
        std::fs::write(export, bundle.to_text())?;
        show::err(&format!("written to {}", export.display()));
    }
    let local =
        quire_orchestrator::local_record::compare(worker, &named.task, &named.attempt, &bundle)
            .await?;
    let mut exit = tell(&bundle, &trusted, local, style, args.json);
    if args.rerun {
        let bringing = Bringing::new(installation.surroundings.stderr_terminal);
        let told = |progress| bringing.tell(&progress);
        let cancel = CancellationToken::new();
        let bring = Bring { before: None, told: &told, cancel: &cancel };
        let network = if args.network { Network::AsItWas } else { Network::Closed };
        let rerunning = Rerunning { bring, network, told: &show::err };
        let reruns = rerun(worker, &named.task, &named.attempt, rerunning).await;
        bringing.end();
        let reruns = reruns?;
        for line in &reruns {
            let text = format!("{}  {}", line.citation, line.text());
            show::out(&if line.holds() { text } else { style.warn(&text) });
            if !line.holds() && exit == Exit::Done {
                exit = Exit::NotVerified;
            }
        }
        if reruns.is_empty() {
            show::out("no command is cited, so none was repeated");
        }
    }
    Ok(exit)
}

/// Prints what was checked: the bundle by itself, and what is kept here beside it.
fn tell(
    bundle: &Bundle,
    trusted: &[PublicKey],
    local: Vec<(&'static str, Result<(), String>)>,
    style: Style,
    json: bool,
) -> Exit {
    let report = bundle.verify(trusted);
    let checks: Vec<_> = report.checks.iter().cloned().chain(local).collect();
    let intact = checks.iter().all(|(_, result)| result.is_ok());
    let trusted = intact && report.trusted();
    let signature = match &report.signature {
        Verdict::Trusted(key) => format!("signed by a trusted key ({})", key.id()),
        Verdict::UnknownKey(id) => format!("signed by an unknown key ({id})"),
        Verdict::Bad(why) => format!("not signed properly: {why}"),
    };
    let exit = if trusted { Exit::Done } else { Exit::NotVerified };
    if json {
        let checks: Vec<_> = checks
            .iter()
            .map(
                |(name, result)| serde_json::json!({"check": name, "fault": result.as_ref().err()}),
            )
            .collect();
        let value = serde_json::json!({
            "intact": intact,
            "trusted": trusted,
            "about": about::json(bundle),
            "signature": signature,
            "checks": checks,
            "cited": {
                "citations": report.cited.citations,
                "looked_up": report.cited.looked_up,
                "not_in_bundle": report.cited.not_in_bundle,
            },
        });
        show::out(&value.to_string());
        return exit;
    }
    for line in about::lines(bundle, intact) {
        show::out(&line);
    }
    for (name, result) in &checks {
        match result {
            Ok(()) => show::out(&format!("{}  {name}", style.good("holds "))),
            Err(why) => show::out(&format!("{}  {name}: {why}", style.bad("broken"))),
        }
    }
    if let Some(text) = not_looked_up(report.cited) {
        show::out(&style.warn(&text));
    }
    show::out(&signature);
    if intact {
        show::out(
            "This proves that the installation with that key recorded this and that nothing was \
             changed since.\nIt does not prove that whoever runs the installation is honest.",
        );
    } else {
        show::out(
            &style.bad("Do not trust this record: something in it was changed, or is missing."),
        );
    }
    exit
}

/// What is said of cited lines that were not looked up, if any.
fn not_looked_up(cited: CitedLines) -> Option<String> {
    let CitedLines { citations, looked_up, not_in_bundle } = cited;
    if looked_up == citations {
        return (citations == 0).then(|| "no cited lines to look up".to_owned());
    }
    let why = match not_in_bundle {
        0 => "not all lines of their outputs were kept".to_owned(),
        1 => "1 cited content is not in the bundle".to_owned(),
        more => format!("{more} cited contents are not in the bundle"),
    };
    let left = citations - looked_up;
    Some(format!("not looked up: the lines of {left} of {citations} citations; {why}"))
}
