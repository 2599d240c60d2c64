//! What to say of a sops file that cannot be used: what is wrong with it, where, and what to do. Nothing is read here,
//! and of a file's text nothing is shown.

use std::path::Path;

use memchr::memmem;

use crate::diagnostic::{Diagnostic, Location, enumerate};
use crate::plan::{Plan, SopsFile};
use crate::secret::SecretBytes;
use crate::sops::cipher::ValueError;
use crate::sops::document::{Document, OpenError, ParseError};
use crate::sops::format::Format;
use crate::sops::metadata::MetadataError;
use crate::system::file::{Cause, FileError};

pub mod locked;

#[must_use]
pub fn needed_by(plan: &Plan, file: &SopsFile) -> String {
    let names: Vec<&str> = file
        .secrets
        .iter()
        .filter_map(|index| plan.secrets.get(*index))
        .map(|secret| secret.target.name.as_str())
        .collect();
    let label = if names.len() == 1 { "secret" } else { "secrets" };
    format!("needed by {label} {}", enumerate(&names))
}

/// `option` is what names the file in the configuration.
#[must_use]
pub fn unreadable(who: &str, error: &FileError, option: &str) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("{who}{error}"));
    if error.is_not_found() {
        diagnostic.help(format!("correct {option}; if it is in a flake, `git add` it first"))
    } else if matches!(error.cause, Cause::WrongKind(..)) {
        diagnostic.help(format!("correct {option}: it has to name a file"))
    } else {
        diagnostic
    }
}

/// `text` is that of the file, to see what it is; empty if it is too long for that.
#[must_use]
pub fn unusable(file: &SopsFile, error: &ParseError, text: &[u8]) -> Diagnostic {
    let path = file.path.display();
    let mut diagnostic = Diagnostic::new(match error {
        ParseError::Syntax(error) => format!("cannot read '{path}' as {}: {error}", file.format.name()),
        _ => format!("cannot use '{path}': {error}"),
    });
    if let ParseError::Syntax(error) = error {
        // Nothing of the line: what does not parse may be a secret.
        diagnostic = diagnostic.at(location(&file.path, error.place.line, error.place.column));
    }
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
        return diagnostic.help(format!(
            "the file is of format \"{0}\": set the secrets' `format` to \"{0}\" (it is \"{1}\" now)",
            other.name(),
            file.format.name()
        ));
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

/// The path as a person would type it in the repository: the Nix store's part of it means nothing there.
#[must_use]
pub fn for_shell(path: &Path) -> String {
    quoted(&in_repository(path))
}

/// A word as a person would have to type it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn in_repository(path: &Path) -> String {
    let text = path.to_string_lossy();
    let below = text.strip_prefix("/nix/store/").and_then(|rest| match rest.split_once('/') {
        Some((_, below)) => Some(below),
        None => rest.split_once('-').map(|(_, name)| name),
    });
    below.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
