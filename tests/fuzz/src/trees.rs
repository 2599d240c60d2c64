//! Trees seen as what the MAC sees: leaves, each with the keys that lead to it.

use sops_activate::secret::SecretBytes;
use sops_activate::sops::format::{Format, number, yaml};
use sops_activate::sops::tree::{Entry, Item, Map, Value};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The keys on the path, each followed by a colon, as values are authenticated with.
    pub path: Vec<u8>,
    /// As the MAC sees it.
    pub bytes: Vec<u8>,
}

/// The leaves that are not null, in the order of the document.
pub fn leaves(documents: &[Map], source: &[u8]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for map in documents {
        walk_map(map, source, &mut Vec::new(), &mut leaves);
    }
    leaves
}

/// The leaves of what was printed; a binary file is one. `None` for what cannot be read again, which sops prints, too.
pub fn leaves_of_output(format: Format, printed: &[u8]) -> Option<Vec<Leaf>> {
    if format == Format::Binary {
        return Some(vec![Leaf { path: b"data:".to_vec(), bytes: printed.to_vec() }]);
    }
    Some(leaves(&format.read(printed).ok()?, printed))
}

/// Whether sops prints it so that it reads as something else, or not at all: a text of several lines that begins with a
/// blank or an empty line gets a wrong indentation where it stands in a list, and one that begins with a line end of YAML 1.1
/// everywhere.
pub fn is_misprinted(leaf: &Leaf) -> bool {
    let begins = |start: &str| leaf.bytes.starts_with(start.as_bytes());
    leaf.bytes.contains(&b'\n')
        && (leaf.bytes.first().is_some_and(u8::is_ascii_whitespace)
            || ["\u{85}", "\u{2028}", "\u{2029}"].into_iter().any(begins))
}

fn walk_map(map: &Map, source: &[u8], path: &mut Vec<u8>, leaves: &mut Vec<Leaf>) {
    for entry in &map.0 {
        if let Entry::Pair { key, value, .. } = entry {
            let outer = path.len();
            path.extend_from_slice(key);
            path.push(b':');
            walk(value, source, path, leaves);
            path.truncate(outer);
        }
    }
}

fn walk(value: &Value, source: &[u8], path: &mut Vec<u8>, leaves: &mut Vec<Leaf>) {
    let bytes = match value {
        Value::Null => return,
        Value::Map(map) => return walk_map(map, source, path, leaves),
        Value::List(items) => {
            for item in items {
                if let Item::Value { value, .. } = item {
                    walk(value, source, path, leaves);
                }
            }
            return;
        }
        Value::String(text) => text.bytes(source).to_vec(),
        Value::Bool(true) => b"True".to_vec(),
        Value::Bool(false) => b"False".to_vec(),
        Value::Int(int) => int.to_string().into_bytes(),
        Value::Unsigned(int) => int.to_string().into_bytes(),
        Value::Float(float) => number::fixed(*float).into_bytes(),
        Value::Time(time) => time.to_rfc3339_nano().into_bytes(),
    };
    leaves.push(Leaf { path: path.clone(), bytes });
}

/// The file in UTF-8, as it is read.
pub fn transcoded(format: Format, source: &[u8]) -> Option<SecretBytes> {
    let source = SecretBytes::from(source);
    if format == Format::Yaml { yaml::transcode(source).ok() } else { Some(source) }
}
