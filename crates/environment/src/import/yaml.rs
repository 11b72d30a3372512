//! YAML into nodes. The parser gives events and their places; what an alias stands for is copied,
//! and counted, so that a few lines cannot become millions.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::Fault;
use super::node::{Entry, MOST_DEPTH, MOST_NODES, Node, Value};
use crate::recipe::Position;

/// Reads the only document of a text.
pub fn read(text: &str) -> Result<Node, Fault> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
    let mut document = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            _ if document.is_some() => {
                return Err((Some(position(span)), "has more than one document".to_owned()));
            }
            event => document = Some(reader.node(event, span, 0)?),
        }
    }
    document.ok_or_else(|| (None, "is empty".to_owned()))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Fault> {
        self.parser.next_event().transpose().map_err(|error| fault(&error))
    }

    /// The next event, where the document cannot end.
    fn inside(&mut self, above: Span) -> Result<(Event<'a>, Span), Fault> {
        let ended = || (Some(position(above)), "ends before it is whole".to_owned());
        self.next()?.ok_or_else(ended)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        let at = position(span);
        let before = self.nodes;
        self.nodes += 1;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (if null { Value::Null } else { Value::Text(text.into_owned()) }, anchor)
            }
            Event::Alias(id) => {
                let known = self.anchors.get(&id).cloned();
                let Some((node, nodes)) = known else {
                    return Err((Some(at), "this alias stands for nothing before it".to_owned()));
                };
                self.nodes += nodes;
                (node.value, 0)
            }
            Event::SequenceStart(anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(span, depth)?, anchor),
            _ => return Err((Some(at), "a value is expected here".to_owned())),
        };
        if depth > MOST_DEPTH || self.nodes > MOST_NODES {
            let what = "is nested too deep, or has too many values";
            return Err((Some(at), what.to_owned()));
        }
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Value, Fault> {
        deep_enough(span, depth)?;
        let mut items = Vec::new();
        loop {
            match self.inside(span)? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Result<Value, Fault> {
        deep_enough(span, depth)?;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.inside(span)?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let at = position(span);
            let Event::Scalar(key, ..) = event else {
                return Err((Some(at), "a key must be a single word or text".to_owned()));
            };
            let key = key.into_owned();
            if entries.iter().any(|entry| entry.key == key) {
                return Err((Some(at), format!("`{}` stands here twice", key.escape_debug())));
            }
            let (event, span) = self.inside(span)?;
            entries.push(Entry { at, key, value: self.node(event, span, depth + 1)? });
        }
    }
}

/// Checked on the way down, as the walk is recursive.
fn deep_enough(span: Span, depth: usize) -> Result<(), Fault> {
    if depth > MOST_DEPTH {
        return Err((Some(position(span)), "is nested too deep".to_owned()));
    }
    Ok(())
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn fault(error: &ScanError) -> Fault {
    let at = Position { line: error.marker().line(), column: error.marker().col() + 1 };
    (Some(at), error.info().to_owned())
}
