//! That a host could not open a sops file, told from its public keys, and without any key here: where it is built, and
//! where it is asked about.

use super::locked::label;
use super::{Needed, Paths, updatekeys};
use crate::diagnostic::Diagnostic;
use crate::plan::SopsFile;
use crate::recipient::access::Access;
use crate::recipient::{List, Recipient, shortened};
use crate::sops::data_key::{Stanza, StanzaKind};
use crate::sops::metadata::Metadata;

/// Recipients that are told of the host, and of each key group.
const SHOWN: usize = 8;

/// A host that is known by its public keys.
pub struct Host<'h> {
    /// `the host`, where it has no other name.
    pub name: &'h str,
    /// What its keys were given in.
    pub keys_in: &'static str,
    pub recipients: &'h [Recipient],
    /// How messages name the file.
    pub paths: Paths,
}

/// What is missing for a host to open the file; `None` if nothing is.
#[must_use]
pub fn missing(needed: &Needed, file: &SopsFile, metadata: &Metadata, host: &Host<'_>) -> Option<Diagnostic> {
    let Metadata { groups, threshold, .. } = metadata;
    let Host { name, keys_in, recipients: host, paths } = *host;
    let access = Access::new(groups, *threshold, host);
    if access.opens() {
        return None;
    }
    let path = paths.shown(&file.path);
    let single = groups.len() <= 1;
    let mut diagnostic = Diagnostic::new(if single {
        format!("{name} will not open '{path}': it is not encrypted to a key in `{keys_in}`")
    } else {
        let (opened, needed, all) = (access.opened(), access.needed, groups.len());
        format!(
            "{name} will not open '{path}': keys of {needed} of its {all} key groups are needed, and `{keys_in}` has those of {opened}"
        )
    });
    diagnostic.notes.push(needed.note());
    diagnostic
        .notes
        .extend(limited(host.iter().map(|one| format!("host recipient {}", shortened(&one.text))).collect()));
    for (index, (group, found)) in groups.iter().zip(&access.groups).enumerate() {
        let prefix = if single { String::new() } else { format!("group {}: ", index + 1) };
        if found.is_some() {
            diagnostic.notes.push(format!("{prefix}{name} has a key"));
            continue;
        }
        let lines = limited(group.iter().map(recipient_line).collect());
        diagnostic.notes.extend(lines.into_iter().map(|line| format!("{prefix}{line}")));
    }
    // A key that opens another group already would make one key of two.
    let is_used = |one: &&Recipient| access.groups.iter().flatten().any(|stanza| one.is_named_by(stanza));
    let age = || host.iter().filter(|one| one.list == List::Age);
    let wanted = age().find(|one| !is_used(one)).or_else(|| age().next()).or(host.first())?;
    let place = if single { "of this file" } else { "of a key group that the host has no key for" };
    Some(diagnostic.help(format!(
        "in .sops.yaml, add {} to the {} keys {place}, and run {}",
        wanted.text,
        wanted.list.name(),
        updatekeys(&file.path, "")
    )))
}

fn recipient_line(stanza: &Stanza) -> String {
    let recipient = match stanza.recipient.as_str() {
        "" => "without a name".to_owned(),
        named => shortened(named),
    };
    let remark = match stanza.kind {
        StanzaKind::Age | StanzaKind::Pgp => "",
        _ => ": hosts open no entries of this kind",
    };
    format!("{} {recipient}{remark}", label(stanza.kind))
}

fn limited(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
