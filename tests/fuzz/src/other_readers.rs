//! JSON and YAML against other readers: what both can read, both read alike.

use std::collections::BTreeMap;

use serde_yaml::Value as Yaml;
use sops_activate::sops::format::Format;
use sops_activate::sops::tree::{Item, Map, Value};

use super::trees;

/// A document without what the readers differ in: the types of plain scalars, the order of keys.
#[derive(Debug, PartialEq)]
enum Shape {
    Text(Vec<u8>),
    /// Not a string to one of the two.
    Scalar,
    List(Vec<Shape>),
    Map(BTreeMap<Vec<u8>, Shape>),
}

pub fn json(data: &[u8]) {
    let ours = Format::Json.read(data);
    let theirs: Result<serde_json::Value, _> = serde_json::from_slice(data);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            if let Some(ours) = map(&ours[0], data) {
                agree(&ours, &json_shape(&theirs));
            }
        }
        // Bytes that are not UTF-8 are Go's to replace, and a limit on depth is everybody's own.
        (Ok(_), Err(error)) => {
            assert!(
                std::str::from_utf8(data).is_err()
                    || error.to_string().contains("recursion")
                    || lone_surrogate(data),
                "{error}"
            );
        }
        (Err(_), Ok(theirs)) => assert!(!theirs.is_object()),
        (Err(_), Err(_)) => {}
    }
}

fn lone_surrogate(data: &[u8]) -> bool {
    data.windows(3).any(|window| matches!(window, [b'\\', b'u', b'd' | b'D']))
}

pub fn yaml(data: &[u8]) {
    let Some(source) = trees::transcoded(Format::Yaml, data) else { return };
    let Ok(text) = std::str::from_utf8(source.expose()) else { return };
    // Tags, directives, merges and the line ends of YAML 1.1 are read differently on purpose.
    if text.contains(['!', '%', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\t', '\r'])
        || text.contains("<<")
    {
        return;
    }
    let (Ok(ours), Ok(theirs)) = (Format::Yaml.read(text.as_bytes()), serde_yaml::from_str::<Yaml>(text))
    else {
        return;
    };
    if let [ours] = ours.as_slice()
        && let Some(ours) = map(ours, text.as_bytes())
        && !matches!(theirs, Yaml::Null)
    {
        agree(&ours, &yaml_shape(&theirs));
    }
}

fn agree(ours: &Shape, theirs: &Shape) {
    match (ours, theirs) {
        (Shape::Text(ours), Shape::Text(theirs)) => {
            assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
        }
        (Shape::Text(_) | Shape::Scalar, Shape::Text(_) | Shape::Scalar) => {}
        (Shape::List(ours), Shape::List(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter().zip(theirs).for_each(|(ours, theirs)| agree(ours, theirs));
        }
        (Shape::Map(ours), Shape::Map(theirs)) => {
            assert!(ours.keys().eq(theirs.keys()), "{ours:?} but {theirs:?}");
            ours.values().zip(theirs.values()).for_each(|(ours, theirs)| agree(ours, theirs));
        }
        (ours, theirs) => panic!("{ours:?} but {theirs:?}"),
    }
}

/// The last of equal keys counts.
fn map(map: &Map, source: &[u8]) -> Option<Shape> {
    let pairs = map.pairs().map(|(key, value)| Some((key.to_vec(), shape(value, source)?)));
    pairs.collect::<Option<_>>().map(Shape::Map)
}

fn shape(value: &Value, source: &[u8]) -> Option<Shape> {
    Some(match value {
        Value::String(text) => Shape::Text(text.bytes(source).to_vec()),
        Value::List(items) => {
            let values = items.iter().filter_map(|item| match item {
                Item::Value { value, .. } => Some(shape(value, source)),
                Item::Comment(_) => None,
            });
            Shape::List(values.collect::<Option<_>>()?)
        }
        Value::Map(inner) => map(inner, source)?,
        _ => Shape::Scalar,
    })
}

fn json_shape(value: &serde_json::Value) -> Shape {
    match value {
        serde_json::Value::String(text) => Shape::Text(text.clone().into_bytes()),
        serde_json::Value::Array(items) => Shape::List(items.iter().map(json_shape).collect()),
        serde_json::Value::Object(map) => {
            Shape::Map(map.iter().map(|(key, value)| (key.clone().into_bytes(), json_shape(value))).collect())
        }
        _ => Shape::Scalar,
    }
}

fn yaml_shape(value: &Yaml) -> Shape {
    match value {
        Yaml::String(text) => Shape::Text(text.clone().into_bytes()),
        Yaml::Sequence(items) => Shape::List(items.iter().map(yaml_shape).collect()),
        Yaml::Mapping(map) => Shape::Map(
            map.iter()
                .map(|(key, value)| {
                    let key = match key {
                        Yaml::String(text) => text.clone(),
                        other => format!("{other:?}"),
                    };
                    (key.into_bytes(), yaml_shape(value))
                })
                .collect(),
        ),
        _ => Shape::Scalar,
    }
}
