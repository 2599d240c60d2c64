//! The check modes: every problem of a plan and its files in one report, without keys, users or a place for secrets.
//!
//! They run where the system is built. A problem at a place in a file is shown with its line and column; of the file's
//! text only names of keys are shown, never a line as it stands there, which may hold a value.

use std::path::Path;

use crate::cli::Check;
use crate::decrypted::{self, Markers};
use crate::diagnostic::{self, Diagnostic, KeyLine, Location, Printable, Report, in_repository};
use crate::explain::host::{self, Host};
use crate::explain::{self, Needed, Paths};
use crate::load;
use crate::plan::{Plan, Secret, Selection, SopsFile, Template, TemplateSource};
use crate::secret::SecretBytes;
use crate::sops::document::{Document, PickError, Sealed};
use crate::sops::format::{EmitError, Format};
use crate::sops::key_path::{FindError, KeyPath};
use crate::system::accounts::DeclaredAccounts;
use crate::template::TemplateError;

/// Checks what can be checked while everything is still encrypted.
///
/// # Errors
/// With every problem.
pub fn check(plan: &Plan, extent: Check, ignore_passwd: bool) -> Result<(), Report> {
    let mut report = Report::default();
    // The activation would not look them up either.
    if !(ignore_passwd || plan.user_mode) {
        check_accounts(plan, &mut report);
    }
    let markers = Markers::new(plan);
    for (template, file) in plan.templates.iter().zip(load::template_files(plan, Paths::InRepository)) {
        let file = match file.transpose() {
            Ok(file) => file,
            Err(diagnostic) => {
                report.push(diagnostic);
                continue;
            }
        };
        check_template(plan, &markers, template, file.as_ref(), &mut report);
    }
    if extent == Check::SopsFile {
        for passed_over in &plan.host.passed_over {
            tracing::warn!("{}", Printable(passed_over));
        }
        for (file, document) in plan.files.iter().zip(load::read_all(plan, Paths::InRepository)) {
            match document {
                Ok(document) => check_file(plan, file, &document, &mut report),
                Err(diagnostic) => report.push(diagnostic),
            }
        }
    }
    report.or(())
}

/// Checks that every owner and group is declared, if the manifest lists all accounts.
fn check_accounts(plan: &Plan, report: &mut Report) {
    let accounts = DeclaredAccounts::new(&plan.accounts);
    for target in plan.targets() {
        for error in accounts.undeclared(&target.access) {
            report.push(
                Diagnostic::new(format!("{}: {error}", target.title)).help(error.help(Some(&target.option))),
            );
        }
    }
}

/// Checks that every placeholder of a template stands for a secret of the plan.
fn check_template(
    plan: &Plan,
    markers: &Markers,
    template: &Template,
    file: Option<&SecretBytes>,
    report: &mut Report,
) {
    let (text, path) = match &template.source {
        TemplateSource::Content(text) => (text.as_bytes(), None),
        TemplateSource::File(path) => (file.map(SecretBytes::expose).unwrap_or_default(), Some(path)),
    };
    let Err(error) = markers.check(template, text) else { return };
    let TemplateError::Unresolved { line, column, offset } = error;
    let mut diagnostic = decrypted::unresolved(&template.target, &error);
    diagnostic = diagnostic.at(match path {
        Some(path) => explain::location(path, line, column),
        None => Location { path: format!("{}.content", template.target.option), line, column, key: None },
    });
    let rest = text.get(offset..).unwrap_or_default();
    let elsewhere = plan.placeholders_elsewhere.iter().find(|(_, text)| rest.starts_with(text.as_bytes()));
    if let Some((name, _)) = elsewhere {
        diagnostic = diagnostic
            .note(format!("it is the placeholder of secret '{name}', which is not in this manifest"))
            .help(format!(
                "secrets with `neededForUsers` are for templates with it: declare another secret with the same `sopsFile` and `key` and without it, and use its placeholder instead of that of '{name}', or set `neededForUsers = true` on the template as well"
            ));
    }
    report.push(diagnostic);
}

fn check_file(plan: &Plan, file: &SopsFile, document: &Document<Sealed>, report: &mut Report) {
    if document.metadata().mac.is_empty() {
        let path = in_repository(&file.path);
        report.push(
            Diagnostic::new(format!("cannot use '{path}': it has no MAC"))
                .note(Needed::new(plan, file).note())
                .help("the file was not left so by sops: restore it from version control"),
        );
    }
    if !plan.host.recipients.is_empty() {
        let needed = Needed::new(plan, file);
        let title = plan.host.title();
        let host = Host {
            name: &title,
            keys_in: "sops.hostRecipients",
            recipients: &plan.host.recipients,
            paths: Paths::InRepository,
        };
        report.0.extend(host::missing(&needed, file, document.metadata(), &host));
    }
    let index = document.index();
    let mut missing = 0;
    for secret in file.secrets.iter().filter_map(|index| plan.secrets.get(*index)) {
        let checked = match &secret.selection {
            Selection::Value(key) => document.locate_in(&index, key).map_err(|error| (error, key.clone())),
            Selection::Whole if file.format == Format::Binary => {
                let key = KeyPath::new("data");
                match document.locate_in(&index, &key) {
                    Ok(()) => Ok(()),
                    Err(PickError::Find(_)) => Err((EmitError::NoBinaryData.into(), key)),
                    Err(_) => Err((EmitError::BinaryDataNotString.into(), key)),
                }
            }
            Selection::Whole => Ok(()),
        };
        let Err((error, key)) = checked else { continue };
        missing += usize::from(matches!(error, PickError::Find(_)));
        if missing > decrypted::EXPLAINED {
            let path = in_repository(&file.path);
            report.push(decrypted::cannot_pick_either(secret, file.format, Path::new(&path), &error));
        } else {
            report.push(cannot_pick(secret, &file.path, document, &error, &key));
        }
    }
}

fn cannot_pick(
    secret: &Secret,
    path: &Path,
    document: &Document<Sealed>,
    error: &PickError,
    key: &KeyPath,
) -> Diagnostic {
    let shown = in_repository(path);
    let diagnostic = decrypted::cannot_pick(secret, document.format(), Path::new(&shown), error);
    let (key, remark) = match error {
        PickError::Find(FindError::Missing { path, siblings }) => {
            let (parent, wanted) = path.rsplit_once('/').unwrap_or(("", path));
            match diagnostic::nearest(wanted, siblings.iter().map(String::as_str)) {
                Some(near) if parent.is_empty() => {
                    (KeyPath::new(near), "a key with nearly this name".to_owned())
                }
                Some(near) => {
                    (KeyPath::new(&format!("{parent}/{near}")), "a key with nearly this name".to_owned())
                }
                None => (KeyPath::new(parent), format!("'{wanted}' is not below this key")),
            }
        }
        PickError::Find(FindError::NotAContainer { path, kind }) => {
            (KeyPath::new(path), format!("this is {kind}"))
        }
        // Of the whole file.
        PickError::Emit(EmitError::NoBinaryData) => return diagnostic.at(explain::location(path, 1, 1)),
        PickError::Null(_) => (key.clone(), "this is null".to_owned()),
        PickError::Emit(_) => (key.clone(), "this is not a string".to_owned()),
    };
    let Some(place) = document.place_of(&key) else { return diagnostic };
    let mut location = explain::location(path, place.place.line, place.place.column);
    location.key = Some(KeyLine { name: place.name, around: place.around, remark });
    diagnostic.at(location)
}
