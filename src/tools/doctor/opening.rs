//! Which key of this machine opens which file, or why none does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::findings::{Area, Findings};
use super::unit::{Unit, Withheld};
use crate::diagnostic::{Diagnostic, enumerate};
use crate::explain::{self, Paths};
use crate::keys::{Key, Keyring, Skipped, Unusable};
use crate::load;
use crate::plan::{Plan, SopsFile};
use crate::recipient::access::Access;
use crate::recipient::{Recipient, shortened};
use crate::sops::data_key::{self, Stanza, StanzaKind, Unwrap as _};
use crate::sops::document::{Document, Opened, Sealed};
use crate::system::mount_table::MountTable;

/// Recipients of one file that are told; JSON has all.
const TOLD: usize = 12;

#[derive(Serialize)]
pub struct KeyFacts {
    source: String,
    recipients: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFacts {
    pub path: PathBuf,
    pub format: &'static str,
    pub secrets: Vec<String>,
    /// Key groups that have to open; none when the file cannot be read.
    pub groups_needed: Option<usize>,
    pub groups: Vec<Vec<RecipientFacts>>,
    /// Whether this machine opens it, or every host could.
    pub opens: bool,
    /// One for each host that was asked about.
    pub hosts: Vec<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipientFacts {
    pub kind: &'static str,
    pub recipient: String,
    /// The key here that opens it, by its source; of hosts, the host.
    pub opened_by: Option<String>,
}

/// Every file of the plan, read and opened.
pub struct Opening<'k> {
    plan: &'k Plan,
    keyring: &'k Keyring,
    unit: Option<&'k Unit>,
    /// Keys that only the unit can use.
    withheld: &'k [Withheld],
    sealed: Vec<Read>,
    opened: Vec<Open>,
}

type Read = Result<Document<Sealed>, Diagnostic>;
pub type Open = Result<Document<Opened>, Diagnostic>;

impl<'k> Opening<'k> {
    pub fn new(
        plan: &'k Plan,
        keyring: &'k Keyring,
        unit: Option<&'k Unit>,
        withheld: &'k [Withheld],
    ) -> Self {
        Self {
            plan,
            keyring,
            unit,
            withheld,
            sealed: load::read_all(plan, Paths::Absolute),
            opened: load::open_all(plan, keyring),
        }
    }

    pub fn key_facts(&self) -> Vec<KeyFacts> {
        let facts =
            |key: &Key| KeyFacts { source: key.source.to_string(), recipients: key.recipients.clone() };
        self.keyring.keys().map(facts).collect()
    }

    /// A key that cannot be used is a problem when there is a file that no other opens.
    pub fn keys(&self, mounts: &MountTable, findings: &mut Findings) {
        let locked = self.is_any_locked();
        let has_keys = self.keyring.keys().next().is_some();
        for key in self.keyring.keys() {
            let recipients: Vec<String> = key.recipients.iter().map(|one| shortened(one)).collect();
            findings.ok(Area::Keys, format!("{}: {}", key.source, recipients.join(" and ")));
        }
        for skipped in self.keyring.skipped() {
            match unmounted(skipped, mounts) {
                _ if locked && !self.withheld.is_empty() => findings.note(Area::Keys, skipped.to_string()),
                Some(diagnostic) if locked => findings.problem(Area::Keys, diagnostic),
                None if locked && !(has_keys && skipped.reason == Unusable::NotFound) => {
                    let help = explain::locked::unusable_key_help(skipped);
                    findings.problem(Area::Keys, Diagnostic::new(skipped.to_string()).help(help));
                }
                _ => findings.note(Area::Keys, format!("{skipped}; no file needs it")),
            }
        }
        if !has_keys && self.keyring.has_programs() {
            findings.note(Area::Keys, "keys are held by programs, which were asked".to_owned());
        } else if !has_keys && self.keyring.skipped().is_empty() && self.withheld.is_empty() {
            findings.note(Area::Keys, "no key is configured".to_owned());
        }
        if let Some(unit) = self.unit {
            unit.tell_withheld(self.withheld, findings);
            if let Some(unknown) = unit.unknown().filter(|_| locked) {
                findings.note(Area::Keys, unknown);
            }
        }
        self.late(mounts, findings);
    }

    /// Keys that are there now, and may not be when the machine boots.
    fn late(&self, mounts: &MountTable, findings: &mut Findings) {
        let Some(unit) = self.unit else { return };
        let late_on = |key: &Key| {
            let mount = mounts.late(key.source.path()?)?;
            (!unit.waits_for(mount)).then(|| mount.to_owned())
        };
        let early: Vec<Recipient> =
            self.keyring.keys().filter(|key| late_on(key).is_none()).flat_map(recipients).collect();
        let late: BTreeSet<PathBuf> = self.keyring.keys().filter_map(late_on).collect();
        let Some(mount) = late.first() else { return };
        let needing = self.each().filter(|(_, sealed, opened)| {
            let metadata = sealed.as_ref().ok().map(Document::metadata);
            opened.is_ok()
                && metadata.is_some_and(|data| !Access::new(&data.groups, data.threshold, &early).opens())
        });
        let files: Vec<String> = needing.map(|(file, ..)| file.path.display().to_string()).collect();
        if files.is_empty() {
            return;
        }
        let keys: Vec<String> = self
            .keyring
            .keys()
            .filter(|key| late_on(key).is_some())
            .map(|key| key.source.to_string())
            .collect();
        let mount = mount.display();
        findings.problem(
            Area::Keys,
            Diagnostic::new(format!(
                "the key is there now, and may be missing at boot: '{mount}' is mounted late"
            ))
            .note(format!("on it: {}", enumerate(&keys)))
            .note(format!("opened by nothing else: {}", enumerate(&files)))
            .note(format!(
                "'{mount}' has no `x-initrd.mount` in /etc/fstab, and {} does not wait for it",
                unit.name
            ))
            .help(format!("set `fileSystems.\"{mount}\".neededForBoot = true` and deploy again")),
        );
    }

    /// Tells of every file.
    pub fn files(&self, findings: &mut Findings) -> Vec<FileFacts> {
        self.each()
            .map(|(file, sealed, opened)| {
                let facts = self.facts(file, sealed.as_ref().ok(), opened.is_ok());
                match opened {
                    Ok(_) => {
                        let text = format!("'{}' {}", file.path.display(), facts.opener());
                        findings.ok_with(Area::Files, text, facts.recipient_lines());
                    }
                    Err(_) if self.may_be_unsealed(sealed) => {
                        let text = format!(
                            "'{}' opens with no key that can be tried here, and may open with what is sealed for its unit",
                            file.path.display()
                        );
                        findings.note_with(Area::Files, text, facts.lines("not opened here"));
                    }
                    Err(diagnostic) => {
                        let path = explain::for_shell(&file.path);
                        findings.problem_of(Area::Files, &path, diagnostic.clone());
                    }
                }
                facts
            })
            .collect()
    }

    /// Each document that opened, or why it did not.
    pub fn documents(&self) -> &[Open] {
        &self.opened
    }

    fn facts(&self, file: &SopsFile, sealed: Option<&Document<Sealed>>, opens: bool) -> FileFacts {
        let mut facts = FileFacts::new(self.plan, file, sealed, |stanza| self.opens(stanza));
        facts.opens = opens;
        facts
    }

    /// The source of the key that opens the stanza. The name in a file is a hint: the key that it names may not be
    /// the one that opens it.
    fn opens(&self, stanza: &Stanza) -> Option<String> {
        self.keyring.unwrap(stanza).ok()?;
        let named = self.keyring.keys().find(|key| recipients(key).any(|one| one.is_named_by(stanza)));
        Some(named.map_or_else(|| "a key that it does not name".to_owned(), |key| key.source.to_string()))
    }

    /// Whether there is a file that no key here opens, and that is not merely damaged.
    fn is_any_locked(&self) -> bool {
        self.each().any(|(_, sealed, opened)| opened.is_err() && self.is_locked(sealed))
    }

    fn is_locked(&self, sealed: &Read) -> bool {
        let metadata = sealed.as_ref().ok().map(Document::metadata);
        metadata.is_some_and(|data| data_key::recover(&data.groups, data.threshold, self.keyring).is_err())
    }

    /// Whether a file that does not open here may do so for the unit.
    fn may_be_unsealed(&self, file: &Read) -> bool {
        !self.withheld.is_empty() && self.is_locked(file)
    }

    fn each(&self) -> impl Iterator<Item = (&SopsFile, &Read, &Open)> {
        let documents = self.sealed.iter().zip(&self.opened);
        self.plan.files.iter().zip(documents).map(|(file, (sealed, opened))| (file, sealed, opened))
    }
}

impl FileFacts {
    /// `opened_by` says what opens a stanza.
    pub fn new(
        plan: &Plan,
        file: &SopsFile,
        sealed: Option<&Document<Sealed>>,
        opened_by: impl Fn(&Stanza) -> Option<String>,
    ) -> Self {
        let metadata = sealed.map(Document::metadata);
        let groups = metadata.map(|metadata| metadata.groups.as_slice()).unwrap_or_default();
        let recipient = |stanza: &Stanza| RecipientFacts {
            kind: kind(stanza.kind),
            recipient: stanza.recipient.clone(),
            opened_by: opened_by(stanza),
        };
        let secrets = file.secrets.iter().filter_map(|index| plan.secrets.get(*index));
        Self {
            path: file.path.clone(),
            format: file.format.name(),
            secrets: secrets.map(|secret| secret.target.name.as_str().to_owned()).collect(),
            groups_needed: metadata.map(|data| Access::new(&data.groups, data.threshold, &[]).needed),
            groups: groups.iter().map(|stanzas| stanzas.iter().map(recipient).collect()).collect(),
            opens: false,
            hosts: Vec::new(),
        }
    }

    fn opener(&self) -> String {
        let all = self.groups.iter().flatten().filter_map(|recipient| recipient.opened_by.as_deref());
        let sources: BTreeSet<&str> = all.collect();
        if sources.is_empty() {
            return "opens with a program that holds a key (gpg, an age plugin or a key command)".to_owned();
        }
        format!("opens with {}", sources.into_iter().collect::<Vec<_>>().join(" and "))
    }

    /// A line for each recipient, as far as a reader goes.
    pub fn recipient_lines(&self) -> Vec<String> {
        self.lines("another's")
    }

    /// `unopened` says what a recipient is that nothing here opens.
    fn lines(&self, unopened: &str) -> Vec<String> {
        let single = self.groups.len() == 1;
        let mut lines = Vec::new();
        if !single && let Some(needed) = self.groups_needed {
            lines.push(format!("{needed} of its {} key groups are needed", self.groups.len()));
        }
        for (index, group) in self.groups.iter().enumerate() {
            let label = if single { String::new() } else { format!("group {}: ", index + 1) };
            for RecipientFacts { kind, recipient, opened_by } in group {
                let kind = if *kind == "age" { String::new() } else { format!("{kind} ") };
                let recipient =
                    if recipient.is_empty() { "without a name".to_owned() } else { shortened(recipient) };
                let by = opened_by.as_deref().unwrap_or(unopened);
                lines.push(format!("{label}{kind}recipient {recipient}: {by}"));
            }
        }
        let more = lines.len().saturating_sub(TOLD);
        lines.truncate(TOLD);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

fn recipients(key: &Key) -> impl Iterator<Item = Recipient> {
    key.recipients.iter().map(|recipient| Recipient::new(recipient))
}

/// As the lists of the metadata are called.
fn kind(kind: StanzaKind) -> &'static str {
    match kind {
        StanzaKind::Age => "age",
        StanzaKind::Pgp => "pgp",
        StanzaKind::Kms => "kms",
        StanzaKind::GcpKms => "gcp_kms",
        StanzaKind::Hckms => "hckms",
        StanzaKind::AzureKv => "azure_kv",
        StanzaKind::HcVault => "hc_vault",
    }
}

/// That a key is missing because its file system is.
fn unmounted(skipped: &Skipped, mounts: &MountTable) -> Option<Diagnostic> {
    let path = skipped.source.path().filter(|_| skipped.reason == Unusable::NotFound)?;
    let mount = mounts.unmounted(path)?.display();
    let problem = format!("{skipped}: '{mount}', which is in /etc/fstab, is not mounted");
    Some(Diagnostic::new(problem).help(format!(
        "mount it now with `mount {mount}`, and for the next boot set `fileSystems.\"{mount}\".neededForBoot = true`"
    )))
}
