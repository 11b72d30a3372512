//! JSON as `devcontainer.json` is written: with comments and trailing commas.

use super::Fault;
use super::node::{Entry, MOST_DEPTH, MOST_NODES, Node, Value};
use crate::recipe::Position;

/// Reads a document.
pub fn read(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { rest: text, at: Position { line: 1, column: 1 }, nodes: 0 };
    reader.blank()?;
    let node = reader.value(0)?;
    reader.blank()?;
    if reader.rest.is_empty() { Ok(node) } else { Err(reader.fault("there is more after its end")) }
}

struct Reader<'a> {
    rest: &'a str,
    at: Position,
    nodes: usize,
}

impl Reader<'_> {
    fn fault(&self, what: &str) -> Fault {
        (Some(self.at), what.to_owned())
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn skip(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.next();
        }
        there
    }

    /// White space and comments.
    fn blank(&mut self) -> Result<(), Fault> {
        loop {
            if self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                self.next();
            } else if self.rest.starts_with("//") {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if self.rest.starts_with("/*") {
                let began = self.fault("this comment has no end");
                self.next();
                self.next();
                while !self.rest.starts_with("*/") {
                    if self.next().is_none() {
                        return Err(began);
                    }
                }
                self.next();
                self.next();
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        let at = self.at;
        self.nodes += 1;
        if depth > MOST_DEPTH || self.nodes > MOST_NODES {
            return Err(self.fault("is nested too deep, or has too many values"));
        }
        let value = match self.peek() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.string()?),
            Some(c) if c.is_ascii_alphanumeric() || c == '-' => self.word()?,
            Some(_) => return Err(self.fault("a value is expected here")),
            None => return Err(self.fault("ends before it is whole")),
        };
        Ok(Node { at, value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        self.next();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            self.blank()?;
            if self.skip('}') {
                return Ok(Value::Map(entries));
            }
            let at = self.at;
            if self.peek() != Some('"') {
                return Err(self.fault("a key in double quotes, or `}`, is expected here"));
            }
            let key = self.string()?;
            if entries.iter().any(|entry| entry.key == key) {
                return Err((Some(at), format!("`{}` stands here twice", key.escape_debug())));
            }
            self.blank()?;
            if !self.skip(':') {
                return Err(self.fault("`:` is expected here"));
            }
            self.blank()?;
            let value = self.value(depth + 1)?;
            entries.push(Entry { at, key, value });
            self.blank()?;
            if !self.skip(',') && self.peek() != Some('}') {
                return Err(self.fault("`,` or `}` is expected here"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.blank()?;
            if self.skip(']') {
                return Ok(Value::List(items));
            }
            items.push(self.value(depth + 1)?);
            self.blank()?;
            if !self.skip(',') && self.peek() != Some(']') {
                return Err(self.fault("`,` or `]` is expected here"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let began = self.fault("this string has no end");
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => return Err(began),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let fault = self.fault("this is no escape of JSON");
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.unit().ok_or_else(|| fault.clone())?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    let second = (self.skip('\\') && self.skip('u')).then(|| self.unit()).flatten();
                    let second = second.filter(|second| (0xdc00..0xe000).contains(second));
                    let second = second.ok_or_else(|| fault.clone())?;
                    0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or(fault)?
            }
            _ => return Err(fault),
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + self.next()?.to_digit(16)?;
        }
        Some(unit)
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let fault = self.fault("this is no value of JSON: strings stand in double quotes");
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c))
        {
            word.push(c);
            self.next();
        }
        let number = !word.starts_with('+')
            && word.parse::<f64>().is_ok_and(f64::is_finite)
            && word.contains(|c: char| c.is_ascii_digit());
        match word.as_str() {
            "null" => Ok(Value::Null),
            "true" | "false" => Ok(Value::Text(word)),
            _ if number => Ok(Value::Text(word)),
            _ => Err(fault),
        }
    }
}
