//! An address as configurations write it, and the host in it.

/// A host that something is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As a rule names it: with its port where that is not the usual one. Not checked yet.
    pub host: String,
    /// Whether a name or a password stood before it; they are not kept.
    pub has_credentials: bool,
}

impl Address {
    /// Reads `http` and `https`, also behind `sparse+` and the like; `None` for all else.
    pub fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let scheme = scheme.rsplit('+').next().unwrap_or(scheme).to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (credentials, host),
            None => ("", authority),
        };
        let host = host.strip_suffix(usual).unwrap_or(host).to_ascii_lowercase();
        // A bare name or a whole domain would be a rule, but none that an address can mean.
        let plain = !host.is_empty() && !host.contains('*');
        plain.then_some(Self { host, has_credentials: !credentials.is_empty() })
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_host_is_read_and_what_stands_before_it_is_not_kept() {
        let read = |url: &str| Address::read(url).map(|found| (found.host, found.has_credentials));
        for (url, host, has_credentials) in [
            ("https://registry.example/simple/", "registry.example", false),
            ("sparse+https://Index.Registry.example:443/", "index.registry.example", false),
            ("http://registry.example:8081", "registry.example:8081", false),
            ("https://registry.example:80/x", "registry.example:80", false),
            ("https://ada:s3cr%40t@registry.example/x@y", "registry.example", true),
            ("https://a@b@registry.example", "registry.example", true),
        ] {
            assert_eq!(read(url), Some((host.to_owned(), has_credentials)), "{url}");
        }
        for url in ["file:///srv/packages", "registry.example", "https://", "https://*/", "ssh://a"]
        {
            assert_eq!(read(url), None, "{url}");
        }
    }
}
