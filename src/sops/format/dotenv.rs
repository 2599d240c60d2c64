//! dotenv as sops knows it: `KEY=value` lines and `#` comments, nothing quoted, nothing trimmed, no `export`; the
//! two characters `\n` stand for a line feed and are the only escape.
//!
//! Duplicate keys and their order are kept, empty lines are not. The `sops_` variables stay among the entries.
//! A carriage return before the line feed belongs to the value.

use super::output::Output;
use super::{EmitError, Nodes, SyntaxError, scalar};
use crate::secret::SecretBytes;
use crate::sops::tree::{Comment, Entry, Map, Place, Text, Value};
use memchr::{memchr, memmem};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const ESCAPED_NEWLINE: &[u8] = b"\\n";

/// Reads the variables and comments of a file.
///
/// # Errors
/// With the place of the first line that is neither empty, nor a comment, nor has a `=`.
pub fn read(source: &[u8]) -> Result<Map, SyntaxError> {
    let mut entries = Vec::new();
    let mut nodes = Nodes::new();
    let mut start = byte_order_mark(source);
    let mut place = Place { line: 1, column: 1 };
    while let Some(rest) = source.get(start..).filter(|rest| !rest.is_empty()) {
        let line_end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..line_end).unwrap_or_default();
        if !line.is_empty() {
            nodes.add(place)?;
            entries.push(entry(line, start, place)?);
        }
        start += line_end + 1;
        place.line = place.line.saturating_add(1);
    }
    Ok(Map(entries))
}

/// Prints the variables and comments, one a line.
///
/// # Errors
/// [`EmitError::NotRepresentable`] for a value that is not a scalar.
pub fn emit(map: &Map, source: &[u8]) -> Result<SecretBytes, EmitError> {
    let mut out = Output::with_capacity(source.len());
    for entry in &map.0 {
        match entry {
            Entry::Comment(comment) => {
                out.push(b"#");
                out.push(comment.text.bytes(source));
            }
            Entry::Pair { key, value, .. } => {
                let text = scalar::text(value, source).ok_or_else(|| EmitError::NotRepresentable {
                    key: String::from_utf8_lossy(key).into_owned(),
                    kind: value.kind(),
                    format: "a dotenv file",
                })?;
                out.push(key);
                out.push(b"=");
                let mut lines = text.bytes().split(|byte| *byte == b'\n');
                out.push(lines.next().unwrap_or_default());
                for line in lines {
                    out.push(ESCAPED_NEWLINE);
                    out.push(line);
                }
            }
        }
        out.push(b"\n");
    }
    Ok(out.into_secret())
}

/// How many bytes of a byte order mark to skip.
///
/// sops takes the mark for the beginning of the first key, authenticates the key with it and prints it again, so
/// there it must stay, or values that sops encrypted would not decrypt. It is skipped where sops would only
/// fail: before a comment, an empty line or a metadata variable, put there by an editor after encryption.
fn byte_order_mark(source: &[u8]) -> usize {
    let Some(rest) = source.strip_prefix(BYTE_ORDER_MARK) else { return 0 };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_variable = memchr(b'=', line).is_some();
    let is_metadata = line.starts_with(b"sops_") || line.starts_with(b"#ENC[");
    if is_variable && !is_metadata { 0 } else { BYTE_ORDER_MARK.len() }
}

/// One line, which begins at `start` in the file.
fn entry(line: &[u8], start: usize, place: Place) -> Result<Entry, SyntaxError> {
    if line.first() == Some(&b'#') {
        let text = Text::Span { start: start + 1, len: line.len() - 1 };
        return Ok(Entry::Comment(Comment { text, inline: false }));
    }
    let (key, value) = memchr(b'=', line)
        .and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?)))
        .ok_or_else(|| SyntaxError::new(place, "the line has no '=' and is no comment"))?;
    let text = match unescape(value) {
        Some(unescaped) => Text::Owned(unescaped),
        None => Text::Span { start: start + key.len() + 1, len: value.len() },
    };
    Ok(Entry::Pair { key: key.into(), place, value: Value::String(text) })
}

/// `value` with its escapes replaced; `None` when it has none.
fn unescape(value: &[u8]) -> Option<SecretBytes> {
    let escapes = memmem::find_iter(value, ESCAPED_NEWLINE).count();
    if escapes == 0 {
        return None;
    }
    // The exact size, so that no smaller buffer is left behind unwiped.
    let mut out = Vec::with_capacity(value.len() - escapes);
    let mut rest = value;
    while let Some((line, after)) =
        memmem::find(rest, ESCAPED_NEWLINE).and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?)))
    {
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = after;
    }
    out.extend_from_slice(rest);
    Some(SecretBytes::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// Entries as text, with owned values marked.
    fn shown(source: &str) -> Vec<String> {
        let map = read(source.as_bytes()).unwrap();
        let text = |text: &Text| {
            let owned = if matches!(text, Text::Owned(_)) { "owned " } else { "" };
            format!("{owned}{}", String::from_utf8_lossy(text.bytes(source.as_bytes())))
        };
        map.0
            .iter()
            .map(|entry| match entry {
                Entry::Comment(comment) => format!("comment <{}>", text(&comment.text)),
                Entry::Pair { key, place, value: Value::String(value) } => {
                    let key = String::from_utf8_lossy(key);
                    format!("{}:{} <{key}> <{}>", place.line, place.column, text(value))
                }
                Entry::Pair { .. } => panic!("not a string"),
            })
            .collect()
    }

    fn printed(source: &[u8]) -> Vec<u8> {
        emit(&read(source).unwrap(), source).ok().unwrap().expose().to_vec()
    }

    #[test]
    fn nothing_is_trimmed_quoted_or_deduplicated() {
        assert_eq!(
            shown("A=1\n\n#c =x\n foo =  'x' # y\nA=a=b\n=\r\nexport B="),
            [
                "1:1 <A> <1>",
                "comment <c =x>",
                "4:1 < foo > <  'x' # y>",
                "5:1 <A> <a=b>",
                "6:1 <> <\r>",
                "7:1 <export B> <>",
            ]
        );
        assert!(shown("").is_empty() && shown("\n\n").is_empty());
    }

    #[test]
    fn escaped_newlines_become_line_feeds_and_are_printed_again() {
        assert_eq!(shown(r"A=\n1\\n2\t\"), ["1:1 <A> <owned \n1\\\n2\\t\\>"]);
        assert_eq!(printed(b"A=\\n1\\\\n2\\"), b"A=\\n1\\\\n2\\\n");
    }

    #[test]
    fn a_line_without_equals_sign_is_an_error_with_its_place_alone() {
        for (source, line) in [("A=1\n\nMARKER", 3), ("\r\n", 1), ("#c\n \n", 2), ("\u{feff}MARKER\n", 1)] {
            let error = read(source.as_bytes()).err().unwrap();
            assert_eq!(error.place, Place { line, column: 1 });
            assert!(!format!("{error} {error:?}").contains("MARKER"));
        }
    }

    #[test]
    fn a_byte_order_mark_belongs_to_the_key_that_sops_encrypted_with_it() {
        assert_eq!(shown("\u{feff}A=1\nB=2"), ["1:1 <\u{feff}A> <1>", "2:1 <B> <2>"]);
        assert_eq!(printed("\u{feff}A=1\n".as_bytes()), "\u{feff}A=1\n".as_bytes());
    }

    #[test]
    fn a_byte_order_mark_elsewhere_is_skipped() {
        assert_eq!(shown("\u{feff}# c\nA=1"), ["comment < c>", "2:1 <A> <1>"]);
        assert_eq!(shown("\u{feff}#ENC[a=="), ["comment <ENC[a==>"]);
        assert_eq!(shown("\u{feff}\nA=1"), ["2:1 <A> <1>"]);
        assert_eq!(shown("\u{feff}sops_mac=x"), ["1:1 <sops_mac> <x>"]);
        assert!(shown("\u{feff}").is_empty());
    }

    #[test]
    fn lists_and_mappings_cannot_be_printed() {
        for (value, kind) in [(Value::List(Vec::new()), "a list"), (Value::Map(Map::default()), "a mapping")]
        {
            let map = Map(vec![Entry::Pair { key: (*b"K").into(), place: Place::default(), value }]);
            let format = "a dotenv file";
            let expected = EmitError::NotRepresentable { key: "K".to_owned(), kind, format };
            assert_eq!(emit(&map, b"").err().unwrap(), expected);
        }
    }

    #[test]
    fn plaintext_vectors_are_printed_as_they_are() {
        for name in ["dotenv-basic", "dotenv-crlf", "e-mac-only", "e-ok"] {
            let plain = vector(&format!("{name}.plain"));
            assert!(printed(&plain) == plain, "{name}");
        }
    }

    #[test]
    fn encrypted_vectors_parse() {
        for name in
            ["dotenv-basic", "dotenv-crlf", "e-dup-metadata", "e-incomplete-list", "e-mac-only", "e-ok"]
        {
            let source = vector(&format!("{name}.enc.env"));
            let map = read(&source).unwrap();
            let enc = map.pairs().find(|(key, _)| *key == b"sops_age__list_0__map_enc").unwrap().1;
            let Value::String(armor) = enc else { panic!("{name}") };
            assert!(armor.bytes(&source).starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"), "{name}");
        }
        let place = Place { line: 8, column: 1 };
        assert_eq!(read(&vector("e-bad-line.enc.env")).err().unwrap().place, place);
    }

    #[test]
    fn size_is_linear() {
        let source = "K=\\n\n".repeat(200_000);
        assert_eq!(read(source.as_bytes()).unwrap().0.len(), 200_000);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_and_prints_the_same(
            source in prop::collection::vec(prop::sample::select(
                [&b"\n"[..], b"=", b"#", b"\\", b"n", b"\\n", b"A", b"\r", b" ", b"\xff", b"\xef\xbb\xbf", b"sops_"].to_vec()
            ), 0..40)
        ) {
            let source = source.concat();
            if let Ok(map) = read(&source) {
                let once = emit(&map, &source).ok().unwrap();
                // A mark that an empty line stood before may now look like an editor's.
                prop_assume!(byte_order_mark(once.expose()) == 0);
                let again = printed(once.expose());
                prop_assert_eq!(once.expose(), &again);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(source in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(map) = read(&source) {
                prop_assert!(emit(&map, &source).is_ok());
            }
        }
    }
}
