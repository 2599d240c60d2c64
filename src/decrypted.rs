//! Every file of a plan with its content, or why it has none: the last pure step before the machine is touched.

use std::collections::BTreeSet;
use std::path::Path;

use crate::diagnostic::{self, Diagnostic};
use crate::plan::{Plan, Secret, Selection, Target, Template, TemplateSource};
use crate::secret::{Plaintext, SecretBytes, without_last_newline};
use crate::sops::document::{Document, Opened, PickError};
use crate::sops::format::{EmitError, Format};
use crate::sops::key_path::{FindError, Index};
use crate::template::{Placeholders, QuoteError, Quoting, TemplateError, named_markers, quoted_placeholders};

/// A file to be installed.
pub struct File<'d> {
    pub target: &'d Target,
    pub content: Result<Plaintext<'d>, Failure>,
}

/// Why a file has no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The sops file that it comes from did not open, which is told once for the file; with its problem.
    SopsFile(String),
    /// A template needs secrets that failed, which is told for each of them; with their titles.
    Secrets(Vec<String>),
    Own(Diagnostic),
}

impl Failure {
    /// Why, in one line that does not name `target` again.
    #[must_use]
    pub fn reason(&self, target: &Target) -> String {
        match self {
            Self::SopsFile(problem) => problem.clone(),
            Self::Secrets(titles) => format!("needs {}", titles.join(", ")),
            Self::Own(Diagnostic { problem, .. }) => problem
                .strip_prefix(&target.title)
                .and_then(|rest| rest.strip_prefix(": "))
                .unwrap_or(problem)
                .to_owned(),
        }
    }
}

/// Picks every secret from its document and renders every template.
///
/// `documents` and `template_files` go along with [`Plan::files`] and [`Plan::templates`]; of a template without a file
/// there is `None`.
#[must_use]
pub fn assemble<'d>(
    plan: &'d Plan,
    documents: &'d [Result<Document<Opened>, Diagnostic>],
    template_files: &[Option<Result<SecretBytes, Diagnostic>>],
) -> Vec<File<'d>> {
    let mut searches: Vec<Option<Search>> =
        documents.iter().map(|document| document.as_ref().ok().map(Search::new)).collect();
    let mut content = |secret: &Secret| match (searches.get_mut(secret.file), documents.get(secret.file)) {
        (Some(Some(search)), _) => search.pick(plan, secret).map_err(Failure::Own),
        (_, Some(Err(diagnostic))) => Err(Failure::SopsFile(diagnostic.problem.clone())),
        _ => Err(Failure::SopsFile(String::new())),
    };
    let secrets = plan.secrets.iter().map(|secret| File { target: &secret.target, content: content(secret) });
    with_templates(plan, secrets.collect(), template_files)
}

/// As [`assemble`], but every secret is a dummy: its own name, so that who finds it knows where it comes from. It is one
/// word without an end of line, which every kind of template takes.
#[must_use]
pub fn assemble_dummies<'d>(
    plan: &'d Plan,
    template_files: &[Option<Result<SecretBytes, Diagnostic>>],
) -> Vec<File<'d>> {
    let secrets = plan.secrets.iter().map(|Secret { target, .. }| {
        let dummy = format!("dummy-value-of-{}", target.name.as_str());
        File { target, content: Ok(Plaintext::Owned(SecretBytes::new(dummy.into_bytes()))) }
    });
    with_templates(plan, secrets.collect(), template_files)
}

/// The secrets, and every template rendered with them.
fn with_templates<'d>(
    plan: &'d Plan,
    mut files: Vec<File<'d>>,
    template_files: &[Option<Result<SecretBytes, Diagnostic>>],
) -> Vec<File<'d>> {
    if plan.templates.is_empty() {
        return files;
    }
    let markers = Markers::new(plan);
    let mut rendered = Vec::with_capacity(plan.templates.len());
    for (index, template) in plan.templates.iter().enumerate() {
        let content = match (&template.source, template_files.get(index)) {
            (TemplateSource::Content(text), _) => render(&markers, template, text.as_bytes(), &files),
            (TemplateSource::File(_), Some(Some(Ok(bytes)))) => {
                render(&markers, template, bytes.expose(), &files)
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

/// How many keys of one file are told with what they could have been meant to be. Nobody reads more, and each is
/// compared with every key of the file.
pub const EXPLAINED: usize = 50;

/// The secrets of one document, taken one after the other.
struct Search<'d> {
    document: &'d Document<Opened>,
    index: Index<'d>,
    missing: usize,
}

impl<'d> Search<'d> {
    fn new(document: &'d Document<Opened>) -> Self {
        Self { document, index: document.index(), missing: 0 }
    }

    fn pick(&mut self, plan: &Plan, secret: &Secret) -> Result<Plaintext<'d>, Diagnostic> {
        let value = match &secret.selection {
            Selection::Whole => self.document.emit().map_err(PickError::from),
            Selection::Value(key) => self.document.pick_in(&self.index, key),
        };
        let value = value.map_err(|error| {
            let path = plan.files.get(secret.file).map_or(Path::new(""), |file| &file.path);
            self.missing += usize::from(matches!(error, PickError::Find(_)));
            if self.missing > EXPLAINED {
                return cannot_pick_either(secret, self.document.format(), path, &error);
            }
            cannot_pick(secret, self.document.format(), path, &error)
        })?;
        Ok(if secret.trim { value.without_last_newline() } else { value })
    }
}

/// As [`cannot_pick`], after [`EXPLAINED`] of the same file.
#[must_use]
pub fn cannot_pick_either(secret: &Secret, format: Format, file: &Path, error: &PickError) -> Diagnostic {
    let PickError::Find(_) = error else { return cannot_pick(secret, format, file, error) };
    let problem = format!("{}: cannot be taken from '{}': {error}", secret.target.title, file.display());
    Diagnostic::new(problem).help("see what is said of the first keys of this file that cannot be found")
}

/// A value that cannot be installed, and what to do about it.
#[must_use]
pub fn cannot_pick(secret: &Secret, format: Format, file: &Path, error: &PickError) -> Diagnostic {
    let Target { title, option, .. } = &secret.target;
    let key_option = match format {
        Format::Dotenv | Format::Ini => format!("{option}.extractKey"),
        Format::Yaml | Format::Json | Format::Binary => format!("{option}.key"),
    };
    let diagnostic = Diagnostic::new(format!("{title}: cannot be taken from '{}': {error}", file.display()));
    match error {
        PickError::Find(error) => explain_missing(diagnostic, &key_option, error),
        PickError::Null(_) => diagnostic.help("give it a value with `sops edit`, \"\" for an empty file"),
        PickError::Emit(EmitError::NoBinaryData | EmitError::BinaryDataNotString) => diagnostic
            .note("a sops file of format \"binary\" holds one value, named 'data'; this looks like json")
            .help(format!(
                "set {option}.format = \"json\", or encrypt the file with `sops encrypt --input-type binary`"
            )),
        PickError::Emit(EmitError::NotRepresentable { .. }) => diagnostic.help(format!(
            "change the value with `sops edit`, or set {key_option} to the one that is needed"
        )),
    }
}

/// Adds what the key could have been meant to be: the keys that are there, nearest first. `option` is what sets it.
pub fn explain_missing(diagnostic: Diagnostic, option: &str, error: &FindError) -> Diagnostic {
    let (path, siblings) = match error {
        FindError::Missing { path, siblings } => (path, siblings),
        FindError::NotAContainer { path, .. } => {
            return diagnostic
                .note("in a key, '/' leads from a mapping to what is in it")
                .help(format!("set {option} = \"{path}\", or give it keys of its own with `sops edit`"));
        }
    };
    if siblings.is_empty() {
        return diagnostic.note("there are no keys at this level").help("add the key with `sops edit`");
    }
    let (parent, wanted) = path.rsplit_once('/').unwrap_or(("", path));
    let mut nearest: Vec<(usize, &str)> =
        siblings.iter().map(|sibling| (diagnostic::distance(wanted, sibling), sibling.as_str())).collect();
    nearest.sort_by_key(|(distance, _)| *distance);
    let names: Vec<&str> = nearest.iter().map(|(_, name)| *name).collect();
    let level = if parent.is_empty() { "at the top level".to_owned() } else { format!("in '{parent}'") };
    let diagnostic = diagnostic.note(format!("keys {level}: {}", diagnostic::enumerate(&names)));
    match diagnostic::nearest(wanted, siblings.iter().map(String::as_str)) {
        Some(name) => {
            let full = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
            diagnostic.help(format!("did you mean '{full}'? set {option} = \"{full}\""))
        }
        None => diagnostic.help(format!("set {option} to one of them, or add the key with `sops edit`")),
    }
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insertion {
    /// Index into [`Plan::secrets`].
    secret: usize,
    quoting: Quoting,
}

/// What stands for the secrets of a plan in its templates.
pub struct Markers {
    placeholders: Placeholders<Insertion>,
    /// With markers by name beside the placeholders.
    named: Placeholders<Insertion>,
}

impl Markers {
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let (mut placeholders, mut named) = (Vec::new(), Vec::new());
        for (index, secret) in plan.secrets.iter().enumerate() {
            let Some(plain_text) = &secret.placeholder else { continue };
            let name = secret.target.name.as_str();
            let entry = |text: String, quoting| (text.into_bytes(), Insertion { secret: index, quoting });
            placeholders.push(entry(plain_text.clone(), Quoting::Plain));
            placeholders
                .extend(quoted_placeholders(name).into_iter().map(|(text, quoting)| entry(text, quoting)));
            named.extend(named_markers(name).into_iter().map(|(text, quoting)| entry(text, quoting)));
        }
        named.extend(placeholders.iter().cloned());
        Self { placeholders: Placeholders::new(placeholders), named: Placeholders::with_names(named) }
    }

    /// Checks that every placeholder in the text of a template stands for a secret of the plan.
    ///
    /// # Errors
    /// With the first that does not.
    pub fn check(&self, template: &Template, text: &[u8]) -> Result<(), TemplateError> {
        self.of(template).used(text).map(drop)
    }

    fn of(&self, template: &Template) -> &Placeholders<Insertion> {
        if template.named_markers { &self.named } else { &self.placeholders }
    }
}

/// What to say of a placeholder that stands for nothing.
#[must_use]
pub fn unresolved(target: &Target, error: &TemplateError) -> Diagnostic {
    Diagnostic::new(format!("{}: cannot be rendered: {error}", target.title)).help(
        "a placeholder is `config.sops.placeholder.\"NAME\"` of a secret in the same manifest (one with `neededForUsers` is in another)",
    )
}

fn render<'d>(
    markers: &Markers,
    template: &Template,
    text: &[u8],
    secrets: &[File<'_>],
) -> Result<Plaintext<'d>, Failure> {
    let placeholders = markers.of(template);
    let unresolved = |error| Failure::Own(unresolved(&template.target, &error));
    let used = placeholders.used(text).map_err(unresolved)?;
    let failed: BTreeSet<usize> = used
        .into_iter()
        .map(|insertion| insertion.secret)
        .filter(|index| has_failed(secrets, *index))
        .collect();
    let title = |index: usize| Some(secrets.get(index)?.target.title.clone());
    if !failed.is_empty() {
        return Err(Failure::Secrets(failed.into_iter().filter_map(title).collect()));
    }
    let mut refused = None;
    let rendered = placeholders.render(text, |insertion, out| {
        let value = secrets.get(insertion.secret).and_then(|secret| secret.content.as_ref().ok());
        let bytes = value.map(Plaintext::expose).unwrap_or_default();
        let bytes = if template.trim { without_last_newline(bytes) } else { bytes };
        if let Err(error) = insertion.quoting.write(bytes, out) {
            refused.get_or_insert((insertion.secret, error));
        }
    });
    match refused {
        Some((index, error)) => {
            let secret = title(index).unwrap_or_default();
            Err(Failure::Own(cannot_quote(&template.target, &secret, error)))
        }
        None => rendered.map(Plaintext::Owned).map_err(unresolved),
    }
}

fn cannot_quote(target: &Target, secret: &str, error: QuoteError) -> Diagnostic {
    Diagnostic::new(format!("{}: cannot be rendered: {secret} cannot be quoted: {error}", target.title))
        .help("use its plain placeholder, or the file that it is installed as")
}

fn has_failed(secrets: &[File<'_>], index: usize) -> bool {
    secrets.get(index).is_none_or(|secret| secret.content.is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested() {
        let missing = |path: &str, siblings: &[&str]| {
            let siblings = siblings.iter().map(|&name| name.to_owned()).collect();
            explain_missing(
                Diagnostic::new("x"),
                "secrets.a.key",
                &FindError::Missing { path: path.to_owned(), siblings },
            )
        };
        assert_eq!(
            missing("db/pasword", &["user", "password"]).help.as_deref(),
            Some("did you mean 'db/password'? set secrets.a.key = \"db/password\"")
        );
        assert!(missing("db/host", &["user", "password"]).help.unwrap().starts_with("set secrets.a.key"));
        // Two letters in each other's place are one mistake.
        let help = missing("tow", &["one", "two"]).help.unwrap();
        assert!(help.starts_with("did you mean 'two'?"), "{help}");
        assert_eq!(missing("a/b", &[]).notes, ["there are no keys at this level"]);
    }
}
