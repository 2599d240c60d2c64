//! Flattened metadata: dotenv and INI have no nesting, so sops writes `age[0].enc` as `age__list_0__map_enc`.
//! [`unflatten`] builds the tree again.
//!
//! It accepts all that sops up to 3.12 accepted, which is more than 3.13 does, since such files are in use:
//! * holes in a list (entry 1 missing between 0 and 2) close up; sops 3.12 filled them with empty entries, which no
//!   key opens;
//! * of two values for one place the last in the file counts. sops 3.12 did so too when the names were equal; when
//!   they only meant the same place (`__list_0`, `__list_00`) it took one of them at random;
//! * a list index that is not a number counts as 0.
//!
//! Refused: a place used as two of value, list and mapping; negative indexes (sops 3.12 crashed on them); more than
//! [`MAX_DEPTH`] steps. Memory grows with the input alone: an index of four billion costs one entry.

use super::format::MAX_DEPTH;
use std::collections::BTreeMap;
use std::num::IntErrorKind;

const MAP_STEP: &str = "__map_";
const LIST_STEP: &str = "__list_";

/// A part of the metadata tree. Mappings are sorted by key and each key stands once.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why names and values do not make a tree. Holds the (shortened) name alone.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlattenError {
    #[error("'{key}' is used as two of value, list and mapping")]
    TypeMismatch { key: String },
    #[error("'{key}' has a negative list index")]
    NegativeIndex { key: String },
    #[error("'{key}' has more than {MAX_DEPTH} levels")]
    TooDeep { key: String },
}

/// Builds the tree, a [`Node::Map`], of flattened names (without the `sops_` of dotenv) and their values.
///
/// # Errors
/// [`FlattenError`], which names the later of two entries that do not agree.
pub fn unflatten(pairs: impl IntoIterator<Item = (impl AsRef<str>, String)>) -> Result<Node, FlattenError> {
    let mut root = BTreeMap::new();
    for (name, value) in pairs {
        place(&mut root, name.as_ref(), value)?;
    }
    Ok(map(root))
}

/// Turns each two-character sequence `\n` into a line feed, as sops does with every metadata value of an INI file.
/// (In dotenv files the reader has done so.)
#[must_use]
pub fn unescape_newlines(value: &str) -> String {
    value.replace("\\n", "\n")
}

enum Slot {
    Empty,
    Scalar(String),
    List(BTreeMap<i64, Slot>),
    Map(BTreeMap<String, Slot>),
}

enum Step<'a> {
    Key(&'a str),
    Index(&'a str),
}

fn place(root: &mut BTreeMap<String, Slot>, name: &str, value: String) -> Result<(), FlattenError> {
    // A hostile name may be as long as the file.
    let key = || name.chars().take(100).collect::<String>();
    let mismatch = || FlattenError::TypeMismatch { key: key() };

    let (first, mut rest) = split_step(name);
    let mut slot = root.entry(first.to_owned()).or_insert(Slot::Empty);
    let mut depth = 1;
    while let Some((step, after)) = next_step(rest) {
        depth += 1;
        if depth > MAX_DEPTH {
            return Err(FlattenError::TooDeep { key: key() });
        }
        slot = match step {
            Step::Key(text) => slot.child(text).ok_or_else(mismatch)?,
            Step::Index(text) => {
                let index = index(text).ok_or_else(|| FlattenError::NegativeIndex { key: key() })?;
                slot.element(index).ok_or_else(mismatch)?
            }
        };
        rest = after;
    }
    match slot {
        Slot::Empty | Slot::Scalar(_) => *slot = Slot::Scalar(value),
        Slot::List(_) | Slot::Map(_) => return Err(mismatch()),
    }
    Ok(())
}

impl Slot {
    fn child(&mut self, key: &str) -> Option<&mut Slot> {
        if matches!(self, Self::Empty) {
            *self = Self::Map(BTreeMap::new());
        }
        match self {
            Self::Map(children) => Some(children.entry(key.to_owned()).or_insert(Self::Empty)),
            _ => None,
        }
    }

    fn element(&mut self, index: i64) -> Option<&mut Slot> {
        if matches!(self, Self::Empty) {
            *self = Self::List(BTreeMap::new());
        }
        match self {
            Self::List(elements) => Some(elements.entry(index).or_insert(Self::Empty)),
            _ => None,
        }
    }

    fn into_node(self) -> Node {
        match self {
            Self::Scalar(value) => Node::Scalar(value),
            Self::List(elements) => Node::List(elements.into_values().map(Self::into_node).collect()),
            Self::Map(children) => map(children),
            // Every slot is filled or the whole tree is given up.
            Self::Empty => Node::Map(Vec::new()),
        }
    }
}

fn map(children: BTreeMap<String, Slot>) -> Node {
    Node::Map(children.into_iter().map(|(key, slot)| (key, slot.into_node())).collect())
}

/// The text before the next step, and the rest, which is empty or begins with a step.
fn split_step(text: &str) -> (&str, &str) {
    let end = [MAP_STEP, LIST_STEP].iter().filter_map(|step| text.find(step)).min();
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""))
}

fn next_step(text: &str) -> Option<(Step<'_>, &str)> {
    if let Some(text) = text.strip_prefix(MAP_STEP) {
        let (key, rest) = split_step(text);
        return Some((Step::Key(key), rest));
    }
    let (index, rest) = split_step(text.strip_prefix(LIST_STEP)?);
    Some((Step::Index(index), rest))
}

/// The position that an index names: what is no number is 0, what is too large is the last. `None` if negative.
fn index(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(index) => (index >= 0).then_some(index),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => Some(i64::MAX),
            IntErrorKind::NegOverflow => None,
            _ => Some(0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(pairs: &[(&str, &str)]) -> Result<Node, FlattenError> {
        unflatten(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())))
    }

    fn scalar(text: &str) -> Node {
        Node::Scalar(text.to_owned())
    }

    fn mapping(pairs: Vec<(&str, Node)>) -> Node {
        Node::Map(pairs.into_iter().map(|(key, node)| (key.to_owned(), node)).collect())
    }

    #[test]
    fn nested_names_become_a_tree_whatever_their_order() {
        let pairs = [
            ("key_groups__list_1__map_pgp__list_0__map_fp", "F"),
            ("kms__list_0__map_context__map_Role", "R"),
            ("mac", "M"),
            ("age__list_1__map_enc", "E1"),
            ("age__list_0__map_enc", "E0"),
            ("key_groups__list_0__map_age__list_0__map_enc", "G"),
        ];
        let expected = || {
            mapping(vec![
                (
                    "age",
                    Node::List(vec![
                        mapping(vec![("enc", scalar("E0"))]),
                        mapping(vec![("enc", scalar("E1"))]),
                    ]),
                ),
                (
                    "key_groups",
                    Node::List(vec![
                        mapping(vec![("age", Node::List(vec![mapping(vec![("enc", scalar("G"))])]))]),
                        mapping(vec![("pgp", Node::List(vec![mapping(vec![("fp", scalar("F"))])]))]),
                    ]),
                ),
                ("kms", Node::List(vec![mapping(vec![("context", mapping(vec![("Role", scalar("R"))]))])])),
                ("mac", scalar("M")),
            ])
        };
        assert_eq!(tree(&pairs).unwrap(), expected());
        let mut reversed = pairs;
        reversed.reverse();
        assert_eq!(tree(&reversed).unwrap(), expected());
    }

    #[test]
    fn only_whole_step_names_start_a_step() {
        assert_eq!(
            tree(&[("a_map_b", "1"), ("a__mapb", "2"), ("a___map_x", "3"), ("__map_y", "4")]).unwrap(),
            mapping(vec![
                ("", mapping(vec![("y", scalar("4"))])),
                ("a_", mapping(vec![("x", scalar("3"))])),
                ("a__mapb", scalar("2")),
                ("a_map_b", scalar("1")),
            ])
        );
    }

    #[test]
    fn holes_in_a_list_close_up() {
        let gap = tree(&[("age__list_4000000000__map_enc", "b"), ("age__list_0__map_enc", "a")]).unwrap();
        let dense = tree(&[("age__list_0__map_enc", "a"), ("age__list_1__map_enc", "b")]).unwrap();
        assert_eq!(gap, dense);
        let huge = tree(&[("l__list_99999999999999999999", "b"), ("l__list_7", "a")]).unwrap();
        assert_eq!(huge, mapping(vec![("l", Node::List(vec![scalar("a"), scalar("b")]))]));
    }

    #[test]
    fn the_last_of_two_values_counts() {
        assert_eq!(
            tree(&[("version", "1"), ("version", "2")]).unwrap(),
            mapping(vec![("version", scalar("2"))])
        );
        assert_eq!(
            tree(&[("l__list_00", "1"), ("l__list_0", "2"), ("l__list_+0", "3")]).unwrap(),
            mapping(vec![("l", Node::List(vec![scalar("3")]))])
        );
    }

    #[test]
    fn an_index_that_is_no_number_is_zero() {
        for name in ["l__list_x", "l__list_", "l__list_1_0", "l__list_0x1", "l__list_-0"] {
            assert_eq!(
                tree(&[("l__list_1", "b"), (name, "a")]).unwrap(),
                mapping(vec![("l", Node::List(vec![scalar("a"), scalar("b")]))]),
                "{name}"
            );
        }
    }

    #[test]
    fn a_place_cannot_be_two_things() {
        for (earlier, later) in [
            ("a", "a__map_b"),
            ("a__map_b", "a"),
            ("a", "a__list_0"),
            ("a__list_0", "a"),
            ("a__map_b", "a__list_0"),
            ("a__list_0__map_x", "a__list_0__list_0"),
        ] {
            assert_eq!(
                tree(&[(earlier, "1"), (later, "2")]),
                Err(FlattenError::TypeMismatch { key: later.to_owned() }),
            );
        }
    }

    #[test]
    fn negative_indexes_and_deep_names_are_refused() {
        for name in ["a__list_-1", "a__list_-99999999999999999999"] {
            assert_eq!(tree(&[(name, "")]), Err(FlattenError::NegativeIndex { key: name.to_owned() }));
        }
        let deepest = format!("a{}", "__map_".repeat(MAX_DEPTH - 1));
        assert!(tree(&[(&deepest, "")]).is_ok());
        let deep = format!("a{}", "__map_".repeat(100_000));
        let Err(FlattenError::TooDeep { key }) = tree(&[(&deep, "")]) else { panic!("accepted") };
        assert_eq!(key.len(), 100);
    }

    #[test]
    fn errors_hold_no_values() {
        for pairs in [[("a", "MARKER"), ("a__map_b", "MARKER")], [("b", "MARKER"), ("a__list_-1", "MARKER")]]
        {
            let error = tree(&pairs).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("MARKER"));
        }
    }

    #[test]
    fn newline_escapes() {
        assert_eq!(unescape_newlines(r"a\nb\\nc"), "a\nb\\\nc");
    }

    proptest! {
        #[test]
        fn any_names_give_a_tree_or_an_error(
            names in prop::collection::vec("(a|b|__map_|__list_|_|0|1|-|é){0,8}", 0..8)
        ) {
            let tree = unflatten(names.iter().map(|name| (name.as_str(), String::new())));
            if let Ok(tree) = tree {
                prop_assert!(matches!(tree, Node::Map(_)));
            }
        }
    }
}
