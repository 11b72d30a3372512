//! E-mail: a short text for each delivery, handed to the mail server that an administrator named.

use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use quire_store::{Delivery, Notice, NoticeKind};

use super::Sent;

/// From the connection to the server's last word.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A mail server, and who writes.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why e-mail cannot be sent this way.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server's address.
    #[error(
        "`{0}` is no mail server: give `smtps://user:password@host`, `smtp://host?tls=required`, or `smtp://127.0.0.1:25` for one on this machine"
    )]
    Server(String),
    /// The sender's address.
    #[error("`{0}` is no sender: give `name@example.com` or `Name <name@example.com>`")]
    From(String),
}

impl Mail {
    /// A mail server by its URL, and the address that writes. Nothing is called yet.
    pub fn new(server: &str, from: &str) -> Result<Self, MailError> {
        // A password may be part of the address: what is said of it leaves that out.
        let shown = || server.rsplit_once('@').map_or(server, |(_, host)| host).to_owned();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(server)
            .map_err(|_| MailError::Server(shown()))?
            .timeout(Some(TIMEOUT))
            .build();
        let from = from.parse().map_err(|_| MailError::From(from.to_owned()))?;
        Ok(Self { transport, from })
    }

    /// Whether something is an e-mail address.
    pub fn is_address(text: &str) -> bool {
        text.parse::<Address>().is_ok()
    }

    pub(super) async fn send(&self, to: &str, delivery: &Delivery, link: Option<&str>) -> Sent {
        let never = |why: String| Sent::Never { status: None, why };
        let Ok(to) = to.parse::<Address>() else {
            return never(format!("`{to}` is no e-mail address"));
        };
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject(&delivery.notice))
            .message_id(Some(format!("<{}@quire>", delivery.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(text(&delivery.notice, link));
        let message = match message {
            Ok(message) => message,
            Err(error) => return never(error.to_string()),
        };
        match self.transport.send(message).await {
            Ok(_) => Sent::Taken { status: None },
            Err(error) if error.is_permanent() => never(error.to_string()),
            Err(error) => Sent::NotNow { status: None, why: error.to_string(), after_s: None },
        }
    }
}

/// One line, of which nothing can end it early.
fn subject(notice: &Notice) -> String {
    let title: String =
        notice.title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect();
    match notice.task {
        Some(task) => format!("[quire] task {task} {}: {title}", words(notice)),
        None => format!("[quire] {title}"),
    }
}

fn words(notice: &Notice) -> String {
    match notice.kind {
        NoticeKind::NeedsYou => format!("needs you ({})", notice.state),
        NoticeKind::Ended => format!("ended: {}", notice.state),
        NoticeKind::Progress => "goes on".to_owned(),
        NoticeKind::Test => "is none".to_owned(),
    }
}

fn text(notice: &Notice, link: Option<&str>) -> String {
    let Some(task) = notice.task else {
        return link.map_or_else(
            || format!("{}\n", notice.title),
            |link| format!("{}\n\n{link}\n", notice.title),
        );
    };
    let mut text =
        format!("Task {task} {}\n\n{}\n{}\n", words(notice), notice.title, notice.repository);
    if let Some(detail) = &notice.detail {
        text.push_str(detail);
        text.push('\n');
    }
    let link = link.map_or_else(|| format!("quire task show {task}"), str::to_owned);
    text + "\n" + &link + "\n"
}
