//! Why no key on a machine opens a sops file: what was tried, and what to do. It is the message that people meet most.

use std::path::Path;

use super::updatekeys;
use crate::diagnostic::Diagnostic;
use crate::keys::{Keyring, Skipped, Source, Unusable};
use crate::recipient::shortened;
use crate::sops::data_key::{GroupOutcome, RecoverError, Refusal, StanzaKind};
use crate::system::service::CREDENTIALS;

/// Key groups of which it is told what became of them. People have three.
const GROUPS_TOLD: usize = 16;

/// Nothing here opens the file, or its key entries do not belong together.
#[must_use]
pub fn locked(path: &Path, error: &RecoverError, keyring: &Keyring) -> Diagnostic {
    let file = path.display();
    let RecoverError::TooFewGroups { needed, opened, groups } = error else {
        let diagnostic = Diagnostic::new(format!("cannot open '{file}': {error}"));
        let help = "the file's key entries do not belong together: restore it from version control";
        return diagnostic.help(help);
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
    for (index, group) in groups.iter().take(GROUPS_TOLD).enumerate() {
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
    match groups.len().saturating_sub(GROUPS_TOLD) {
        0 => {}
        more => diagnostic = diagnostic.note(format!("and {more} more groups")),
    }
    diagnostic.help(locked_help(path, groups, keyring))
}

/// Every key that was tried, and every source that gave none.
pub fn keys_here(keyring: &Keyring) -> impl Iterator<Item = String> {
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
        let label = label(*kind);
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

/// What a recipient is called in the lines of a message.
pub(super) fn label(kind: StanzaKind) -> &'static str {
    match kind {
        StanzaKind::Age => "recipient",
        StanzaKind::Pgp => "pgp recipient",
        StanzaKind::Kms => "kms recipient",
        StanzaKind::GcpKms => "gcp_kms recipient",
        StanzaKind::Hckms => "hckms recipient",
        StanzaKind::AzureKv => "azure_kv recipient",
        StanzaKind::HcVault => "hc_vault recipient",
    }
}

fn locked_help(path: &Path, groups: &[GroupOutcome], keyring: &Keyring) -> String {
    let run = updatekeys(path, "where the file can be opened");
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
            return damaged_help(path);
        }
        return match keyring.skipped().as_slice() {
            [] if keyring.has_programs() => format!(
                "encrypt the file to a key that the program above has: in .sops.yaml, name it; run {run}, and deploy again"
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
        return damaged_help(path);
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
    format!("{or_mend}in .sops.yaml, {add}; run {run}, and deploy again")
}

fn damaged_help(path: &Path) -> String {
    format!(
        "its entry for a key of this machine is damaged: restore the file from version control, or run {}",
        updatekeys(path, "where it still opens")
    )
}

/// What to do about the only key that is configured.
#[must_use]
pub fn unusable_key_help(Skipped { source, reason }: &Skipped) -> String {
    match reason {
        Unusable::NotFound => match credential(source) {
            Some(id) => format!(
                "put the key at /etc/credstore/{id}, or seal it with `systemd-creds encrypt --name={id} KEY /etc/credstore.encrypted/{id}`"
            ),
            None => format!(
                "put the key at {source}, or, if it is on a file system that is mounted later, mark that `neededForBoot`"
            ),
        },
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

/// The name of the credential, if the source is one that systemd has for a unit.
fn credential(source: &Source) -> Option<String> {
    let path = source.path().filter(|path| path.starts_with(CREDENTIALS))?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}
