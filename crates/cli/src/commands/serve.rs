//! `quire serve`: takes tasks in and works on them, until it is told to end.
//!
//! The composition root of the server: an installation, slots for attempts, the reconciler, and
//! the HTTP API, in one process.

mod desk;
mod http;
mod lock;
mod logging;
pub(super) mod notices;
mod readiness;
mod starts;

use std::sync::Arc;
use std::time::Duration;

use quire_orchestrator::dispatch::LocalDispatch;
use quire_orchestrator::ending::end_cancelled;
use quire_orchestrator::pool::Slots;
use quire_orchestrator::reconcile::reconcile;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::lock::ServerLock;
use self::readiness::Readiness;
use crate::commands::Context;
use crate::commands::go::keep_of;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on, or a port on this machine alone (setting `serve.listen`).
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Attempts at work at once (setting `serve.slots`).
    #[arg(long, value_name = "COUNT")]
    slots: Option<u64>,
    /// The form of the log on standard error.
    #[arg(long, value_enum, default_value = "text", value_name = "FORM")]
    log: logging::LogForm,
    /// How much is logged: a level, or levels by part (`warn,quire_server=debug`).
    #[arg(long, env = "QUIRE_LOG", value_name = "LEVELS")]
    log_levels: Option<String>,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    logging::start(args.log, args.log_levels.as_deref())
        .map_err(|error| usage(format!("--log-levels: {error}")))?;
    let mut installation = Installation::open(context, None).await?;
    let serve = &mut installation.settings.serve;
    if let Some(text) = &args.listen {
        serve.listen_on(text, "--listen")?;
    }
    if let Some(slots) = args.slots {
        serve.with_slots(slots, "--slots")?;
    }
    installation.needs_sandbox()?;
    let mut lock = ServerLock::take(&installation.worker.place.data_dir)?;
    let readiness = Readiness::of(&installation.surroundings);
    let installation = Arc::new(installation);
    let mut worker = installation.worker.clone();
    worker.gateway = worker.gateway.patient();
    let settings = &installation.settings.serve;
    let (slots, patience) = (settings.slots(worker.place.machine), settings.drain());
    let mut signals = Signals::listen();
    let stop = CancellationToken::new();
    let listening = http::listen(&installation).await?;
    let (url, link) = (listening.url.clone(), listening.link.clone());

    let dispatch = LocalDispatch::new(worker.store.clone(), Arc::clone(&worker.clock));
    let pool = Slots::new(worker.clone(), Arc::new(dispatch), slots);
    let (running, keep) = (pool.running(), keep_of(&installation.settings));
    let reconciling = {
        let (worker, running, stop) = (worker.clone(), running.clone(), stop.clone());
        tokio::spawn(async move { reconcile(&worker, &running, keep, stop).await })
    };
    let ending = {
        let (worker, running, stop) = (worker.clone(), running.clone(), stop.clone());
        tokio::spawn(async move { end_cancelled(&worker, &running, stop).await })
    };
    let working = {
        let stop = stop.clone();
        tokio::spawn(async move { pool.work(stop, patience).await })
    };
    let data_dir = installation.surroundings.short(&worker.place.data_dir);
    let answering = tokio::spawn(listening.serve(stop.clone()));
    lock.tell(&url);
    show::err(&format!(
        "quire serves {data_dir} at {url}: {slots} attempts at once; Ctrl-C ends it"
    ));
    if let Some(link) = link {
        show::err(&format!("sign in, once and within an hour: {link}"));
    }
    readiness.ready(&format!("{slots} attempts at once"));

    signals.first().await;
    let at_work = running.count();
    readiness.stopping("letting go of what is at work");
    let seconds = patience.as_secs();
    if at_work > 0 {
        show::err(&format!(
            "ending: {at_work} attempts at work come to a step where nothing is lost, for {seconds} \
             s at most, and go on with the next start; Ctrl-C again ends at once"
        ));
    }
    stop.cancel();
    let ended = async {
        let _ = working.await;
        let _ = reconciling.await;
        let _ = ending.await;
        let _ = answering.await;
    };
    tokio::select! {
        () = ended => {}
        () = signals.second() => return Ok(Exit::Cancelled),
    }
    worker.store.close().await;
    drop(lock);
    Ok(Exit::Done)
}

/// Ctrl-C and SIGTERM: the first asks for an end in order, the second for one at once.
struct Signals {
    heard: mpsc::Receiver<()>,
}

impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let (tell, heard) = mpsc::channel(2);
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    else => return,
                }
                if tell.send(()).await.is_err() {
                    return;
                }
            }
        });
        Self { heard }
    }

    async fn first(&mut self) {
        if self.heard.recv().await.is_none() {
            // Nothing can be heard: only a kill ends it.
            loop {
                tokio::time::sleep(Duration::from_hours(1)).await;
            }
        }
    }

    async fn second(&mut self) {
        self.first().await;
    }
}
