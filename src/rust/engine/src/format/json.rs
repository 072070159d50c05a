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
    const TOKENS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
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
        match TOKENS.iter().find(|t| text[i..].starts_with(t)) {
            Some(token) => {
                found = true;
                out.push(b'"');
                out.extend_from_slice(token);
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
