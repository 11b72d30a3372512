//! A request's path in every way a server could read it, so that a rule holds for all of them.

use crate::percent;

/// A path, and what it becomes when a server decodes it once or twice and joins `//`.
#[derive(Debug)]
pub(crate) struct RequestPath {
    readings: Vec<Vec<u8>>,
}

/// Why no rule with a path can be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPath {
    /// It does not begin with `/`.
    Relative,
    /// It has a `.` or `..` segment, plain or encoded, or one with parameters.
    Dots,
    /// It has a backslash or control character, plain or encoded, or a byte beyond ASCII.
    Character,
    /// It has a `%` that encodes nothing.
    Escape,
}

impl RequestPath {
    /// Reads `path`, without its query.
    ///
    /// An encoded slash is allowed as long as it changes nothing about the rule that matches:
    /// package registries have it in names (`/@scope%2fname`).
    pub(crate) fn read(path: &str) -> Result<Self, BadPath> {
        if !path.starts_with('/') {
            return Err(BadPath::Relative);
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadPath::Character);
        }
        let raw = path.as_bytes().to_vec();
        let once = percent::decoded(&raw).ok_or(BadPath::Escape)?;
        let mut readings = vec![raw];
        if readings[0] != once {
            let twice = percent::decoded(&once).filter(|twice| *twice != once);
            readings.push(once);
            readings.extend(twice);
        }
        for index in 0..readings.len() {
            let joined = joined(&readings[index]);
            if joined != readings[index] {
                readings.push(joined);
            }
        }
        for reading in &readings {
            if reading.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control()) {
                return Err(BadPath::Character);
            }
            if reading.split(|byte| *byte == b'/').any(is_dots) {
                return Err(BadPath::Dots);
            }
        }
        Ok(Self { readings })
    }

    /// Whether every reading lies at or below `prefix`, on the border of a segment.
    pub(crate) fn is_below(&self, prefix: &str) -> bool {
        self.readings.iter().all(|reading| {
            reading
                .strip_prefix(prefix.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || prefix.ends_with('/'))
        })
    }
}

/// With every run of slashes as one.
fn joined(path: &[u8]) -> Vec<u8> {
    let mut joined = path.to_vec();
    joined.dedup_by(|a, b| *a == b'/' && *b == b'/');
    joined
}

/// Some servers cut parameters off before they look at dots: `..;x` is `..` to them. A query or
/// fragment that was encoded ends a segment as well for those that decode first.
fn is_dots(segment: &[u8]) -> bool {
    let end = segment.iter().position(|byte| b";?#".contains(byte)).unwrap_or(segment.len());
    matches!(&segment[..end], b"." | b"..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadPath, RequestPath};

    fn below(path: &str, prefix: &str) -> Result<bool, BadPath> {
        RequestPath::read(path).map(|path| path.is_below(prefix))
    }

    #[test]
    fn a_prefix_ends_on_the_border_of_a_segment() {
        for (path, prefix, is) in [
            ("/v1", "/v1", true),
            ("/v1/", "/v1", true),
            ("/v1/x", "/v1", true),
            ("/v1x", "/v1", false),
            ("/v2", "/v1", false),
            ("/", "/v1", false),
            ("/v1", "/v1/", false),
            ("/v1/x", "/v1/", true),
            ("/anything", "/", true),
            ("/V1", "/v1", false),
        ] {
            assert_eq!(below(path, prefix), Ok(is), "{path} {prefix}");
        }
    }

    #[test]
    fn what_two_servers_would_read_differently_is_refused_or_does_not_match() {
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/v1/%2e%2e/admin",
            "/v1/%2E./admin",
            "/v1/..%2fadmin",
            "/v1/%252e%252e/admin",
            "/v1/..;/admin",
            "/v1/..;x=1/admin",
            "/v1/%2e%2e%3b/admin",
            "/..",
            "/v1/..",
            "/v1/..%3fx",
        ] {
            assert_eq!(below(path, "/v1"), Err(BadPath::Dots), "{path}");
        }
        for path in
            ["/v1\\..\\admin", "/v1/%5c../admin", "/v1/%00", "/v1/%0d%0a", "/v1/%255c", "/\u{e4}"]
        {
            assert_eq!(below(path, "/v1"), Err(BadPath::Character), "{path}");
        }
        for path in ["/v1/%", "/v1/%2", "/v1/%zz"] {
            assert_eq!(below(path, "/v1"), Err(BadPath::Escape), "{path}");
        }
        assert_eq!(below("*", "/"), Err(BadPath::Relative));
        for path in ["//v1/x", "/%2fv1/x", "/%76%31/x", "/v1%2fx", "/v1%3fx"] {
            assert_eq!(below(path, "/v1"), Ok(false), "{path}");
        }
        for path in
            ["/v1//x", "/v1/a%20b", "/v1/@scope%2fname", "/v1/...", "/v1/.hidden", "/v1/a..b"]
        {
            assert_eq!(below(path, "/v1"), Ok(true), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_reading_of_an_allowed_path_leaves_its_prefix(
            path in "/v1/(%2[eEfF5]|%5c|%25|\\.|/|;|\\\\|a){0,12}",
        ) {
            if below(&path, "/v1") == Ok(true) {
                let mut text = path.clone();
                for _ in 0..3 {
                    let mut stack: Vec<&str> = Vec::new();
                    for segment in text.split(['/', '\\']) {
                        match segment.split(';').next().unwrap() {
                            ".." => { stack.pop(); }
                            "" | "." => {}
                            _ => stack.push(segment),
                        }
                    }
                    prop_assert_eq!(stack.first().copied(), Some("v1"), "{}", path);
                    let Some(decoded) = crate::percent::decoded(text.as_bytes()) else { break };
                    text = String::from_utf8_lossy(&decoded).into_owned();
                }
            }
        }
    }
}
