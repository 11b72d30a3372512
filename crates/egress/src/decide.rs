//! Whether a request may leave: a function of the policy and what was asked.

use hyper::Method;
use quire_domain::network::{DomainPattern, NetworkPolicy, NetworkRule};

use crate::policy::{Credential, Policy};
use crate::private::PrivateHost;
use crate::refusal::Refusal;
use crate::request_path::{BadPath, RequestPath};
use crate::target::Target;

/// A longer path is not made a line to copy.
const MOST_LINE_PATH: usize = 200;

/// Whether there is a host whose requests are looked at, so that its TLS is ended.
pub(crate) fn looks_inside(policy: &Policy) -> bool {
    !policy.credentials.is_empty() || rules(policy).any(NetworkRule::looks_inside)
}

/// How a tunnel to a host is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tunnel {
    /// Bytes pass unseen; this rule allows it.
    Blind(String),
    /// TLS is ended, as this rule names methods or a path, or a header is to be added by it.
    Seen(String),
}

/// A request whose method and path are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Of which host.
    pub(crate) target: &'a Target,
    /// As sent: methods differ by case.
    pub(crate) method: &'a Method,
    /// Without its query.
    pub(crate) path: &'a str,
    /// Whether it goes out over TLS.
    pub(crate) encrypted: bool,
}

/// A request that may leave.
#[derive(Debug)]
pub(crate) struct Allowed<'a> {
    /// What allows it, as the audit has it.
    pub(crate) rule: String,
    /// What is added to it.
    pub(crate) credentials: Vec<&'a Credential>,
    /// Whether the rule names methods, or a path: then headers that change them count.
    pub(crate) looked_inside: bool,
}

/// Whether a tunnel to `target` may be opened, and how.
pub(crate) fn tunnel(
    policy: &Policy,
    private: Option<&PrivateHost>,
    target: &Target,
) -> Result<Tunnel, Refusal> {
    let covers = |rule: &NetworkRule| rule.domain.covers(&target.host, target.port);
    let mut blind = None;
    for rule in rules(policy).filter(|rule| covers(rule)) {
        if rule.looks_inside() {
            return Ok(Tunnel::Seen(rule.to_string()));
        }
        blind.get_or_insert_with(|| rule.to_string());
    }
    if let Some(credential) = policy.credentials.iter().find(|it| covers(it.rule())) {
        return Ok(Tunnel::Seen(credential.rule().to_string()));
    }
    match blind.or_else(|| everything(policy, private, target)) {
        Some(rule) => Ok(Tunnel::Blind(rule)),
        None => Err(no_rule(target)),
    }
}

/// Whether a request may be sent on.
pub(crate) fn request<'a>(
    policy: &'a Policy,
    private: Option<&PrivateHost>,
    asked: Asked<'_>,
) -> Result<Allowed<'a>, Refusal> {
    if *asked.method == Method::TRACE || *asked.method == Method::CONNECT {
        let why = format!("the method {} is never sent on", asked.method);
        return Err(Refusal::denied("method", why));
    }
    let path = RequestPath::read(asked.path);
    let mut bad_path = None;
    let mut matches = |rule: &NetworkRule| {
        let target = asked.target;
        if !rule.domain.covers(&target.host, target.port) {
            return false;
        }
        if !rule.methods.is_empty() && !rule.methods.contains(asked.method.as_str()) {
            return false;
        }
        match (&rule.path, &path) {
            (None, _) => true,
            (Some(prefix), Ok(path)) => path.is_below(prefix),
            (Some(_), Err(bad)) => {
                bad_path = Some(*bad);
                false
            }
        }
    };
    let credentials: Vec<&Credential> =
        policy.credentials.iter().filter(|credential| matches(credential.rule())).collect();
    let rule = credentials
        .first()
        .map(|credential| credential.rule())
        .or_else(|| rules(policy).find(|rule| matches(rule)));
    // A path that two servers read differently might be one that a credential is for.
    if let Some(bad) = bad_path {
        return Err(ambiguous(bad));
    }
    if !credentials.is_empty() && !asked.encrypted && private.is_none() {
        return Err(Refusal::denied(
            "credential_needs_tls",
            format!("a credential is added for {}, so it is reached by https alone", asked.target),
        ));
    }
    match rule {
        Some(rule) => {
            // Each header that is added counts, not only the rule that is named.
            let added = credentials.iter().any(|credential| credential.rule().looks_inside());
            let looked_inside = added || rule.looks_inside();
            Ok(Allowed { rule: rule.to_string(), credentials, looked_inside })
        }
        None => match everything(policy, private, asked.target) {
            Some(rule) => Ok(Allowed { rule, credentials, looked_inside: false }),
            None => Err(no_such_request(policy, asked)),
        },
    }
}

/// What the environment and its caller allow by name.
fn rules(policy: &Policy) -> impl Iterator<Item = &NetworkRule> {
    let own: &[NetworkRule] = match &policy.network {
        NetworkPolicy::Off | NetworkPolicy::On => &[],
        NetworkPolicy::Packages(rules) | NetworkPolicy::Rules(rules) => rules,
    };
    own.iter().chain(&policy.further)
}

/// What `on` allows: the two ports of the web, and what an administrator listed.
fn everything(policy: &Policy, private: Option<&PrivateHost>, target: &Target) -> Option<String> {
    let on = policy.network == NetworkPolicy::On;
    (on && (private.is_some() || matches!(target.port, 80 | 443))).then(|| "on".to_owned())
}

fn no_rule(target: &Target) -> Refusal {
    let why = format!("{target} is not among what this sandbox may reach");
    let refusal = Refusal::denied("no_rule", why);
    match host_line(target) {
        Some(line) => refusal.with_line(line),
        None => refusal,
    }
}

/// The host is known, but not for this method and path.
fn no_such_request(policy: &Policy, asked: Asked<'_>) -> Refusal {
    let Asked { target, method, path, .. } = asked;
    let known = rules(policy).any(|rule| rule.domain.covers(&target.host, target.port));
    let (true, Some(host)) = (known, host_line(target)) else { return no_rule(target) };
    // A line would be read back in capitals, and not match.
    if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
        let why = format!("methods are written in capitals, and this one is `{method}`");
        return Refusal::denied("method", why);
    }
    let why =
        format!("{method} {} of {target} is not among what this sandbox may ask", short(path));
    let whole = format!("{host} {method} {path}");
    let line = if path.len() <= MOST_LINE_PATH && whole.parse::<NetworkRule>().is_ok() {
        whole
    } else {
        format!("{host} {method}")
    };
    Refusal::denied("no_rule_for_request", why).with_line(line)
}

/// The rule that covers a host and nothing else.
fn host_line(target: &Target) -> Option<String> {
    let line = match target.port {
        80 | 443 => target.host.clone(),
        port => format!("{}:{port}", target.host),
    };
    line.parse::<DomainPattern>().is_ok().then_some(line)
}

fn ambiguous(bad: BadPath) -> Refusal {
    let what = match bad {
        BadPath::Relative => "does not begin with `/`",
        BadPath::Dots => "has a dot segment",
        BadPath::Character => "has a backslash, a control character or a byte beyond ASCII",
        BadPath::Escape => "has a `%` that encodes nothing",
    };
    let why = format!("the path {what}, and rules for this host look at paths: send it plainly");
    Refusal::denied("ambiguous_path", why)
}

/// At most as much of a path as a person reads.
pub(crate) fn short(path: &str) -> &str {
    let end = (0..=path.len().min(MOST_LINE_PATH)).rev().find(|at| path.is_char_boundary(*at));
    &path[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use quire_domain::network::{NetworkPolicy, NetworkRule};
    use quire_domain::secret::Secret;

    use super::{Asked, Tunnel, looks_inside, request, tunnel};
    use crate::policy::{Credential, Policy};
    use crate::private::PrivateHost;
    use crate::target::Target;

    fn policy(rules: &[&str]) -> Policy {
        let rules: Vec<NetworkRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Policy { network: NetworkPolicy::Rules(rules), ..Policy::default() }
    }

    fn with_credential(rule: &str) -> Credential {
        let value = Secret::new("Bearer canary".to_owned());
        Credential::new(rule.parse().unwrap(), "authorization", &value).unwrap()
    }

    /// The rule that allows it, or the reason and the line of the refusal.
    fn ask(policy: &Policy, text: &str) -> Result<String, (&'static str, Option<String>)> {
        let (method, url) = text.split_once(' ').unwrap();
        let (scheme, rest) = url.split_once("://").unwrap();
        let encrypted = scheme == "https";
        let (authority, path) = rest.split_at(rest.find('/').unwrap());
        let target = Target::parse(authority, Some(if encrypted { 443 } else { 80 })).unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        request(policy, None, Asked { target: &target, method: &method, path, encrypted })
            .map(|allowed| allowed.rule)
            .map_err(|refusal| (refusal.reason, refusal.line))
    }

    #[test]
    fn a_tunnel_is_blind_only_where_no_rule_looks_inside() {
        let target = |text: &str| Target::parse(text, Some(443)).unwrap();
        let mut policy = policy(&["a.example", "b.example GET", "*.c.example /v1", "c.c.example"]);
        let blind = |rule: &str| Ok(Tunnel::Blind(rule.to_owned()));
        assert_eq!(tunnel(&policy, None, &target("a.example")), blind("a.example"));
        let seen = |rule: &str| Ok(Tunnel::Seen(rule.to_owned()));
        assert_eq!(tunnel(&policy, None, &target("b.example")), seen("b.example GET"));
        assert_eq!(tunnel(&policy, None, &target("c.c.example")), seen("*.c.example /v1"));
        let refusal = tunnel(&policy, None, &target("d.example:8443")).unwrap_err();
        assert_eq!(refusal.line.as_deref(), Some("d.example:8443"));
        assert!(refusal.text("").contains("\n    d.example:8443\n"));
        assert!(looks_inside(&policy));
        policy.credentials.push(with_credential("a.example POST /x"));
        assert_eq!(tunnel(&policy, None, &target("a.example")), seen("a.example POST /x"));
    }

    #[test]
    fn methods_and_paths_are_held_and_a_refusal_says_the_line() {
        let policy = policy(&["b.example GET,HEAD /v1"]);
        assert!(ask(&policy, "GET https://b.example/v1/x").is_ok());
        let line = |line: &str| Err(("no_rule_for_request", Some(line.to_owned())));
        assert_eq!(ask(&policy, "POST https://b.example/v1/x"), line("b.example POST /v1/x"));
        assert_eq!(ask(&policy, "GET https://b.example/v2"), line("b.example GET /v2"));
        assert_eq!(ask(&policy, "get https://b.example/v1"), Err(("method", None)));
        assert_eq!(ask(&policy, "GET https://b.example/a%20b"), line("b.example GET"));
        let ambiguous = ask(&policy, "GET https://b.example/v1/%2e%2e/x");
        assert_eq!(ambiguous, Err(("ambiguous_path", None)));
        assert_eq!(ask(&policy, "TRACE https://b.example/v1"), Err(("method", None)));
        let other = ask(&policy, "GET http://other.example/");
        assert_eq!(other, Err(("no_rule", Some("other.example".to_owned()))));
    }

    #[test]
    fn on_allows_the_ports_of_the_web_and_listed_hosts() {
        let policy = Policy { network: NetworkPolicy::On, ..Policy::default() };
        assert_eq!(ask(&policy, "GET http://any.example/").as_deref(), Ok("on"));
        assert!(ask(&policy, "GET http://any.example:8080/").is_err());
        let private: PrivateHost = "any.example:8080".parse().unwrap();
        let target = Target::parse("any.example:8080", None).unwrap();
        assert!(tunnel(&policy, Some(&private), &target).is_ok());
        let policy = Policy::default();
        assert!(tunnel(&policy, Some(&private), &target).is_err());
    }

    #[test]
    fn a_credential_allows_what_it_is_for_and_never_goes_unencrypted() {
        let policy = Policy {
            credentials: vec![with_credential("r.example GET /npm")],
            ..Policy::default()
        };
        assert!(ask(&policy, "GET https://r.example/npm/@scope%2fname").is_ok());
        assert_eq!(
            ask(&policy, "GET http://r.example/npm/x").unwrap_err().0,
            "credential_needs_tls"
        );
        assert!(ask(&policy, "GET https://r.example/other").is_err());
        assert!(ask(&policy, "PUT https://r.example/npm/x").is_err());
    }

    #[test]
    fn a_credential_that_looks_inside_counts_beside_one_that_does_not() {
        let credentials = vec![with_credential("r.example"), with_credential("r.example GET /npm")];
        let policy = Policy { credentials, ..Policy::default() };
        let target = Target::parse("r.example", Some(443)).unwrap();
        let asked = |path| Asked { target: &target, method: &Method::GET, path, encrypted: true };
        let both = request(&policy, None, asked("/npm/x")).unwrap();
        assert!(both.credentials.len() == 2 && both.looked_inside);
        assert!(!request(&policy, None, asked("/other")).unwrap().looked_inside);
    }
}
