//! How a server tells people of what happens, as its settings say.

use std::sync::Arc;

use quire_orchestrator::secrets_key::SecretsKey;
use quire_server::deliver::{Mail, Notices, OpenKey, Targets};

use crate::exit::usage;
use crate::settings::notices::Notices as Settings;

/// Opens nothing and calls nobody: a mail server that cannot be reached is told when it is needed.
pub fn notices(settings: &Settings, secrets: &Arc<SecretsKey>) -> anyhow::Result<Notices> {
    let mail = match (&settings.mail_server, &settings.mail_from) {
        (None, _) => None,
        (Some(server), Some(from)) => {
            let mail = Mail::new(&server.value, &from.value);
            Some(Arc::new(mail.map_err(|error| usage(format!("{}: {error}", server.origin)))?))
        }
        (Some(server), None) => {
            return Err(usage(format!(
                "{}: `notices.mail_server` needs `notices.mail_from`: who the e-mail is from",
                server.origin
            )));
        }
    };
    let secrets = Arc::clone(secrets);
    let key: Arc<OpenKey> = Arc::new(move || secrets.to_seal().map_err(|error| error.to_string()));
    let private_hosts = settings.private_hosts.as_ref().map(|hosts| hosts.value.clone());
    Ok(Notices {
        key,
        targets: Targets { private_hosts: private_hosts.unwrap_or_default() },
        mail,
        base_url: settings.base_url.as_ref().map(|url| url.value.clone()),
    })
}
