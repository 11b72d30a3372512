//! Takes known secret values out of what is recorded.
//!
//! [`forms`] says in which forms a value is looked for, [`stream`] does it as bytes come. A value
//! becomes [`WORD`] and line ends inside of it stay, so that lines keep their numbers.

mod forms;
mod stream;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use quire_domain::secret::Secret;

use crate::chunks::Redactor;

pub use stream::Stream;
pub use value::why_not;

/// What stands in the record where a secret was.
pub const WORD: &str = "***";

/// Above so many bytes of all forms together, values are looked for as they are alone: what finds
/// them takes some forty times as much memory.
const MOST_BYTES: usize = 2 << 20;

/// Secret values that are looked for in everything that is recorded. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redaction(Option<Arc<Known>>);

struct Known {
    /// The values that were given, for [`Redaction::with`].
    values: Vec<Secret<Vec<u8>>>,
    /// All forms, sorted, each once.
    forms: Vec<Vec<u8>>,
    /// Which of the values each form is one of.
    of: Vec<usize>,
    /// The length of the longest.
    longest: usize,
    /// Which bytes a form begins with.
    begins: [bool; 256],
    /// Says fast that there is nothing, which nearly always holds.
    any: AhoCorasick,
    /// Finds all, also those that overlap.
    all: AhoCorasick,
}

impl Redaction {
    /// Looks for these values, as far as they [can be redacted](why_not).
    pub fn of(values: impl IntoIterator<Item = Secret<Vec<u8>>>) -> Self {
        Self::with_forms(values, forms::of)
    }

    /// The same for where a find is a failure: single lines of a value count only where they are no
    /// common text.
    pub fn for_search(values: impl IntoIterator<Item = Secret<Vec<u8>>>) -> Self {
        Self::with_forms(values, forms::telling)
    }

    fn with_forms(
        values: impl IntoIterator<Item = Secret<Vec<u8>>>,
        of: fn(&[u8]) -> Vec<Vec<u8>>,
    ) -> Self {
        let values: Vec<_> =
            values.into_iter().filter(|value| why_not(value.reveal()).is_none()).collect();
        let all = |forms: fn(&[u8]) -> Vec<Vec<u8>>| -> Vec<(Vec<u8>, usize)> {
            let values = values.iter().enumerate();
            values
                .flat_map(|(of, value)| forms(value.reveal()).into_iter().map(move |f| (f, of)))
                .collect()
        };
        let mut forms = all(of);
        if forms.iter().map(|(form, _)| form.len()).sum::<usize>() > MOST_BYTES {
            forms = all(forms::plain);
        }
        forms.sort();
        forms.dedup_by(|one, other| one.0 == other.0);
        if forms.is_empty() {
            return Self(None);
        }
        let (forms, of): (Vec<_>, Vec<_>) = forms.into_iter().unzip();
        let any = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&forms);
        let all = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&forms);
        let (Ok(any), Ok(all)) = (any, all) else { return Self(None) };
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        let mut begins = [false; 256];
        for form in &forms {
            if let Some(first) = form.first() {
                begins[usize::from(*first)] = true;
            }
        }
        Self(Some(Arc::new(Known { values, forms, of, longest, begins, any, all })))
    }

    /// Looks for these values as well.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Secret<Vec<u8>>>) -> Self {
        let mut more = more.into_iter().peekable();
        if more.peek().is_none() {
            return self.clone();
        }
        let own = self.0.iter().flat_map(|known| known.values.iter().cloned());
        Self::of(own.chain(more).collect::<Vec<_>>())
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a value, in any of its forms, is in `bytes`.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|known| known.any.is_match(bytes))
    }

    /// The first value that is in `bytes`, in any of its forms.
    pub fn value_in(&self, bytes: &[u8]) -> Option<&Secret<Vec<u8>>> {
        let known = self.0.as_ref()?;
        let found = known.any.find(bytes)?;
        known.values.get(*known.of.get(found.pattern().as_usize())?)
    }

    /// The length of the longest form, in bytes: of pieces that are looked at one by one, so much
    /// less one has to be looked at again.
    pub fn longest(&self) -> usize {
        self.0.as_ref().map_or(0, |known| known.longest)
    }

    /// A text without the values.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.finds(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut stream = self.stream();
        stream.push(text.as_bytes(), &mut out);
        stream.finish(&mut out);
        // A form that was cut in the middle of a character leaves a piece of it.
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }

    /// Bytes without the values.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.finds(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut stream = self.stream();
        stream.push(bytes, &mut out);
        stream.finish(&mut out);
        Cow::Owned(out)
    }

    /// A JSON value whose texts are without the values; keys stay. Whether anything was found.
    pub fn json(&self, value: &mut serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => match self.text(text) {
                Cow::Borrowed(_) => false,
                Cow::Owned(clean) => {
                    *text = clean;
                    true
                }
            },
            serde_json::Value::Array(items) => {
                items.iter_mut().fold(false, |found, item| self.json(item) | found)
            }
            serde_json::Value::Object(fields) => {
                fields.values_mut().fold(false, |found, field| self.json(field) | found)
            }
            _ => false,
        }
    }

    /// For bytes that come in pieces.
    pub fn stream(&self) -> Stream {
        Stream::new(self.0.clone())
    }

    /// For the output of a command; `None` where nothing is looked for.
    pub fn redactor(&self) -> Option<Box<dyn Redactor>> {
        (!self.is_empty()).then(|| Box::new(self.stream()) as Box<dyn Redactor>)
    }
}

impl Known {
    /// Where the end of `bytes` begins that more bytes could make one of the forms; its length
    /// where there is none.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len())
            .find(|start| {
                let Some(end) = bytes.get(*start..) else { return false };
                let begins = end.first().is_some_and(|byte| self.begins[usize::from(*byte)]);
                begins && self.is_beginning(end)
            })
            .unwrap_or(bytes.len())
    }

    /// Whether a form begins with these bytes and is longer.
    fn is_beginning(&self, bytes: &[u8]) -> bool {
        // Those that begin with them stand together, behind what is less.
        let at = self.forms.partition_point(|form| form.as_slice() <= bytes);
        self.forms.get(at).is_some_and(|form| form.starts_with(bytes))
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.as_ref().map_or(0, |known| known.values.len());
        write!(f, "Redaction({values} values)")
    }
}

#[cfg(test)]
mod tests;
