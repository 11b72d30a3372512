//! Headers that speak to the next hop only, and headers that would undo a rule.

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use crate::refusal::Refusal;
use crate::target::Target;

/// Headers that some servers take for another method or path than the request line has.
const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Removes what is for the next hop only (RFC 9110 section 7.6.1), what the message itself names
/// as that included. That trailers are understood is said on.
pub(crate) fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    let trailers = headers.get(header::TE).is_some_and(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|te| te.trim() == "trailers"))
    });
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
        header::EXPECT,
    ] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether the request's `Host` is the target, if it has one; `needed` if it has to.
pub(crate) fn check_host(
    headers: &HeaderMap,
    target: &Target,
    needed: bool,
) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let differs = || {
        let why = format!("the header `Host` does not name {target}, which the request is for");
        Refusal::bad("host_mismatch", why)
    };
    match (hosts.next(), hosts.next()) {
        (None, _) if needed => Err(Refusal::bad("no_host", "the request has no header `Host`")),
        (None, _) => Ok(()),
        (Some(_), Some(_)) => Err(differs()),
        (Some(host), None) => {
            let named = host.to_str().ok().map(|host| Target::parse(host, Some(target.port)));
            if named == Some(Ok(target.clone())) { Ok(()) } else { Err(differs()) }
        }
    }
}

/// Whether the message's framing is one that everybody reads alike.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked =
        |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None)
            if chunked(coding) && !headers.contains_key(header::CONTENT_LENGTH) =>
        {
            Ok(())
        }
        _ => Err(Refusal::bad(
            "framing",
            "the body is framed in a way that could be read differently further on",
        )),
    }
}

/// Whether the request wants to become something else than HTTP. An offer to speak HTTP/2 or TLS
/// on the same connection may be ignored, and is.
pub(crate) fn check_upgrade(headers: &HeaderMap) -> Result<(), Refusal> {
    let ignorable = |offer: &str| {
        let offer = offer.trim().to_ascii_lowercase();
        offer.is_empty() || offer == "h2c" || offer.starts_with("tls/")
    };
    let refused = headers
        .get_all(header::UPGRADE)
        .iter()
        .any(|value| value.to_str().map_or(true, |offers| !offers.split(',').all(ignorable)));
    if refused {
        let why = "the connection cannot be upgraded (websocket) where requests are looked at";
        return Err(Refusal::denied("upgrade", why));
    }
    Ok(())
}

/// Where a rule looks at method or path, nothing may say another one behind its back.
pub(crate) fn check_overrides(headers: &HeaderMap) -> Result<(), Refusal> {
    // Servers that hand headers on as variables take `_` and `-` for the same.
    let changes =
        |name: &&HeaderName| OVERRIDES.contains(&name.as_str().replace('_', "-").as_str());
    match headers.keys().find(changes) {
        None => Ok(()),
        Some(name) => {
            let why =
                format!("rules for this host look at method or path, and `{name}` changes it");
            Err(Refusal::denied("override", why))
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{HeaderName, HeaderValue};

    use super::{check_framing, check_host, check_overrides, check_upgrade, strip_hop};
    use crate::target::Target;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn what_a_message_names_for_the_next_hop_does_not_go_further() {
        let mut all = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "authorization"),
            ("x-private", "1"),
            ("authorization", "2"),
            ("proxy-authorization", "3"),
            ("te", "gzip, trailers"),
            ("accept", "4"),
        ]);
        strip_hop(&mut all);
        assert_eq!(all, headers(&[("accept", "4"), ("te", "trailers")]));
    }

    #[test]
    fn the_host_is_the_one_that_is_asked_for_or_the_request_is_refused() {
        let target = Target::parse("a.example:8443", None).unwrap();
        for host in ["a.example:8443", "A.example.", "a.example"] {
            assert_eq!(check_host(&headers(&[("host", host)]), &target, true), Ok(()), "{host}");
        }
        for host in ["b.example", "a.example:443", "", "a.example, b.example", "x@a.example"] {
            assert!(check_host(&headers(&[("host", host)]), &target, true).is_err(), "{host}");
        }
        let two = headers(&[("host", "a.example"), ("host", "a.example")]);
        assert!(check_host(&two, &target, true).is_err());
        assert!(check_host(&headers(&[]), &target, true).is_err());
        assert!(check_host(&headers(&[]), &target, false).is_ok());
    }

    #[test]
    fn only_offers_that_may_be_ignored_are_no_upgrade() {
        for (offer, is) in [("h2c", true), ("TLS/1.2, h2c", true), ("websocket", false)] {
            assert_eq!(check_upgrade(&headers(&[("upgrade", offer)])).is_ok(), is, "{offer}");
        }
    }

    #[test]
    fn nothing_says_another_method_or_path_however_it_is_spelled() {
        for (name, is) in [
            ("x-http-method-override", false),
            ("X_HTTP_Method_Override", false),
            ("x-original_url", false),
            ("x-original", true),
        ] {
            assert_eq!(check_overrides(&headers(&[(name, "DELETE")])).is_ok(), is, "{name}");
        }
    }

    #[test]
    fn a_body_is_chunked_or_has_a_length_and_not_both() {
        for (pairs, is) in [
            (&[("transfer-encoding", "chunked")][..], true),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false),
            (&[("transfer-encoding", "chunked"), ("content-length", "3")], false),
            (&[("content-length", "3")], true),
        ] {
            assert_eq!(check_framing(&headers(pairs)).is_ok(), is, "{pairs:?}");
        }
    }
}
