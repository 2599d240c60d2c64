//! Every file of a plan with its content, or why it has none: the last pure step before the machine is touched.

use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::plan::{Plan, Secret, Selection, Target, Template, TemplateSource};
use crate::secret::{Plaintext, SecretBytes};
use crate::sops::document::{Document, Opened, PickError};
use crate::sops::format::EmitError;
use crate::sops::key_path::FindError;
use crate::template::{Placeholders, TemplateError};

/// A file to be installed.
pub struct File<'d> {
    pub target: &'d Target,
    pub content: Result<Plaintext<'d>, Failure>,
}

/// Why a file has no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The sops file that it comes from did not open, which is told once for the file.
    SopsFile,
    /// A template needs a secret that failed, which is told for the secret.
    Secret,
    Own(Diagnostic),
}

/// Picks every secret from its document and renders every template.
///
/// `documents` and `template_files` go along with [`Plan::files`] and [`Plan::templates`]; of a document that did not
/// open, and of a template without a file, there is `None`.
#[must_use]
pub fn assemble<'d>(
    plan: &'d Plan,
    documents: &'d [Option<Document<Opened>>],
    template_files: &[Option<Result<SecretBytes, Diagnostic>>],
) -> Vec<File<'d>> {
    let mut files: Vec<File> = Vec::with_capacity(plan.secrets.len() + plan.templates.len());
    for secret in &plan.secrets {
        let content = match documents.get(secret.file) {
            Some(Some(document)) => pick(plan, secret, document).map_err(Failure::Own),
            _ => Err(Failure::SopsFile),
        };
        files.push(File { target: &secret.target, content });
    }
    if plan.templates.is_empty() {
        return files;
    }
    let placeholders = placeholders(plan);
    let mut rendered = Vec::with_capacity(plan.templates.len());
    for (index, template) in plan.templates.iter().enumerate() {
        let content = match (&template.source, template_files.get(index)) {
            (TemplateSource::Content(text), _) => {
                render(&placeholders, &template.target, text.as_bytes(), &files)
            }
            (TemplateSource::File(_), Some(Some(Ok(bytes)))) => {
                render(&placeholders, &template.target, bytes.expose(), &files)
            }
            (TemplateSource::File(_), Some(Some(Err(diagnostic)))) => Err(Failure::Own(diagnostic.clone())),
            (TemplateSource::File(path), _) => {
                Err(Failure::Own(Diagnostic::new(format!("cannot read '{}'", path.display()))))
            }
        };
        rendered.push(File { target: &template.target, content });
    }
    files.extend(rendered);
    files
}

fn pick<'d>(
    plan: &Plan,
    secret: &Secret,
    document: &'d Document<Opened>,
) -> Result<Plaintext<'d>, Diagnostic> {
    let path = plan.files.get(secret.file).map_or(Path::new(""), |file| &file.path);
    match &secret.selection {
        Selection::Whole => document.emit().map_err(|error| cannot_pick(&secret.target, path, &error.into())),
        Selection::Value(key) => {
            document.pick(key).map_err(|error| cannot_pick(&secret.target, path, &error))
        }
    }
}

/// A value that cannot be installed, and what to do about it.
#[must_use]
pub fn cannot_pick(target: &Target, file: &Path, error: &PickError) -> Diagnostic {
    let title = &target.title;
    let diagnostic = Diagnostic::new(format!("{title}: cannot be taken from '{}': {error}", file.display()));
    match error {
        PickError::Find(error) => explain_missing(diagnostic, error),
        PickError::Null(_) => diagnostic.help("give it a value with `sops edit`, \"\" for an empty file"),
        PickError::Emit(EmitError::NoBinaryData | EmitError::BinaryDataNotString) => diagnostic
            .note("a sops file of format \"binary\" holds one value, named 'data'")
            .help(
                "set the secret's `format` to \"json\", or encrypt the file with `sops encrypt --input-type binary`",
            ),
        PickError::Emit(EmitError::NotRepresentable { .. }) => diagnostic.help(
            "change the value with `sops edit`, or set the secret's `key` to the one that is needed",
        ),
    }
}

/// Adds what the key could have been meant to be: the keys that are there, nearest first.
pub fn explain_missing(diagnostic: Diagnostic, error: &FindError) -> Diagnostic {
    let (path, siblings) = match error {
        FindError::Missing { path, siblings } => (path, siblings),
        FindError::NotAContainer { path, .. } => {
            return diagnostic.note("in a `key`, '/' leads from a mapping to what is in it").help(format!(
                "set the secret's `key` to '{path}', or give it keys of its own with `sops edit`"
            ));
        }
    };
    if siblings.is_empty() {
        return diagnostic.note("there are no keys at this level").help("add the key with `sops edit`");
    }
    let (parent, wanted) = path.rsplit_once('/').unwrap_or(("", path));
    let mut nearest: Vec<(usize, &str)> =
        siblings.iter().map(|sibling| (distance(wanted, sibling), sibling.as_str())).collect();
    nearest.sort_by_key(|(distance, _)| *distance);
    let names: Vec<&str> = nearest.iter().map(|(_, name)| *name).collect();
    let level = if parent.is_empty() { "at the top level".to_owned() } else { format!("in '{parent}'") };
    let diagnostic = diagnostic.note(format!("keys {level}: {}", crate::diagnostic::enumerate(&names)));
    match nearest.first() {
        Some((distance, name)) if *distance <= wanted.chars().count().div_ceil(3) => {
            let full = if parent.is_empty() { (*name).to_owned() } else { format!("{parent}/{name}") };
            diagnostic.help(format!("did you mean '{full}'? set the secret's `key` to it"))
        }
        _ => diagnostic.help("set the secret's `key` to one of them, or add the key with `sops edit`"),
    }
}

/// Levenshtein's edit distance, in characters, of names cut to a length where it is cheap.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (above, to) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(from != *to)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The placeholders of the plan's secrets, each with the secret's index.
#[must_use]
pub fn placeholders(plan: &Plan) -> Placeholders<usize> {
    let entries = plan.secrets.iter().enumerate().filter_map(|(index, secret)| {
        let text = secret.placeholder.as_ref()?;
        Some((text.as_bytes().to_vec(), index))
    });
    Placeholders::new(entries.collect())
}

/// Checks that every placeholder of a template stands for a secret of the plan.
///
/// # Errors
/// When one does not.
pub fn check_template(
    placeholders: &Placeholders<usize>,
    template: &Template,
    file: Option<&SecretBytes>,
) -> Result<(), Diagnostic> {
    let text = match (&template.source, file) {
        (TemplateSource::Content(text), _) => text.as_bytes(),
        (TemplateSource::File(_), file) => file.map(SecretBytes::expose).unwrap_or_default(),
    };
    placeholders.used(text).map(|_| ()).map_err(|error| unresolved(&template.target, &error))
}

fn unresolved(target: &Target, error: &TemplateError) -> Diagnostic {
    Diagnostic::new(format!("{}: cannot be rendered: {error}", target.title)).help(
        "a placeholder is `config.sops.placeholder.\"NAME\"` of a secret in the same manifest (one with `neededForUsers` is in another)",
    )
}

fn render<'d>(
    placeholders: &Placeholders<usize>,
    target: &Target,
    text: &[u8],
    secrets: &[File<'_>],
) -> Result<Plaintext<'d>, Failure> {
    let unresolved = |error| Failure::Own(unresolved(target, &error));
    let used = placeholders.used(text).map_err(unresolved)?;
    let value = |index: &usize| secrets.get(*index).and_then(|secret| secret.content.as_ref().ok());
    if used.into_iter().any(|index| value(index).is_none()) {
        return Err(Failure::Secret);
    }
    placeholders
        .render(text, |index| value(index).map(Plaintext::expose).unwrap_or_default())
        .map(Plaintext::Owned)
        .map_err(unresolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested() {
        let missing = |path: &str, siblings: &[&str]| {
            let siblings = siblings.iter().map(|&name| name.to_owned()).collect();
            explain_missing(Diagnostic::new("x"), &FindError::Missing { path: path.to_owned(), siblings })
        };
        assert_eq!(
            missing("db/pasword", &["user", "password"]).help.as_deref(),
            Some("did you mean 'db/password'? set the secret's `key` to it")
        );
        assert!(
            missing("db/host", &["user", "password"]).help.unwrap().starts_with("set the secret's `key`")
        );
        assert_eq!(missing("a/b", &[]).notes, ["there are no keys at this level"]);
    }

    #[test]
    fn edit_distance() {
        for (a, b, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("abc", "abc", 0), ("abc", "", 3)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
