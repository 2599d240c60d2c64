//! The readers and emitters of each format: what is printed reads as the same values and prints as the same bytes.

use sops_activate::sops::format::Format;

use super::trees;

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
    let again = format.read(once);
    // An INI or dotenv file can hold names and values that look like something else once they are printed, as in sops.
    if matches!(format, Format::Ini | Format::Dotenv) || leaves.iter().any(trees::is_misprinted) {
        return;
    }
    let again = again.unwrap_or_else(|error| panic!("what was printed cannot be read: {error}"));
    assert!(leaves == trees::leaves(&again, once), "what was printed reads as other values");
    let twice = format.emit(&again, once).ok().unwrap();
    // A comment may be another value's when it is read again, for go-yaml as well.
    assert!(once == twice.expose() || once.contains(&b'#'), "what was printed prints otherwise");
}
