//! Events without the values of secrets.

use quire_domain::event::EventBody;
use quire_engine::Redaction;
use serde_json::Value;

/// The event with known values taken out of its texts.
pub fn event(redaction: &Redaction, body: EventBody) -> EventBody {
    if redaction.is_empty() {
        return body;
    }
    // What cannot be written as JSON is refused by whoever records it.
    let Ok(text) = serde_json::to_string(&body) else { return body };
    if !redaction.finds(text.as_bytes()) {
        return body;
    }
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return body };
    let mut clean = value.clone();
    redaction.json(&mut clean);
    if let Some(clean) = same_kind(&body, clean) {
        return clean;
    }
    // A value that is also one of our own words: that word stays, everything else goes.
    let mut kept = value;
    let paths = texts(&kept, String::new());
    for path in paths {
        let Some(Value::String(text)) = kept.pointer_mut(&path) else { continue };
        let before = std::mem::take(text);
        *text = redaction.text(&before).into_owned();
        if same_kind(&body, kept.clone()).is_none()
            && let Some(Value::String(text)) = kept.pointer_mut(&path)
        {
            *text = before;
        }
    }
    same_kind(&body, kept).unwrap_or(body)
}

/// The event that a value is, if it is still of the kind it was: any other reads as unknown.
fn same_kind(before: &EventBody, value: Value) -> Option<EventBody> {
    let body: EventBody = serde_json::from_value(value).ok()?;
    let known = |body: &EventBody| !matches!(body, EventBody::Unknown(_));
    (body.kind() == before.kind() && known(&body) == known(before)).then_some(body)
}

/// Where the texts of a value are, as JSON pointers.
fn texts(value: &Value, at: String) -> Vec<String> {
    match value {
        Value::String(_) => vec![at],
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| texts(item, format!("{at}/{index}")))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, field)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                texts(field, format!("{at}/{key}"))
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use quire_domain::event::{EventBody, Fault, GateFailed};
    use quire_domain::secret::Secret;

    use super::*;

    fn redaction(value: &str) -> Redaction {
        Redaction::of([Secret::new(value.as_bytes().to_vec())])
    }

    fn told(text: &str) -> EventBody {
        let text = Some(text.to_owned());
        EventBody::GateFailed(GateFailed { round: 1, faults: Vec::new(), text })
    }

    #[test]
    fn a_value_is_taken_out_of_every_text() {
        let text = "first line\nthe key is s3cr\"et-k3y";
        let clean = event(&redaction("s3cr\"et-k3y"), told(text));
        assert_eq!(clean, told("first line\nthe key is ***"));
    }

    #[test]
    fn a_value_that_is_a_word_of_the_event_itself_leaves_its_shape() {
        let mut body = told("it failed on result_unusable");
        if let EventBody::GateFailed(gate) = &mut body {
            gate.faults.push(Fault::ResultUnusable { why: "result_unusable".to_owned() });
        }
        let clean = event(&redaction("result_unusable"), body);
        let EventBody::GateFailed(gate) = clean else { panic!("another kind: {clean:?}") };
        assert_eq!(gate.text.as_deref(), Some("it failed on ***"));
        assert_eq!(gate.faults, [Fault::ResultUnusable { why: "***".to_owned() }]);
    }
}
