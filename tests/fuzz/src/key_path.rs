//! Keys of secrets against a search that splits them in every way.

use sops_activate::sops::format::Format;
use sops_activate::sops::key_path::{FindError, KeyPath};
use sops_activate::sops::tree::{Item, Map, Value};

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let Ok(path) = std::str::from_utf8(input.text()) else { return };
    let Ok(documents) = Format::Json.read(input.0) else { return };
    let map = &documents[0];
    let found = KeyPath::new(path).find(map);
    if path.matches('/').count() <= 10 {
        let expected = in_map(map, path);
        assert_eq!(
            found.as_ref().ok().map(|value| &raw const **value),
            expected.map(|value| &raw const *value)
        );
    }
    match found {
        Ok(_) => {}
        Err(FindError::Missing { path: missing, .. } | FindError::NotAContainer { path: missing, .. }) => {
            assert!(path.starts_with(&missing));
        }
    }
}

fn in_map<'t>(map: &'t Map, path: &str) -> Option<&'t Value> {
    let levels: Vec<&str> = path.split('/').collect();
    for count in 1..=levels.len() {
        let Some(value) = lookup(map, &levels[..count].join("/")) else { continue };
        if count == levels.len() {
            return Some(value);
        }
        let rest = levels[count..].join("/");
        if let Some(found) = inside(value, &rest) {
            return Some(found);
        }
    }
    None
}

fn inside<'t>(value: &'t Value, path: &str) -> Option<&'t Value> {
    match value {
        Value::Map(map) => in_map(map, path),
        Value::List(items) => {
            let (index, rest) =
                path.split_once('/').map_or((path, None), |(index, rest)| (index, Some(rest)));
            if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let item = items.get(index.parse::<usize>().ok()?)?;
            let Item::Value { value, .. } = item else { return None };
            match rest {
                Some(rest) => inside(value, rest),
                None => Some(value),
            }
        }
        _ => None,
    }
}

fn lookup<'t>(map: &'t Map, key: &str) -> Option<&'t Value> {
    let last = |wanted: &[u8]| map.pairs().rfind(|(name, _)| *name == wanted).map(|(_, value)| value);
    if let Some(own) = last(key.as_bytes()) {
        return Some(own);
    }
    match last(b"<<")? {
        Value::Map(map) => lookup(map, key),
        Value::List(items) => items.iter().find_map(|item| match item {
            Item::Value { value: Value::Map(map), .. } => lookup(map, key),
            _ => None,
        }),
        _ => None,
    }
}
