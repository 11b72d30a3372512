//! What people write to name an image: `[registry/]path[:tag][@digest]`.

use std::fmt;

use crate::digest::Digest;
use crate::settings::Settings;

/// An image of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `host` or `host:port`, lower-case.
    pub registry: String,
    /// The path of the repository.
    pub repository: String,
    /// The tag; `latest` where neither tag nor digest was written.
    pub tag: Option<String>,
    /// The digest. It wins over the tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Reads what a person wrote. A name whose first part holds neither `.` nor `:` and is not
    /// `localhost` is one of the settings' default registry.
    pub fn parse(text: &str, settings: &Settings) -> Result<Self, BadReference> {
        let text = text.trim();
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(BadReference::Scheme(scheme.chars().take(20).collect()));
        }
        if text.is_empty() || text.len() > 1_024 || text.chars().any(char::is_control) {
            return Err(BadReference::Length);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|_| BadReference::Digest(digest.to_owned()))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        // A colon after the last slash is a tag's, one before it a port's.
        let (name, tag) = match name.rsplit_once(':') {
            Some((front, tag)) if !tag.contains('/') => (front, Some(tag.to_owned())),
            _ => (name, None),
        };
        if let Some(tag) = tag.as_deref().filter(|tag| !is_tag(tag)) {
            return Err(BadReference::Tag(tag.to_owned()));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if names_a_host(first) => {
                (first.to_ascii_lowercase(), rest.to_owned())
            }
            _ => {
                let registry = settings
                    .default_registry
                    .clone()
                    .ok_or_else(|| BadReference::NoRegistry(text.to_owned()))?;
                let path = match &settings.default_namespace {
                    Some(namespace) if !name.contains('/') => format!("{namespace}/{name}"),
                    _ => name.to_owned(),
                };
                (registry, path)
            }
        };
        if !is_host(&registry) {
            return Err(BadReference::Registry(registry));
        }
        if path.is_empty() || path.len() > 255 || !path.split('/').all(is_part) {
            return Err(BadReference::Path(path));
        }
        let tag = if digest.is_none() { tag.or(Some("latest".to_owned())) } else { tag };
        Ok(Self { registry, repository: path, tag, digest })
    }

    /// What the registry is asked for: the digest, else the tag.
    pub(crate) fn asked(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    /// In full, so that it means the same whatever the default registry is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn names_a_host(first: &str) -> bool {
    first.contains('.') || first.contains(':') || first == "localhost"
}

/// A host name, an IPv4 address or a bracketed IPv6 one, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", rest.strip_prefix(':').or((!rest.is_empty()).then_some("x")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253
        && host.split('.').all(plain)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

fn is_part(part: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = part.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b))
        && !part.contains("..")
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !tag.starts_with(['.', '-'])
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Empty, or far too long.
    #[error("an image is named as registry.example/path:tag or registry.example/path@sha256:…")]
    Length,
    /// It begins with a scheme.
    #[error("leave out `{0}://`: an image is named as registry.example/path:tag")]
    Scheme(String),
    /// It names no registry, and no default one is set.
    #[error(
        "`{0}` names no registry: write registry.example/{0}, or set `default_registry` under \
         `[images]` in your config.toml"
    )]
    NoRegistry(String),
    /// What stands before the first slash is no host.
    #[error("`{0}` is no registry's host name")]
    Registry(String),
    /// The path is malformed.
    #[error(
        "`{0}` is no repository's path: lower-case letters, digits, `.`, `_`, `-` between slashes"
    )]
    Path(String),
    /// The tag is malformed.
    #[error("`{0}` is no tag: letters, digits, `.`, `_`, `-`, at most 128")]
    Tag(String),
    /// The digest is malformed.
    #[error("`{0}` is no digest of the form sha256:<64 hex digits>")]
    Digest(String),
}

#[cfg(test)]
mod tests {
    use super::{BadReference, Reference};
    use crate::settings::Settings;

    fn read(text: &str) -> Result<String, BadReference> {
        let settings =
            Settings { default_registry: Some("registry.example".into()), ..Settings::default() };
        Reference::parse(text, &settings).map(|reference| reference.to_string())
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, full) in [
            ("debian", "registry.example/library/debian:latest"),
            ("debian:12", "registry.example/library/debian:12"),
            ("team/tool", "registry.example/team/tool:latest"),
            (" localhost/x ", "localhost/x:latest"),
            ("localhost:5000/a/b-c:v1.2", "localhost:5000/a/b-c:v1.2"),
            ("Registry.Other.EXAMPLE/a/b__c", "registry.other.example/a/b__c:latest"),
            ("127.0.0.1:5000/x:t", "127.0.0.1:5000/x:t"),
            ("[::1]:5000/x:t", "[::1]:5000/x:t"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(full), "{text}");
        }
        assert_eq!(
            read(&format!("a@{digest}")),
            Ok(format!("registry.example/library/a@{digest}"))
        );
        assert_eq!(read(&format!("h:1/a:t@{digest}")), Ok(format!("h:1/a:t@{digest}")));
    }

    #[test]
    fn what_names_no_image_is_refused_with_a_reason() {
        for text in [
            "",
            "https://h.example/a",
            "h.example/",
            "h.example/A",
            "h.example/../x",
            "a:",
            "a:b c",
            "h:0/x",
            "h:99999/x",
            "a@sha256:12",
            "a@md5:00",
            "-h.example/x",
            "x/.y",
            "a//b",
            "h.example/a\nb",
            "[::x]:1/y",
        ] {
            assert!(read(text).is_err(), "{text:?}: {:?}", read(text));
        }
        let none = Reference::parse("debian", &Settings::default());
        assert_eq!(none, Err(BadReference::NoRegistry("debian".into())));
    }
}
