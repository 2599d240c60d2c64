//! Reads and opens the sops files of a plan, each once, on all cores, and says why one does not open.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::diagnostic::{Diagnostic, enumerate};
use crate::keys::Keyring;
use crate::plan::{Plan, SopsFile, TemplateSource};
use crate::secret::SecretBytes;
use crate::sops::data_key::{self, GroupOutcome, RecoverError, Refusal, StanzaKind};
use crate::sops::document::{Document, OpenError, Opened, ParseError, Sealed};
use crate::sops::format::Format;
use crate::sops::metadata::MetadataError;
use crate::system::file::{FileError, read_regular};

/// Bytes of a sops file at most. The largest file in use is far smaller; the limit is where 32-bit tools end, and
/// keeps a mistake (a disk image, say) from taking the machine's memory at boot.
const SOPS_FILE_LIMIT: u64 = 2 << 30;

/// Bytes of a template's file at most: text that people write.
const TEMPLATE_LIMIT: u64 = 64 << 20;

/// Fewer files than this for each thread are opened sooner than a thread starts.
const FILES_PER_THREAD: usize = 8;

/// Opens every sops file of the plan: the document, or why there is none, in the plan's order.
#[must_use]
pub fn open_all(plan: &Plan, keyring: &Keyring) -> Vec<Result<Document<Opened>, Diagnostic>> {
    let open =
        |file: &SopsFile| open(file, keyring).map_err(|diagnostic| diagnostic.note(needed_by(plan, file)));
    on_all_cores(&plan.files, open)
}

/// Reads every sops file of the plan without opening it.
#[must_use]
pub fn read_all(plan: &Plan) -> Vec<Result<Document<Sealed>, Diagnostic>> {
    on_all_cores(&plan.files, |file| read(file).map_err(|diagnostic| diagnostic.note(needed_by(plan, file))))
}

/// Reads the files that templates are made from; `None` for a template without one.
#[must_use]
pub fn template_files(plan: &Plan) -> Vec<Option<Result<SecretBytes, Diagnostic>>> {
    let templates = plan.templates.iter();
    templates
        .map(|template| match &template.source {
            TemplateSource::Content(_) => None,
            TemplateSource::File(path) => Some(
                read_regular(path, TEMPLATE_LIMIT)
                    .map_err(|error| Diagnostic::new(format!("{}: {error}", template.target.title))),
            ),
        })
        .collect()
}

/// `work` on each item, results in the items' order. The calling thread works, too.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let wanted = items.len() / FILES_PER_THREAD;
    // Asking costs reads of cgroup files, so only when the answer matters.
    let cores = if wanted > 1 { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    if cores.min(wanted) <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        // A thread that cannot be started is no reason to fail: the others do its part.
        let start = |_| thread::Builder::new().spawn_scoped(scope, worker).ok();
        let threads: Vec<_> = (1..cores.min(wanted)).filter_map(start).collect();
        let mut results = worker();
        for thread in threads {
            match thread.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn read(file: &SopsFile) -> Result<Document<Sealed>, Diagnostic> {
    let source = read_regular(&file.path, SOPS_FILE_LIMIT).map_err(|error| unreadable(&error))?;
    Document::parse(file.format, source).map_err(|error| unusable(file, &error))
}

fn open(file: &SopsFile, keyring: &Keyring) -> Result<Document<Opened>, Diagnostic> {
    let document = read(file)?;
    let metadata = document.metadata();
    let key = data_key::recover(&metadata.groups, metadata.threshold, keyring)
        .map_err(|error| locked(&file.path, &error, keyring))?;
    document.open(key).map_err(|error| damaged(&file.path, &error))
}

fn needed_by(plan: &Plan, file: &SopsFile) -> String {
    let names: Vec<&str> = file
        .secrets
        .iter()
        .filter_map(|index| plan.secrets.get(*index))
        .map(|secret| secret.target.name.as_str())
        .collect();
    let label = if names.len() == 1 { "secret" } else { "secrets" };
    format!("needed by {label} {}", enumerate(&names))
}

fn unreadable(error: &FileError) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.to_string());
    if error.is_not_found() {
        diagnostic.help("check the `sopsFile` of these secrets; a file in a flake must be known to git")
    } else {
        diagnostic
    }
}

fn unusable(file: &SopsFile, error: &ParseError) -> Diagnostic {
    let path = file.path.display();
    let diagnostic = Diagnostic::new(match error {
        ParseError::Syntax(error) => format!("cannot read '{path}' as {}: {error}", file.format.name()),
        _ => format!("cannot use '{path}': {error}"),
    });
    if let Some(other) = looks_like(file) {
        return diagnostic.help(format!(
            "the file looks like {0}: set the secrets' `format = \"{0}\"` (it is \"{1}\")",
            other.name(),
            file.format.name()
        ));
    }
    match error {
        ParseError::Metadata(MetadataError::NotFound) => {
            diagnostic.help(format!("encrypt it with `sops encrypt --in-place {path}`"))
        }
        ParseError::Metadata(MetadataError::NoKeys) => {
            diagnostic.help(format!("name this host's key in .sops.yaml and run `sops updatekeys {path}`"))
        }
        ParseError::Syntax(_) => {
            diagnostic.help("restore the file from version control, or mend the line by hand")
        }
        _ => diagnostic,
    }
}

/// The format in which the file is a sops file, if it is one in another than was said.
fn looks_like(file: &SopsFile) -> Option<Format> {
    let known = |format: &Format| {
        let source = read_regular(&file.path, SOPS_FILE_LIMIT).ok();
        // JSON that reads as YAML is told apart by coming first; binary files are JSON.
        *format != file.format && source.is_some_and(|source| Document::parse(*format, source).is_ok())
    };
    let formats: &[Format] = match file.format {
        Format::Json | Format::Binary => &[Format::Dotenv, Format::Ini, Format::Yaml],
        _ => &[Format::Json, Format::Dotenv, Format::Ini, Format::Yaml],
    };
    formats.iter().copied().find(known)
}

/// The message that people meet most: nothing here opens the file.
fn locked(path: &Path, error: &RecoverError, keyring: &Keyring) -> Diagnostic {
    let path = path.display();
    let RecoverError::TooFewGroups { needed, opened, groups } = error else {
        return Diagnostic::new(format!("cannot open '{path}': {error}")).help(format!(
            "the keys in the file do not belong together: run `sops updatekeys {path}`, or encrypt it anew"
        ));
    };
    let problem = match groups.as_slice() {
        [_] => format!("cannot open '{path}': no key on this machine opens it"),
        _ => format!(
            "cannot open '{path}': {needed} of its {} key groups are needed, {opened} opened",
            groups.len()
        ),
    };
    let mut diagnostic = Diagnostic::new(problem);
    let single = groups.len() == 1;
    for (index, group) in groups.iter().enumerate() {
        for line in refusals(group) {
            diagnostic = diagnostic.note(if single { line } else { format!("group {}: {line}", index + 1) });
        }
        if !single && group.opened {
            diagnostic = diagnostic.note(format!("group {}: opened", index + 1));
        }
        if group.refusals.is_empty() && !group.opened {
            diagnostic = diagnostic.note(format!("group {}: it has no keys", index + 1));
        }
    }
    for key in keyring.keys() {
        diagnostic =
            diagnostic.note(format!("key here: {} (from {})", key.recipients.join(" and "), key.source));
    }
    for skipped in keyring.skipped() {
        diagnostic = diagnostic.note(format!("skipped: {}: {}", skipped.source, skipped.reason));
    }
    let help = locked_help(&path.to_string(), groups, keyring);
    diagnostic.help(help)
}

fn refusals(group: &GroupOutcome) -> impl Iterator<Item = String> {
    group.refusals.iter().map(|(kind, recipient, refusal)| {
        let label = match kind {
            StanzaKind::Age => "",
            StanzaKind::Pgp => "pgp ",
            StanzaKind::Kms => "kms ",
            StanzaKind::GcpKms => "gcp_kms ",
            StanzaKind::Hckms => "hckms ",
            StanzaKind::AzureKv => "azure_kv ",
            StanzaKind::HcVault => "hc_vault ",
        };
        let recipient = if recipient.is_empty() { "(no name)" } else { recipient };
        format!("{label}{recipient}: {refusal}")
    })
}

fn locked_help(path: &str, groups: &[GroupOutcome], keyring: &Keyring) -> String {
    let refusals = || groups.iter().flat_map(|group| &group.refusals);
    let Some(key) = keyring.keys().find_map(|key| key.recipients.first()) else {
        return match keyring.skipped().first() {
            Some(skipped) => format!(
                "there is no usable key on this machine: see to {}, and that its file system is mounted this early",
                skipped.source
            ),
            None => "no key is configured: set `sops.age.sshKeyPaths` or `sops.age.keyFile`".to_owned(),
        };
    };
    let broken = refusals().any(|(_, _, refusal)| matches!(refusal, Refusal::Broken(_)));
    let foreign = refusals().any(|(_, _, refusal)| *refusal == Refusal::NotOurs);
    if broken && !foreign {
        return format!(
            "the file's key entries are damaged: restore '{path}' from version control, or run `sops updatekeys {path}` where it still opens"
        );
    }
    format!(
        "add {key} to the keys of this file in .sops.yaml, then run `sops updatekeys {path}` where it opens"
    )
}

fn damaged(path: &Path, error: &OpenError) -> Diagnostic {
    let path = path.display();
    let diagnostic = Diagnostic::new(format!("cannot decrypt '{path}': {error}"));
    match error {
        OpenError::Value { .. } => diagnostic.help(format!(
            "the file was edited without sops, or merged: restore that value from version control, or set it anew with `sops edit {path}`"
        )),
        OpenError::MacMissing | OpenError::MacMismatch | OpenError::Mac(_) => diagnostic
            .note("every value opens, but the file as a whole is not as sops wrote it")
            .help(format!(
                "a value was added, removed, reordered or changed without sops, or git merged two versions: restore the file, or look through it with `sops edit --ignore-mac {path}` and save it"
            )),
    }
}
