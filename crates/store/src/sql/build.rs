//! Statements whose parts depend on what was asked for: filters, lists of ids.

use std::fmt::Write;

use crate::sql::{Bind, Query, Value};

/// A statement in the making. Texts are pushed as they are written in the program; everything else
/// is bound.
#[derive(Default)]
pub(crate) struct Builder<'q> {
    sql: String,
    values: Vec<Value<'q>>,
}

impl<'q> Builder<'q> {
    /// Begins with `sql`.
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds to the statement.
    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Adds a parameter and binds it.
    pub(crate) fn bind(&mut self, value: impl Bind<'q>) -> &mut Self {
        self.values.push(value.value());
        // Writing to a string does not fail.
        let _ = write!(self.sql, "${}", self.values.len());
        self
    }

    /// Adds parameters with commas between them: what stands in `IN (…)`.
    pub(crate) fn bind_all<T: Bind<'q>>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        for (n, value) in values.into_iter().enumerate() {
            if n > 0 {
                self.sql.push_str(", ");
            }
            self.bind(value);
        }
        self
    }

    /// The statement.
    pub(crate) fn query(self) -> Query<'q> {
        Query { sql: self.sql.into(), values: self.values }
    }
}
