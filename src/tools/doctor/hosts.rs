//! Which file a host could open, told from its public keys: for an admin's machine, which has no private ones.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::Serialize;

use super::findings::{Area, Findings};
use super::opening::FileFacts;
use crate::diagnostic::{Diagnostic, Report};
use crate::explain::{self, Needed, Paths};
use crate::keys::public::{self, Shown};
use crate::load;
use crate::plan::{Plan, SopsFile};
use crate::recipient::access::Access;
use crate::recipient::public_key::PublicKey;
use crate::recipient::{Recipient, shortened};
use crate::sops::data_key::Stanza;
use crate::sops::document::{Document, Sealed};
use crate::system::file::read_regular;

const LIMIT: u64 = 1 << 20;

/// A host, by all of its public keys.
pub struct Host {
    name: String,
    recipients: Vec<Recipient>,
}

#[derive(Serialize)]
pub struct HostFacts {
    name: String,
    recipients: Vec<String>,
}

impl From<Host> for HostFacts {
    fn from(host: Host) -> Self {
        Self {
            name: host.name,
            recipients: host.recipients.into_iter().map(|recipient| recipient.text).collect(),
        }
    }
}

/// # Errors
/// With every key that cannot be used.
pub fn read(keys: &[OsString]) -> Result<Vec<Host>, Report> {
    let mut report = Report::default();
    let hosts =
        keys.iter().filter_map(|key| host(key).map_err(|problem| report.push(problem)).ok()).collect();
    report.or(hosts)
}

fn host(key: &OsStr) -> Result<Host, Diagnostic> {
    let help =
        "give a public key ('ssh-ed25519 AAAA...', age1..., an OpenPGP fingerprint), or a file of them";
    if let Some(Ok(Some((named, key)))) = key.to_str().map(PublicKey::parse_line) {
        let first = key.recipients.first().map(|first| shortened(&first.text)).unwrap_or_default();
        return Ok(Host { name: named.unwrap_or(first), recipients: key.recipients });
    }
    if public::is_private(key.as_encoded_bytes()) {
        let problem = "a private key is on the command line, where every user of this machine can read it";
        return Err(Diagnostic::new(problem).help(help));
    }
    let path = Path::new(key);
    let text = read_regular(path, LIMIT)
        .map_err(|error| Diagnostic::new(format!("no host key: {error}")).help(help))?;
    let shown = public::show(text.expose());
    let named = shown.iter().find_map(|shown| shown.host.clone());
    let keys = shown.iter().filter_map(|shown| shown.key.as_ref().ok());
    let recipients: Vec<Recipient> = keys.flat_map(|key| key.recipients.iter().cloned()).collect();
    if recipients.is_empty() {
        let mut diagnostic = Diagnostic::new(format!("no host key in '{}'", path.display())).help(help);
        let reason = |shown: Shown| shown.key.err().map(|error| error.to_string());
        diagnostic.notes.extend(shown.into_iter().filter_map(reason));
        return Err(diagnostic);
    }
    Ok(Host { name: named.unwrap_or_else(|| path.display().to_string()), recipients })
}

pub fn examine(plan: &Plan, hosts: &[Host], findings: &mut Findings) -> Vec<FileFacts> {
    for host in hosts {
        let recipients: Vec<String> = host.recipients.iter().map(|one| shortened(&one.text)).collect();
        findings.ok(Area::Keys, format!("{}: {}", host.name, recipients.join(" and ")));
    }
    let read = load::read_all(plan, Paths::Absolute);
    plan.files
        .iter()
        .zip(read)
        .map(|(file, document)| match document {
            Ok(document) => examine_file(plan, file, &document, hosts, findings),
            Err(diagnostic) => {
                findings.problem_of(Area::Files, &explain::for_shell(&file.path), diagnostic);
                let mut facts = FileFacts::new(plan, file, None, |_| None);
                facts.hosts = vec![false; hosts.len()];
                facts
            }
        })
        .collect()
}

fn examine_file(
    plan: &Plan,
    file: &SopsFile,
    document: &Document<Sealed>,
    hosts: &[Host],
    findings: &mut Findings,
) -> FileFacts {
    let metadata = document.metadata();
    let named = |stanza: &Stanza| {
        let owns = |host: &&Host| host.recipients.iter().any(|recipient| recipient.is_named_by(stanza));
        let names: Vec<&str> = hosts.iter().filter(owns).map(|host| host.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    };
    let mut facts = FileFacts::new(plan, file, Some(document), named);
    let path = file.path.display();
    let mut able = Vec::new();
    for host in hosts {
        let access = Access::new(&metadata.groups, metadata.threshold, &host.recipients);
        facts.hosts.push(access.opens());
        if access.opens() {
            able.push(host.name.as_str());
            continue;
        }
        let host = explain::host::Host {
            name: &host.name,
            keys_in: "--host-key",
            recipients: &host.recipients,
            paths: Paths::Absolute,
        };
        if let Some(problem) = explain::host::missing(&Needed::new(plan, file), file, metadata, &host) {
            findings.problem(Area::Files, problem);
        }
    }
    facts.opens = able.len() == hosts.len();
    if facts.opens {
        let text = format!("'{path}' can be opened by {}", able.join(" and "));
        findings.ok_with(Area::Files, text, facts.recipient_lines());
    }
    facts
}
