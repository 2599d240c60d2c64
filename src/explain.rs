//! What to say of a sops file that cannot be used: what is wrong with it, where, and what to do. Nothing is read here,
//! and of a file's text nothing is shown.

use std::path::Path;

use memchr::memmem;

use crate::diagnostic::{Diagnostic, Location, enumerate, in_repository};
use crate::plan::{Plan, SopsFile, Target};
use crate::secret::SecretBytes;
use crate::sops::cipher::ValueError;
use crate::sops::document::{Document, OpenError, ParseError};
use crate::sops::format::{Format, SyntaxError};
use crate::sops::metadata::MetadataError;
use crate::system::file::{Cause, FileError};

pub mod host;
pub mod locked;

/// How messages name a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    /// Where it lies on the machine.
    Absolute,
    /// For the one who builds: as in the repository that the Nix store has a copy of.
    InRepository,
}

impl Paths {
    #[must_use]
    pub fn shown(self, path: &Path) -> String {
        match self {
            Self::Absolute => path.display().to_string(),
            Self::InRepository => in_repository(path),
        }
    }
}

/// Who needs a sops file, for its messages.
#[derive(Default)]
pub struct Needed<'p> {
    secrets: Vec<&'p Target>,
    /// No secret of the plan comes from another file.
    by_all: bool,
}

impl<'p> Needed<'p> {
    #[must_use]
    pub fn new(plan: &'p Plan, file: &SopsFile) -> Self {
        let secrets = file.secrets.iter().filter_map(|index| plan.secrets.get(*index));
        Self { secrets: secrets.map(|secret| &secret.target).collect(), by_all: plan.files.len() == 1 }
    }

    #[must_use]
    pub fn note(&self) -> String {
        let names: Vec<&str> = self.secrets.iter().map(|target| target.name.as_str()).collect();
        let label = if names.len() == 1 { "secret" } else { "secrets" };
        format!("needed by {label} {}", enumerate(&names))
    }

    /// The options that say what file it is (`sopsFile`), or of what format: of the first secret, and how many more
    /// there are. `default` sets it for all. None where no secret needs the file.
    fn option(&self, field: &str, default: &str) -> Option<String> {
        let first = &self.secrets.first()?.option;
        let more = self.secrets.len() - 1;
        Some(match (more, self.by_all) {
            (0, _) => format!("{first}.{field}"),
            (_, true) => format!("{first}.{field} and {more} more (or {default})"),
            (_, false) => format!("{first}.{field} and {more} more"),
        })
    }
}

/// A file that a template is made from.
#[must_use]
pub fn unreadable_template(target: &Target, error: FileError, paths: Paths) -> Diagnostic {
    unreadable(&format!("{}: ", target.title), error, &format!("{}.file", target.option), paths)
}

#[must_use]
pub fn unreadable_sops_file(needed: &Needed, error: FileError, paths: Paths) -> Diagnostic {
    let option = needed.option("sopsFile", "sops.defaultSopsFile").unwrap_or("the file's name".to_owned());
    let is_hidden = paths == Paths::InRepository && !error.path.starts_with("/nix/store");
    let is_absent = error.is_not_found();
    let diagnostic = unreadable("", error, &option, paths);
    if is_hidden && is_absent {
        return diagnostic.note("a build sees no files but those in the Nix store").help(format!(
            "set {option} to a path of the configuration (./secrets.yaml, without quotes), or set sops.validateSopsFiles = false"
        ));
    }
    diagnostic
}

/// `option` is what names the file in the configuration.
fn unreadable(who: &str, error: FileError, option: &str, paths: Paths) -> Diagnostic {
    let error = FileError { path: paths.shown(&error.path).into(), ..error };
    let diagnostic = Diagnostic::new(format!("{who}{error}"));
    if error.is_not_found() {
        diagnostic.help(format!("correct {option}; if it is in a flake, `git add` it first"))
    } else if matches!(error.cause, Cause::WrongKind(..)) {
        diagnostic.help(format!("correct {option}: it has to name a file"))
    } else {
        diagnostic
    }
}

#[must_use]
pub fn empty(path: &Path, paths: Paths) -> Diagnostic {
    Diagnostic::new(format!("cannot use '{}': it is empty", paths.shown(path)))
        .help("restore it from version control, or write it anew with `sops edit`")
}

/// `text` is that of the file, to see what it is; empty if it is too long for that.
#[must_use]
pub fn unusable(
    needed: &Needed,
    file: &SopsFile,
    error: &ParseError,
    text: &[u8],
    paths: Paths,
) -> Diagnostic {
    let path = paths.shown(&file.path);
    let diagnostic = match error {
        // Nothing of the line: what does not parse may be a secret.
        ParseError::Syntax(SyntaxError { place, problem }) => {
            Diagnostic::new(format!("cannot read '{path}' as {}: {problem}", file.format.name()))
                .at(location(&file.path, place.line, place.column))
        }
        _ => Diagnostic::new(format!("cannot use '{path}': {error}")),
    };
    let path = for_shell(&file.path);
    if text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"<<<<<<< ")) {
        let diagnostic = if diagnostic.problem.contains("merge conflict") {
            diagnostic
        } else {
            diagnostic.note("it has the conflict markers of an unfinished merge in it")
        };
        return diagnostic.help(format!(
            "take one side whole (`git checkout --ours {path}`, or `--theirs`), then make the changes of the other with `sops edit {path}`"
        ));
    }
    if let Some(other) = looks_like(file, text) {
        let name = other.name();
        return diagnostic.note(format!("this looks like {name}")).help(
            match needed.option("format", "sops.defaultSopsFormat") {
                Some(option) if needed.secrets.len() > 1 => format!("set {option} to \"{name}\""),
                Some(option) => format!("set {option} = \"{name}\""),
                None => format!("name its format with --format={name}"),
            },
        );
    }
    match error {
        ParseError::Metadata(MetadataError::NotFound) if memmem::find(text, b"ENC[AES256_GCM,").is_some() => {
            diagnostic
                .note("it has encrypted values all the same, so a part of it is missing")
                .help("restore the file from version control")
        }
        ParseError::Metadata(MetadataError::NotFound) => {
            diagnostic.help(format!("encrypt it with `sops encrypt --in-place {path}`"))
        }
        ParseError::Metadata(MetadataError::NoKeys) => diagnostic
            .help("nobody can open such a file: restore it from version control, or encrypt it anew"),
        ParseError::Syntax(_) => {
            diagnostic.help("restore the file from version control, or mend the line by hand")
        }
        ParseError::Metadata(_) | ParseError::Flatten(_) => {
            diagnostic.help("the file was not left so by sops: restore it from version control")
        }
    }
}

/// The format in which the file is a sops file, if it is one in another than was said.
fn looks_like(file: &SopsFile, text: &[u8]) -> Option<Format> {
    let known =
        |format: &Format| *format != file.format && Document::parse(*format, SecretBytes::from(text)).is_ok();
    // JSON that reads as YAML is told apart by coming first; binary files are JSON.
    let formats: &[Format] = match file.format {
        Format::Json | Format::Binary => &[Format::Dotenv, Format::Ini, Format::Yaml],
        _ => &[Format::Json, Format::Dotenv, Format::Ini, Format::Yaml],
    };
    formats.iter().copied().find(known)
}

#[must_use]
pub fn damaged(path: &Path, error: &OpenError) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("cannot decrypt '{}': {error}", path.display()));
    let path = for_shell(path);
    match error {
        OpenError::Value { problem: ValueError::NotEncrypted | ValueError::NotString(_), .. } => {
            diagnostic.help(format!(
                "it was written without sops: take the line out, and set the value with `sops edit {path}`"
            ))
        }
        OpenError::Value { .. } => diagnostic.help(
            "the file was edited without sops, or merged: restore it from version control, and change it with `sops edit` only",
        ),
        OpenError::MacMissing | OpenError::MacMismatch | OpenError::Mac(_) => diagnostic
            .note("every value opens, but the file as a whole is not as sops wrote it: something was added, removed, reordered or changed without sops, or merged by git")
            .help(format!(
                "restore the file from version control, or look through it with `sops edit --ignore-mac {path}` and save it"
            )),
    }
}

/// A place in a file, as the path is known in the repository.
#[must_use]
pub fn location(path: &Path, line: u32, column: u32) -> Location {
    Location { path: in_repository(path), line, column, key: None }
}

/// The path as a person would type it in the repository.
#[must_use]
pub fn for_shell(path: &Path) -> String {
    quoted(&in_repository(path))
}

/// The command that encrypts the file to the recipients of now, and where to run it. Of a file that was copied into the Nix
/// store by itself only the name is known, and there may be several of it.
#[must_use]
pub fn updatekeys(path: &Path, place: &str) -> String {
    let name = for_shell(path);
    let origin =
        if path.has_root() && !name.contains('/') { "in the repository that it came from" } else { "" };
    let places: Vec<&str> = [origin, place].into_iter().filter(|place| !place.is_empty()).collect();
    let space = if places.is_empty() { "" } else { " " };
    format!("`sops updatekeys {name}`{space}{}", places.join(", "))
}

/// A word as a person would have to type it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_known_by_its_name_alone_is_to_be_found_in_its_repository() {
        let store = "/nix/store/00000000000000000000000000000000-";
        for (path, place, expected) in [
            (format!("{store}a.yaml"), "", "`sops updatekeys a.yaml` in the repository that it came from"),
            (
                format!("{store}a.yaml"),
                "where it opens",
                "`sops updatekeys a.yaml` in the repository that it came from, where it opens",
            ),
            (format!("{store}source/hosts/a.yaml"), "", "`sops updatekeys hosts/a.yaml`"),
            ("/etc/a.yaml".to_owned(), "where it opens", "`sops updatekeys /etc/a.yaml` where it opens"),
            ("a.yaml".to_owned(), "", "`sops updatekeys a.yaml`"),
        ] {
            assert_eq!(updatekeys(Path::new(&path), place), expected);
        }
    }

    #[test]
    fn a_path_for_the_shell_is_that_in_the_repository() {
        for (path, expected) in [
            ("/etc/secrets.yaml", "/etc/secrets.yaml"),
            ("/nix/store/00000000000000000000000000000000-secrets.yaml", "secrets.yaml"),
            ("/nix/store/00000000000000000000000000000000-source/hosts/a.yaml", "hosts/a.yaml"),
            ("/srv/my secrets.yaml", "'/srv/my secrets.yaml'"),
            ("/srv/it's;.yaml", r"'/srv/it'\''s;.yaml'"),
        ] {
            assert_eq!(for_shell(Path::new(path)), expected);
        }
    }
}
