//! Addresses in configuration files: line by line, as tolerant as the tools are. What is taken for
//! one too many is a host that the base's own configuration names.

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `key = value`, `key: value` or `key value`: the values of these keys and of keys that end
    /// with one after a `:` (a scope), and the lines below that hold nothing but addresses.
    Keys(&'static [&'static str]),
    /// Every address outside of lines that are comments.
    All,
    /// What stands in elements of this name, outside of comments.
    XmlElements(&'static str),
    /// `deb [options] ADDRESS suite components`.
    AptLines,
    /// Stanzas with `URIs:`, without those that are not enabled.
    AptStanzas,
}

/// The addresses in a file.
pub fn read(form: Form, text: &str) -> Vec<String> {
    match form {
        Form::Keys(keys) => keyed(keys, text),
        Form::All => lines(text).flat_map(urls).collect(),
        Form::XmlElements(name) => elements(name, text),
        Form::AptLines => {
            lines(text).filter(|line| line.trim_start().starts_with("deb")).flat_map(urls).collect()
        }
        Form::AptStanzas => {
            let text = text.replace("\r\n", "\n");
            text.split("\n\n").filter(|stanza| enabled(stanza)).flat_map(stanza).collect()
        }
    }
}

/// Every address in a text: from its scheme to what cannot be part of one.
pub fn urls(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = &rest[..at];
        let begin = ["https", "http"].iter().find(|scheme_name| {
            scheme.len() >= scheme_name.len()
                && scheme.is_char_boundary(scheme.len() - scheme_name.len())
                && scheme[scheme.len() - scheme_name.len()..].eq_ignore_ascii_case(scheme_name)
        });
        let after = &rest[at + 3..];
        let end = after
            .find(|c: char| c.is_whitespace() || c.is_control() || "\"'`<>()[]{},|;".contains(c))
            .unwrap_or(after.len());
        if let Some(scheme) = begin {
            found.push(format!("{scheme}://{}", &after[..end]));
        }
        rest = &after[end..];
    }
    found
}

/// Whether a file holds a token or password of a registry.
pub fn holds_credentials(text: &str) -> bool {
    const KEYS: [&str; 6] =
        ["_authToken", "_auth", "_password", "token", "npmAuthToken", "npmAuthIdent"];
    let without = without_comments(text);
    let keyed = lines(text).any(|line| {
        let key = key_of(line).rsplit(':').next().unwrap_or_default();
        KEYS.contains(&key)
    });
    keyed || without.contains("<password>") || without.contains("ClearTextPassword")
}

fn keyed(keys: &[&str], text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in lines(text) {
        let value = line.trim_start_matches(|c: char| c.is_whitespace() || "\"'[-".contains(c));
        let continues = value.starts_with("http") || value.starts_with("sparse+");
        if !continues {
            let key = key_of(line);
            let scoped = key.rsplit(':').next().unwrap_or(key);
            inside = keys.contains(&key) || keys.contains(&scoped);
        }
        if inside {
            found.extend(urls(line));
        }
    }
    found
}

/// What stands before `=`, `:` and a space, or a space.
fn key_of(line: &str) -> &str {
    let line = line.trim();
    let end = line
        .char_indices()
        .find(|(at, c)| {
            let after = &line[at + c.len_utf8()..];
            *c == '='
                || c.is_whitespace()
                || (*c == ':' && (after.is_empty() || after.starts_with(' ')))
        })
        .map_or(line.len(), |(at, _)| at);
    line[..end].trim_matches(['"', '\''])
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| {
        let line = line.trim_start();
        !["#", ";", "//"].iter().any(|mark| line.starts_with(mark))
            // npm's tokens are under names that begin like comments of others.
            || line.contains(":_")
    })
}

fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

fn elements(name: &str, text: &str) -> Vec<String> {
    let text = without_comments(text);
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let inside = text.split(open.as_str()).skip(1);
    inside.filter_map(|rest| rest.split(close.as_str()).next()).flat_map(urls).collect()
}

fn enabled(stanza: &str) -> bool {
    !stanza.lines().any(|line| {
        let field = line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        field.is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("enabled") && ["no", "false", "0"].contains(&value)
        })
    })
}

fn stanza(stanza: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in lines(stanza) {
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default();
            inside = name.eq_ignore_ascii_case("uris");
        }
        if inside {
            found.extend(urls(line));
        }
    }
    found
}
