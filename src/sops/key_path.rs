//! Names one value of a document: the `key` of a secret in the manifest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{Entry, Item, Map, Place, Value};

/// Entries of a container that are looked through sooner than a table of them is made.
const FEW: usize = 32;

/// Levels separated by `/`. At each level the shortest key is tried first; a key that holds a `/` itself is found
/// when splitting there finds nothing. A number names an element of a list, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPath(String);

/// Why a path leads nowhere. Key names are not secret in a sops file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// With the path up to and including what is missing, and the keys that are there instead.
    #[error("the key '{path}' cannot be found")]
    Missing { path: String, siblings: Arc<[String]> },
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
        self.find_in(&Index::new(map))
    }

    /// The value that the path names in the mapping that `index` is of.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_in<'t>(&self, index: &Index<'t>) -> Result<&'t Value, FindError> {
        // The budget bounds the search in a path of many slashes through a tree made to fit all of its splits.
        let mut budget = 10_000;
        match index.in_map(index.root, &self.0, &mut budget) {
            Some(value) => Ok(value),
            None => Err(self.explain(index)),
        }
    }

    /// The key that the path comes nearest to when it is split at every `/`, and how many levels above it there are.
    /// List indexes and what a merge key brings in lead on, and have no key of their own.
    #[must_use]
    pub fn nearest<'t>(&self, map: &'t Map) -> Option<Key<'t>> {
        let index = Index::new(map);
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
                    index.lookup(map, level)
                }
                Container::List(items) => index.element(items, level),
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
    fn explain(&self, index: &Index<'_>) -> FindError {
        let mut path = String::new();
        let mut container = Container::Map(index.root);
        for (depth, level) in self.0.split('/').enumerate() {
            if depth > 0 {
                path.push('/');
            }
            path.push_str(level);
            let found = match container {
                Container::Map(map) => index.lookup(map, level),
                Container::List(items) => index.element(items, level),
                Container::None(kind) => {
                    path.truncate(path.len() - level.len() - 1);
                    return FindError::NotAContainer { path, kind };
                }
            };
            container = match found {
                Some(Value::Map(map)) => Container::Map(map),
                Some(Value::List(items)) => Container::List(items),
                Some(other) => Container::None(other.kind()),
                None => return FindError::Missing { path, siblings: index.names(&container) },
            };
        }
        FindError::Missing { path, siblings: Arc::default() }
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
    fn keys(&self) -> Arc<[String]> {
        match self {
            Self::Map(map) => map.pairs().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect(),
            Self::List(items) => (0..values(items).count()).map(|index| index.to_string()).collect(),
            Self::None(_) => Arc::default(),
        }
    }
}

/// A mapping in which many paths are looked up, so that a file of a hundred thousand secrets is not looked through a
/// hundred thousand times. Tables are made of what is met on the way, each once.
pub struct Index<'t> {
    root: &'t Map,
    /// By where the entries lie: they stay there as long as the tree is borrowed.
    maps: RefCell<HashMap<*const Entry, Table<'t>>>,
    lists: RefCell<HashMap<*const Item, Vec<&'t Value>>>,
    names: RefCell<HashMap<*const u8, Arc<[String]>>>,
}

/// The last of several equal keys wins, as in Go.
type Table<'t> = HashMap<&'t [u8], &'t Value>;

impl<'t> Index<'t> {
    #[must_use]
    pub fn new(root: &'t Map) -> Self {
        Self { root, maps: RefCell::default(), lists: RefCell::default(), names: RefCell::default() }
    }

    fn in_map(&self, map: &'t Map, path: &str, budget: &mut u32) -> Option<&'t Value> {
        for (at, _) in path.match_indices('/') {
            *budget = budget.checked_sub(1)?;
            let found = match self.lookup(map, path.get(..at)?) {
                Some(Value::Map(inner)) => self.in_map(inner, path.get(at + 1..)?, budget),
                Some(Value::List(items)) => self.in_list(items, path.get(at + 1..)?, budget),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        self.lookup(map, path)
    }

    fn in_list(&self, items: &'t [Item], path: &str, budget: &mut u32) -> Option<&'t Value> {
        let Some((position, rest)) = path.split_once('/') else { return self.element(items, path) };
        match self.element(items, position)? {
            Value::Map(map) => self.in_map(map, rest, budget),
            Value::List(items) => self.in_list(items, rest, budget),
            _ => None,
        }
    }

    /// What a YAML merge key (`<<`) brings in is found under the mapping that holds it; the mapping's own keys win.
    fn lookup(&self, map: &'t Map, key: &str) -> Option<&'t Value> {
        if let Some(own) = self.own(map, key.as_bytes()) {
            return Some(own);
        }
        match self.own(map, b"<<")? {
            Value::Map(map) => self.lookup(map, key),
            Value::List(items) => items.iter().find_map(|item| match item {
                Item::Value { value: Value::Map(map), .. } => self.lookup(map, key),
                _ => None,
            }),
            _ => None,
        }
    }

    fn own(&self, map: &'t Map, key: &[u8]) -> Option<&'t Value> {
        if map.0.len() <= FEW {
            return map.pairs().rev().find(|(name, _)| *name == key).map(|(_, value)| value);
        }
        let mut maps = self.maps.borrow_mut();
        let table = maps.entry(map.0.as_ptr()).or_insert_with(|| map.pairs().collect());
        table.get(key).copied()
    }

    fn element(&self, items: &'t [Item], position: &str) -> Option<&'t Value> {
        if position.is_empty() || !position.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let position: usize = position.parse().ok()?;
        if items.len() <= FEW {
            return values(items).nth(position);
        }
        let mut lists = self.lists.borrow_mut();
        lists.entry(items.as_ptr()).or_insert_with(|| values(items).collect()).get(position).copied()
    }

    fn names(&self, container: &Container<'t>) -> Arc<[String]> {
        let place: *const u8 = match container {
            Container::Map(map) => map.0.as_ptr().cast(),
            Container::List(items) => items.as_ptr().cast(),
            Container::None(_) => return Arc::default(),
        };
        let mut names = self.names.borrow_mut();
        Arc::clone(names.entry(place).or_insert_with(|| container.keys()))
    }
}

fn values(items: &[Item]) -> impl Iterator<Item = &Value> {
    items.iter().filter_map(|item| match item {
        Item::Value { value, .. } => Some(value),
        Item::Comment(_) => None,
    })
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
    fn what_is_found_in_a_large_container_is_what_is_found_in_a_small_one() {
        let many = |text: &dyn Fn(usize) -> String| (0..1000).map(text).collect::<Vec<_>>().concat();
        let list = many(&|number| format!("{number}, "));
        let many = many(&|number| format!(r#""k{number}": {number}, "#));
        let tree = format!(
            r#"{{"m": {{{many} "k7": 70, "<<": {{"merged": 5, "k8": 80}}}}, "l": [{list} {{"k": 9}}], {many} "z": 0}}"#
        );
        let map = json::read(tree.as_bytes()).unwrap();
        let index = Index::new(&map);
        for (path, number) in [
            ("k0", 0),
            ("k999", 999),
            ("m/k7", 70),
            ("m/k8", 8),
            ("m/merged", 5),
            ("l/0", 0),
            ("l/999", 999),
            ("l/1000/k", 9),
        ] {
            for _ in 0..2 {
                assert!(
                    matches!(KeyPath::new(path).find_in(&index), Ok(Value::Int(found)) if *found == number),
                    "{path}"
                );
            }
        }
        for (path, count) in [("k1000", 1003), ("m/k1000", 1002), ("l/1001", 1001)] {
            let Err(FindError::Missing { path: missing, siblings }) = KeyPath::new(path).find_in(&index)
            else {
                panic!("{path}")
            };
            assert_eq!((missing.as_str(), siblings.len()), (path, count));
        }
    }

    /// Seconds of the processor that this thread has had; what others have of it does not count.
    fn processor_time() -> i64 {
        let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
        used.user_time().tv_sec() + used.system_time().tv_sec()
    }

    #[test]
    fn looking_up_every_key_of_a_large_file_takes_no_more_for_each_than_in_a_small_one() {
        let tree: Vec<String> = (0..100_000).map(|number| format!(r#""key-{number}": "", "#)).collect();
        let map = json::read(format!(r#"{{{} "z": ""}}"#, tree.concat()).as_bytes()).unwrap();
        let started = processor_time();
        let index = Index::new(&map);
        for number in 0..100_000 {
            assert!(KeyPath::new(&format!("key-{number}")).find_in(&index).is_ok());
            assert!(KeyPath::new(&format!("kay-{number}")).find_in(&index).is_err());
        }
        // Looking through the whole file for each takes ten minutes.
        assert!(processor_time() - started < 30);
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
