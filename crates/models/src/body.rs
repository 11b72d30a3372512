//! Writes request bodies by hand, so that the list of items stands last in them.

use serde::Serialize;
use serde_json::{Map, Value};

/// A JSON object that is being written.
pub(crate) struct Body {
    bytes: Vec<u8>,
    empty: bool,
}

impl Body {
    /// An object without fields.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(b'{');
        Self { bytes, empty: true }
    }

    /// Adds a field.
    pub(crate) fn field(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.name(name);
        write(&mut self.bytes, value);
    }

    /// Adds the fields that the catalogue wants in every request.
    pub(crate) fn fields(&mut self, fields: &Map<String, Value>) {
        for (name, value) in fields {
            self.field(name, value);
        }
    }

    /// Begins the list that ends the body.
    pub(crate) fn list(mut self, name: &str) -> LastList {
        self.name(name);
        self.bytes.push(b'[');
        LastList { bytes: self.bytes, empty: true }
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.bytes.push(b',');
        }
        write(&mut self.bytes, name);
        self.bytes.push(b':');
    }
}

/// The list that stands last in a body.
pub(crate) struct LastList {
    bytes: Vec<u8>,
    empty: bool,
}

impl LastList {
    /// Adds an entry.
    pub(crate) fn push(&mut self, value: &(impl Serialize + ?Sized)) {
        if !std::mem::take(&mut self.empty) {
            self.bytes.push(b',');
        }
        write(&mut self.bytes, value);
    }

    /// The whole body.
    pub(crate) fn finish(mut self) -> bytes::Bytes {
        self.bytes.extend_from_slice(b"]}");
        self.bytes.into()
    }
}

fn write(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Writing our own types and JSON values to memory cannot fail; were it to, the body would
    // not be JSON and the provider would say so.
    let _ = serde_json::to_writer(bytes, value);
}
