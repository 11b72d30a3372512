//! What a registry asks for before it answers: `WWW-Authenticate`.

use std::collections::BTreeMap;

/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// With name and password.
    Basic,
    /// With a token of this service.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Reads the header; `None` where it asks for nothing that is known.
pub(crate) fn read(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut named = parameters(rest);
    Some(Challenge::Bearer {
        realm: named.remove("realm")?,
        service: named.remove("service"),
        scope: named.remove("scope"),
    })
}

/// `name="value"` pairs between commas; commas may stand in the quotes.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ', '\t']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((value, after)) => (value, after),
                None => (quoted, ""),
            },
            None => after.split_once(',').unwrap_or((after, "")),
        };
        all.insert(name, value.trim().to_owned());
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Challenge, read};

    #[test]
    fn a_challenge_is_read_with_its_quotes_and_commas() {
        let header =
            r#"Bearer realm="https://t.example/token",service="h",scope="repository:a:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://t.example/token".into(),
            service: Some("h".into()),
            scope: Some("repository:a:pull,push".into()),
        };
        assert_eq!(read(header), Some(bearer));
        assert_eq!(read("basic realm=x"), Some(Challenge::Basic));
        for bad in ["", "Negotiate", "Bearer", "Bearer realm", "Bearer service=\"x\""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
