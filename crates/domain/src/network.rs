//! Which requests may leave a sandbox, and what is added to them outside of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What may leave in one phase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkPolicy {
    /// Nothing.
    #[default]
    Off,
    /// The registries of the package managers in use, as the base and the environment's own
    /// settings configure them, those that an administrator lists, and these rules.
    Packages(Vec<NetworkRule>),
    /// What a rule matches.
    Rules(Vec<NetworkRule>),
    /// Every public host. Private and metadata addresses stay refused.
    On,
}

/// What may leave, by phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// While setup and maintenance run.
    pub setup: NetworkPolicy,
    /// While the agent, services and checks run.
    pub agent: NetworkPolicy,
}

impl Default for NetworkSpec {
    /// Setup may fetch from anywhere public, the agent from nowhere (DESIGN section 8).
    fn default() -> Self {
        Self { setup: NetworkPolicy::On, agent: NetworkPolicy::Off }
    }
}

/// One kind of request that may leave: `domain [methods] [path]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetworkRule {
    /// Which hosts.
    pub domain: DomainPattern,
    /// Which methods, upper-case; any if empty. Where there are some, TLS is ended at the proxy.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<String>,
    /// What the path begins with, on the border of a segment; any if absent. Where there is one,
    /// TLS is ended at the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl NetworkRule {
    /// Any request to these hosts.
    pub fn any(domain: DomainPattern) -> Self {
        Self { domain, methods: BTreeSet::new(), path: None }
    }

    /// Whether what it says can be seen only where TLS is ended.
    pub fn looks_inside(&self) -> bool {
        !self.methods.is_empty() || self.path.is_some()
    }
}

impl fmt::Display for NetworkRule {
    /// As a person writes it: `example.org GET,HEAD /v1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.domain)?;
        if !self.methods.is_empty() {
            let methods: Vec<&str> = self.methods.iter().map(String::as_str).collect();
            write!(f, " {}", methods.join(","))?;
        }
        match &self.path {
            Some(path) => write!(f, " {path}"),
            None => Ok(()),
        }
    }
}

impl FromStr for NetworkRule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let mut words = text.split_ascii_whitespace();
        let domain = words.next().ok_or(BadRule::Empty)?.parse()?;
        let mut rule = Self::any(domain);
        let mut next = words.next();
        if let Some(methods) = next.filter(|word| !word.starts_with('/')) {
            for method in methods.split(',') {
                let plain = !method.is_empty()
                    && method.len() <= 20
                    && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
                if !plain {
                    return Err(BadRule::Method(method.to_owned()));
                }
                rule.methods.insert(method.to_ascii_uppercase());
            }
            next = words.next();
        }
        if let Some(path) = next {
            let plain = path.starts_with('/')
                && path.len() <= 1024
                && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte))
                && path.split('/').all(|part| part != "." && part != "..");
            if !plain {
                return Err(BadRule::Path(path.to_owned()));
            }
            rule.path = Some(path.to_owned());
        }
        match words.next() {
            Some(more) => Err(BadRule::More(more.to_owned())),
            None => Ok(rule),
        }
    }
}

/// A host, or every host below a domain: `example.org`, `*.example.org`, either with `:PORT`.
///
/// Lower-case ASCII without the closing dot; a name beyond ASCII is written in its `xn--` form.
/// Without a port, 80 and 443. Never an address: those are refused whatever the rules say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainPattern {
    host: String,
    below: bool,
    port: Option<u16>,
}

impl DomainPattern {
    /// Whether it covers `host`, which is lower-case ASCII without the closing dot, on `port`.
    /// `*.example.org` covers what lies below `example.org` at any depth, and not itself.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let right_port = self.port.map_or(port == 80 || port == 443, |own| own == port);
        let right_host = if self.below {
            host.strip_suffix(self.host.as_str()).is_some_and(|front| {
                front.len() > 1 && front.ends_with('.') && !front.starts_with('.')
            })
        } else {
            host == self.host
        };
        right_port && right_host
    }

    /// The host, or the domain beneath which hosts are covered.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it covers what lies below [`Self::host`] in place of it.
    pub fn is_wildcard(&self) -> bool {
        self.below
    }

    /// The only port it covers; 80 and 443 if `None`.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for DomainPattern {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let bad = |why: &'static str| BadRule::Domain { text: text.to_owned(), why };
        if text.contains('/') {
            return Err(bad("name the host alone, without scheme or path"));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => {
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| digits && *port != 0);
                (name, Some(port.ok_or_else(|| bad("the port must be a number from 1 to 65535"))?))
            }
            None => (text, None),
        };
        let (below, name) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let host = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if host.contains('*') {
            return Err(bad(
                "a `*` stands for whole labels at the front only, as in `*.example.org`",
            ));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if host.is_empty() || host.len() > 253 || !host.split('.').all(label) {
            return Err(bad("this is no host name (beyond ASCII, write its `xn--` form)"));
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
            return Err(bad("addresses are refused: name a host"));
        }
        if below && !host.contains('.') {
            return Err(bad("this would cover a whole top-level domain"));
        }
        Ok(Self { host, below, port })
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        write!(f, "{star}{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for DomainPattern {
    type Error = BadRule;

    fn try_from(text: String) -> Result<Self, BadRule> {
        text.parse()
    }
}

impl From<DomainPattern> for String {
    fn from(pattern: DomainPattern) -> Self {
        pattern.to_string()
    }
}

/// A header that is added outside of the sandbox, so that its value is never inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSpec {
    /// To which requests; they are allowed by it as well.
    pub rule: NetworkRule,
    /// Which header, e.g. `Authorization`; one that the request brings is replaced.
    pub header: String,
    /// Its value, with `${NAME}` where the stored secret of that name goes, e.g.
    /// `Bearer ${REGISTRY_TOKEN}`. What is sent encoded is stored encoded.
    pub value: String,
    /// Whether the agent's phase has it, too; setup always has.
    #[serde(default)]
    pub agent: bool,
}

/// Why a network rule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// There is nothing.
    #[error(
        "a rule is `domain [methods] [path]`, e.g. `example.org GET,HEAD /v1`; this one is empty"
    )]
    Empty,
    /// The domain.
    #[error("`{text}`: {why}")]
    Domain {
        /// As written.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A method.
    #[error("`{0}` is no HTTP method")]
    Method(String),
    /// A path.
    #[error("`{0}` is no path: it begins with `/` and has no `?`, `#`, `%`, `\\` or dot segment")]
    Path(String),
    /// More than three words.
    #[error("`{0}` is one word too many: a rule is `domain [methods] [path]`")]
    More(String),
}

#[cfg(test)]
mod tests {
    use super::{BadRule, DomainPattern, NetworkRule};

    fn pattern(text: &str) -> DomainPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_covers_what_lies_below_and_nothing_beside() {
        let below = pattern("*.Example.org.");
        assert!(below.covers("a.example.org", 443) && below.covers("b.a.example.org", 80));
        for beside in ["example.org", "badexample.org", ".example.org", "example.org.evil.net"] {
            assert!(!below.covers(beside, 443), "{beside}");
        }
        assert!(!pattern("example.org").covers("a.example.org", 443));
    }

    #[test]
    fn without_a_port_a_pattern_covers_the_two_of_the_web() {
        assert!(!pattern("example.org").covers("example.org", 22));
        assert!(pattern("example.org:8443").covers("example.org", 8443));
        assert!(!pattern("example.org:8443").covers("example.org", 443));
    }

    #[test]
    fn addresses_schemes_and_whole_top_level_domains_are_no_patterns() {
        for text in [
            "127.0.0.1",
            "0x7f000001",
            "2130706433",
            "[::1]",
            "https://example.org",
            "*.org",
            "*",
            "a*.example.org",
            "",
            "example.org:0",
            "example.org:+80",
            "exa mple.org",
            "-a.org",
            "a..b",
            "ex\u{e4}.org",
        ] {
            assert!(text.parse::<DomainPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_is_read_back_as_it_is_written() {
        for text in ["example.org", "*.example.org GET,HEAD", "example.org /v1", "a.b:81 PUT /x/y"]
        {
            assert_eq!(text.parse::<NetworkRule>().unwrap().to_string(), text);
        }
        assert_eq!("a.b GET /x z".parse::<NetworkRule>(), Err(BadRule::More("z".to_owned())));
        assert_eq!("a.b G/T".parse::<NetworkRule>(), Err(BadRule::Method("G/T".to_owned())));
        assert!("a.b /x/../y".parse::<NetworkRule>().is_err());
        assert_eq!(" ".parse::<NetworkRule>(), Err(BadRule::Empty));
    }
}
