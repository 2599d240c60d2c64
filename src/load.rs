//! Reads and opens the sops files of a plan, each once, on all cores, and says why one does not open.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use memchr::memmem;

use crate::diagnostic::{Diagnostic, Location, enumerate};
use crate::keys::{Keyring, Skipped, Unusable};
use crate::plan::{Plan, SopsFile, TemplateSource};
use crate::recipient::shortened;
use crate::secret::SecretBytes;
use crate::sops::cipher::ValueError;
use crate::sops::data_key::{self, GroupOutcome, RecoverError, Refusal, StanzaKind};
use crate::sops::document::{Document, OpenError, Opened, ParseError, Sealed};
use crate::sops::format::Format;
use crate::sops::metadata::MetadataError;
use crate::system::file::{Cause, FileError, read_regular};

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
    let opened = on_all_cores(&plan.files, |file| open(file, keyring));
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
            diagnostic.notes.push(needed_by(plan, file));
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
    open(&file, keyring).map_err(|unopened| match unopened {
        Unopened::Unusable(diagnostic) => diagnostic,
        Unopened::Locked(mut diagnostic) => {
            diagnostic.notes.extend(keys_here(keyring));
            diagnostic
        }
    })
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
            TemplateSource::File(path) => Some(read_regular(path, TEMPLATE_LIMIT).map_err(|error| {
                unreadable(&format!("{}: ", template.target.title), &error, "the template's `file`")
            })),
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
    let source = read_regular(&file.path, SOPS_FILE_LIMIT)
        .map_err(|error| unreadable("", &error, "the secrets' `sopsFile`"))?;
    if source.expose().trim_ascii().is_empty() {
        return Err(Diagnostic::new(format!("cannot use '{}': it is empty", file.path.display()))
            .help("restore it from version control, or write it anew with `sops edit`"));
    }
    Document::parse(file.format, source).map_err(|error| unusable(file, &error))
}

fn open(file: &SopsFile, keyring: &Keyring) -> Result<Document<Opened>, Unopened> {
    let document = read(file).map_err(Unopened::Unusable)?;
    let metadata = document.metadata();
    let key = data_key::recover(&metadata.groups, metadata.threshold, keyring)
        .map_err(|error| locked(&file.path, &error, keyring))?;
    document.open(key).map_err(|error| Unopened::Unusable(damaged(&file.path, &error)))
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

/// `option` is what names the file in the configuration.
fn unreadable(who: &str, error: &FileError, option: &str) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("{who}{error}"));
    if error.is_not_found() {
        diagnostic.help(format!("correct {option}; if it is in a flake, `git add` it first"))
    } else if matches!(error.cause, Cause::WrongKind(..)) {
        diagnostic.help(format!("correct {option}: it has to name a file"))
    } else {
        diagnostic
    }
}

fn unusable(file: &SopsFile, error: &ParseError) -> Diagnostic {
    let path = file.path.display();
    let mut diagnostic = Diagnostic::new(match error {
        ParseError::Syntax(error) => format!("cannot read '{path}' as {}: {error}", file.format.name()),
        _ => format!("cannot use '{path}': {error}"),
    });
    if let ParseError::Syntax(error) = error {
        // Nothing of the line: what does not parse may be a secret.
        diagnostic = diagnostic.at(location(&file.path, error.place.line, error.place.column));
    }
    // It is not clear yet what the file is, so it is looked at again.
    let source = read_regular(&file.path, GUESS_LIMIT).ok();
    let text = source.as_ref().map(SecretBytes::expose).unwrap_or_default();
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

/// A place in a file, as the path is known in the repository.
#[must_use]
pub fn location(path: &Path, line: u32, column: u32) -> Location {
    Location { path: in_repository(path), line, column, key: None }
}

/// The path as a person would type it in the repository: the Nix store's part of it means nothing there.
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

/// The message that people meet most: nothing here opens the file.
fn locked(path: &Path, error: &RecoverError, keyring: &Keyring) -> Unopened {
    let file = path.display();
    let RecoverError::TooFewGroups { needed, opened, groups } = error else {
        let diagnostic = Diagnostic::new(format!("cannot open '{file}': {error}"));
        let help = "the file's key entries do not belong together: restore it from version control";
        return Unopened::Unusable(diagnostic.help(help));
    };
    let single = groups.len() == 1;
    let mut diagnostic = Diagnostic::new(if single {
        format!("cannot open '{file}': no key on this machine opens it")
    } else {
        let groups = groups.len();
        format!(
            "cannot open '{file}': keys of {needed} of its {groups} key groups are needed, and only {opened} opened"
        )
    });
    for (index, group) in groups.iter().enumerate() {
        let label = if single { String::new() } else { format!("group {}: ", index + 1) };
        if group.opened {
            diagnostic = diagnostic.note(format!("{label}opened"));
            continue;
        }
        if group.refusals.is_empty() {
            diagnostic = diagnostic.note(format!("{label}it has no recipients"));
        }
        for line in refusals(group) {
            diagnostic = diagnostic.note(format!("{label}{line}"));
        }
    }
    Unopened::Locked(diagnostic.help(locked_help(path, groups, keyring)))
}

/// Every key that was tried, and every source that gave none.
fn keys_here(keyring: &Keyring) -> impl Iterator<Item = String> {
    let keys = keyring.keys().map(|key| {
        let recipients: Vec<String> = key.recipients.iter().map(|recipient| shortened(recipient)).collect();
        format!("key here: {} (from {})", recipients.join(" and "), key.source)
    });
    keys.chain(keyring.skipped().into_iter().map(|skipped| format!("skipped: {skipped}")))
}

/// The recipients of a group, those first about which there is more to say than that they are not ours.
fn refusals(group: &GroupOutcome) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut refusals: Vec<_> = group.refusals.iter().collect();
    refusals.sort_by_key(|(_, _, refusal)| *refusal == Refusal::NotOurs);
    let line = |(kind, recipient, refusal): &&(StanzaKind, String, Refusal)| {
        let label = match kind {
            StanzaKind::Age => "recipient",
            StanzaKind::Pgp => "pgp recipient",
            StanzaKind::Kms => "kms recipient",
            StanzaKind::GcpKms => "gcp_kms recipient",
            StanzaKind::Hckms => "hckms recipient",
            StanzaKind::AzureKv => "azure_kv recipient",
            StanzaKind::HcVault => "hc_vault recipient",
        };
        let recipient = if recipient.is_empty() { "without a name".to_owned() } else { shortened(recipient) };
        format!("{label} {recipient}: {refusal}")
    };
    let mut lines: Vec<String> = refusals.iter().take(SHOWN).map(line).collect();
    match refusals.len().saturating_sub(SHOWN) {
        0 => {}
        more => lines.push(format!("and {more} more recipients that do not open it")),
    }
    lines
}

fn locked_help(path: &Path, groups: &[GroupOutcome], keyring: &Keyring) -> String {
    let path = for_shell(path);
    let Some(key) = keyring.keys().find_map(|key| key.recipients.first()) else {
        let of_program =
            groups.iter().flat_map(|group| &group.refusals).find_map(|(_, _, refusal)| match refusal {
                Refusal::Program { help, .. } => Some(help.clone()),
                _ => None,
            });
        if let (Some(help), []) = (of_program, keyring.skipped().as_slice()) {
            return help;
        }
        let is_broken = |(_, _, refusal): &(_, _, Refusal)| matches!(refusal, Refusal::Broken(_));
        if keyring.has_programs() && groups.iter().flat_map(|group| &group.refusals).any(is_broken) {
            return damaged_help(&path);
        }
        return match keyring.skipped().as_slice() {
            [] if keyring.has_programs() => format!(
                "encrypt the file to a key that the program above has: in .sops.yaml, name it; run `sops updatekeys {path}` where the file can be opened, and deploy again"
            ),
            [] => "no key is configured: set `sops.age.sshKeyPaths` or `sops.age.keyFile`".to_owned(),
            [skipped] => unusable_key_help(skipped),
            _ => "make one of the skipped keys usable, or name another in `sops.age.sshKeyPaths` or `sops.age.keyFile`"
                .to_owned(),
        };
    };
    let ours = |recipient: &str| keyring.keys().any(|key| key.recipients.iter().any(|own| own == recipient));
    let damaged = groups
        .iter()
        .flat_map(|group| &group.refusals)
        .any(|(_, recipient, refusal)| matches!(refusal, Refusal::Broken(_)) && ours(recipient));
    if damaged {
        return damaged_help(&path);
    }
    let add = if groups.len() > 1 {
        format!("add {key} to a key group that did not open")
    } else {
        format!("add {key} to the keys of this file")
    };
    let or_mend = if keyring.skipped().is_empty() {
        ""
    } else {
        "see to what was skipped if that should open it; or, "
    };
    format!(
        "{or_mend}in .sops.yaml, {add}; run `sops updatekeys {path}` where the file can be opened, and deploy again"
    )
}

fn damaged_help(path: &str) -> String {
    format!(
        "its entry for a key of this machine is damaged: restore the file from version control, or run `sops updatekeys {path}` where it still opens"
    )
}

/// What to do about the only key that is configured.
pub fn unusable_key_help(Skipped { source, reason }: &Skipped) -> String {
    match reason {
        Unusable::NotFound => format!(
            "put the key at {source}, or, if it is on a file system that is mounted later, mark that `neededForBoot`"
        ),
        Unusable::PermissionDenied => format!("let the user that runs this read {source}"),
        Unusable::PublicKey => format!("name the private key, not {source}, in `sops.age.sshKeyPaths`"),
        Unusable::EncryptedKey => format!(
            "take the passphrase off {source} with `ssh-keygen -p`: there is nobody to type it at boot"
        ),
        Unusable::WrongAlgorithm(_) => {
            "name an Ed25519 key in `sops.age.sshKeyPaths`; `ssh-keygen -t ed25519` makes one".to_owned()
        }
        Unusable::AgeIdentityFile => {
            format!("name {source} in `sops.age.keyFile`, not in `sops.age.sshKeyPaths`")
        }
        Unusable::SshKey => format!("name {source} in `sops.age.sshKeyPaths`, not in `sops.age.keyFile`"),
        Unusable::Command(_) => {
            format!(
                "mend the command in {source}, or put the key into a file and name that in `sops.age.keyFile`"
            )
        }
        _ => format!(
            "put a usable key into {source}, or name another in `sops.age.sshKeyPaths` or `sops.age.keyFile`"
        ),
    }
}

fn damaged(path: &Path, error: &OpenError) -> Diagnostic {
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
