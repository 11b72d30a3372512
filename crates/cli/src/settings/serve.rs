//! The section `[serve]`: how `quire serve` listens and how much it does at once. Only a person's or
//! an administrator's own files may have it, never a repository's.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use quire_domain::sizes::Machine;
use quire_server::access::Network;
use serde::Deserialize;

use super::Setting;
use super::provider::ProviderWords;
use crate::exit::usage;
use crate::surroundings::Surroundings;

/// The port where nobody says another.
pub const PORT: u16 = 7413;

/// The most attempts at once.
const MOST_SLOTS: u64 = 4_096;

/// The most attempts at once where nobody says how many.
const MOST_BY_DEFAULT: u64 = 256;

/// Attempts per processor: most of the time each waits for a model.
const PER_PROCESSOR: u64 = 4;

/// Memory that one attempt's commands take while they run, as a rule of thumb.
const MEMORY_EACH: u64 = 512 << 20;

/// Seconds that attempts get to come to a step where nothing is lost; with what follows, a drain
/// is over within 30.
const DRAIN_SECONDS: u64 = 20;

/// The most seconds of a drain.
const MOST_DRAIN: u64 = 3_600;

/// What of the section was set.
#[derive(Debug, Clone, Default)]
pub struct Serve {
    listen: Option<Setting<SocketAddr>>,
    slots: Option<Setting<u64>>,
    drain_seconds: Option<Setting<u64>>,
    tls_certificate: Option<Setting<PathBuf>>,
    tls_key: Option<Setting<PathBuf>>,
    trusted_proxies: Option<Setting<Vec<Network>>>,
    hosts: Option<Setting<Vec<String>>>,
    oidc: Option<Box<Setting<ProviderWords>>>,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeWords {
    listen: Option<String>,
    slots: Option<u64>,
    drain_seconds: Option<u64>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    trusted_proxies: Option<Vec<String>>,
    hosts: Option<Vec<String>>,
    oidc: Option<Box<ProviderWords>>,
}

impl Serve {
    /// Takes what a file says over what was there.
    pub(super) fn layer(&mut self, words: ServeWords, origin: &str) -> anyhow::Result<()> {
        if let Some(text) = words.listen {
            self.listen_on(&text, origin)?;
        }
        if let Some(slots) = words.slots {
            self.with_slots(slots, origin)?;
        }
        if let Some(value) = words.drain_seconds {
            if value > MOST_DRAIN {
                return Err(usage(format!(
                    "{origin}: `serve.drain_seconds` is {value}: at most {MOST_DRAIN}"
                )));
            }
            self.drain_seconds = Some(Setting { value, origin: origin.to_owned() });
        }
        for (name, file, at) in [
            ("tls_certificate", words.tls_certificate, &mut self.tls_certificate),
            ("tls_key", words.tls_key, &mut self.tls_key),
        ] {
            let Some(value) = file else { continue };
            if !value.is_absolute() {
                return Err(usage(format!("{origin}: `serve.{name}` must be an absolute path")));
            }
            *at = Some(Setting { value, origin: origin.to_owned() });
        }
        if let Some(list) = words.trusted_proxies {
            let networks: Result<Vec<Network>, _> = list.iter().map(|text| text.parse()).collect();
            let value = networks
                .map_err(|error| usage(format!("{origin}: `serve.trusted_proxies`: {error}")))?;
            self.trusted_proxies = Some(Setting { value, origin: origin.to_owned() });
        }
        if let Some(mut value) = words.hosts {
            for host in &mut value {
                host.make_ascii_lowercase();
                let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                if host.is_empty() || host.len() > 253 || !host.chars().all(known) {
                    return Err(usage(format!(
                        "{origin}: `serve.hosts`: `{host}` is no name of a host: write it without \
                         a scheme and without a port, as in `quire.example`"
                    )));
                }
            }
            self.hosts = Some(Setting { value, origin: origin.to_owned() });
        }
        if let Some(value) = words.oidc {
            self.oidc = Some(Box::new(Setting { value: *value, origin: origin.to_owned() }));
        }
        Ok(())
    }

    /// Takes what the environment says over what was there.
    pub(super) fn layer_variables(&mut self, surroundings: &Surroundings) -> anyhow::Result<()> {
        match surroundings.variable("QUIRE_LISTEN") {
            Some(text) => self.listen_on(text, "QUIRE_LISTEN"),
            None => Ok(()),
        }
    }

    /// Listens on this address: `127.0.0.1:7413`, `[::1]:7413`, or a port alone.
    pub fn listen_on(&mut self, text: &str, origin: &str) -> anyhow::Result<()> {
        let port = text.parse::<u16>().ok().map(|port| (Ipv4Addr::LOCALHOST, port).into());
        let Some(value) = port.or_else(|| text.parse().ok()) else {
            return Err(usage(format!(
                "{origin}: `{text}` is no address to listen on: give one with a port, as in \
                 `127.0.0.1:{PORT}`"
            )));
        };
        self.listen = Some(Setting { value, origin: origin.to_owned() });
        Ok(())
    }

    /// So many attempts at once.
    pub fn with_slots(&mut self, value: u64, origin: &str) -> anyhow::Result<()> {
        if !(1..=MOST_SLOTS).contains(&value) {
            return Err(usage(format!(
                "{origin}: `serve.slots` is {value}: allowed are 1 to {MOST_SLOTS}"
            )));
        }
        self.slots = Some(Setting { value, origin: origin.to_owned() });
        Ok(())
    }

    /// Where it listens.
    pub fn listen(&self) -> SocketAddr {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        self.listen.as_ref().map_or(default, |setting| setting.value)
    }

    /// How many attempts are at work at once on this machine.
    pub fn slots(&self, machine: Machine) -> usize {
        let slots = self.slots.as_ref().map_or_else(|| default_slots(machine), |slots| slots.value);
        usize::try_from(slots).unwrap_or(usize::MAX)
    }

    /// Whose word for where a request came from counts.
    pub fn trusted_proxies(&self) -> Vec<Network> {
        self.trusted_proxies.as_ref().map(|setting| setting.value.clone()).unwrap_or_default()
    }

    /// The hosts that a request may name, beside those of the loopback; on an address that others
    /// reach, any where none is named.
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.as_ref().map(|setting| setting.value.clone()).unwrap_or_default()
    }

    /// The organisation's provider of sign-ins, if there is one.
    pub fn provider(&self) -> Option<&Setting<ProviderWords>> {
        self.oidc.as_deref()
    }

    /// How long attempts get to let go of their work.
    pub fn drain(&self) -> Duration {
        let seconds = self.drain_seconds.as_ref().map_or(DRAIN_SECONDS, |setting| setting.value);
        Duration::from_secs(seconds)
    }

    /// Certificate and key, where connections are to be encrypted here.
    pub fn tls(&self) -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Ok(Some((certificate.value.clone(), key.value.clone())))
            }
            (None, None) => Ok(None),
            (Some(one), None) | (None, Some(one)) => Err(usage(format!(
                "{}: `serve.tls_certificate` and `serve.tls_key` belong together",
                one.origin
            ))),
        }
    }

    /// Name, value and origin of each setting that was set.
    pub(super) fn rows(&self) -> Vec<[String; 3]> {
        fn row<T>(
            name: &str,
            setting: Option<&Setting<T>>,
            text: impl Fn(&T) -> String,
        ) -> Option<[String; 3]> {
            let setting = setting?;
            Some([format!("serve.{name}"), text(&setting.value), setting.origin.clone()])
        }
        let path = |path: &PathBuf| path.display().to_string();
        let rows = [
            row("listen", self.listen.as_ref(), SocketAddr::to_string),
            row("slots", self.slots.as_ref(), u64::to_string),
            row("drain_seconds", self.drain_seconds.as_ref(), u64::to_string),
            row("tls_certificate", self.tls_certificate.as_ref(), path),
            row("tls_key", self.tls_key.as_ref(), path),
            row("trusted_proxies", self.trusted_proxies.as_ref(), |list| {
                format!("{} networks", list.len())
            }),
            row("hosts", self.hosts.as_ref(), |list| list.join(", ")),
            row("oidc.issuer", self.oidc.as_deref(), |words| words.issuer().to_owned()),
        ];
        rows.into_iter().flatten().collect()
    }
}

/// Four for each processor, and no more than there is memory for.
fn default_slots(machine: Machine) -> u64 {
    let by_processors = u64::from(machine.cpus).saturating_mul(PER_PROCESSOR);
    let by_memory = machine.memory_bytes / MEMORY_EACH;
    let by_memory = if machine.memory_bytes == 0 { u64::MAX } else { by_memory };
    by_processors.min(by_memory).clamp(1, MOST_BY_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_go_by_processors_and_memory() {
        let slots = |cpus, gib: u64| default_slots(Machine { cpus, memory_bytes: gib << 30 });
        assert_eq!([slots(2, 16), slots(2, 1), slots(128, 1024), slots(1, 0)], [8, 2, 256, 4]);
    }

    #[test]
    fn an_address_may_be_a_port_alone_and_anything_else_is_told() {
        let mut serve = Serve::default();
        assert_eq!(serve.listen().to_string(), "127.0.0.1:7413");
        serve.listen_on("8000", "--listen").unwrap();
        assert_eq!(serve.listen().to_string(), "127.0.0.1:8000");
        serve.listen_on("[::1]:0", "--listen").unwrap();
        assert!(serve.listen().is_ipv6());
        let error = serve.listen_on("localhost", "--listen").unwrap_err().to_string();
        assert!(error.starts_with("--listen: `localhost`"), "{error}");
    }
}
