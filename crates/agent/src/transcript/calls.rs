//! The calls of the last reply, and where their results go.

use quire_domain::event::ToolAnswered;
use quire_domain::ids::CallId;
use quire_domain::transcript::{Item, Part, ToolCall, ToolResult};

/// The calls of the last reply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenCalls {
    calls: Vec<ToolCall>,
    answered: Vec<bool>,
    open: usize,
    /// Where the item of their results is, or will be.
    at: usize,
}

impl OpenCalls {
    /// Those without an answer, in order.
    pub fn open(&self) -> impl Iterator<Item = &ToolCall> {
        let limit = if self.open == 0 { 0 } else { self.calls.len() };
        self.calls[..limit].iter().zip(&self.answered).filter(|(_, done)| !**done).map(|(c, _)| c)
    }

    /// Opens the calls of a reply whose results will be item number `at`.
    pub fn open_all(&mut self, calls: Vec<ToolCall>, at: usize) {
        self.answered = vec![false; calls.len()];
        self.open = calls.len();
        self.calls = calls;
        self.at = at;
    }

    /// Puts an answer into its place among the results, in the order of the calls. Gives the
    /// call; `None` if there is no such open call.
    pub fn answer(&mut self, items: &mut Vec<Item>, answered: &ToolAnswered) -> Option<ToolCall> {
        let is_it = |(call, done): (&ToolCall, &bool)| !*done && call.id == answered.call_id;
        let which = self.calls.iter().zip(&self.answered).position(is_it)?;
        let place = self.answered[..which].iter().filter(|done| **done).count();
        self.answered[which] = true;
        self.open -= 1;
        let result = ToolResult {
            call_id: answered.call_id.clone(),
            parts: answered.parts.clone(),
            ok: answered.ok,
        };
        if let Some(Item::ToolResults { results }) = items.get_mut(self.at) {
            results.insert(place, result);
        } else {
            items.insert(self.at.min(items.len()), Item::ToolResults { results: vec![result] });
        }
        self.calls.get(which).cloned()
    }

    /// Adds a part to the result of a call of the last reply; `false` if there is none.
    pub fn attach(&self, items: &mut [Item], call: &CallId, part: Part) -> bool {
        let results = match items.get_mut(self.at) {
            Some(Item::ToolResults { results }) if !self.calls.is_empty() => results,
            _ => return false,
        };
        let Some(result) = results.iter_mut().rfind(|result| result.call_id == *call) else {
            return false;
        };
        result.parts.push(part);
        true
    }

    /// No result may be added to any more: they are about to be sent.
    pub fn settle(&mut self) {
        self.calls.clear();
        self.answered.clear();
        self.open = 0;
    }
}
