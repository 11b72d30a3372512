//! A document of JSON or YAML, with the place of everything in it.

use crate::recipe::Position;

/// How deep a document may be nested, and how many nodes it may have.
pub const MOST_DEPTH: usize = 64;
pub const MOST_NODES: usize = 20_000;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub at: Position,
    pub value: Value,
}

/// A value. Numbers and truth values are kept as they are written: `1.10` is a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Position,
    pub key: String,
    pub value: Node,
}

impl Node {
    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A single value.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a key stands for.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// A single value under a key.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// What people would call it, in few words.
    pub fn brief(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Text(text) => {
                let line = text.lines().next().unwrap_or_default();
                let mut brief: String = line.chars().take(60).collect();
                if brief.len() < text.len() {
                    brief.push('…');
                }
                brief
            }
            Value::List(items) => {
                let items: Vec<String> = items.iter().take(6).map(Self::brief).collect();
                items.join(", ")
            }
            Value::Map(entries) => {
                let entry = |entry: &Entry| format!("{}: {}", entry.key, entry.value.brief());
                let entries: Vec<String> = entries.iter().take(6).map(entry).collect();
                entries.join(", ")
            }
        }
    }
}
