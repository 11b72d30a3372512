//! `quire login`: signs in to a server, so that commands work against it with `--remote`.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use quire_api::{Me, ServerInfo};
use quire_client::{Call, ServerAddress};
use quire_domain::secret::Secret;

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::remote::{Known, Servers, connect, told};
use crate::show::{self, table::table};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Args {
    /// Where the server is, e.g. `https://quire.example`; or a sign-in link that it printed.
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    url: Option<String>,
    /// Read the token from standard input, without asking: for scripts.
    #[arg(long)]
    token_stdin: bool,
    /// The file of the authority (PEM) that its certificate is signed by, beside those that the
    /// machine trusts. It is remembered, and read anew each time.
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    ca: Option<PathBuf>,
    /// What to call it; the host if not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The one that is meant where none is named.
    #[arg(long)]
    default: bool,
    /// The servers that you signed in to.
    #[arg(long)]
    list: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A token is at most this long, in bytes.
const MOST_TOKEN: u64 = 4096;

/// Runs it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mut servers = Servers::read(&context.surroundings)?;
    let Some(url) = &args.url else {
        list(&servers, args.json);
        return Ok(Exit::Done);
    };
    let (address, link) = read_address(url)?;
    if address.is_readable_on_the_way() {
        show::err(&format!(
            "warning: {address} is not encrypted: your token and everything else can be read on the \
             way"
        ));
    }
    // Asked before the token, so that a wrong address never gets one.
    let ca = args.ca.as_ref().map(|file| context.surroundings.current_dir.join(file));
    let client = connect(address.clone(), None, ca.as_deref(), &context.surroundings)?;
    let info: ServerInfo = client.ask(Call::get(&["server"])).await.map_err(told)?;
    if !info.api.iter().any(|version| version == "v1") {
        return Err(usage(format!(
            "{address} runs Quire {}, which speaks another version of the API: use a quire of about \
             that version",
            info.version
        )));
    }
    let token = match link {
        Some(link) => {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let made = client.token_by_link(&link, &format!("quire on {host}")).await;
            made.map_err(|error| match error.kind() {
                Some(quire_api::ProblemKind::NotSignedIn) => usage(
                    "the link was used before, or is older than an hour: have the server print \
                     another one, or use a token",
                ),
                _ => told(error),
            })?
            .reveal()
            .clone()
        }
        None => read_token(&args, &address, context)?,
    };
    let known = Some(Secret::new(token.clone()));
    let client = connect(address.clone(), known, ca.as_deref(), &context.surroundings)?;
    let me: Me = client.ask(Call::get(&["me"])).await.map_err(|error| match error.kind() {
        Some(quire_api::ProblemKind::NotSignedIn) => usage(format!(
            "{address} does not know this token: it is wrong, has ended, or was taken back"
        )),
        _ => told(error),
    })?;
    let url = address.to_string();
    let name = args.name.clone().unwrap_or_else(|| servers.name_for(&address.host(), &url));
    if name.is_empty() || name == "none" || name.contains(char::is_whitespace) {
        return Err(usage(format!("`{name}` cannot be the name of a server")));
    }
    let first = servers.list.is_empty();
    servers.put(
        Known { name: name.clone(), url, token, user: Some(me.name.clone()), ca },
        args.default,
    );
    servers.write()?;
    if args.json {
        let teams: Vec<&str> = me.teams.iter().map(|team| team.name.as_str()).collect();
        let value = serde_json::json!({
            "name": name, "url": address.to_string(), "user": me.name, "teams": teams,
            "version": info.version,
        });
        show::out(&value.to_string());
        return Ok(Exit::Done);
    }
    let teams: Vec<String> =
        me.teams.iter().map(|team| format!("{} ({})", team.name, team.role.as_str())).collect();
    let teams = if teams.is_empty() { "no team".to_owned() } else { teams.join(", ") };
    show::err(&format!("signed in to {address} as {}, in {teams}", me.name));
    let flag =
        if first || args.default { "--remote".to_owned() } else { format!("--remote={name}") };
    show::err(&format!(
        "`quire task list {flag}` shows what runs there; `quire run {flag} \"…\"` starts more"
    ));
    Ok(Exit::Done)
}

/// Reads an address, and what stands behind it where it is a link to sign in by.
fn read_address(text: &str) -> anyhow::Result<(ServerAddress, Option<String>)> {
    let wrong = |error: quire_client::BadAddress| usage(error.to_string());
    let Some((_, link)) = text.split_once('#').filter(|(_, link)| !link.is_empty()) else {
        return Ok((ServerAddress::parse(text).map_err(wrong)?, None));
    };
    let end = text.find('#').unwrap_or(text.len());
    // What a link leads to, below the server's own address.
    let mut base = &text[..end];
    for page in ["/sign-in", "/login", "/"] {
        base = base.strip_suffix(page).unwrap_or(base);
    }
    Ok((ServerAddress::parse(base).map_err(wrong)?, Some(link.to_owned())))
}

/// Reads the token, never from the command line: other users see that.
fn read_token(args: &Args, address: &ServerAddress, context: &Context) -> anyhow::Result<String> {
    let unread = |error| usage(format!("cannot read the token: {error}"));
    let mut text = String::new();
    if args.token_stdin || !context.surroundings.stdin_terminal {
        std::io::stdin().lock().take(MOST_TOKEN).read_to_string(&mut text).map_err(unread)?;
    } else {
        show::err("the server has tokens for you; `quire login LINK` takes a sign-in link instead");
        let _ = write!(std::io::stderr(), "token for {}: ", address.host());
        let _ = std::io::stderr().flush();
        let hidden = Hidden::begin();
        let read = std::io::stdin().lock().take(MOST_TOKEN).read_line(&mut text);
        drop(hidden);
        show::err("");
        read.map_err(unread)?;
    }
    let token = text.trim();
    if token.is_empty() {
        return Err(usage("no token was given: `quire login URL --token-stdin < FILE`"));
    }
    if token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(usage("what was given is no token: it holds white space"));
    }
    Ok(token.to_owned())
}

/// What is typed is not shown while this lives.
struct Hidden(Option<rustix::termios::Termios>);

impl Hidden {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = rustix::stdio::stdin();
        let Ok(before) = tcgetattr(stdin) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        let _ = tcsetattr(stdin, OptionalActions::Flush, &quiet);
        Self(Some(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.0 {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, before);
        }
    }
}

fn list(servers: &Servers, json: bool) {
    let default = servers.meant().map(|known| known.name.clone());
    if json {
        for known in &servers.list {
            let line = serde_json::json!({
                "name": known.name, "url": known.url, "user": known.user,
                "default": default.as_deref() == Some(&known.name),
            });
            show::out(&line.to_string());
        }
        return;
    }
    if servers.list.is_empty() {
        show::err("you have not signed in to a server yet: `quire login URL` does");
        return;
    }
    let rows: Vec<Vec<String>> = servers
        .list
        .iter()
        .map(|known| {
            let is_default = default.as_deref() == Some(&known.name);
            vec![
                known.name.clone(),
                known.url.clone(),
                known.user.clone().unwrap_or_default(),
                if is_default { "default".to_owned() } else { String::new() },
            ]
        })
        .collect();
    show::out(table(&["server", "address", "as", ""], &rows, show::width()).trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_link_holds_the_address_and_what_signs_in() {
        let read = |text| {
            let (address, token) = read_address(text).unwrap();
            (address.to_string(), token)
        };
        let link = Some("ab-c_".to_owned());
        assert_eq!(read("http://[::1]:7/sign-in#ab-c_"), ("http://[::1]:7".into(), link.clone()));
        assert_eq!(read("https://h/q/sign-in#ab-c_"), ("https://h/q".into(), link));
        assert_eq!(read("h.example"), ("https://h.example".into(), None));
    }
}
