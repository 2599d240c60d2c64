//! Reads and opens the sops files of a plan, each once, on all cores. [`crate::explain`] says why one does not open.
//!
//! They are text that others wrote: it is read, parsed and decrypted by threads that can open and run nothing. The files are
//! opened for them, and programs that hold keys are asked for them, by the thread that is outside.

use std::path::Path;
use std::thread;

use crate::diagnostic::Diagnostic;
use crate::explain::locked::{keys_here, locked};
use crate::explain::{Needed, Paths, damaged, empty, unreadable_sops_file, unreadable_template, unusable};
use crate::keys::Keyring;
use crate::plan::{Plan, SopsFile, TemplateSource};
use crate::secret::SecretBytes;
use crate::sops::data_key::{self, RecoverError, Refusal, Stanza, Unwrap};
use crate::sops::document::{Document, Opened, Sealed};
use crate::sops::format::Format;
use crate::system::confined::{self, Outside};
use crate::system::file::{FileError, Opened as OpenFile, read_regular};

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
    let opened =
        on_all_cores(&plan.files, |file, outside| open(&Needed::new(plan, file), file, keyring, outside));
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
    open(&Needed::default(), &file, keyring, &Outside::here()).map_err(|unopened| match unopened {
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
    on_all_cores(&plan.files, |file, outside| {
        let needed = Needed::new(plan, file);
        read(&needed, file, paths, outside).map_err(|diagnostic| diagnostic.note(needed.note()))
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

/// `work` on each item, in a sandbox; results in the items' order.
fn on_all_cores<'e, T: Sync, R: Send>(
    items: &'e [T],
    work: impl Fn(&'e T, &Outside<'e>) -> R + Sync,
) -> Vec<R> {
    let wanted = items.len() / FILES_PER_THREAD;
    // Asking costs reads of cgroup files, so only when the answer matters.
    let cores = if wanted > 1 { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    confined::map(items, cores.min(wanted), work)
}

fn read<'e>(
    needed: &Needed,
    file: &'e SopsFile,
    paths: Paths,
    outside: &Outside<'e>,
) -> Result<Document<Sealed>, Diagnostic> {
    let unreadable = |error: FileError| unreadable_sops_file(needed, error, paths);
    let open = outside.ask(|| OpenFile::at(&file.path)).map_err(unreadable)?;
    let source = open.read(SOPS_FILE_LIMIT).map_err(unreadable)?;
    if source.expose().trim_ascii().is_empty() {
        return Err(empty(&file.path, paths));
    }
    Document::parse(file.format, source).map_err(|error| {
        // It is not clear yet what the file is, so it is looked at again.
        let source = open.read_again(GUESS_LIMIT).ok();
        let text = source.as_ref().map(SecretBytes::expose).unwrap_or_default();
        unusable(needed, file, &error, text, paths)
    })
}

fn open<'e>(
    needed: &Needed,
    file: &'e SopsFile,
    keyring: &'e Keyring,
    outside: &Outside<'e>,
) -> Result<Document<Opened>, Unopened> {
    let document = read(needed, file, Paths::Absolute, outside).map_err(Unopened::Unusable)?;
    let metadata = document.metadata();
    let keys = Keys { keyring, outside };
    let key = data_key::recover(&metadata.groups, metadata.threshold, &keys).map_err(|error| {
        let diagnostic = locked(&file.path, &error, keyring);
        match error {
            RecoverError::TooFewGroups { .. } => Unopened::Locked(diagnostic),
            _ => Unopened::Unusable(diagnostic),
        }
    })?;
    document.open(key).map_err(|error| Unopened::Unusable(damaged(&file.path, &error)))
}

/// The keyring, whose programs are run outside of the sandbox.
struct Keys<'o, 'e> {
    keyring: &'e Keyring,
    outside: &'o Outside<'e>,
}

impl Unwrap for Keys<'_, '_> {
    fn names(&self, stanza: &Stanza) -> bool {
        self.keyring.names(stanza)
    }

    fn unwrap(&self, stanza: &Stanza) -> Result<SecretBytes, Refusal> {
        self.keyring.unwrap(stanza)
    }

    fn unwrap_with_programs(&self, stanza: &Stanza, refusal: Refusal) -> Result<SecretBytes, Refusal> {
        let keyring = self.keyring;
        if !keyring.asks_programs(stanza.kind) {
            return keyring.unwrap_with_programs(stanza, refusal);
        }
        let stanza = stanza.clone();
        self.outside.ask_for_long(move || keyring.unwrap_with_programs(&stanza, refusal))
    }
}
