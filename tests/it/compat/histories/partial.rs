//! The row `partial`: a run of which one secret fails installs the others, where the original installs none.
//!
//! From then on the two machines differ, so that what ours says and has is judged by itself: the files by the manifest
//! and by what was there before, what is told by the files. What does not differ any more is compared as ever.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::look::{Look, Secrets};
use crate::compat::case::Case;

/// How a secret or template of a manifest fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fails {
    No,
    Content,
    Account,
}

struct Wanted {
    fails: Fails,
    mode: String,
    units: BTreeSet<String>,
}

/// One activation of a history, and whether it or one before it fails in part.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about one activation")]
pub struct Partial {
    symlink: String,
    /// By the path below the symlink.
    wanted: BTreeMap<String, Wanted>,
    /// Paths of links.
    links: BTreeSet<String>,
    is_user: bool,
    is_logged: bool,
    /// Nothing is to change.
    only_looks: bool,
    has_failed: bool,
}

impl Partial {
    pub fn new(case: &Case, index: usize) -> Self {
        let mut this = Self::of(case, index);
        this.has_failed = (0..=index).any(|index| Self::of(case, index).fails());
        this
    }

    fn of(case: &Case, index: usize) -> Self {
        let step = &case.steps[index];
        let manifest = step.manifest.as_ref().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_user = manifest["userMode"] == true;
        let is_dry = step.env.contains_key("NIXOS_ACTION");
        let has_accounts = !is_dry && !is_user && !step.arguments.contains(&"-ignore-passwd".to_owned());
        let symlink = text(&manifest["symlinkPath"]).replace("%r", "/run/user/0");
        let (mut wanted, mut links, mut failed) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let (mut is_manifest_error, mut all) = (false, Vec::new());
        for (list, directory) in [("secrets", ""), ("templates", "/rendered")] {
            let entries = manifest[list].as_array().unwrap();
            all.extend(entries.iter().map(|entry| (list, directory, entry)));
        }
        for (list, directory, entry) in all {
            let bad_file = ["absent", "mac.yaml", "damaged.yaml"]
                .iter()
                .any(|file| text(&entry["sopsFile"]) == format!("/etc/sops/{file}"));
            let needs = failed.iter().any(|name| text(&entry["content"]).contains(&format!("<{name}>")));
            let fails = if bad_file || text(&entry["key"]) == "nested/absent" || needs {
                Fails::Content
            } else if has_accounts && ["owner", "group"].iter().any(|of| entry[of] == "nobody-knows") {
                Fails::Account
            } else {
                Fails::No
            };
            if list == "secrets" && fails == Fails::Content {
                failed.push(text(&entry["name"]));
            }
            is_manifest_error |= entry["mode"] == "u=r";
            let units = ["restartUnits", "reloadUnits"].into_iter().filter_map(|list| entry[list].as_array());
            let units = units.flatten().map(text).collect();
            let mode = format!("{:0>4}", text(&entry["mode"]));
            links.extend(entry["path"].as_str().map(str::to_owned));
            let path = format!("{symlink}{directory}/{}", text(&entry["name"]));
            wanted.insert(path, Wanted { fails, mode, units });
        }
        let is_check = step.arguments.iter().any(|argument| argument.starts_with("-check-mode"));
        let only_looks = is_check || is_dry || is_manifest_error;
        if is_check || is_manifest_error {
            wanted.clear();
        }
        let is_logged = manifest["logging"]["secretChanges"] == true;
        Self { symlink, wanted, links, is_user, is_logged, only_looks, has_failed: false }
    }

    fn fails(&self) -> bool {
        self.wanted.values().any(|wanted| wanted.fails != Fails::No)
    }

    /// Makes both alike in what is so because of a partial run, if ours is as it has to be. Says whether there was
    /// something.
    pub fn explains(
        &self,
        their_earlier: &Look,
        our_earlier: &Look,
        theirs: &mut Look,
        ours: &mut Look,
    ) -> bool {
        if !self.has_failed || theirs == ours {
            return false;
        }
        let (our_before, our_after) = (our_earlier.secrets(), ours.secrets());
        let other = |secrets: &Secrets| -> Secrets {
            let own = format!("{}/", self.symlink);
            secrets.clone().into_iter().filter(|(path, _)| !path.starts_with(&own)).collect()
        };
        if other(&our_before) != other(&our_after) || theirs.exit != ours.exit {
            return false;
        }
        if self.only_looks {
            if our_before != our_after {
                return false;
            }
        } else if !self.has_right_files(&our_before, &our_after) || !self.tells(our_earlier, ours) {
            return false;
        }
        let before = (theirs.lines(), ours.lines());
        if self.fails() || self.only_looks {
            (*theirs, *ours) = (Look::default(), Look::default());
            return before.0 != before.1;
        }
        self.take_others(theirs, ours);
        let is_other = their_earlier.secrets() != our_earlier.secrets()
            || their_earlier.live().len() != our_earlier.live().len();
        for look in [theirs, ours] {
            // Older generations are of other activations.
            for (link, _, number) in look.live() {
                look.only_live(&link, number);
            }
            if is_other {
                look.stdout.retain(|line| line.contains("Imported"));
                look.stderr.retain(|line| line.contains("Imported"));
                look.units.clear();
            }
        }
        is_other
    }

    /// Every file that does not fail is there as asked, one that fails as it was before, and there is no other.
    fn has_right_files(&self, before: &Secrets, after: &Secrets) -> bool {
        let own = format!("{}/", self.symlink);
        let is_right = |(path, wanted): (&String, &Wanted)| match wanted.fails {
            Fails::No => {
                after.get(path).is_some_and(|(access, _)| self.is_user || access.starts_with(&wanted.mode))
            }
            Fails::Content => after.get(path) == before.get(path),
            Fails::Account => after.get(path).is_some_and(|(access, _)| access == "0400 0:0"),
        };
        let all_known =
            after.keys().filter(|path| path.starts_with(&own)).all(|path| self.wanted.contains_key(path));
        all_known && self.wanted.iter().all(is_right)
    }

    /// What ours says and tells is what has changed.
    fn tells(&self, earlier: &Look, ours: &Look) -> bool {
        let is_first = !earlier.live().iter().any(|(link, _, _)| *link == self.symlink);
        let (before, after) = (earlier.secrets(), ours.secrets());
        let own = format!("{}/", self.symlink);
        let changed: BTreeSet<&String> = after
            .iter()
            .filter(|(path, now)| path.starts_with(&own) && before.get(*path) != Some(now))
            .map(|(path, _)| path)
            .collect();
        let removed = before.keys().filter(|path| path.starts_with(&own) && !after.contains_key(*path));
        let is_silent = is_first || self.is_user;
        let names: BTreeSet<&str> =
            changed.iter().copied().chain(removed).filter_map(|path| path.strip_prefix(&own)).collect();
        let lines = ours.stdout.iter().filter_map(|line| line.split_once(": "));
        let said: BTreeSet<String> = lines
            .filter(|(verb, _)| verb.contains("secret"))
            .flat_map(|(verb, names)| {
                let directory = if verb.contains("rendered") { "rendered/" } else { "" };
                names.split(", ").map(move |name| format!("{directory}{name}"))
            })
            .collect();
        let expected: BTreeSet<String> = if is_silent || !self.is_logged {
            BTreeSet::new()
        } else {
            names.into_iter().map(str::to_owned).collect()
        };
        let good = changed
            .iter()
            .filter_map(|path| self.wanted.get(*path))
            .filter(|wanted| wanted.fails == Fails::No);
        let units: BTreeSet<&String> =
            if is_silent { BTreeSet::new() } else { good.flat_map(|wanted| &wanted.units).collect() };
        let told: BTreeSet<&String> = ours.units.values().flatten().collect();
        said == expected && (told.is_empty() || told == units)
    }

    /// Takes away what is of the other store, and links that a partial run has made and no secret asks for any more.
    fn take_others(&self, theirs: &mut Look, ours: &mut Look) {
        for symlink in
            ["/run/secrets", "/run/secrets-for-users"].into_iter().filter(|other| *other != self.symlink)
        {
            let store = format!("{symlink}.d");
            for look in [&mut *theirs, &mut *ours] {
                look.tree.retain(|path, _| {
                    path != symlink && *path != store && !path.starts_with(&format!("{store}/"))
                });
                look.mounts.retain(|mount| !mount.starts_with(&format!("mount {store} ")));
            }
        }
        let left: Vec<String> = ours
            .tree
            .iter()
            .filter(|(path, rest)| {
                let is_ours = rest.contains(" -> /run/") || rest.starts_with("d ");
                path.starts_with("/var/lib") && is_ours && theirs.tree.get(*path) != Some(rest)
            })
            .filter(|(path, _)| !self.links.contains(*path))
            .map(|(path, _)| path.clone())
            .collect();
        for path in left {
            ours.tree.remove(&path);
            theirs.tree.remove(&path);
        }
    }
}
