//! JSON as Python writes it.

use serde_json::Value as Json;

/// Parses JSON. Python also writes `NaN`, `Infinity` and `-Infinity`, which JSON
/// does not know: they become strings of that text, which [`number`] reads.
///
/// # Errors
/// Where the text is neither.
pub fn parse(text: &[u8]) -> serde_json::Result<Json> {
    let text = trim(text);
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(e) => match quote_non_finite(text) {
            Some(quoted) => serde_json::from_slice(&quoted),
            None => Err(e),
        },
    }
}

/// Where a text stops being JSON, in words.
pub fn place(e: &serde_json::Error) -> String {
    match e.is_eof() {
        true => format!("it ends too early, in line {}", e.line()),
        false => format!(
            "it can't be read at line {}, column {}",
            e.line(),
            e.column()
        ),
    }
}

/// A model's config as Python writes it: what operations hold is given as the bare
/// number where [`parse`] made a string of it. Layers hold words too, which stay.
pub fn text(config: &Json) -> String {
    let mut config = config.clone();
    if !mark_operations(&mut config) {
        return config.to_string();
    }
    let text = config.to_string();
    NON_FINITE.iter().fold(text, |text, number| {
        let marked = Json::String(format!("{MARK}{number}")).to_string();
        text.replace(&marked, number)
    })
}

const NON_FINITE: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// What stands before a number that is to lose its quotes.
const MARK: &str = "\0\0";

/// Marks the non-finite numbers of all operations; tells whether there are any.
fn mark_operations(v: &mut Json) -> bool {
    match v {
        Json::Array(items) => items
            .iter_mut()
            .fold(false, |any, v| mark_operations(v) | any),
        Json::Object(fields) => {
            let module = fields.get("module").and_then(Json::as_str);
            let operation = module.is_some_and(|m| m.starts_with("keras.src.ops"));
            let mut any = false;
            for (key, v) in fields.iter_mut() {
                any |= match operation && matches!(key.as_str(), "config" | "inbound_nodes") {
                    true => mark_numbers(v),
                    false => mark_operations(v),
                };
            }
            any
        }
        _ => false,
    }
}

fn mark_numbers(v: &mut Json) -> bool {
    match v {
        Json::String(s) if NON_FINITE.contains(&s.as_str()) => {
            s.insert_str(0, MARK);
            true
        }
        Json::Array(items) => items.iter_mut().fold(false, |any, v| mark_numbers(v) | any),
        Json::Object(fields) => {
            let values = fields.iter_mut();
            let values =
                values.filter(|(key, _)| !matches!(key.as_str(), "name" | "keras_history"));
            values.fold(false, |any, (_, v)| mark_numbers(v) | any)
        }
        _ => false,
    }
}

/// A number of a config, non-finite ones included.
pub fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(n) => n.as_f64(),
        Json::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The text without a byte order mark and without white space around it.
pub fn trim(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(text)
        .trim_ascii()
}

/// The text with bare non-finite numbers in quotes, or `None` if there are none.
fn quote_non_finite(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut found = false;
    let mut i = 0;
    while i < text.len() {
        if text[i] == b'"' {
            let start = i;
            i += 1;
            while i < text.len() && text[i] != b'"' {
                i += if text[i] == b'\\' { 2 } else { 1 };
            }
            i = (i + 1).min(text.len());
            out.extend_from_slice(&text[start..i]);
            continue;
        }
        let here = |t: &&&str| text[i..].starts_with(t.as_bytes());
        match NON_FINITE.iter().find(here) {
            Some(token) => {
                found = true;
                out.push(b'"');
                out.extend_from_slice(token.as_bytes());
                out.push(b'"');
                i += token.len();
            }
            None => {
                out.push(text[i]);
                i += 1;
            }
        }
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_bare_numbers() {
        let given = r#"{"layers":[{"module":"keras.src.ops.linalg","config":{"name":"NaN","ord":Infinity},"inbound_nodes":[{"args":[-Infinity]}]},{"module":"keras.layers","config":{"vocabulary":["NaN"]}}]}"#;
        let config = parse(given.as_bytes()).expect("a config");
        assert_eq!(text(&config), given);
        let plain = r#"{"a":"NaN"}"#;
        assert_eq!(text(&parse(plain.as_bytes()).expect("a config")), plain);
    }

    #[test]
    fn non_finite_numbers_of_python_are_read() {
        let v = parse(br#"{"a": [NaN, -Infinity, Infinity, 1.5], "b\"NaN": "Infinity NaN"}"#)
            .expect("parses");
        let read: Vec<f64> = v["a"]
            .as_array()
            .map_or(vec![], |a| a.iter().filter_map(number).collect::<Vec<_>>());
        assert!(read[0].is_nan());
        assert_eq!(&read[1..], [f64::NEG_INFINITY, f64::INFINITY, 1.5]);
        assert_eq!(v["b\"NaN"], "Infinity NaN");
    }

    #[test]
    fn other_text_is_an_error() {
        for bad in ["{", "[NaN", "{\"a\": NaNN}", "\"\\", "nan", ""] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
