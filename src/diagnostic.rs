//! What the program says when something is wrong: the problem, what is known about it, and the one thing to do.
//!
//! Lower case, no final period, names in single quotes, the cause after a colon; help stands on a line of its own.
//! Nothing here may hold secret bytes or text that could not be parsed.

use std::fmt::{self, Write as _};
use std::path::Path;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub problem: String,
    /// Where it is, if it is at a place in a file.
    pub location: Option<Box<Location>>,
    /// What was found while looking at it, a line each.
    pub notes: Vec<String>,
    /// What the reader should do now.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), location: None, notes: Vec::new(), help: None }
    }

    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(Box::new(location));
        self
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.problem).fmt(f)?;
        if let Some(location) = &self.location {
            location.fmt(f)?;
        }
        for note in &self.notes {
            write!(f, "\n  {}", Printable(note))?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {}", Printable(help)),
            None => Ok(()),
        }
    }
}

/// A place in a file, and what may be shown of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// As a person knows the file.
    pub path: String,
    /// Counted from 1; columns count characters.
    pub line: u32,
    pub column: u32,
    pub key: Option<KeyLine>,
}

/// The line of a key, put together anew: what is not the key's name is known when the program is compiled. A line of
/// the file itself cannot get in here, and with it no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The key's name.
    pub name: String,
    /// What the format writes before and after the name, and a stand-in for the value.
    pub around: (&'static str, &'static str),
    /// What is to be said about the key.
    pub remark: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Keys that stand further right are shown without all of the space before them.
        const INDENT: u32 = 40;
        const NAME: usize = 60;
        let Self { path, line, column, key } = self;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "\n {margin}--> {}:{line}:{column}", Printable(path))?;
        let Some(KeyLine { name, around: (before, after), remark }) = key else { return Ok(()) };
        let name = Printable(name).to_string();
        let mut shown: String = name.chars().take(NAME).collect();
        if shown.len() < name.len() {
            shown.push('…');
        }
        let indent = match column.saturating_sub(1) {
            indent if indent <= INDENT => " ".repeat(usize::try_from(indent).unwrap_or_default()),
            _ => "… ".to_owned(),
        };
        let (space, carets) =
            (" ".repeat(indent.chars().count()), before.chars().count() + shown.chars().count());
        write!(f, "\n {margin} |\n {number} | {indent}{before}{shown}{after}")?;
        write!(f, "\n {margin} | {space}{} {}", "^".repeat(carets), Printable(remark))
    }
}

/// All that is wrong, in the order in which it was found. Never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Diagnostic>);

impl Report {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(diagnostics);
    }

    /// `value` if nothing is wrong.
    ///
    /// # Errors
    /// The report itself, if something is.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// Text for a terminal and a log, on one line. Names and paths come from elsewhere and may hold what would move the
/// cursor, start a line that looks like ours, or show words in another order than they have; that is escaped.
pub struct Printable<'t>(pub &'t str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                _ if is_deceptive(character) => write!(f, "{}", character.escape_unicode())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Control characters, line separators, direction marks, and what has no width.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A path as a person knows it in the repository: the Nix store's part of it means nothing there.
#[must_use]
pub fn in_repository(path: &Path) -> String {
    let text = path.to_string_lossy();
    let below = in_store(&text).and_then(|rest| match rest.split_once('/') {
        Some((_, below)) => Some(below),
        None => rest.split_once('-').map(|(_, name)| name),
    });
    below.unwrap_or(&text).to_owned()
}

/// From the hash on, of a path in a Nix store, which need not be at `/nix/store`.
fn in_store(path: &str) -> Option<&str> {
    const STORE: &str = "store/";
    const HASH: usize = 32;
    path.match_indices(STORE).filter_map(|(at, _)| path.get(at + STORE.len()..)).find(|rest| {
        let is_hash = |hash: &str| hash.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        rest.get(..HASH).is_some_and(is_hash) && rest.as_bytes().get(HASH) == Some(&b'-')
    })
}

/// Names for a message: all of a few, or the first ones and a count.
#[must_use]
pub fn enumerate(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("'{}'", name.as_ref())).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Maximum number of characters of a name that are compared.
const COMPARED: usize = 64;

/// The nearest of the names, if it is near enough for a suggestion.
#[must_use]
pub fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = wanted.chars().take(COMPARED).count().div_ceil(3);
    let distances = names.into_iter().map(|name| (distance(wanted, name), name));
    distances
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The edit distance (with transpositions) of two names, each cut to a length at which it is cheap to compute.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let cut = |name: &str| name.chars().take(COMPARED).collect::<String>();
    strsim::osa_distance(&cut(a), &cut(b))
}

/// A string in Nix syntax.
#[must_use]
pub fn in_nix(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#).replace("${", r"\${"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_any_store_is_told_as_in_the_repository() {
        let hash = "0".repeat(32);
        for (path, expected) in [
            (format!("/nix/store/{hash}-a.yaml"), "a.yaml"),
            (format!("/nix/store/{hash}-source/hosts/a.yaml"), "hosts/a.yaml"),
            (format!("/srv/store/store/{hash}-a.yaml"), "a.yaml"),
            ("/srv/store/secrets/a.yaml".to_owned(), "/srv/store/secrets/a.yaml"),
        ] {
            assert_eq!(in_repository(Path::new(&path)), expected);
        }
    }

    #[test]
    fn a_name_of_which_most_letters_differ_is_not_near_however_long_it_is() {
        assert_eq!(nearest("posgres", ["root", "postgrey", "postgres"]), Some("postgres"));
        assert_eq!(nearest("posgres", ["root", "grafana"]), None);
        let long = "x".repeat(1000);
        assert_eq!(nearest(&long, ["root", "postgres"]), None);
        assert_eq!(nearest(&long, ["root", &long]), Some(long.as_str()));
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_letters_are_not() {
        let text = "clé 世界 \u{1b}[31m\u{7}\u{202e}\u{85}\u{200b}\n\r\t";
        let expected = r"clé 世界 \u{1b}[31m\u{7}\u{202e}\u{85}\u{200b}\n\r\t";
        assert_eq!(Printable(text).to_string(), expected);
    }

    #[test]
    fn the_caret_stands_under_the_key() {
        let key = KeyLine { name: "db".into(), around: ("\"", "\": …"), remark: "here".into() };
        let location = Location { path: "a.json".into(), line: 12, column: 3, key: Some(key) };
        let expected = "x\n   --> a.json:12:3\n    |\n 12 |   \"db\": …\n    |   ^^^ here";
        assert_eq!(Diagnostic::new("x").at(location.clone()).to_string(), expected);
        let far = Location { column: 5000, ..location };
        assert!(far.to_string().ends_with("12 | … \"db\": …\n    |   ^^^ here"), "{far}");
    }

    #[test]
    fn a_name_cannot_add_a_line() {
        let diagnostic = Diagnostic::new("a\nb").note("c\nd").help("e\nf");
        assert_eq!(diagnostic.to_string(), "a\\nb\n  c\\nd\nhelp: e\\nf");
    }
}
