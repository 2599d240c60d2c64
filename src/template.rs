//! Files made of text with placeholders for secrets.
//!
//! One pass from left to right over the template: the leftmost placeholder wins, the longest of several that start
//! there; inserted bytes are never looked at again, so a secret that looks like a placeholder stays what it is.

use sha2::{Digest as _, Sha256};

use crate::secret::SecretBytes;
use crate::sops::format::output::Output;
pub use quoting::{QuoteError, Quoting};

mod quoting;

/// What every placeholder that the module makes starts and ends with; between them stands a hash in hex.
const PREFIX: &[u8] = b"<SOPS:";
const SUFFIXES: [&[u8]; 3] = [b":PLACEHOLDER>", JSON_SUFFIX.as_bytes(), SHELL_SUFFIX.as_bytes()];
const JSON_SUFFIX: &str = ":JSON>";
const SHELL_SUFFIX: &str = ":SHELL>";
const HASH_DIGITS: usize = 64;

/// What every marker by name starts with, `sops` behind it.
const NAMED_PREFIX: &[u8] = b"{{";

/// The placeholders of a secret that quote it: ours, and not in the manifest.
#[must_use]
pub fn quoted_placeholders(name: &str) -> [(String, Quoting); 2] {
    let hash = Sha256::digest(name.as_bytes());
    let hash = hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    [(JSON_SUFFIX, Quoting::Json), (SHELL_SUFFIX, Quoting::Shell)]
        .map(|(suffix, quoting)| (format!("<SOPS:{hash}{suffix}"), quoting))
}

/// The markers of a secret by name, for templates that are files and cannot know the hash of it.
#[must_use]
pub fn named_markers(name: &str) -> [(String, Quoting); 3] {
    [("sops", Quoting::Plain), ("sops-json", Quoting::Json), ("sops-shell", Quoting::Shell)]
        .map(|(word, quoting)| (format!("{{{{ {word} \"{name}\" }}}}"), quoting))
}

/// Why a template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It holds a placeholder that stands for no secret of this manifest. Line and column (in characters) count from 1.
    #[error("line {line}: a placeholder stands for no secret of this manifest")]
    Unresolved { line: u32, column: u32, offset: usize },
}

/// Placeholder texts with what they stand for, ready to be searched for.
pub struct Placeholders<V> {
    /// In order of their texts.
    entries: Vec<Entry<V>>,
    /// Whether what looks like a marker by name has to be one.
    named: bool,
}

struct Entry<V> {
    text: Vec<u8>,
    value: V,
    /// The longest other text that this one begins with.
    shorter: Option<usize>,
}

impl<V> Placeholders<V> {
    /// `entries` must hold neither empty nor equal texts (the plan has refused them).
    #[must_use]
    pub fn new(mut entries: Vec<(Vec<u8>, V)>) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut sorted: Vec<Entry<V>> = Vec::with_capacity(entries.len());
        for (text, value) in entries {
            let shorter = longest_start(&sorted, sorted.len().checked_sub(1), &text);
            sorted.push(Entry { text, value, shorter });
        }
        Self { entries: sorted, named: false }
    }

    /// As [`Self::new`], for templates with markers by name.
    #[must_use]
    pub fn with_names(entries: Vec<(Vec<u8>, V)>) -> Self {
        Self { named: true, ..Self::new(entries) }
    }

    /// The longest placeholder that `text` starts with. What comes before `text` in the order and nearest to it starts
    /// with that placeholder, too, so that a thousand secrets cost ten comparisons and not a thousand.
    fn at_start_of(&self, text: &[u8]) -> Option<(usize, &V)> {
        let nearest = self.entries.partition_point(|entry| entry.text.as_slice() <= text).checked_sub(1);
        let entry = self.entries.get(longest_start(&self.entries, nearest, text)?)?;
        Some((entry.text.len(), &entry.value))
    }

    /// The values whose placeholders occur in `content`, in order of appearance, with repetitions.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn used<'v>(&'v self, content: &[u8]) -> Result<Vec<&'v V>, TemplateError> {
        let mut used = Vec::new();
        self.walk(content, |piece| {
            if let Piece::Value(value) = piece {
                used.push(value);
            }
        })?;
        Ok(used)
    }

    /// The template with every placeholder replaced by what `insert` writes for it.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn render(
        &self,
        content: &[u8],
        mut insert: impl FnMut(&V, &mut Output),
    ) -> Result<SecretBytes, TemplateError> {
        let mut out = Output::with_capacity(content.len() * 2);
        self.walk(content, |piece| match piece {
            Piece::Text(text) => out.push(text),
            Piece::Value(value) => insert(value, &mut out),
        })?;
        Ok(out.into_secret())
    }

    fn walk<'v>(
        &'v self,
        content: &[u8],
        mut visit: impl FnMut(Piece<'_, 'v, V>),
    ) -> Result<(), TemplateError> {
        // Placeholders nearly always share a first byte, which makes most positions cheap to pass over.
        let mut starts = [false; 256];
        let prefixes = PREFIX.first().into_iter().chain(NAMED_PREFIX.first().filter(|_| self.named));
        for first in self.entries.iter().filter_map(|entry| entry.text.first()).chain(prefixes) {
            if let Some(start) = starts.get_mut(usize::from(*first)) {
                *start = true;
            }
        }
        let (mut at, mut text_from) = (0, 0);
        while let Some(skipped) = content
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| starts.get(usize::from(*byte)) == Some(&true)))
        {
            at += skipped;
            let rest = content.get(at..).unwrap_or_default();
            if let Some((length, value)) = self.at_start_of(rest) {
                visit(Piece::Text(content.get(text_from..at).unwrap_or_default()));
                visit(Piece::Value(value));
                at += length;
                text_from = at;
            } else if looks_like_a_placeholder(rest) || (self.named && looks_like_a_marker(rest)) {
                return Err(unresolved(content, at));
            } else {
                at += 1;
            }
        }
        visit(Piece::Text(content.get(text_from..).unwrap_or_default()));
        Ok(())
    }
}

/// Of the entry at `from` and those that it starts with, the longest that `text` starts with.
fn longest_start<V>(entries: &[Entry<V>], mut from: Option<usize>, text: &[u8]) -> Option<usize> {
    while let Some(entry) = from.and_then(|index| entries.get(index)) {
        if text.starts_with(&entry.text) {
            return from;
        }
        from = entry.shorter;
    }
    None
}

fn unresolved(content: &[u8], offset: usize) -> TemplateError {
    let before = content.get(..offset).unwrap_or_default();
    let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count();
    let line = memchr::memchr_iter(b'\n', before).count();
    TemplateError::Unresolved { line: count(line), column: count(column), offset }
}

enum Piece<'c, 'v, V> {
    Text(&'c [u8]),
    Value(&'v V),
}

fn looks_like_a_placeholder(text: &[u8]) -> bool {
    text.strip_prefix(PREFIX).and_then(|rest| rest.split_at_checked(HASH_DIGITS)).is_some_and(
        |(hash, rest)| {
            hash.iter().all(u8::is_ascii_hexdigit) && SUFFIXES.iter().any(|suffix| rest.starts_with(suffix))
        },
    )
}

/// However its blanks are set: one that is only nearly right would be installed as text.
fn looks_like_a_marker(text: &[u8]) -> bool {
    text.strip_prefix(NAMED_PREFIX)
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"sops"))
        .is_some_and(|rest| matches!(rest.first(), Some(b' ' | b'\t' | b'-' | b'"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(content: &str, entries: &[(&str, &str)]) -> Result<String, TemplateError> {
        let entries =
            entries.iter().map(|(text, value)| (text.as_bytes().to_vec(), value.as_bytes())).collect();
        let rendered = Placeholders::new(entries).render(content.as_bytes(), |value, out| out.push(value))?;
        Ok(String::from_utf8(rendered.expose().to_vec()).unwrap())
    }

    #[test]
    fn inserted_bytes_are_not_scanned_again() {
        assert_eq!(render("<A> <B>", &[("<A>", "<B>"), ("<B>", "<A>")]).unwrap(), "<B> <A>");
    }

    #[test]
    fn the_longest_placeholder_at_the_leftmost_place_wins() {
        assert_eq!(render("xabcab", &[("ab", "1"), ("abc", "2"), ("bc", "3")]).unwrap(), "x21");
        assert_eq!(render("aab", &[("ab", "1")]).unwrap(), "a1");
    }

    #[test]
    fn a_placeholder_in_another_is_found_where_the_longer_one_does_not_go_on() {
        let entries = [("<", "1"), ("<a", "2"), ("<ab", "3"), ("<abcd", "4"), ("<abd", "5"), ("<b", "6")];
        for (content, expected) in
            [("<abcd<abcx<abd<abe", "43cx53e"), ("<ac<b<c<", "2c61c1"), ("<ab", "3"), ("x", "x")]
        {
            assert_eq!(render(content, &entries).unwrap(), expected, "{content}");
        }
    }

    /// Seconds of the processor that this thread has had; what others have of it does not count.
    fn processor_time() -> i64 {
        let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
        used.user_time().tv_sec() + used.system_time().tv_sec()
    }

    /// A thousand templates of a thousand placeholders for a thousand secrets would be a thousand million comparisons.
    #[test]
    fn the_cost_of_a_placeholder_does_not_grow_with_the_number_of_secrets() {
        let texts: Vec<String> =
            (0..100_000).map(|number| format!("<SOPS:{number:064x}:PLACEHOLDER>")).collect();
        let entries = texts.iter().map(|text| (text.clone().into_bytes(), ())).collect();
        let started = processor_time();
        let placeholders = Placeholders::new(entries);
        assert_eq!(placeholders.used(texts.concat().as_bytes()).unwrap().len(), texts.len());
        // Comparing each with each takes minutes.
        assert!(processor_time() - started < 20);
    }

    #[test]
    fn an_unresolved_placeholder_is_an_error_with_its_line() {
        let unknown = format!("<SOPS:{}:PLACEHOLDER>", "0".repeat(64));
        let expected = TemplateError::Unresolved { line: 2, column: 3, offset: 5 };
        assert_eq!(render(&format!("a\né {unknown}"), &[]), Err(expected));
        assert_eq!(render("<SOPS:x:PLACEHOLDER> <SOPS:", &[]).unwrap(), "<SOPS:x:PLACEHOLDER> <SOPS:");
        let quoted = unknown.replace("PLACEHOLDER", "JSON");
        assert!(render(&quoted, &[]).is_err());
    }

    #[test]
    fn markers_by_name_are_text_unless_they_are_asked_for() {
        let text = "{{ sops \"a\" }} {{ sopsy }} {{ sops-json \"b\" }}";
        assert_eq!(render(text, &[("a", "A")]).unwrap(), text.replace("\"a\"", "\"A\""));
        let markers =
            |name| named_markers(name).map(|(marker, quoting)| (marker.into_bytes(), (name, quoting)));
        let render = |content: &str| {
            let placeholders = Placeholders::with_names([markers("a"), markers("b")].concat());
            let insert = |(name, quoting): &(&str, Quoting), out: &mut Output| {
                quoting.write(name.as_bytes(), out).unwrap();
            };
            placeholders.render(content.as_bytes(), insert).map(|text| text.expose().to_vec())
        };
        assert_eq!(render(text).unwrap(), b"a {{ sopsy }} \"b\"");
        for nearly in ["{{sops \"a\"}}", "{{  sops \"a\" }}", "{{ sops\"a\" }}", "{{ sops\t\"a\" }}"] {
            assert!(render(nearly).is_err(), "{nearly}");
        }
        assert_eq!(
            render("\n{{ sops \"c\" }}"),
            Err(TemplateError::Unresolved { line: 2, column: 1, offset: 1 })
        );
        assert_eq!(render("{{ sops a }}"), Err(TemplateError::Unresolved { line: 1, column: 1, offset: 0 }));
    }

    #[test]
    fn quoted_placeholders_are_what_the_module_writes() {
        // printf %s db/password | sha256sum
        let hash = "4c4bafe61f052e13a786eaf8b0a7ee0af7c39c5ccade2b24c9fbea4914962b9d";
        let texts = quoted_placeholders("db/password").map(|(text, _)| text);
        assert_eq!(texts, [format!("<SOPS:{hash}:JSON>"), format!("<SOPS:{hash}:SHELL>")]);
    }
}
