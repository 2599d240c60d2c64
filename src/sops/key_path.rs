//! Names one value of a document: the `key` of a secret in the manifest.

use super::tree::{Entry, Item, Map, Place, Value};

/// Levels separated by `/`. At each level the shortest key is tried first; a key that holds a `/` itself is found
/// when splitting there finds nothing. A number names an element of a list, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPath(String);

/// Why a path leads nowhere. Key names are not secret in a sops file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// With the path up to and including what is missing, and the keys that are there instead.
    #[error("the key '{path}' cannot be found")]
    Missing { path: String, siblings: Vec<String> },
    /// With the path of the value that has nothing below it, and its type.
    #[error("the key '{path}' is {kind}, so there is nothing below it")]
    NotAContainer { path: String, kind: &'static str },
}

impl KeyPath {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value that the path names in `map`.
    ///
    /// # Errors
    /// Where the path leaves the tree when it is split at every `/`.
    pub fn find<'t>(&self, map: &'t Map) -> Result<&'t Value, FindError> {
        // The budget bounds the search in a path of many slashes through a tree made to fit all of its splits.
        let mut budget = 10_000;
        match in_map(map, &self.0, &mut budget) {
            Some(value) => Ok(value),
            None => Err(self.explain(map)),
        }
    }

    /// The key that the path comes nearest to when it is split at every `/`, and how many levels above it there are.
    /// List indexes and what a merge key brings in lead on, and have no key of their own.
    #[must_use]
    pub fn nearest<'t>(&self, map: &'t Map) -> Option<Key<'t>> {
        let mut nearest = None;
        let mut container = Container::Map(map);
        for (depth, level) in self.0.split('/').enumerate() {
            let found = match container {
                Container::Map(map) => {
                    let own = map.0.iter().rev().find_map(|entry| match entry {
                        Entry::Pair { key, place, value } if **key == *level.as_bytes() => {
                            Some(Key { name: key, place: *place, value, depth })
                        }
                        _ => None,
                    });
                    nearest = own.or(nearest);
                    lookup(map, level)
                }
                Container::List(items) => element(items, level),
                Container::None(_) => None,
            };
            container = match found {
                Some(Value::Map(map)) => Container::Map(map),
                Some(Value::List(items)) => Container::List(items),
                _ => break,
            };
        }
        nearest
    }

    /// Walks the plain split again to say where it ends.
    fn explain(&self, map: &Map) -> FindError {
        let mut path = String::new();
        let mut container = Container::Map(map);
        for (depth, level) in self.0.split('/').enumerate() {
            if depth > 0 {
                path.push('/');
            }
            path.push_str(level);
            let found = match container {
                Container::Map(map) => lookup(map, level),
                Container::List(items) => element(items, level),
                Container::None(kind) => {
                    path.truncate(path.len() - level.len() - 1);
                    return FindError::NotAContainer { path, kind };
                }
            };
            container = match found {
                Some(Value::Map(map)) => Container::Map(map),
                Some(Value::List(items)) => Container::List(items),
                Some(other) => Container::None(other.kind()),
                None => return FindError::Missing { path, siblings: container.keys() },
            };
        }
        FindError::Missing { path, siblings: Vec::new() }
    }
}

/// A key of a document, where it stands, and what it names.
#[derive(Clone, Copy)]
pub struct Key<'t> {
    pub name: &'t [u8],
    pub place: Place,
    pub value: &'t Value,
    /// Levels above it.
    pub depth: usize,
}

enum Container<'t> {
    Map(&'t Map),
    List(&'t [Item]),
    None(&'static str),
}

impl Container<'_> {
    fn keys(&self) -> Vec<String> {
        match self {
            Self::Map(map) => map.pairs().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect(),
            Self::List(items) => {
                let count = items.iter().filter(|item| matches!(item, Item::Value { .. })).count();
                (0..count).map(|index| index.to_string()).collect()
            }
            Self::None(_) => Vec::new(),
        }
    }
}

fn in_map<'t>(map: &'t Map, path: &str, budget: &mut u32) -> Option<&'t Value> {
    for (at, _) in path.match_indices('/') {
        *budget = budget.checked_sub(1)?;
        let found = match lookup(map, path.get(..at)?) {
            Some(Value::Map(inner)) => in_map(inner, path.get(at + 1..)?, budget),
            Some(Value::List(items)) => in_list(items, path.get(at + 1..)?, budget),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    lookup(map, path)
}

fn in_list<'t>(items: &'t [Item], path: &str, budget: &mut u32) -> Option<&'t Value> {
    let Some((index, rest)) = path.split_once('/') else { return element(items, path) };
    match element(items, index)? {
        Value::Map(map) => in_map(map, rest, budget),
        Value::List(items) => in_list(items, rest, budget),
        _ => None,
    }
}

/// The last of several equal keys wins, as in Go. What a YAML merge key (`<<`) brings in is found under the mapping
/// that holds it; the mapping's own keys win.
fn lookup<'t>(map: &'t Map, key: &str) -> Option<&'t Value> {
    let own = map.pairs().rev().find(|(name, _)| *name == key.as_bytes());
    if let Some((_, value)) = own {
        return Some(value);
    }
    let (_, merged) = map.pairs().rev().find(|(name, _)| *name == b"<<")?;
    match merged {
        Value::Map(map) => lookup(map, key),
        Value::List(items) => items.iter().find_map(|item| match item {
            Item::Value { value: Value::Map(map), .. } => lookup(map, key),
            _ => None,
        }),
        _ => None,
    }
}

fn element<'t>(items: &'t [Item], index: &str) -> Option<&'t Value> {
    if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut values = items.iter().filter_map(|item| match item {
        Item::Value { value, .. } => Some(value),
        Item::Comment(_) => None,
    });
    values.nth(index.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::format::json;

    const TREE: &[u8] = br#"{"a": {"b": "ab", "x/y": 1, "l": ["zero", {"k": true}]}, "a/b": "exact", "p/q": "pq", "a/l/9": "nine",
        "dup": 1, "dup": 2, "m": {"<<": {"base": "from merge", "own": 1}, "own": 2}, "": {"": "empty"}}"#;

    fn text(path: &str) -> Result<String, FindError> {
        let map = json::read(TREE).unwrap();
        KeyPath::new(path).find(&map).map(|value| match value {
            Value::String(text) => String::from_utf8(text.bytes(TREE).to_vec()).unwrap(),
            Value::Int(int) => int.to_string(),
            other => other.kind().to_owned(),
        })
    }

    #[test]
    fn splitting_comes_first_and_an_exact_key_second() {
        for (path, value) in [
            ("a/b", "ab"),
            ("a/x/y", "1"),
            ("p/q", "pq"),
            ("a/l/0", "zero"),
            ("a/l/1/k", "a boolean"),
            ("a/l/9", "nine"),
            ("dup", "2"),
            ("m/base", "from merge"),
            ("m/own", "2"),
            ("a", "a mapping"),
            ("a/l", "a list"),
            ("/", "empty"),
        ] {
            assert_eq!(text(path).as_deref(), Ok(value), "{path}");
        }
    }

    #[test]
    fn a_miss_names_the_path_so_far_and_the_keys_beside_it() {
        let missing = |path: &str, siblings: &[&str]| {
            Err(FindError::Missing {
                path: path.into(),
                siblings: siblings.iter().map(|&s| s.into()).collect(),
            })
        };
        assert_eq!(text("a/c/d"), missing("a/c", &["b", "x/y", "l"]));
        assert_eq!(text("a/l/2"), missing("a/l/2", &["0", "1"]));
        assert_eq!(text("a/l/-1"), missing("a/l/-1", &["0", "1"]));
        assert_eq!(text("a/"), missing("a/", &["b", "x/y", "l"]));
        assert_eq!(text("p/q/r"), missing("p", &["a", "a/b", "p/q", "a/l/9", "dup", "dup", "m", ""]));
        assert_eq!(text("/x"), missing("/x", &[""]));
        assert_eq!(text("//x"), Err(FindError::NotAContainer { path: "/".into(), kind: "a string" }));
        assert_eq!(text("a/b/c"), Err(FindError::NotAContainer { path: "a/b".into(), kind: "a string" }));
    }
}
