//! The section `[egress]`: how sandboxes reach the world. Only a person's or an administrator's own
//! files may have it, never a repository's.

use std::path::PathBuf;
use std::time::Duration;

use quire_domain::network::DomainPattern;
use quire_domain::secret::Secret;
use quire_egress::{EgressLimits, EgressProxy, EgressSettings, Parent, PrivateHost, Roots};
use quire_orchestrator::worker::WayOut;
use serde::Deserialize;

use super::Setting;
use crate::exit::usage;
use crate::surroundings::Surroundings;

/// The most hosts of a list.
const MOST_HOSTS: usize = 1_000;

/// A file of certificates is at most this long, in bytes.
const MOST_CA_BYTES: u64 = 4 << 20;

/// Where the worker's own proxy is named, the first that is set.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];

/// What of the section was set.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    /// Hosts that the policy `packages` means beside those that are found.
    packages: Option<Setting<Vec<DomainPattern>>>,
    /// Hosts with private addresses that may be reached.
    private: Option<Setting<Vec<PrivateHost>>>,
    /// The proxy that the worker itself has to go through; empty for none. May hold a password.
    proxy: Option<Setting<Secret<String>>>,
    /// What goes around it.
    no_proxy: Option<Setting<String>>,
    /// Certificate authorities beside the machine's.
    ca_file: Option<Setting<PathBuf>>,
    /// Connections of one sandbox at once.
    connections: Option<Setting<u64>>,
    /// Connections of all sandboxes of this process at once.
    connections_in_all: Option<Setting<u64>>,
    /// MiB that one connection may carry.
    mib_per_connection: Option<Setting<u64>>,
    /// MiB that one sandbox may send and receive.
    mib_per_sandbox: Option<Setting<u64>>,
    /// Minutes that one connection may last.
    minutes_per_connection: Option<Setting<u64>>,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressWords {
    packages: Option<Vec<String>>,
    private: Option<Vec<String>>,
    proxy: Option<String>,
    no_proxy: Option<String>,
    ca_file: Option<PathBuf>,
    connections: Option<u64>,
    connections_in_all: Option<u64>,
    mib_per_connection: Option<u64>,
    mib_per_sandbox: Option<u64>,
    minutes_per_connection: Option<u64>,
}

/// The least and the most of each bound.
const CONNECTIONS: (u64, u64) = (1, 10_000);
const MIB: (u64, u64) = (1, 1 << 30);
const MINUTES: (u64, u64) = (1, 10_080);

impl Egress {
    /// Takes what a file says over what was there.
    pub(super) fn layer(&mut self, words: EgressWords, origin: &str) -> anyhow::Result<()> {
        fn set<T>(setting: &mut Option<Setting<T>>, value: Option<T>, origin: &str) {
            if let Some(value) = value {
                *setting = Some(Setting { value, origin: origin.to_owned() });
            }
        }
        let packages = words.packages.map(|list| read(&list, origin, "packages")).transpose()?;
        let private = words.private.map(|list| read(&list, origin, "private")).transpose()?;
        if let Some(file) = words.ca_file.as_ref().filter(|file| !file.is_absolute()) {
            let file = file.display();
            return Err(usage(format!("{origin}: `egress.ca_file` ({file}) must be absolute")));
        }
        let connections = within(words.connections, CONNECTIONS, origin, "connections")?;
        let in_all = within(words.connections_in_all, CONNECTIONS, origin, "connections_in_all")?;
        let each = within(words.mib_per_connection, MIB, origin, "mib_per_connection")?;
        let all = within(words.mib_per_sandbox, MIB, origin, "mib_per_sandbox")?;
        let minutes =
            within(words.minutes_per_connection, MINUTES, origin, "minutes_per_connection")?;
        set(&mut self.connections, connections, origin);
        set(&mut self.connections_in_all, in_all, origin);
        set(&mut self.mib_per_connection, each, origin);
        set(&mut self.mib_per_sandbox, all, origin);
        set(&mut self.minutes_per_connection, minutes, origin);
        set(&mut self.packages, packages, origin);
        set(&mut self.private, private, origin);
        set(&mut self.proxy, words.proxy.map(Secret::new), origin);
        set(&mut self.no_proxy, words.no_proxy, origin);
        set(&mut self.ca_file, words.ca_file, origin);
        Ok(())
    }

    /// Takes the variables that other programs read their proxy from. A file that names one, or
    /// none, has said more than they do.
    pub(super) fn layer_variables(&mut self, surroundings: &Surroundings) {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| {
                let value = surroundings.variable(name)?.to_owned();
                Some(Setting { value, origin: (*name).to_owned() })
            })
        };
        if self.proxy.is_none() {
            self.proxy = first(&PROXIES)
                .map(|Setting { value, origin }| Setting { value: Secret::new(value), origin });
        }
        if self.no_proxy.is_none() {
            self.no_proxy = first(&["NO_PROXY", "no_proxy"]);
        }
    }

    /// Name, value and origin of what is set, without user and password of the proxy.
    pub(super) fn rows(&self) -> Vec<[String; 3]> {
        fn row<T>(name: &str, setting: Option<&Setting<T>>, text: String) -> [String; 3] {
            let origin = setting.map_or("default", |setting| &setting.origin);
            [format!("egress.{name}"), text, origin.to_owned()]
        }
        fn list<T: ToString>(setting: Option<&Setting<Vec<T>>>) -> String {
            let items = setting.into_iter().flat_map(|setting| &setting.value);
            items.map(T::to_string).collect::<Vec<_>>().join(", ")
        }
        let proxy = self.proxy.as_ref().map(|proxy| without_user(proxy.value.reveal()));
        let no_proxy = self.no_proxy.as_ref().map(|around| around.value.clone());
        let ca_file = self.ca_file.as_ref().map(|file| file.value.display().to_string());
        let limits = self.limits();
        let mut rows = vec![
            row("packages", self.packages.as_ref(), list(self.packages.as_ref())),
            row("private", self.private.as_ref(), list(self.private.as_ref())),
            row("proxy", self.proxy.as_ref(), proxy.unwrap_or_default()),
            row("no_proxy", self.no_proxy.as_ref(), no_proxy.unwrap_or_default()),
            row("ca_file", self.ca_file.as_ref(), ca_file.unwrap_or_default()),
        ];
        for (name, setting, value) in [
            ("connections", &self.connections, limits.connections as u64),
            ("connections_in_all", &self.connections_in_all, limits.connections_in_all as u64),
            ("mib_per_connection", &self.mib_per_connection, limits.bytes_per_connection >> 20),
            ("mib_per_sandbox", &self.mib_per_sandbox, limits.bytes_in_all >> 20),
            ("minutes_per_connection", &self.minutes_per_connection, limits.total.as_secs() / 60),
        ] {
            rows.push(row(name, setting.as_ref(), value.to_string()));
        }
        rows
    }

    /// The bounds of each way out.
    fn limits(&self) -> EgressLimits {
        let mut limits = EgressLimits::default();
        let number = |setting: &Option<Setting<u64>>| setting.as_ref().map(|it| it.value);
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        limits.connections = number(&self.connections).map_or(limits.connections, count);
        limits.connections_in_all =
            number(&self.connections_in_all).map_or(limits.connections_in_all, count);
        if let Some(mib) = number(&self.mib_per_connection) {
            limits.bytes_per_connection = mib << 20;
        }
        if let Some(mib) = number(&self.mib_per_sandbox) {
            limits.bytes_in_all = mib << 20;
        }
        if let Some(minutes) = number(&self.minutes_per_connection) {
            limits.total = Duration::from_secs(minutes * 60);
        }
        limits
    }

    /// The proxy that the worker itself goes through, for what it fetches otherwise.
    pub(super) fn proxy(&self) -> Option<Secret<String>> {
        let proxy = self.proxy.as_ref().map(|proxy| proxy.value.clone());
        proxy.filter(|proxy| !proxy.reveal().is_empty())
    }

    /// What goes around it.
    pub(super) fn no_proxy(&self) -> String {
        self.no_proxy.as_ref().map(|around| around.value.clone()).unwrap_or_default()
    }

    /// Certificate authorities beside the machine's.
    pub(super) fn ca_file(&self) -> Option<&Setting<PathBuf>> {
        self.ca_file.as_ref()
    }

    /// What sandboxes get. A proxy or certificates that cannot be used hold up nobody who needs
    /// neither.
    pub fn way_out(&self) -> WayOut {
        let settings = self.settings().map_err(|error| error.to_string());
        WayOut {
            proxy: settings.map(EgressProxy::new),
            packages: self.packages.as_ref().map(|list| list.value.clone()).unwrap_or_default(),
        }
    }

    fn settings(&self) -> anyhow::Result<EgressSettings> {
        let mut settings = EgressSettings { limits: self.limits(), ..EgressSettings::default() };
        if let Some(private) = &self.private {
            settings.private.clone_from(&private.value);
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| !proxy.value.reveal().is_empty()) {
            let around = self.no_proxy.as_ref().map(|around| around.value.as_str());
            let parent = Parent::parse(proxy.value.reveal(), around.unwrap_or_default());
            let parent = parent.map_err(|error| usage(format!("{}: {error}", proxy.origin)))?;
            settings.parent = Some(parent);
        }
        if let Some(Setting { value: path, origin }) = &self.ca_file {
            let shown = path.display();
            let failed =
                |why: String| usage(format!("{origin}: `egress.ca_file` ({shown}): {why}"));
            let found = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
            if !found.is_file() || found.len() > MOST_CA_BYTES {
                return Err(failed("is no file of at most 4 MiB".to_owned()));
            }
            let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let roots = Roots::system().with_pem(&pem);
            settings.roots = roots.map_err(|error| failed(error.to_string()))?;
        }
        Ok(settings)
    }
}

fn read<T>(list: &[String], origin: &str, key: &str) -> anyhow::Result<Vec<T>>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if list.len() > MOST_HOSTS {
        return Err(usage(format!("{origin}: `egress.{key}` has more than {MOST_HOSTS} entries")));
    }
    let read = |text: &String| {
        text.parse().map_err(|error| usage(format!("{origin}: `egress.{key}`: {error}")))
    };
    list.iter().map(read).collect()
}

fn within(
    value: Option<u64>,
    (least, most): (u64, u64),
    origin: &str,
    key: &str,
) -> anyhow::Result<Option<u64>> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(usage(format!("{origin}: `egress.{key}` must lie in {least} to {most}")))
        }
        value => Ok(value),
    }
}

/// The address of a proxy as it may be shown.
fn without_user(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}…@{place}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> EgressWords {
        toml::from_str(text).unwrap()
    }

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            variables: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            home: None,
            current_dir: PathBuf::from("/"),
            stdout_terminal: false,
            stderr_terminal: false,
            stdin_terminal: false,
        }
    }

    #[test]
    fn hosts_are_read_and_shown_with_the_file_they_come_from() {
        let mut egress = Egress::default();
        let text = "packages = ['registry.example', '*.mirror.example']\n\
                    private = ['registry.corp:8081', 'git.corp:443=10.0.0.7']";
        egress.layer(words(text), "/etc/quire/config.toml").unwrap();
        let rows = egress.rows();
        assert_eq!(
            rows[0],
            ["egress.packages", "registry.example, *.mirror.example", "/etc/quire/config.toml"]
        );
        assert_eq!(rows[1][1], "registry.corp:8081, git.corp:443=10.0.0.7");
        assert_eq!(rows[2], ["egress.proxy", "", "default"]);
        assert_eq!(egress.way_out().packages.len(), 2);
        egress.layer(words("mib_per_sandbox = 10"), "config.toml").unwrap();
        assert_eq!(egress.rows()[8], ["egress.mib_per_sandbox", "10", "config.toml"]);
        assert_eq!(egress.limits().bytes_in_all, 10 << 20);
        for (bad, said) in [
            ("packages = ['https://registry.example']", "egress.packages"),
            ("packages = ['10.0.0.1']", "addresses are refused"),
            ("private = ['registry.corp']", "egress.private"),
            ("ca_file = 'corp.pem'", "must be absolute"),
            ("connections = 0", "must lie in 1 to 10000"),
        ] {
            let error = egress.layer(words(bad), "here").unwrap_err().to_string();
            assert!(error.starts_with("here: ") && error.contains(said), "{bad}: {error}");
        }
        assert!(toml::from_str::<EgressWords>("package = []").is_err());
    }

    #[test]
    fn the_proxy_of_the_worker_is_taken_from_where_other_programs_have_it() {
        let mut egress = Egress::default();
        let password = "http://me:pass-word@proxy.corp:3128";
        egress.layer_variables(&around(&[("https_proxy", password), ("NO_PROXY", ".corp")]));
        assert!(egress.way_out().proxy.is_ok());
        assert_eq!(egress.rows()[2], ["egress.proxy", "http://…@proxy.corp:3128", "https_proxy"]);
        assert!(!format!("{egress:?} {:?}", egress.rows()).contains("pass-word"));

        let mut own = Egress::default();
        own.layer(words("proxy = ''"), "config.toml").unwrap();
        own.layer_variables(&around(&[("HTTPS_PROXY", password)]));
        assert_eq!(own.rows()[2], ["egress.proxy", "", "config.toml"]);
    }

    #[test]
    fn a_proxy_or_certificates_that_cannot_be_used_are_told_to_who_needs_them() {
        let mut egress = Egress::default();
        egress.layer_variables(&around(&[("ALL_PROXY", "socks5://u:hidden@a.example:1")]));
        let why = egress.way_out().proxy.err().unwrap();
        assert!(why.starts_with("ALL_PROXY: ") && !why.contains("hidden"), "{why}");

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("corp.pem");
        std::fs::write(&file, "nothing").unwrap();
        let mut egress = Egress::default();
        let text = format!("ca_file = '{}'", file.display());
        egress.layer(words(&text), "config.toml").unwrap();
        let why = egress.way_out().proxy.err().unwrap();
        assert!(why.contains("ca_file") && why.contains("no certificate"), "{why}");
    }
}
