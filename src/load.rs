//! Reads and opens the sops files of a plan, each once, on all cores. [`crate::explain`] says why one does not open.

use std::path::Path;
use std::thread;

use crate::diagnostic::Diagnostic;
use crate::explain::locked::{keys_here, locked};
use crate::explain::{Needed, Paths, damaged, empty, unreadable_sops_file, unreadable_template, unusable};
use crate::keys::Keyring;
use crate::plan::{Plan, SopsFile, TemplateSource};
use crate::secret::SecretBytes;
use crate::sops::data_key::{self, RecoverError};
use crate::sops::document::{Document, Opened, Sealed};
use crate::sops::format::Format;
use crate::system::file::read_regular;
use crate::system::workers;

/// Bytes of a sops file at most. The largest file in use is far smaller; the limit is where 32-bit tools end, and
/// refuses a disk image that was named by mistake. (A file of many tiny entries takes many times its size in memory.)
const SOPS_FILE_LIMIT: u64 = 2 << 30;

/// Bytes of a file whose real format is guessed at: it is read again for each.
const GUESS_LIMIT: u64 = 16 << 20;

/// Bytes of a template's file at most: text that people write.
const TEMPLATE_LIMIT: u64 = 64 << 20;

/// Fewer files than this for each thread are opened sooner than a thread starts.
const FILES_PER_THREAD: usize = 8;

/// Opens every sops file of the plan: the document, or why there is none, in the plan's order.
#[must_use]
pub fn open_all(plan: &Plan, keyring: &Keyring) -> Vec<Result<Document<Opened>, Diagnostic>> {
    let mut keys_told = false;
    let opened = on_all_cores(&plan.files, |file| open(&Needed::new(plan, file), file, keyring));
    let explain = |(opened, file): (Result<_, Unopened>, &SopsFile)| {
        opened.map_err(|unopened| {
            let mut diagnostic = match unopened {
                Unopened::Unusable(diagnostic) => diagnostic,
                // Once is enough, however many files it is that do not open.
                Unopened::Locked(diagnostic) if keys_told => diagnostic.note("keys here: as told above"),
                Unopened::Locked(mut diagnostic) => {
                    keys_told = true;
                    diagnostic.notes.extend(keys_here(keyring));
                    diagnostic
                }
            };
            diagnostic.notes.push(Needed::new(plan, file).note());
            diagnostic
        })
    };
    opened.into_iter().zip(&plan.files).map(explain).collect()
}

/// Why there is no document.
enum Unopened {
    /// Nothing on this machine opens it. What is on this machine is still to be told.
    Locked(Diagnostic),
    Unusable(Diagnostic),
}

/// Opens one sops file that is in no plan.
///
/// # Errors
/// Why it does not open, and what there is on this machine that could open it.
pub fn open_file(path: &Path, format: Format, keyring: &Keyring) -> Result<Document<Opened>, Diagnostic> {
    let file = SopsFile { path: path.to_owned(), format, secrets: Vec::new() };
    open(&Needed::default(), &file, keyring).map_err(|unopened| match unopened {
        Unopened::Unusable(diagnostic) => diagnostic,
        Unopened::Locked(mut diagnostic) => {
            diagnostic.notes.extend(keys_here(keyring));
            diagnostic
        }
    })
}

/// Reads every sops file of the plan without opening it.
#[must_use]
pub fn read_all(plan: &Plan, paths: Paths) -> Vec<Result<Document<Sealed>, Diagnostic>> {
    on_all_cores(&plan.files, |file| {
        let needed = Needed::new(plan, file);
        read(&needed, file, paths).map_err(|diagnostic| diagnostic.note(needed.note()))
    })
}

/// Reads the files that templates are made from; `None` for a template without one.
#[must_use]
pub fn template_files(plan: &Plan, paths: Paths) -> Vec<Option<Result<SecretBytes, Diagnostic>>> {
    let templates = plan.templates.iter();
    templates
        .map(|template| match &template.source {
            TemplateSource::Content(_) => None,
            TemplateSource::File(path) => Some(
                read_regular(path, TEMPLATE_LIMIT)
                    .map_err(|error| unreadable_template(&template.target, error, paths)),
            ),
        })
        .collect()
}

/// `work` on each item, results in the items' order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let wanted = items.len() / FILES_PER_THREAD;
    // Asking costs reads of cgroup files, so only when the answer matters.
    let cores = if wanted > 1 { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    workers::map(items, cores.min(wanted), work)
}

fn read(needed: &Needed, file: &SopsFile, paths: Paths) -> Result<Document<Sealed>, Diagnostic> {
    let source = read_regular(&file.path, SOPS_FILE_LIMIT)
        .map_err(|error| unreadable_sops_file(needed, error, paths))?;
    if source.expose().trim_ascii().is_empty() {
        return Err(empty(&file.path, paths));
    }
    Document::parse(file.format, source).map_err(|error| {
        // It is not clear yet what the file is, so it is looked at again.
        let source = read_regular(&file.path, GUESS_LIMIT).ok();
        let text = source.as_ref().map(SecretBytes::expose).unwrap_or_default();
        unusable(needed, file, &error, text, paths)
    })
}

fn open(needed: &Needed, file: &SopsFile, keyring: &Keyring) -> Result<Document<Opened>, Unopened> {
    let document = read(needed, file, Paths::Absolute).map_err(Unopened::Unusable)?;
    let metadata = document.metadata();
    let key = data_key::recover(&metadata.groups, metadata.threshold, keyring).map_err(|error| {
        let diagnostic = locked(&file.path, &error, keyring);
        match error {
            RecoverError::TooFewGroups { .. } => Unopened::Locked(diagnostic),
            _ => Unopened::Unusable(diagnostic),
        }
    })?;
    document.open(key).map_err(|error| Unopened::Unusable(damaged(&file.path, &error)))
}
