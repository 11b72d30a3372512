//! What is hidden, and what stays as it was.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "glp-4f/9c+21 \"Q\u{e4}z\"";

fn redaction(values: &[&str]) -> Redaction {
    Redaction::of(values.iter().map(|value| Secret::new(value.as_bytes().to_vec())))
}

/// What a stream makes of pieces.
fn in_pieces<'a>(redaction: &Redaction, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = redaction.stream();
    let mut out = Vec::new();
    for piece in pieces {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    out
}

/// The definition: every byte that belongs to any form of a value is hidden.
fn by_definition(redaction: &Redaction, bytes: &[u8]) -> Vec<u8> {
    let mut hidden = vec![false; bytes.len()];
    for form in &redaction.0.as_ref().unwrap().forms {
        for (at, window) in bytes.windows(form.len()).enumerate() {
            if window == form.as_slice() {
                hidden[at..at + form.len()].fill(true);
            }
        }
    }
    let (mut out, mut said) = (Vec::new(), false);
    for (byte, hidden) in bytes.iter().zip(hidden) {
        if !hidden || *byte == b'\n' {
            out.push(*byte);
            said = false;
        } else if !said {
            out.extend_from_slice(WORD.as_bytes());
            said = true;
        }
    }
    out
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[test]
fn a_value_is_hidden_in_every_form_that_is_covered() {
    let redaction = redaction(&[TOKEN]);
    let json = serde_json::to_string(TOKEN).unwrap();
    let ascii = json.replace('\u{e4}', "\\u00e4");
    let percent = "glp-4f%2F9c%2B21%20%22Q%C3%A4z%22";
    for text in [
        TOKEN.to_owned(),
        json.clone(),
        ascii,
        json.replace('/', "\\/"),
        serde_json::to_string(&json).unwrap(),
        percent.to_owned(),
        percent.replace("%20", "+"),
        percent.to_ascii_lowercase().replace("glp-4f%2f9c%2b21%20%22q", "glp-4f%2f9c%2b21%20%22Q"),
        STANDARD.encode(TOKEN),
        STANDARD.encode(format!("u:{TOKEN}")),
        STANDARD.encode(format!("user:{TOKEN}\n")),
        STANDARD.encode(format!("a{TOKEN}")).replace('+', "-").replace('/', "_"),
        hexadecimal(TOKEN),
        hexadecimal(TOKEN).to_ascii_uppercase(),
    ] {
        let shown = redaction.text(&format!("before {text} after\n")).into_owned();
        assert!(shown.contains(WORD) && shown.starts_with("before "), "{text} -> {shown}");
        // Of base64, characters at the edges hold bits of what stands beside the value.
        assert!(shown.len() <= "before  after\n".len() + WORD.len() + 12, "{text} -> {shown}");
    }
    assert_eq!(redaction.text("glp-4f/9c+21 and more"), "glp-4f/9c+21 and more");
}

#[test]
fn lines_stay_where_they_are() {
    let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\nq2z9Yw0Jk3v1Xo5B\n-----END KEY-----\n";
    let redaction = redaction(&[key]);
    let shown = redaction.text(&format!("1\n{key}5\n")).into_owned();
    assert_eq!(shown.lines().count(), 6);
    assert!(!shown.contains("MIIE") && shown.ends_with("\n5\n"), "{shown}");
    let part = redaction.text("x q2z9Yw0Jk3v1Xo5B\r\ny").into_owned();
    assert_eq!(part, "x ***\r\ny");
}

#[test]
fn a_search_passes_over_lines_of_a_value_that_stand_anywhere() {
    let json = "{\n  \"type\": \"service_account\",\n  \"id\": \"q2z9Yw0Jk3v1Xo5B\"\n}\n";
    let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7q2z9Yw0Jk\nv1Xo5B\n-----END KEY-----\n";
    let values = [json, key].map(|value| Secret::new(value.as_bytes().to_vec()));
    let search = Redaction::for_search(values.clone());
    assert!(!search.finds(b"\"type\": \"service_account\","));
    let found = search.value_in(format!("x = {json}").as_bytes()).unwrap();
    assert_eq!(found, &values[0]);
    let found = search.value_in(b"then MIIEpAIBAAKCAQEA7q2z9Yw0Jk\r\n").unwrap();
    assert_eq!(found, &values[1]);
    assert!(Redaction::of(values).finds(b"\"type\": \"service_account\","));
}

#[test]
fn a_long_value_is_found_in_part_and_holds_back_little() {
    let mut number = 1_u32;
    let long: String = (0..5_000)
        .map(|_| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from((number >> 16) % 26).unwrap())
        })
        .collect();
    let redaction = redaction(&[&long]);
    assert_eq!(redaction.text(&format!("<{long}>")), "<***>");
    // Of a part, the blocks that are whole: from 1,024 to 3,072.
    let part = redaction.text(&format!("<{}>", &long[1_000..4_000])).into_owned();
    assert_eq!(part, format!("<{}***{}>", &long[1_000..1_024], &long[3_072..4_000]));
    let known = redaction.0.as_ref().unwrap();
    assert!(known.longest <= 12 * 1_100, "{}", known.longest);
}

#[test]
fn short_and_common_values_are_not_redacted_and_why_is_said() {
    for value in [
        "",
        "a1b2c",
        "password",
        "Secret",
        "LOCALHOST",
        "aaaaaaaaaaaa",
        "1234567",
        "abab12",
        "abab12cc",
    ] {
        let said = why_not(value.as_bytes());
        assert_eq!(said.is_none(), value == "abab12cc", "{value}: {said:?}");
    }
    assert!(redaction(&["main", "      main      "]).is_empty());
    assert!(why_not(b"correcthorsebattery").is_none() && why_not(b"hunter2!").is_none());
}

#[test]
fn the_texts_of_an_event_are_redacted_and_its_shape_stays() {
    let redaction = redaction(&["t0ken-value"]);
    let mut value = serde_json::json!({
        "kind": "x", "n": 3, "list": ["a t0ken-value b", { "t0ken-value": "dDBrZW4tdmFsdWU=" }],
    });
    assert!(redaction.json(&mut value));
    let shown = serde_json::json!({
        "kind": "x", "n": 3, "list": ["a *** b", { "t0ken-value": "***U=" }],
    });
    assert_eq!(value["list"][0], shown["list"][0]);
    assert!(!value["list"][1]["t0ken-value"].as_str().unwrap().contains("dDBrZW4"));
    assert!(!redaction.json(&mut serde_json::json!({ "kind": "x" })));
}

#[test]
fn nothing_is_held_back_that_is_no_beginning_of_a_value() {
    let redaction = redaction(&["t0ken-value"]);
    let mut stream = redaction.stream();
    let mut out = Vec::new();
    stream.push(b"Password: ", &mut out);
    assert_eq!(out, b"Password: ");
    stream.push(b"t0ken-", &mut out);
    assert_eq!(out, b"Password: ");
    stream.push(b"ring\n", &mut out);
    assert_eq!(out, b"Password: t0ken-ring\n");
}

/// Bytes in which values and their beginnings are dense.
fn dense() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("abcab9cabc".to_owned()),
        Just("9cabcX7".to_owned()),
        Just("abcab".to_owned()),
        Just("9cab".to_owned()),
        Just("line\u{a}break-4".to_owned()),
        Just("\n".to_owned()),
        Just("abcab9cabcX7".to_owned()),
        Just(STANDARD.encode("xabcab9cabc")),
        "[abc9X7\n]{0,8}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn however_output_is_split_the_same_is_recorded(
        bytes in dense(),
        cuts in proptest::collection::vec(0..200_usize, 0..12),
    ) {
        let redaction = redaction(&["abcab9cabc", "9cabcX7", "line\nbreak-4"]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(bytes.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let mut at = 0;
        let pieces: Vec<&[u8]> = ends
            .map(|end| {
                let piece = &bytes[at..end];
                at = end;
                piece
            })
            .collect();
        let shown = in_pieces(&redaction, pieces);
        prop_assert_eq!(&shown, &by_definition(&redaction, &bytes));
        prop_assert_eq!(&shown, &in_pieces(&redaction, bytes.chunks(1)));
        let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count();
        prop_assert_eq!(lines(&shown), lines(&bytes));
    }

    #[test]
    fn a_value_is_hidden_wherever_it_stands(
        value in "[a-zA-Z0-9+/=._~ -]{8,80}",
        before in "[ -~]{0,40}",
        after in "[ -~]{0,40}",
        pad in 0..70_000_usize,
    ) {
        prop_assume!(why_not(value.as_bytes()).is_none());
        let value = value.trim();
        let redaction = redaction(&[value]);
        let text = format!("{}{before}{value}{after}", ".".repeat(pad));
        // As the output of commands comes: in pieces of 64 KiB.
        let shown = in_pieces(&redaction, text.as_bytes().chunks(65_536));
        prop_assert!(!String::from_utf8(shown).unwrap().contains(value));
        let encoded = STANDARD.encode(format!("{before}{value}{after}"));
        let known = redaction.0.as_ref().unwrap();
        prop_assert!(known.any.is_match(encoded.as_bytes()), "{}", encoded);
    }
}
