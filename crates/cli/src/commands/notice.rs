//! `quire notice`: who is told of a team's tasks, and what was sent to them.

mod place;

use std::time::{Duration, Instant};

use clap::Subcommand;
use quire_api::{Delivery, NewSubscription, NoticeAbout, NoticeChannel, Subscription};
use uuid::Uuid;

use self::place::Place;
use crate::commands::Context;
use crate::exit::Exit;
use crate::show::{self, style::plain, table::table};

/// A receiver gets 10 s for its answer, a mail server 30 s.
const TEST_PATIENCE: Duration = Duration::from_secs(45);

/// How often to look how a test ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The state of what is on its way.
const WAITING: &str = "waiting";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Have somebody told: by a signed request to a URL, or by e-mail. A webhook's secret is shown now
    /// and never again.
    Add(Add),
    /// Who is told.
    List(Of),
    /// Tell somebody no more; what is on its way to them is given up.
    Remove {
        /// The subscription (`quire notice list`).
        id: Uuid,
    },
    /// What was sent to somebody, or tried to be: the newest 100.
    Log {
        /// The subscription.
        id: Uuid,
        /// As JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Send somebody a piece of news about nothing, and say whether it was taken. It is tried once.
    Test {
        /// The subscription.
        id: Uuid,
        /// As JSON, a line.
        #[arg(long)]
        json: bool,
    },
    /// Make a webhook's secret anew: shown now and never again. What waits to be sent is signed with it
    /// as well.
    Rotate {
        /// The subscription.
        id: Uuid,
    },
    /// Send something once more, however it ended.
    Resend {
        /// The subscription.
        id: Uuid,
        /// What was sent (`quire notice log`).
        delivery: Uuid,
    },
}

/// Whom to tell.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// An `https` URL, or an e-mail address.
    target: String,
    /// Of what, and nothing else; several with commas. By default of what needs somebody and of what
    /// ended.
    #[arg(long, value_name = "NEWS", value_enum, value_delimiter = ',')]
    of: Vec<News>,
    /// What `list` shares.
    #[command(flatten)]
    whose: Of,
}

/// Whose, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Of {
    /// The team, where there are several.
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// As JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// What to be told of.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum News {
    /// A task waits for somebody, or stands still.
    NeedsYou,
    /// A task ended.
    Ended,
    /// A step of a task's plan is done, or its checks began.
    Progress,
}

/// Runs it.
pub async fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let place = Place::of(context).await?;
    match command {
        Command::Add(Add { target, of, whose }) => {
            let web = target.contains("://");
            let channel = if web { NoticeChannel::Webhook } else { NoticeChannel::Email };
            let kinds = (!of.is_empty()).then(|| of.into_iter().map(about).collect());
            let new = NewSubscription { team: whose.team, channel, target, kinds };
            let made = place.add(new).await?;
            if whose.json {
                show::out(&serde_json::to_string(&made)?);
            } else {
                show::out(&format!("{} is told: {}", plain(&made.target, false), made.id));
                show_secret(&made);
            }
        }
        Command::List(of) => shown(&place.list(of.team.as_deref()).await?, of.json)?,
        Command::Remove { id } => {
            place.remove(id).await?;
            show::err(&format!("{id} is told no more"));
        }
        Command::Log { id, json } => log(&place.log(id).await?, json)?,
        Command::Test { id, json } => return test(&place, id, json).await,
        Command::Rotate { id } => show_secret(&place.rotate(id).await?),
        Command::Resend { id, delivery } => {
            place.resend(id, delivery).await?;
            show::err(&format!("{delivery} is sent again while a server runs"));
        }
    }
    Ok(Exit::Done)
}

fn show_secret(made: &Subscription) {
    if let Some(secret) = &made.secret {
        show::out(secret);
        show::err("what it is sent is signed with this secret, which is not shown again");
    }
}

/// Sends a test and waits to see how it ends.
async fn test(place: &Place, id: Uuid, json: bool) -> anyhow::Result<Exit> {
    let mut sent = place.test(id).await?;
    let deadline = Instant::now() + TEST_PATIENCE;
    while sent.state == WAITING && Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        let all = place.log(id).await?;
        sent = all.into_iter().find(|one| one.id == sent.id).unwrap_or(sent);
    }
    if json {
        show::out(&serde_json::to_string(&sent)?);
    }
    let answered = sent.status.map(|status| format!(" ({status})")).unwrap_or_default();
    match &*sent.state {
        "delivered" => show::err(&format!("it was taken{answered}")),
        WAITING => show::err("it was not sent yet: does `quire serve` run?"),
        _ => show::err(&format!("it was not taken{answered}: {}", plain(&sent.detail, false))),
    }
    Ok(if sent.state == "delivered" { Exit::Done } else { Exit::Failed })
}

fn shown(list: &[Subscription], json: bool) -> anyhow::Result<()> {
    if json {
        for one in list {
            show::out(&serde_json::to_string(one)?);
        }
        return Ok(());
    }
    if list.is_empty() {
        show::err("nobody is told: `quire notice add https://…` or `quire notice add name@host`");
        return Ok(());
    }
    let row = |one: &Subscription| {
        let kinds: Vec<&str> = one.kinds.iter().copied().map(word).collect();
        vec![one.id.to_string(), plain(&one.target, false), kinds.join(", ")]
    };
    let rows: Vec<_> = list.iter().map(row).collect();
    show::out(table(&["id", "to", "of"], &rows, show::width()).trim_end());
    Ok(())
}

fn log(list: &[Delivery], json: bool) -> anyhow::Result<()> {
    if json {
        for one in list {
            show::out(&serde_json::to_string(one)?);
        }
        return Ok(());
    }
    if list.is_empty() {
        show::err("nothing was sent yet");
        return Ok(());
    }
    let row = |one: &Delivery| {
        let status = one.status.map_or_else(|| "–".to_owned(), |status| status.to_string());
        let news = match one.task {
            Some(task) => format!("task {task} {}", word(one.about)),
            None => word(one.about).to_owned(),
        };
        let state = one.state.replace('_', " ");
        let tries = one.tries.to_string();
        vec![one.id.to_string(), news, state, tries, status, plain(&one.detail, false)]
    };
    let rows: Vec<_> = list.iter().map(row).collect();
    let heading = ["id", "news", "state", "tries", "status", "what went wrong"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    Ok(())
}

fn about(news: News) -> NoticeAbout {
    match news {
        News::NeedsYou => NoticeAbout::NeedsYou,
        News::Ended => NoticeAbout::Ended,
        News::Progress => NoticeAbout::Progress,
    }
}

fn word(about: NoticeAbout) -> &'static str {
    match about {
        NoticeAbout::NeedsYou => "needs-you",
        NoticeAbout::Ended => "ended",
        NoticeAbout::Progress => "progress",
        NoticeAbout::Test => "test",
    }
}
