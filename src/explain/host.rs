//! That a host could not open a sops file, told where it is built: from its public keys, and without any key here.

use super::locked::label;
use super::{Needed, updatekeys};
use crate::diagnostic::{Diagnostic, in_repository};
use crate::plan::{Host, SopsFile};
use crate::recipient::access::Access;
use crate::recipient::{List, Recipient, shortened};
use crate::sops::data_key::{Stanza, StanzaKind};
use crate::sops::metadata::Metadata;

/// Recipients that are told of the host, and of each key group.
const SHOWN: usize = 8;

/// What is missing for the host to open the file; `None` if nothing is.
#[must_use]
pub fn missing(needed: &Needed, file: &SopsFile, metadata: &Metadata, host: &Host) -> Option<Diagnostic> {
    let Metadata { groups, threshold, .. } = metadata;
    let access = Access::new(groups, *threshold, &host.recipients);
    if access.opens() {
        return None;
    }
    let path = in_repository(&file.path);
    let title = host.title();
    let single = groups.len() <= 1;
    let mut diagnostic = Diagnostic::new(if single {
        format!("{title} will not open '{path}': it is not encrypted to a key in `sops.hostRecipients`")
    } else {
        let (opened, needed, all) = (access.opened(), access.needed, groups.len());
        format!(
            "{title} will not open '{path}': keys of {needed} of its {all} key groups are needed, and `sops.hostRecipients` has those of {opened}"
        )
    });
    diagnostic.notes.push(needed.note());
    diagnostic.notes.extend(limited(
        host.recipients.iter().map(|one| format!("host recipient {}", shortened(&one.text))).collect(),
    ));
    for (index, (group, found)) in groups.iter().zip(&access.groups).enumerate() {
        let prefix = if single { String::new() } else { format!("group {}: ", index + 1) };
        if found.is_some() {
            diagnostic.notes.push(format!("{prefix}{title} has a key"));
            continue;
        }
        let lines = limited(group.iter().map(recipient_line).collect());
        diagnostic.notes.extend(lines.into_iter().map(|line| format!("{prefix}{line}")));
    }
    // A key that opens another group already would make one key of two.
    let is_used = |one: &&Recipient| access.groups.iter().flatten().any(|stanza| one.is_named_by(stanza));
    let age = || host.recipients.iter().filter(|one| one.list == List::Age);
    let wanted = age().find(|one| !is_used(one)).or_else(|| age().next()).or(host.recipients.first())?;
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
