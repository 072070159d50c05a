//! JSON as R values.

use extendr_api::prelude::*;
use serde_json::Value as Json;

/// Objects become named lists; arrays of numbers, strings or logicals vectors,
/// other arrays lists; whole numbers integers where these hold them.
pub fn from_json(v: &Json) -> Robj {
    match v {
        Json::Null => ().into(),
        Json::Bool(b) => b.into_robj(),
        Json::Number(n) => match n.as_i64().and_then(|i| i32::try_from(i).ok()) {
            Some(i) if i != i32::MIN => i.into_robj(),
            _ => n.as_f64().unwrap_or(f64::NAN).into_robj(),
        },
        Json::String(s) => text(s),
        Json::Array(items) => array(items),
        Json::Object(items) => {
            let mut list = List::from_values(items.values().map(from_json));
            let _ = list.set_names(items.keys().map(|k| k.replace('\0', "")));
            list.into()
        }
    }
}

/// R strings can't hold NUL.
fn text(s: &str) -> Robj {
    s.replace('\0', "\u{fffd}").into_robj()
}

fn array(items: &[Json]) -> Robj {
    let int = |v: &Json| {
        let i = i32::try_from(v.as_i64()?).ok()?;
        (i != i32::MIN).then_some(i)
    };
    if items.is_empty() {
        return List::new(0).into();
    }
    if let Some(v) = items.iter().map(int).collect::<Option<Vec<i32>>>() {
        return v.into_robj();
    }
    if let Some(v) = items.iter().map(Json::as_f64).collect::<Option<Vec<f64>>>() {
        return v.into_robj();
    }
    if let Some(v) = items
        .iter()
        .map(Json::as_bool)
        .collect::<Option<Vec<bool>>>()
    {
        return v.into_robj();
    }
    if items.iter().all(Json::is_string) {
        let texts = items.iter().filter_map(Json::as_str);
        return texts
            .map(|s| s.replace('\0', "\u{fffd}"))
            .collect::<Vec<_>>()
            .into_robj();
    }
    List::from_values(items.iter().map(from_json)).into()
}
