//! Whether a host could open a file, told from public keys alone: its recipients against those that the file names,
//! through key groups and their threshold.
//!
//! The names in a file are not authenticated, so this says what a file claims. It is a promise about every file that
//! sops wrote, and no proof about one that somebody made to mislead.

use super::Recipient;
use crate::sops::data_key::Stanza;

/// What the recipients of a host reach in one file.
#[derive(Debug)]
#[must_use]
pub struct Access<'f> {
    /// Key groups that have to open.
    pub needed: usize,
    /// For each key group the first stanza that is for the host.
    pub groups: Vec<Option<&'f Stanza>>,
}

impl<'f> Access<'f> {
    /// `groups` and `threshold` are those of the file's metadata, `recipients` all forms of all keys of the host.
    pub fn new(groups: &'f [Vec<Stanza>], threshold: usize, recipients: &[Recipient]) -> Self {
        let for_us = |stanza: &&Stanza| recipients.iter().any(|recipient| recipient.is_named_by(stanza));
        let needed = match (groups.len(), threshold) {
            // One group holds the key itself, whatever the threshold says.
            (0 | 1, _) => 1,
            // Files without a threshold were split so that it takes every group.
            (count, 0) => count,
            (_, threshold) => threshold,
        };
        Self { needed, groups: groups.iter().map(|stanzas| stanzas.iter().find(for_us)).collect() }
    }

    /// Key groups that the host can open.
    pub fn opened(&self) -> usize {
        self.groups.iter().flatten().count()
    }

    pub fn opens(&self) -> bool {
        self.opened() >= self.needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::data_key::StanzaKind;

    fn group(recipients: &[&str]) -> Vec<Stanza> {
        let stanza = |recipient: &&str| {
            let kind = if recipient.starts_with("age1") || recipient.starts_with("ssh-") {
                StanzaKind::Age
            } else {
                StanzaKind::Pgp
            };
            Stanza { kind, recipient: (*recipient).to_owned(), enc: String::new() }
        };
        recipients.iter().map(stanza).collect()
    }

    fn host() -> Vec<Recipient> {
        vec![
            Recipient::age("age1derived"),
            Recipient::age("ssh-ed25519 NATIVE"),
            Recipient::age("ssh-rsa NATIVE"),
            Recipient::pgp("ABCD"),
        ]
    }

    #[test]
    fn every_form_of_a_key_counts() {
        for recipient in
            ["age1derived", "ssh-ed25519 NATIVE root@web1", "ssh-ed25519 NATIVE", "ssh-rsa NATIVE x", "abcd"]
        {
            let groups = [group(&["age1stranger", recipient])];
            let access = Access::new(&groups, 0, &host());
            assert!(access.opens(), "{recipient}");
            assert_eq!(access.groups[0].unwrap().recipient, recipient);
        }
    }

    #[test]
    fn a_file_for_others_does_not_open() {
        for recipients in [&[][..], &["age1stranger", "ssh-ed25519 OTHER", "ssh-dss NATIVE", "DCBA"]] {
            let groups = [group(recipients)];
            let access = Access::new(&groups, 0, &host());
            assert_eq!((access.opens(), access.opened(), access.needed), (false, 0, 1));
        }
        assert!(!Access::new(&[group(&["age1derived"])], 0, &[]).opens(), "no keys");
        assert!(!Access::new(&[], 0, &host()).opens(), "no groups");
    }

    #[test]
    fn as_many_groups_as_the_threshold_says_are_enough() {
        let groups = [group(&["age1derived"]), group(&["age1stranger"]), group(&["age1other", "ABCD"])];
        for (threshold, opens) in [(1, true), (2, true), (3, false)] {
            assert_eq!(Access::new(&groups, threshold, &host()).opens(), opens, "{threshold}");
        }
    }

    #[test]
    fn without_a_threshold_every_group_is_needed() {
        let two = [group(&["age1derived"]), group(&["ABCD"])];
        assert!(Access::new(&two, 0, &host()).opens());
        let short = [group(&["age1derived"]), group(&["age1stranger"])];
        let access = Access::new(&short, 0, &host());
        assert_eq!((access.opens(), access.opened(), access.needed), (false, 1, 2));
    }

    #[test]
    fn a_threshold_means_nothing_to_a_single_group() {
        assert!(Access::new(&[group(&["age1derived"])], 3, &host()).opens());
    }
}
