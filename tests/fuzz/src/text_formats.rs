//! The readers and emitters of each format: what is printed reads as the same values and prints as the same bytes.

use sops_activate::sops::format::Format;

use super::trees::{self, Leaf};

pub fn run(format: Format, file: &[u8]) {
    let Some(source) = trees::transcoded(format, file) else { return };
    let source = source.expose();
    let tree = match format.read(source) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(!error.problem.is_empty());
            return;
        }
    };
    let leaves = trees::leaves(&tree, source);
    let Ok(once) = format.emit(&tree, source) else { return };
    let once = once.expose();
    if misprinted(format, source, &leaves) {
        // It need not read as it was, but may not take the reader down.
        drop(format.read(once));
        return;
    }
    let again = match format.read(once) {
        Ok(again) => again,
        // So sops prints a name of several lines that begins with a tab.
        Err(error) if format == Format::Yaml && error.problem.starts_with("a key that is null") => return,
        Err(error) => panic!("what was printed cannot be read: {error}: {:?}", String::from_utf8_lossy(once)),
    };
    assert!(leaves == trees::leaves(&again, once), "what was printed reads as other values");
    let twice = format.emit(&again, once).ok().unwrap();
    assert!(once == twice.expose() || comments_may_move(format, once), "what was printed prints otherwise");
}

/// Whether sops itself prints it so that it reads as something else.
fn misprinted(format: Format, source: &[u8], leaves: &[Leaf]) -> bool {
    match format {
        // A byte order mark in the middle, which printing moves to the front.
        Format::Dotenv => source.windows(4).any(|window| window == b"\n\xEF\xBB\xBF"),
        // Names and values that look like something else once they are printed.
        Format::Ini => !leaves.iter().all(is_plain),
        Format::Yaml | Format::Json | Format::Binary => leaves.iter().any(trees::is_misprinted),
    }
}

/// Words for names, and a value in which nothing means anything to an INI file.
fn is_plain(leaf: &Leaf) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:".contains(byte);
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"'`\\".contains(byte);
    let words = leaf.path.split(|byte| *byte == b':').count() == 3;
    words && leaf.path.iter().all(is_name) && leaf.bytes.iter().all(is_text)
}

/// A comment may be another value's when it is read again, for go-yaml and go-ini as well.
fn comments_may_move(format: Format, printed: &[u8]) -> bool {
    match format {
        Format::Yaml => printed.contains(&b'#'),
        Format::Ini => printed.contains(&b'#') || printed.contains(&b';'),
        Format::Json | Format::Dotenv | Format::Binary => false,
    }
}
