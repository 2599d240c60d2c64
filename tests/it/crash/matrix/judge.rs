//! Does something to a run, looks at the machine, runs again, looks again, and says what should not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use super::bench::{After, Bench};
use super::calls::{self, Point, What};
use super::history::MARKERS;
use super::short::Then;
use super::tally::Tally;
use super::world::{Look, OURS};

/// So often is a point tried that does not happen: threads share the work in another way each time.
const TRIES: usize = 50;

const NOT_WHOLE: &str = "neither the old nor the new generation is live";
const NOTHING_LIVE: &str = "no generation is live where one was, or the link leads to nothing";
const PLAINTEXT: &str = "plaintext outside of the store";
const HALF: &str = "half a link or copy";
const LEFT: &str = "left behind, and not told";
const TOLD_WRONG: &str = "units told of what did not happen";
const UNTOLD: &str = "units never told";
const NOT_DONE: &str = "success, but not done";
const UNNAMED: &str = "the error does not name its object";
const NOT_HEALED: &str = "the next run does not heal";

/// The faults that are counted, as the record names them.
pub const FAULTS: [&str; 10] =
    [NOT_WHOLE, NOTHING_LIVE, PLAINTEXT, HALF, LEFT, TOLD_WRONG, UNTOLD, NOT_DONE, UNNAMED, NOT_HEALED];

impl Bench {
    /// Every point whose number is this shard's.
    pub fn judge_all(mut self, shard: u64, of: u64) -> Tally {
        self.tally.calls = self.calls.len();
        self.tally.of_loader = self.calls.iter().filter(|call| call.of_loader).count();
        let points: Vec<Point> = self.calls.iter().flat_map(calls::points).collect();
        for point in points.into_iter().filter(|point| point.number() % of == shard) {
            self.judge(&point);
        }
        for nth in 1..=self.writes {
            for (then, name) in [(Then::Goes, "short write"), (Then::Full, "short write, then ENOSPC")] {
                let number = u64::try_from(nth * 2 + usize::from(then == Then::Full)).unwrap();
                if number % of.min(8) != shard % of.min(8) {
                    continue;
                }
                self.tally.planned += 1;
                self.reset();
                let (after, seen) = self.shortened(nth, then);
                if seen.fired {
                    self.count(name);
                    let what = if then == Then::Goes { None } else { Some(Vec::new()) };
                    self.judge_after(&format!("{name} {nth}"), &after, what.as_deref());
                } else {
                    self.tally.missed.push(format!("{name} {nth}"));
                }
            }
        }
        self.tally
    }

    fn count(&mut self, kind: &str) {
        self.tally.fired += 1;
        *self.tally.kinds.entry(kind.to_owned()).or_default() += 1;
    }

    fn judge(&mut self, point: &Point) {
        self.tally.planned += 1;
        let name =
            format!("{} at {} {}: {}", point.what.name(), point.call.name, point.call.nth, point.call.text);
        for attempt in 0..TRIES {
            self.reset();
            let after = self.run(&self.strace(Some(point)));
            let log = fs::read_to_string(format!("{OURS}/log")).unwrap_or_default();
            if !point.has_fired(&log) {
                self.tally.retried += usize::from(attempt + 1 < TRIES);
                continue;
            }
            self.count(point.what.name());
            let objects = (!point.call.of_loader && point.what != What::Kill).then(|| calls::objects(&log));
            self.judge_after(&name, &after, objects.as_deref());
            return;
        }
        self.tally.missed.push(name);
    }

    /// Judges what there is after a run to which something was done, and after the next one. `objects` are what an error
    /// is about; without any, what the run says is not judged.
    fn judge_after(&mut self, point: &str, after: &After, objects: Option<&[String]>) {
        let mut faults: Vec<(&'static str, String)> = Vec::new();
        // Where the kernel does not permit the best memory, the next best is taken, and stays.
        let is_other_memory =
            ["EPERM at mount ", "EACCES at mount "].iter().any(|refused| point.starts_with(refused));
        let ended = match (after.status.code(), after.status.signal()) {
            (Some(0), _) => "survived",
            (Some(101), _) => "panicked",
            (Some(127), _) => "not started",
            (Some(_), _) => "told",
            (_, Some(6)) => "aborted",
            _ => "killed",
        };
        let has_succeeded = ended == "survived";
        let is_clean_end = after.status.code() == self.clean.status.code();
        let now = self.whole(&after.look);
        let clean = self.whole(&self.clean.look);
        let live = self.live(&now, &clean);
        let outcome = match live {
            Some(live) => format!("{ended}, {live} live"),
            None => format!("{ended}, each secret old or new"),
        };

        // What is live.
        if self.leads_nowhere(&after.look) {
            faults.push((NOTHING_LIVE, String::new()));
        } else if live.is_none() {
            let strange = self.mixed(&now, &clean, after);
            if ended != "told" || !strange.is_empty() {
                faults.push((NOT_WHOLE, strange.join(", ")));
            }
        }
        // Where secrets are.
        faults.extend(self.stray_plaintext(after).into_iter().map(|path| (PLAINTEXT, path)));
        // Links and copies.
        faults.extend(self.halves(&now, &clean, after).into_iter().map(|path| (HALF, path)));
        // What is told.
        let wrong: Vec<&String> = after.told.iter().filter(|unit| !self.clean.told.contains(unit)).collect();
        // What could not be read to be compared is made anew, and its units are told.
        let is_made_anew = self.is_same(&clean)
            && has_succeeded
            && objects
                .is_some_and(|objects| objects.iter().any(|object| object.starts_with(self.history.store)));
        let is_before = matches!(live, Some("old" | "no")) && !self.is_same(&clean);
        if !wrong.is_empty() && !is_made_anew || !after.told.is_empty() && is_before {
            faults.push((TOLD_WRONG, format!("{:?}", after.told)));
        }
        let has_told_more = after.said != self.clean.said && names_any(&after.said, objects);
        if is_clean_end && live == Some("new") {
            let different = differences(&now, &clean, is_other_memory);
            if !different.is_empty() && !has_told_more {
                faults.push((NOT_DONE, different.join("; ")));
            }
            if after.told != self.clean.told && !has_told_more && !is_made_anew {
                faults.push((NOT_DONE, format!("told {:?}", after.told)));
            }
        } else if has_succeeded {
            faults.push((NOT_DONE, "not live".into()));
        }
        if ended == "told" || ended == "panicked" {
            // Where nothing can be said, nobody can be told that. Another thread's call of the same number may be refused, too.
            let is_mute = |objects: &[String]| objects.iter().any(|object| object.contains("pipe:["));
            if let Some(objects) = objects
                && !(is_mute(objects) && after.said.is_empty())
                && !(is_clean_end && after.said == self.clean.said)
                && (ended == "panicked" || !is_error(&after.said) || !names_any(&after.said, Some(objects)))
            {
                faults.push((UNNAMED, format!("{objects:?}")));
            }
            let left =
                now.keys().filter(|path| !self.before.contains_key(*path) && !clean.contains_key(*path));
            // What units are owed when they could not be told of by any program: the next run has to tell them.
            let is_owed =
                |path: &str| path.contains("/.untold-") && after.said.contains("cannot run 'systemctl");
            let untold: Vec<&String> =
                left.filter(|path| !is_told(path, &after.said) && !is_owed(path)).collect();
            if !untold.is_empty() && objects.is_some() {
                faults.push((LEFT, format!("{untold:?}")));
            }
        }

        // The next run.
        let healing = self.run(&[]);
        let different = differences(&self.whole(&healing.look), &clean, is_other_memory);
        let says_the_same = healing.said == self.again.said
            || is_other_memory && healing.said.contains("is a tmpfs already and stays one");
        if !different.is_empty() || healing.status != self.again.status || !says_the_same {
            faults.push((
                NOT_HEALED,
                format!("{:?} {} {}", healing.status.code(), healing.said, different.join("; ")),
            ));
        }
        let told: BTreeSet<&String> = after.told.iter().chain(&healing.told).collect();
        if self.clean.told.iter().any(|unit| !told.contains(unit)) && ended != "told" {
            faults.push((UNTOLD, format!("{:?}", after.told)));
        }
        *self.tally.outcomes.entry(outcome).or_default() += 1;
        for (fault, what) in faults {
            let said = after.said.replace('\n', " | ");
            self.tally
                .faults
                .push((fault.to_owned(), format!("{point}\n    ended: {ended}; {what}\n    said: {said}")));
        }
    }

    fn is_same(&self, clean: &BTreeMap<String, String>) -> bool {
        self.part(&self.before) == self.part(clean)
    }

    /// Which whole generation is live.
    fn live(&self, now: &BTreeMap<String, String>, clean: &BTreeMap<String, String>) -> Option<&'static str> {
        let now = self.part(now);
        if now == self.part(clean) {
            return Some("new");
        }
        (now == self.part(&self.before)).then_some(if now.is_empty() { "no" } else { "old" })
    }

    /// The live generation and the link to it.
    fn part<'w>(&self, whole: &'w BTreeMap<String, String>) -> BTreeMap<&'w str, &'w str> {
        let generation = format!("{}/@", self.history.store);
        let entries =
            whole.iter().filter(|(path, _)| **path == self.history.symlink || path.starts_with(&generation));
        entries.map(|(path, line)| (path.as_str(), line.as_str())).collect()
    }

    fn leads_nowhere(&self, look: &Look) -> bool {
        let was_live = self.before.contains_key(self.history.symlink);
        match look.things.get(self.history.symlink) {
            Some(link) => look.things.get(&link.target).is_none_or(|directory| directory.kind != 'd'),
            None => was_live,
        }
    }

    /// Where each secret may be old or new: files that are neither, or that are not new, and are not told.
    fn mixed(
        &self,
        now: &BTreeMap<String, String>,
        clean: &BTreeMap<String, String>,
        after: &After,
    ) -> Vec<String> {
        let generation = format!("{}/@/", self.history.store);
        let (now, old, new) = (self.part(now), self.part(&self.before), self.part(clean));
        let paths: BTreeSet<&str> = now.keys().chain(old.keys()).chain(new.keys()).copied().collect();
        let is_strange = |path: &&str| {
            let Some(name) = path.strip_prefix(&generation) else { return false };
            let (seen, old, new) = (now.get(path), old.get(path), new.get(path));
            if seen == new || new.is_some_and(|line| line.starts_with('d')) {
                return false;
            }
            let title = name.strip_prefix("rendered/").unwrap_or(name);
            let is_roots = || seen.zip(new).is_some_and(|(seen, new)| *seen == for_root(new));
            let is_one = seen == old || seen.is_none() || is_roots();
            !is_one || !after.said.contains(&format!("'{title}'"))
        };
        paths.into_iter().filter(is_strange).map(str::to_owned).collect()
    }

    /// Paths outside of the store that hold a secret, or a part of what was said.
    fn stray_plaintext(&self, after: &After) -> Vec<String> {
        let has_marker = |bytes: &[u8]| {
            MARKERS.iter().any(|marker| bytes.windows(marker.len()).any(|part| part == marker.as_bytes()))
        };
        let mut found = Vec::new();
        if has_marker(after.said.as_bytes()) {
            found.push("what it says".to_owned());
        }
        let store = format!("{}/", self.history.store);
        let is_in_memory = !after.look.mounts.is_empty() || self.history.user.is_some();
        let copies = self.copies();
        for (path, thing) in &after.look.things {
            if !has_marker(&thing.content) {
                continue;
            }
            let is_stored = path.starts_with(&store)
                && (is_in_memory || after.said.contains("mounting is not permitted"));
            let is_copy = copies.contains(path.as_str());
            if !is_stored && !is_copy && !is_being_made(path, &copies, &after.look) {
                found.push(path.clone());
            }
        }
        found
    }

    /// Where copies are asked for, before or now.
    fn copies(&self) -> BTreeSet<&str> {
        let manifests = self.history.before.iter().chain([&self.history.now]);
        let targets = manifests.flat_map(|manifest| {
            ["secrets", "templates"].into_iter().filter_map(|list| manifest[list].as_array()).flatten()
        });
        targets
            .filter(|target| target["installMode"] == "copy")
            .filter_map(|target| target["path"].as_str())
            .collect()
    }

    /// Links and copies that are neither as before nor as they should be, and links to nothing that are new.
    fn halves(
        &self,
        now: &BTreeMap<String, String>,
        clean: &BTreeMap<String, String>,
        after: &After,
    ) -> Vec<String> {
        let is_outside = |path: &&String| {
            !path.starts_with(&format!("{}/", self.history.store))
                && **path != self.history.store
                && **path != self.history.symlink
                && !path.starts_with("/mounted")
                && !path.contains("sops-activate")
        };
        let paths: BTreeSet<&String> = self.before.keys().chain(clean.keys()).filter(is_outside).collect();
        let bytes = |line: &String| line.rsplit(' ').next().unwrap_or_default().to_owned();
        let right: BTreeSet<String> = paths
            .iter()
            .flat_map(|path| [self.before.get(*path), clean.get(*path)])
            .flatten()
            .map(bytes)
            .collect();
        let mut halves = Vec::new();
        for path in paths {
            let seen = now.get(path);
            let is_kept_copy = || {
                self.copies().contains(path.as_str()) && seen.is_some_and(|line| right.contains(&bytes(line)))
            };
            if seen != self.before.get(path)
                && seen != clean.get(path)
                && !(after.status.code() == Some(1) && (is_kept_copy() || seen.is_none()))
            {
                halves.push(format!("{path}: {seen:?}"));
            }
            let Some(thing) = after.look.things.get(path) else { continue };
            let is_new = self.before.get(path) != seen;
            if thing.kind == 'l' && is_new && !self.exists(&thing.target, &after.look) {
                halves.push(format!("{path} leads to nothing"));
            }
        }
        halves
    }

    /// Whether there is something at a path that goes through the store's link.
    fn exists(&self, path: &str, look: &Look) -> bool {
        let link = look.things.get(self.history.symlink);
        let inside = path.strip_prefix(self.history.symlink).zip(link);
        let path = inside.map_or(path.to_owned(), |(inside, link)| format!("{}{inside}", link.target));
        look.things.contains_key(&path)
    }
}

/// The same file for root alone, as is made for an owner whom nobody knows.
fn for_root(line: &str) -> String {
    let mut words: Vec<&str> = line.splitn(3, ' ').collect();
    if let [access, owner, _] = &mut words[..] {
        (*access, *owner) = ("f400", "0:0");
    }
    words.join(" ")
}

/// Whether the file is a copy that is being made, where nobody but its maker can go.
fn is_being_made(path: &str, copies: &BTreeSet<&str>, look: &Look) -> bool {
    let Some((directory, "new")) = path.rsplit_once('/') else { return false };
    let Some((parent, name)) = directory.rsplit_once('/') else { return false };
    let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".sops-activate"));
    name.is_some_and(|name| copies.contains(format!("{parent}/{name}").as_str()))
        && look.things.get(directory).is_some_and(|directory| directory.mode == 0o700)
}

/// In what two machines differ; `is_other_memory` says that something else may be mounted.
fn differences(
    now: &BTreeMap<String, String>,
    clean: &BTreeMap<String, String>,
    is_other_memory: bool,
) -> Vec<String> {
    let paths: BTreeSet<&String> = now.keys().chain(clean.keys()).collect();
    let is_let_be = |path: &&String| is_other_memory && path.starts_with("/mounted");
    let different = paths.into_iter().filter(|path| now.get(*path) != clean.get(*path) && !is_let_be(path));
    different.map(|path| format!("{path}: {:?} for {:?}", now.get(path), clean.get(path))).collect()
}

fn is_error(said: &str) -> bool {
    said.lines().any(|line| line.contains(": error: "))
}

/// Whether a message names one of the objects, or the directory that it lies in, or whom was asked for in a file of
/// names.
fn names_any(said: &str, objects: Option<&[String]>) -> bool {
    let Some(objects) = objects else { return true };
    let named: Vec<String> = said.split('\'').map(calls::settled).collect();
    let is_named = |object: &String| {
        let parent = object.rsplit_once('/').map_or("", |(parent, _)| parent);
        // The directory of generations is where the link leads.
        let link = parent.strip_suffix(".d").or(object.strip_suffix(".d")).unwrap_or_default();
        named.iter().any(|named| named == object || (named.len() > 1 && (named == parent || named == link)))
            // A list of what was tried does without quotes.
            || object.matches('/').count() > 1 && said.contains(object.as_str())
    };
    let of_names = ["/etc/passwd", "/etc/group", "/etc/nsswitch", "nscd", "/etc/ld.so", "libnss", "/lib"];
    let is_of_names = objects.iter().any(|object| of_names.iter().any(|part| object.contains(part)));
    // What a program that is to be started gets, and where messages go: nobody is told that they cannot be told.
    let is_of_programs = objects.iter().any(|object| object == "/dev/null" || object.contains("pipe:["));
    objects.is_empty() && said.contains('\'')
        || is_of_programs
        || objects.iter().any(is_named)
        || is_of_names && (said.contains("user '") || said.contains("group '"))
}

fn is_told(path: &str, said: &str) -> bool {
    Path::new(path)
        .ancestors()
        .any(|path| path.parent().is_some() && said.contains(&format!("'{}", path.display())))
}
