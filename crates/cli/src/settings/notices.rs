//! The section `[notices]`: how a server tells people of what happens. Only a person's or an
//! administrator's own files may have it, never a repository's.

use serde::Deserialize;

use super::Setting;
use crate::exit::usage;

/// What of the section was set.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    /// Where people look at tasks: what links begin with.
    pub base_url: Option<Setting<String>>,
    /// Hosts of webhooks that may have private addresses.
    pub private_hosts: Option<Setting<Vec<String>>>,
    /// The mail server.
    pub mail_server: Option<Setting<String>>,
    /// Who e-mail is from.
    pub mail_from: Option<Setting<String>>,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticesWords {
    base_url: Option<String>,
    private_hosts: Option<Vec<String>>,
    mail_server: Option<String>,
    mail_from: Option<String>,
}

impl Notices {
    /// Takes what a file says over what was there.
    pub(super) fn layer(&mut self, words: NoticesWords, origin: &str) -> anyhow::Result<()> {
        fn take<T>(at: &mut Option<Setting<T>>, value: Option<T>, origin: &str) {
            if let Some(value) = value {
                *at = Some(Setting { value, origin: origin.to_owned() });
            }
        }
        if let Some(url) = &words.base_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(usage(format!(
                "{origin}: `notices.base_url` is `{url}`: give an address as people type it, e.g. `https://quire.example`"
            )));
        }
        take(&mut self.base_url, words.base_url, origin);
        take(&mut self.private_hosts, words.private_hosts, origin);
        take(&mut self.mail_server, words.mail_server, origin);
        take(&mut self.mail_from, words.mail_from, origin);
        Ok(())
    }

    /// Name, value and origin of each setting that was set. A mail server's password is left out.
    pub(super) fn rows(&self) -> Vec<[String; 3]> {
        fn row<T>(
            name: &str,
            setting: Option<&Setting<T>>,
            text: impl Fn(&T) -> String,
        ) -> Option<[String; 3]> {
            let setting = setting?;
            Some([format!("notices.{name}"), text(&setting.value), setting.origin.clone()])
        }
        let without_password = |url: &String| match (url.split_once("://"), url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
            _ => url.clone(),
        };
        let rows = [
            row("base_url", self.base_url.as_ref(), Clone::clone),
            row("private_hosts", self.private_hosts.as_ref(), |hosts| hosts.join(", ")),
            row("mail_server", self.mail_server.as_ref(), without_password),
            row("mail_from", self.mail_from.as_ref(), Clone::clone),
        ];
        rows.into_iter().flatten().collect()
    }
}
