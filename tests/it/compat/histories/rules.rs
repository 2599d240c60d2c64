//! What explains that the two programs differ: each rule is the row of `docs/compatibility.md` with that identifier,
//! applied only where its condition holds.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{Look, Secrets};
use crate::compat::case::{Case, Step};

/// The store of a history in user mode.
const USER_STORE: &str = "/run/user/0/secrets.d";

/// What a manifest says of a secret or template.
pub struct Wanted {
    units: BTreeSet<String>,
    /// As it is shown.
    mode: String,
}

impl Wanted {
    /// By the path below the symlink, in the manifest of that activation.
    pub fn by(case: &Case, step: usize) -> BTreeMap<String, Self> {
        let manifest = case.steps[..=step].iter().rev().find_map(|step| step.manifest.clone()).unwrap();
        let symlink = manifest["symlinkPath"].as_str().unwrap();
        let mut wanted = BTreeMap::new();
        for (list, directory) in [("secrets", ""), ("templates", "/rendered")] {
            for entry in manifest[list].as_array().unwrap() {
                let lists =
                    ["restartUnits", "reloadUnits"].into_iter().filter_map(|list| entry[list].as_array());
                let units = lists.flatten().map(|unit| unit.as_str().unwrap().to_owned()).collect();
                let mode = format!("{:0>4}", entry["mode"].as_str().unwrap());
                let path = format!("{symlink}{directory}/{}", entry["name"].as_str().unwrap());
                wanted.insert(path, Self { units, mode });
            }
        }
        wanted
    }
}

/// The paths that the last manifest of each store asks for, by its symlink.
pub struct Stale(BTreeMap<String, BTreeSet<String>>);

impl Stale {
    pub fn by(case: &Case, step: usize) -> Self {
        let mut paths = BTreeMap::new();
        let is_dry = |step: &Step| step.env.contains_key("NIXOS_ACTION");
        let mut current = None;
        for step in &case.steps[..=step] {
            current = step.manifest.as_ref().or(current);
            let manifest = current.unwrap();
            if is_dry(step) {
                continue;
            }
            let runtime = step.env.get("XDG_RUNTIME_DIR").cloned().flatten();
            let runtime = runtime.filter(|_| manifest["userMode"] == true);
            let expand = |path: &str| match &runtime {
                Some(runtime) => path.replace("%r", runtime).replace("%%", "%"),
                None => path.to_owned(),
            };
            let lists = ["secrets", "templates"].map(|list| manifest[list].as_array().unwrap());
            let asked = lists.into_iter().flatten().filter_map(|entry| entry["path"].as_str());
            paths.insert(expand(manifest["symlinkPath"].as_str().unwrap()), asked.map(expand).collect());
        }
        Self(paths)
    }

    fn is_stale(&self, path: &str, rest: &str) -> bool {
        let leads_into = |symlink: &String| {
            rest.split_once(" -> ").is_some_and(|(_, target)| target.starts_with(&format!("{symlink}/")))
        };
        self.0.iter().any(|(symlink, asked)| leads_into(symlink) && !asked.contains(path))
    }
}

/// What explains differences of one activation.
pub struct Rules<'r> {
    pub explained: &'r mut BTreeSet<&'static str>,
    pub their_earlier: &'r Look,
    pub our_earlier: &'r Look,
    /// Ours with nothing taken out yet.
    pub our_whole: &'r Look,
    pub wanted: BTreeMap<String, Wanted>,
    /// Links that no secret of the last manifest of their store asks for.
    pub stale: Stale,
    /// This activation or an earlier one was dry.
    pub was_dry: bool,
    /// This activation or an earlier one has failed.
    pub has_failed: bool,
}

impl Rules<'_> {
    /// Takes out of both what is explained.
    pub fn apply(mut self, theirs: &mut Look, ours: &mut Look) {
        if theirs == ours {
            return;
        }
        let secrets = self.our_whole.secrets();
        self.links(theirs, ours);
        self.keys(theirs);
        self.imports(theirs, ours);
        self.unfinished(theirs, ours);
        self.generations(theirs, ours);
        self.access(theirs, ours, &secrets);
        self.duplicates(theirs);
        self.rendered(theirs, ours);
    }

    /// Ours remembers links, and removes those that no secret asks for any more.
    fn links(&mut self, theirs: &mut Look, ours: &mut Look) {
        let count = ours.tree.len();
        ours.tree.retain(|path, _| !path.contains("/sops-activate"));
        let is_remembered = ours.tree.len() < count;
        if is_remembered {
            // Directories that were made for the list.
            ours.tree.retain(|path, rest| {
                theirs.tree.contains_key(path)
                    || !rest.starts_with("d ")
                    || !(path == "/var/lib" || path.ends_with("/.local") || path.ends_with("/.local/state"))
            });
        }
        self.note("remembered", is_remembered);
        let count = theirs.tree.len();
        theirs.tree.retain(|path, rest| ours.tree.contains_key(path) || !self.stale.is_stale(path, rest));
        self.note("stale-links", theirs.tree.len() < count);
    }

    /// The original leaves private keys in the store.
    fn keys(&mut self, theirs: &mut Look) {
        let before = theirs.tree.len();
        theirs.tree.retain(|_, rest| !rest.ends_with(" (private keys)"));
        self.note("age-keys", theirs.tree.len() < before);
    }

    /// The original tells its keys after it has looked for users and files, ours before.
    fn imports(&mut self, theirs: &Look, ours: &mut Look) {
        let is_import = |line: &String| line.contains("Imported");
        if theirs.exit == "exit 1" && ours.exit == "exit 1" && !theirs.stderr.iter().any(is_import) {
            let count = ours.stderr.len();
            ours.stderr.retain(|line| !is_import(line));
            self.note("told-keys", ours.stderr.len() < count);
        }
    }

    /// The original makes a generation on every run, ours only when something changes: the numbers differ from then on,
    /// and so does what is left to prune. The live one is the same.
    fn generations(&mut self, theirs: &mut Look, ours: &mut Look) {
        let numbers = |look: &Look| {
            look.live().into_iter().map(|(link, _, number)| (link, number)).collect::<BTreeMap<_, _>>()
        };
        let (their_numbers, our_numbers) = (numbers(theirs), numbers(ours));
        let (their_before, our_before) = (numbers(self.their_earlier), numbers(self.our_earlier));
        // It is so if it was so before, or if ours stayed where it was and the other went on.
        let apart = |link: &String| {
            let before = (their_before.get(link), our_before.get(link));
            before.0 != before.1 || (before.1 == our_numbers.get(link) && their_numbers.get(link) > before.0)
        };
        let links: Vec<String> = our_numbers.keys().filter(|link| apart(link)).cloned().collect();
        for link in &links {
            for (look, numbers) in [(&mut *theirs, &their_numbers), (&mut *ours, &our_numbers)] {
                if let Some(number) = numbers.get(link) {
                    look.only_live(link, *number);
                }
            }
        }
        self.note("no-op", !links.is_empty());
    }

    /// A dry run of the original leaves a generation, as the next one; a first one that is dry or fails leaves the
    /// mounted store.
    fn unfinished(&mut self, theirs: &mut Look, ours: &mut Look) {
        let mut stores: BTreeMap<String, u64> =
            theirs.live().into_iter().map(|(_, store, number)| (store, number)).collect();
        let is_of = |mount: &String, store: &str| mount.starts_with(&format!("mount {store} "));
        // In user mode nothing is mounted.
        let is_there = |look: &Look, store: &str| match store {
            USER_STORE => look.tree.contains_key(store),
            _ => look.mounts.iter().any(|mount| is_of(mount, store)),
        };
        for store in ["/run/secrets.d", "/run/secrets-for-users.d", USER_STORE] {
            stores.entry(store.into()).or_insert(0);
        }
        for (store, live) in stores {
            let next = format!("{store}/{}", next_number(theirs, &store, live));
            let left: Vec<String> = theirs
                .tree
                .keys()
                .filter(|path| **path == next || path.starts_with(&format!("{next}/")))
                .filter(|path| self.was_dry && !ours.tree.contains_key(*path))
                .cloned()
                .collect();
            for path in &left {
                theirs.tree.remove(path);
            }
            self.note("dry-run", !left.is_empty());
            let may_be_left = self.was_dry || self.has_failed;
            if may_be_left && is_there(theirs, &store) && !is_there(ours, &store) {
                for look in [&mut *theirs, &mut *ours] {
                    // What lay there before is hidden by the mount.
                    look.tree.retain(|path, _| *path != store && !path.starts_with(&format!("{store}/")));
                    look.mounts.retain(|mount| !is_of(mount, &store));
                }
                self.note(if self.has_failed { "failure" } else { "dry-run" }, true);
            }
        }
    }

    /// What has the bytes that it had, and another owner or mode, has changed for us.
    fn access(&mut self, theirs: &mut Look, ours: &mut Look, after: &Secrets) {
        let before = self.our_earlier.secrets();
        let is_dry = before == *after;
        let mut changed: BTreeSet<String> = after
            .iter()
            .filter(|(path, now)| before.get(*path).is_some_and(|then| then.1 == now.1 && then.0 != now.0))
            .map(|(path, _)| path.clone())
            .collect();
        if is_dry {
            // It is not done, so it does not show; of owners and groups a dry run knows nothing.
            let is_other = |path: &&String| {
                let (access, _) = &before[*path];
                self.wanted.get(*path).is_some_and(|wanted| !access.starts_with(&wanted.mode))
            };
            changed.extend(before.keys().filter(is_other).cloned());
        }
        let told = |look: &Look| {
            let names = look.stdout.iter().filter_map(|line| {
                let (verb, names) = line.split_once(": ")?;
                verb.contains("modify").then(|| {
                    let directory = if verb.contains("rendered") { "rendered/" } else { "" };
                    names.split(", ").map(move |name| format!("{directory}{name}")).collect::<Vec<_>>()
                })
            });
            names.flatten().collect::<BTreeSet<String>>()
        };
        let more: BTreeSet<String> = told(ours).difference(&told(theirs)).cloned().collect();
        let is_access = |name: &String| changed.iter().any(|path| path.ends_with(&format!("/{name}")));
        if !more.is_empty() && more.iter().all(is_access) {
            for look in [&mut *theirs, &mut *ours] {
                look.stdout.retain(|line| !line.contains("modify"));
            }
            self.note("access", true);
        }
        let allowed: BTreeSet<&String> = changed
            .iter()
            .filter_map(|path| self.wanted.get(path))
            .flat_map(|wanted| &wanted.units)
            .collect();
        for (list, units) in &mut ours.units {
            let known = theirs.units.get(list).cloned().unwrap_or_default();
            let count = units.len();
            units.retain(|unit| known.contains(unit) || !allowed.contains(unit));
            self.explained.extend((units.len() < count).then_some("access"));
        }
        ours.units.retain(|_, units| !units.is_empty());
        // They stand in the manifest's order: one that is told for an earlier secret, too, stands there.
        let is_other_order = theirs.units != ours.units && !allowed.is_empty();
        if is_other_order {
            for units in theirs.units.values_mut().chain(ours.units.values_mut()) {
                units.sort();
                units.dedup();
            }
        }
        self.explained.extend((is_other_order && theirs.units == ours.units).then_some("access"));
        let is_would = |line: &String| line.starts_with("stderr would ");
        let known: Vec<String> = theirs.stderr.iter().filter(|line| is_would(line)).cloned().collect();
        let count = ours.stderr.len();
        ours.stderr.retain(|line| {
            !is_would(line)
                || known.contains(line)
                || !allowed.iter().any(|unit| line.ends_with(unit.as_str()))
        });
        self.note("access", ours.stderr.len() < count);
    }

    /// A unit of two changed secrets.
    fn duplicates(&mut self, theirs: &mut Look) {
        let mut found = false;
        for units in theirs.units.values_mut().chain([&mut theirs.stderr]) {
            let mut seen = BTreeSet::new();
            let count = units.len();
            units.retain(|unit| seen.insert(unit.clone()));
            found |= units.len() < count;
        }
        self.note("duplicates", found);
    }

    /// Of a directory that was made on the way to another one the original does not set the group.
    fn rendered(&mut self, theirs: &mut Look, ours: &Look) {
        for (path, rest) in &mut theirs.tree {
            let is_made_on_the_way =
                path.trim_end_matches('/').ends_with("/rendered") && rest == "d 0751 0:0";
            let is_as_others = ours.tree.get(path).is_some_and(|our| our == "d 0751 0:96");
            if is_made_on_the_way && is_as_others {
                self.explained.insert("rendered");
                "d 0751 0:96".clone_into(rest);
            }
        }
    }

    fn note(&mut self, row: &'static str, is_so: bool) {
        if is_so {
            self.explained.insert(row);
        }
    }
}

/// The number of the generation that an unfinished run would leave.
fn next_number(look: &Look, store: &str, live: u64) -> u64 {
    let symlink = look.tree.get(store.strip_suffix(".d").unwrap());
    let target = symlink.and_then(|rest| rest.rsplit_once('/')?.1.parse().ok());
    target.unwrap_or(live) + 1
}
