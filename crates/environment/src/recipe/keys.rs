//! The keys of a recipe: where each stands, and which are not known.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::error::{Position, RecipeError};
use super::words;

/// Where the keys of a recipe stand, by their path: `limits.cpus`, `checks[1].command`.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<String, Position>);

impl Keys {
    /// Looks at every key of a recipe.
    ///
    /// # Errors
    ///
    /// Malformed TOML, and the first key that is not known, with the nearest that is.
    pub fn of(text: &str) -> Result<Self, RecipeError> {
        let document = DeTable::parse(text).map_err(|error| RecipeError::toml(text, &error))?;
        let schema = words::schema();
        let mut walk = Walk { text, root: &schema, keys: Self::default() };
        walk.table(document.get_ref(), &schema, "")?;
        Ok(walk.keys)
    }

    /// Where a key stands; where the nearest key above it stands, if it is not written itself.
    pub fn position(&self, path: &str) -> Option<Position> {
        let mut path = path;
        loop {
            if let Some(position) = self.0.get(path) {
                return Some(*position);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// The keys that are written, without the items of lists.
    pub fn written(&self) -> impl Iterator<Item = (&str, Position)> {
        self.0.iter().map(|(path, position)| (path.as_str(), *position))
    }
}

struct Walk<'a> {
    text: &'a str,
    root: &'a Value,
    keys: Keys,
}

impl Walk<'_> {
    fn table(
        &mut self,
        table: &DeTable<'_>,
        schema: &Value,
        above: &str,
    ) -> Result<(), RecipeError> {
        let shape = Shape::of(schema, self.root);
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let position = Position::at(self.text, key.span().start);
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
            let below = match &shape {
                Shape::Keys(known) => match known.get(name) {
                    Some(below) => Some(below),
                    None => return Err(unknown(name, above, known, position)),
                },
                // Names that the person chooses, or a value of another type: serde says so.
                Shape::Other => None,
            };
            self.keys.0.insert(path.clone(), position);
            self.value(value.get_ref(), below.unwrap_or(&Value::Null), &path)?;
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: &DeValue<'_>,
        schema: &Value,
        path: &str,
    ) -> Result<(), RecipeError> {
        match value {
            DeValue::Table(table) => self.table(table, schema, path),
            DeValue::Array(items) => {
                let items_schema = schema.get("items").unwrap_or(&Value::Null);
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let position = Position::at(self.text, item.span().start);
                    self.keys.0.insert(path.clone(), position);
                    self.value(item.get_ref(), items_schema, &path)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What a part of the schema says of the keys of a table.
enum Shape<'a> {
    Keys(&'a Map<String, Value>),
    Other,
}

impl<'a> Shape<'a> {
    fn of(schema: &'a Value, root: &'a Value) -> Self {
        let named = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| root.pointer(reference.strip_prefix('#')?));
        match named.unwrap_or(schema).get("properties").and_then(Value::as_object) {
            Some(known) => Self::Keys(known),
            None => Self::Other,
        }
    }
}

fn unknown(name: &str, above: &str, known: &Map<String, Value>, position: Position) -> RecipeError {
    let near = known
        .keys()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    let place = if above.is_empty() { String::new() } else { format!(" in `{above}`") };
    let hint = if let Some((_, candidate)) = near {
        format!("did you mean `{candidate}`?")
    } else {
        let names: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
        format!("there are {}", names.join(", "))
    };
    RecipeError::at(Some(position), format!("there is no key `{name}`{place}: {hint}"))
}
