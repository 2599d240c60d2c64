//! Random histories, run by both programs. What differs must be explained by a rule here, each the row of
//! `docs/compatibility.md` with that identifier, applied only where its condition holds.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::case::Case;
use super::{golden, in_parallel, machine};
use crate::machine::PROGRAM;

/// What a machine has by the lines of [`machine::run`].
#[derive(Clone, Default, PartialEq)]
struct Look {
    exit: String,
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// Units told by this step, for each list or verb.
    units: BTreeMap<String, Vec<String>>,
    mounts: Vec<String>,
    tree: BTreeMap<String, String>,
}

/// Access and content, by path below the symlink.
type Secrets = BTreeMap<String, (String, String)>;

/// Both results of a history, and which rows explained what differed.
struct Compared {
    case: Case,
    explained: BTreeSet<&'static str>,
    left: Vec<String>,
}

/// Compares that many histories from that seed, and tells how many differed and why.
///
/// # Panics
/// When a difference is not explained.
pub fn compare(original: &Path, count: u64, seed: u64) {
    let numbers: Vec<u64> = (seed..seed + count).collect();
    let compared = in_parallel(&numbers, |number| {
        let case = random::history(*number);
        let theirs = machine::run(&case, original).expect("root makes namespaces");
        let ours = machine::run(&case, PROGRAM.as_ref()).expect("root makes namespaces");
        let steps = ours.iter().map(|step| step[0].clone()).collect::<Vec<_>>();
        (judge(case, &theirs, &ours), steps)
    });
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut exits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for (compared, steps) in &compared {
        for reason in &compared.explained {
            *reasons.entry(reason).or_default() += 1;
        }
        for step in steps {
            *exits.entry(step).or_default() += 1;
        }
        if !compared.left.is_empty() {
            let case = serde_json::to_string_pretty(&compared.case).unwrap();
            failures.push(format!("{}:\n  {}\n{case}", compared.case.name, compared.left.join("\n  ")));
        }
    }
    let same = compared
        .iter()
        .filter(|(compared, _)| compared.explained.is_empty() && compared.left.is_empty())
        .count();
    println!("{count} histories from seed {seed}, activations by result: {exits:?}");
    println!("{same} the same to the byte; explained differences, by row: {reasons:?}");
    println!("{} not explained", failures.len());
    assert!(failures.is_empty(), "{}", failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
}

fn judge(case: Case, theirs: &machine::Seen, ours: &machine::Seen) -> Compared {
    let mut compared = Compared { case, explained: BTreeSet::new(), left: Vec::new() };
    if theirs == ours {
        return compared;
    }
    let seen = theirs;
    let mut earlier = (Look::default(), Look::default());
    let mut lists = (BTreeMap::new(), BTreeMap::new());
    for (index, (their_lines, our_lines)) in theirs.iter().zip(ours).enumerate() {
        let their_look = Look::new(their_lines, &mut lists.0);
        let our_look = Look::new(our_lines, &mut lists.1);
        let (mut theirs, mut ours) = (their_look.clone(), our_look.clone());
        let rules = Rules {
            explained: &mut compared.explained,
            their_earlier: &earlier.0,
            our_earlier: &earlier.1,
            units_of: units_of(&compared.case, index),
            was_dry: compared.case.steps[..=index].iter().any(|step| step.env.contains_key("NIXOS_ACTION")),
            has_failed: has_failed(&seen[..=index]),
        };
        rules.apply(&mut theirs, &mut ours);
        let left = golden::differences(&vec![theirs.lines()], &vec![ours.lines()]);
        compared.left.extend(left.iter().map(|line| format!("activation {}: {line}", index + 1)));
        earlier = (their_look, our_look);
    }
    compared
}

impl Look {
    fn new(lines: &[String], lists: &mut BTreeMap<String, String>) -> Self {
        let mut look = Self { exit: lines[0].clone(), ..Self::default() };
        for line in &lines[1..] {
            if let Some(text) = line.strip_prefix("stdout ") {
                look.stdout.push(text.into());
            } else if line.starts_with("stderr ") {
                look.stderr.push(line.clone());
            } else if let Some(call) = line.strip_prefix("systemctl --no-block ") {
                // When they are told is for a case to show.
                let (call, _) = call.split_once(" (").unwrap();
                let mut words = call.split(' ').map(str::to_owned);
                let verb = words.next().unwrap();
                look.units.entry(verb).or_default().extend(words);
            } else if line.starts_with("mount ") {
                look.mounts.push(line.clone());
            } else {
                // A path may have blanks in it; what follows it starts with its type.
                let kinds = [" d 0", " f 0", " l "];
                let end = kinds.iter().filter_map(|kind| line.find(kind)).min().unwrap();
                look.tree.insert(line[..end].into(), line[end + 1..].into());
            }
        }
        // A store is mounted earlier by the program that fails later.
        look.mounts.sort();
        // Lists grow: what is new is of this step.
        let paths: Vec<String> = look.tree.keys().filter(|path| path.ends_with("-list")).cloned().collect();
        for path in paths {
            let rest = look.tree.remove(&path).unwrap();
            let (access, content) = rest.split_once('"').unwrap();
            assert_eq!(access, "f 0600 0:0 ");
            let content: String = serde_json::from_str(&format!("\"{content}")).unwrap();
            let before = lists.insert(path.clone(), content.clone()).unwrap_or_default();
            let new = content.strip_prefix(&before).unwrap();
            if !new.is_empty() {
                look.units.insert(path, new.lines().map(str::to_owned).collect());
            }
        }
        look
    }

    fn lines(&self) -> Vec<String> {
        let units = self.units.iter().map(|(list, units)| format!("{list}: {}", units.join(" ")));
        let tree = self.tree.iter().map(|(path, rest)| format!("{path} {rest}"));
        let said =
            std::iter::once(&self.exit).chain(&self.stdout).chain(&self.stderr).chain(&self.mounts).cloned();
        said.chain(units).chain(tree).collect()
    }

    /// The store's symlinks that lead into it: symlink, mount point, number.
    fn live(&self) -> Vec<(String, String, u64)> {
        let links = self.tree.iter().filter_map(|(path, rest)| {
            let (_, target) = rest.split_once(" -> ")?;
            let (store, number) = target.rsplit_once('/')?;
            (store == format!("{path}.d") && self.tree.contains_key(target))
                .then(|| Some((path.clone(), store.to_owned(), number.parse().ok()?)))?
        });
        links.collect()
    }

    /// Files of the live generations.
    fn secrets(&self) -> Secrets {
        let mut secrets = BTreeMap::new();
        for (symlink, store, number) in self.live() {
            let below = format!("{store}/{number}/");
            for (path, rest) in &self.tree {
                if let (Some(name), Some(file)) = (path.strip_prefix(&below), rest.strip_prefix("f ")) {
                    let (mode, rest) = file.split_once(' ').unwrap();
                    let (owner, content) = rest.split_once(' ').unwrap();
                    secrets
                        .insert(format!("{symlink}/{name}"), (format!("{mode} {owner}"), content.to_owned()));
                }
            }
        }
        secrets
    }
}

/// Units that are told when a secret changes, by its path below the symlink.
fn units_of(case: &Case, step: usize) -> BTreeMap<String, BTreeSet<String>> {
    let manifest = case.steps[..=step].iter().rev().find_map(|step| step.manifest.clone()).unwrap();
    let symlink = manifest["symlinkPath"].as_str().unwrap_or("/run/secrets").to_owned();
    let mut units = BTreeMap::new();
    for (list, directory) in [("secrets", ""), ("templates", "/rendered")] {
        for entry in manifest[list].as_array().into_iter().flatten() {
            let told = ["restartUnits", "reloadUnits"].into_iter().flat_map(|list| entry[list].as_array());
            let told = told.flatten().map(|unit| unit.as_str().unwrap().to_owned()).collect();
            units.insert(format!("{symlink}{directory}/{}", entry["name"].as_str().unwrap()), told);
        }
    }
    units
}

fn has_failed(steps: &[Vec<String>]) -> bool {
    steps.iter().any(|step| step[0] != "exit 0")
}

/// What explains differences of one activation.
struct Rules<'r> {
    explained: &'r mut BTreeSet<&'static str>,
    their_earlier: &'r Look,
    our_earlier: &'r Look,
    units_of: BTreeMap<String, BTreeSet<String>>,
    /// This activation or an earlier one was dry.
    was_dry: bool,
    /// This activation or an earlier one has failed.
    has_failed: bool,
}

impl Rules<'_> {
    fn apply(mut self, theirs: &mut Look, ours: &mut Look) {
        if theirs == ours {
            return;
        }
        let secrets = ours.secrets();
        self.keys(theirs);
        self.imports(theirs, ours);
        self.unfinished(theirs, ours);
        self.generations(theirs, ours);
        self.access(theirs, ours, &secrets);
        self.duplicates(theirs);
        self.rendered(theirs, ours);
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
        let is_mounted = |look: &Look, store: &str| look.mounts.iter().any(|mount| is_of(mount, store));
        for store in ["/run/secrets.d", "/run/secrets-for-users.d"] {
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
            if may_be_left && is_mounted(theirs, &store) && !is_mounted(ours, &store) {
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
            // It is not done, so it does not show; what is told more than by the original has to be known.
            changed.extend(before.keys().cloned());
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
        let allowed: BTreeSet<&String> =
            changed.iter().filter_map(|path| self.units_of.get(path)).flatten().collect();
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
            if let (true, Some(our)) = (is_made_on_the_way, ours.tree.get(path)) {
                if our == "d 0751 0:96" {
                    self.explained.insert("rendered");
                    rest.clone_from(our);
                }
            }
        }
    }

    fn note(&mut self, row: &'static str, is_so: bool) {
        if is_so {
            self.explained.insert(row);
        }
    }
}

impl Look {
    /// Gives the live generation a name instead of its number, and forgets older ones.
    fn only_live(&mut self, link: &str, number: u64) {
        let store = format!("{link}.d");
        let mut tree = BTreeMap::new();
        for (path, rest) in std::mem::take(&mut self.tree) {
            let inside = path
                .strip_prefix(&format!("{store}/"))
                .map(|inside| inside.split_once('/').unwrap_or((inside, "")));
            match inside {
                Some((name, below)) if name == number.to_string() => {
                    tree.insert(format!("{store}/live/{below}"), rest);
                }
                Some((name, _)) if name.parse().is_ok_and(|other: u64| other < number) => {}
                _ if path == link => {
                    let (owner, _) = rest.split_once(" -> ").unwrap();
                    tree.insert(path, format!("{owner} -> {store}/live"));
                }
                _ => {
                    tree.insert(path, rest);
                }
            }
        }
        self.tree = tree;
    }
}

/// The number of the generation that an unfinished run would leave.
fn next_number(look: &Look, store: &str, live: u64) -> u64 {
    let symlink = look.tree.get(store.strip_suffix(".d").unwrap());
    let target = symlink.and_then(|rest| rest.rsplit_once('/')?.1.parse().ok());
    target.unwrap_or(live) + 1
}
