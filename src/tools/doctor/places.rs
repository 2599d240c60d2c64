//! What an activation has put in place, and whether the next one can: owners, the store, the live generation, links.

use std::collections::BTreeSet;
use std::path::Path;

use super::findings::{Area, Findings};
use crate::decrypted::File;
use crate::diagnostic::{Diagnostic, enumerate};
use crate::explain;
use crate::plan::access::Ownership;
use crate::plan::{InstallMode, Plan, Target};
use crate::secret::Plaintext;
use crate::system::accounts::{AccountError, Accounts};
use crate::system::file::{FileError, Kind};
use crate::system::generation::{Entry, Wanted};
use crate::system::link::Unmade;
use crate::system::live::{Differences, LiveGeneration};
use crate::system::mount_table::MountTable;
use crate::system::paths::{self, Abandoned, Memory, Warning};
use crate::system::survey::{self, AtPath, StoreSurvey};

/// What memory is given out in.
const PAGE: u64 = 4096;

pub struct Places<'p> {
    pub plan: &'p Plan,
    pub mounts: &'p MountTable,
    /// Of what was put outside of the store.
    pub memory: Memory<'p>,
    /// The command that activates.
    pub activation: String,
}

/// Of each file the owner, where it has one.
pub fn owners(files: &[File], accounts: &Accounts, findings: &mut Findings) -> Vec<Option<Ownership>> {
    let mut unknown: Vec<(AccountError, Vec<&str>)> = Vec::new();
    let owners = files.iter().map(|file| match accounts.resolve(&file.target.access) {
        Ok(ownership) => Some(ownership),
        Err(error) => {
            let title = file.target.title.as_str();
            match unknown.iter_mut().find(|(known, _)| *known == error) {
                Some((_, titles)) => titles.push(title),
                None => unknown.push((error, vec![title])),
            }
            None
        }
    });
    let owners: Vec<Option<Ownership>> = owners.collect();
    let is_well = unknown.is_empty();
    for (error, titles) in unknown {
        let wanted = format!("wanted by {}", listed(&titles));
        let problem = Diagnostic::new(error.to_string()).note(wanted).help(error.help(None));
        findings.problem_of(Area::Owners, &account(&error), problem);
    }
    if let Err(error) = accounts.directories() {
        findings.problem(Area::Owners, Diagnostic::new(error.to_string()).help(error.help(None)));
    } else if is_well {
        findings.ok(Area::Owners, "every owner and group exists".to_owned());
    }
    owners
}

impl Places<'_> {
    pub fn store(&self, files: &[File], findings: &mut Findings) {
        let mount_point = &self.plan.store.mount_point;
        let path = mount_point.display();
        let store = match survey::store(mount_point) {
            Ok(Some(store)) => store,
            Ok(None) => {
                findings.note(Area::Store, format!("'{path}' does not exist yet: an activation makes it"));
                return;
            }
            Err(error) => return findings.problem(Area::Store, plain(&error)),
        };
        let kind = self.mounts.kind(mount_point).or(store.memory).unwrap_or("something unknown");
        let before = findings.all().len();
        if let Some(problem) = self.unfit(&store, kind).or_else(|| self.full(&store, files)) {
            findings.problem(Area::Store, problem);
        }
        if self.plan.user_mode && store.memory.is_none() {
            // A user cannot mount, so there is nothing to do about it here.
            findings.note(
                Area::Store,
                format!(
                    "'{path}' lies on {kind}, neither on ramfs nor on tmpfs: secrets may reach a disk, and stay there after a shutdown"
                ),
            );
        }
        if self.mounts.is_swappable(mount_point) && store.is_mount {
            findings.note(
                Area::Store,
                format!("'{path}' is a tmpfs without 'noswap': secrets may reach the swap device"),
            );
        }
        let wanted = if self.plan.store.use_tmpfs { "tmpfs" } else { "ramfs" };
        if !self.plan.user_mode && store.is_mount && store.memory.is_some_and(|found| found != wanted) {
            findings.note(
                Area::Store,
                format!(
                    "'{path}' is a {kind}, where {wanted} is asked for; it stays one until it is unmounted"
                ),
            );
        }
        if findings.all().len() == before {
            let flags =
                if store.flags.is_empty() { String::new() } else { format!(" ({})", store.flags.join(",")) };
            findings.ok(Area::Store, format!("'{path}' is a {kind}{flags}"));
        }
    }

    /// Why no secret should be on it, or can be.
    fn unfit(&self, store: &StoreSurvey, kind: &str) -> Option<Diagnostic> {
        let path = self.plan.store.mount_point.display();
        let quoted = explain::quoted(&path.to_string());
        let activation = &self.activation;
        if self.plan.user_mode {
            // What it lies on is worth a note.
            return None;
        }
        if store.memory.is_none() {
            return Some(
                Diagnostic::new(format!("'{path}' is no memory: it lies on {kind}, and what is written there stays"))
                    .help(format!(
                        "remove {quoted} with all that is in it (`rm -r {quoted}`), then activate: {activation} mounts memory there"
                    )),
            );
        }
        if store.read_only {
            return Some(
                Diagnostic::new(format!("'{path}' is mounted read-only: no generation can be written"))
                    .help(format!("run `mount -o remount,rw {quoted}`, then activate: {activation}")),
            );
        }
        if store.is_mount && !store.missing_flags.is_empty() {
            let missing = store.missing_flags.join(",");
            return Some(
                Diagnostic::new(format!("'{path}' is mounted without {missing}"))
                    .help(format!("activate, which adds them: {activation}")),
            );
        }
        None
    }

    /// A whole generation is written beside the live one.
    fn full(&self, store: &StoreSurvey, files: &[File]) -> Option<Diagnostic> {
        let available = store.available?;
        let content = files.iter().filter_map(|file| file.content.as_ref().ok()).map(Plaintext::expose);
        let pages: u64 = content.map(|content| (content.len() as u64).div_ceil(PAGE)).sum();
        if pages * PAGE <= available && available > 0 {
            return None;
        }
        let path = self.plan.store.mount_point.display();
        let quoted = explain::quoted(&path.to_string());
        Some(
            Diagnostic::new(format!("'{path}' is full: the next generation has no room"))
                .note(format!("{} KiB are free, and {} KiB are needed", available / 1024, (pages * PAGE).max(PAGE) / 1024))
                .help(format!(
                    "remove what is no generation from {quoted}, or enlarge it with `mount -o remount,size=64M {quoted}`"
                )),
        )
    }

    pub fn generation(
        &self,
        files: &[File],
        owners: &[Option<Ownership>],
        accounts: &Accounts,
        findings: &mut Findings,
    ) {
        let store = &self.plan.store;
        let live = match LiveGeneration::find(&store.mount_point, &store.symlink_path) {
            Ok(Some(live)) => live,
            Ok(None) => return findings.problem(Area::Generation, self.nothing_live()),
            Err(error) => return findings.problem(Area::Generation, plain(&error)),
        };
        let number = live.number();
        let entries: Vec<Wanted> = files.iter().zip(owners).filter_map(entry).collect();
        let directories = accounts.directories().ok();
        if entries.len() != files.len() || (directories.is_none() && !self.plan.user_mode) {
            let text = format!(
                "generation {number} is live; it is compared only when every file and every owner is known"
            );
            return findings.note(Area::Generation, text);
        }
        match live.differences(&entries, directories) {
            Err(error) => findings.problem(Area::Generation, plain(&error)),
            Ok(differences) if differences.is_empty() => {
                findings
                    .ok(Area::Generation, format!("generation {number} is live, and as the manifest asks"));
            }
            Ok(differences) => {
                let mut diagnostic =
                    Diagnostic::new(format!("generation {number} is live, and not as the manifest asks"))
                        .help(format!("activate: {}", self.activation));
                diagnostic.notes = changes(&differences);
                findings.problem(Area::Generation, diagnostic);
            }
        }
    }

    fn nothing_live(&self) -> Diagnostic {
        let symlink = &self.plan.store.symlink_path;
        let path = symlink.display();
        let why = match survey::at_path(symlink) {
            Ok(AtPath::Nothing) => format!("'{path}' does not exist"),
            Ok(AtPath::Link(target)) => {
                format!("'{path}' leads to '{}', where no generation is", target.display())
            }
            Ok(AtPath::Other(kind)) => format!("'{path}' is {kind}, not a link to a generation"),
            Err(error) => error.to_string(),
        };
        Diagnostic::new(format!("no generation is live: {why}"))
            .help(format!("activate: {}", self.activation))
    }

    /// The links and copies at the paths that secrets ask for, and what is left of earlier ones.
    pub fn links(&self, findings: &mut Findings) {
        let symlink = &self.plan.store.symlink_path;
        let linked: Vec<(&Target, &Path)> =
            self.plan.targets().filter_map(|target| Some((target, target.link.as_deref()?))).collect();
        let mut is_well = true;
        for (target, path) in &linked {
            if let Some(problem) = self.misplaced(target, path) {
                is_well = false;
                findings.problem(Area::Links, problem);
            }
        }
        let wanted: BTreeSet<&Path> = linked.iter().map(|(_, path)| *path).collect();
        let abandoned = paths::abandoned(&wanted, &self.memory).unwrap_or_else(|error| {
            is_well = false;
            findings.note(Area::Links, Warning::Forgotten(error).to_string());
            Vec::new()
        });
        // What is remembered goes by itself; beside the links there may be what another program left.
        let mut told: BTreeSet<&Path> = wanted.clone();
        for one in &abandoned {
            is_well = false;
            told.insert(&one.path);
            self.tell_abandoned(one, findings);
        }
        let directories: BTreeSet<&Path> = wanted.iter().filter_map(|path| path.parent()).collect();
        for directory in directories {
            for (path, target) in survey::dangling_into(directory, symlink) {
                if told.contains(path.as_path()) {
                    continue;
                }
                is_well = false;
                let (path, target) = (path.display(), target.display());
                findings.problem(
                    Area::Links,
                    Diagnostic::new(format!("'{path}' leads to '{target}', which is no secret any more"))
                        .help(format!("remove that link: `rm {}`", explain::quoted(&path.to_string()))),
                );
            }
        }
        if is_well && !linked.is_empty() {
            findings.ok(Area::Links, format!("{} in place", super::counted(linked.len(), "link")));
        }
    }

    /// What was put there, and no secret asks for.
    fn tell_abandoned(&self, Abandoned { path, target, next }: &Abandoned, findings: &mut Findings) {
        let shown = path.display();
        let quoted = explain::quoted(&shown.to_string());
        let problem = match next {
            Ok(Unmade::Changed) => Diagnostic::new(Warning::Changed(path.clone()).to_string())
                .help(format!("remove it if nothing needs it: `rm {quoted}`")),
            Ok(_) => {
                let what = match target {
                    Some(target) => format!("leads to '{}'", target.display()),
                    None => "is the copy of a secret".to_owned(),
                };
                Diagnostic::new(format!("'{shown}' {what}, and no secret asks for it any more"))
                    .help(format!("activate, which removes it: {}", self.activation))
            }
            Err(error) => {
                Diagnostic::new(format!("'{shown}' is not asked for any more, and is not removed: {error}"))
                    .help(format!("see what stands at {quoted}, and remove it by hand"))
            }
        };
        findings.problem_of(Area::Links, &quoted, problem);
    }

    fn misplaced(&self, target: &Target, path: &Path) -> Option<Diagnostic> {
        let wanted = self.plan.store.symlink_path.join(target.name.as_str());
        let shown = path.display();
        let is_copied = target.install_mode == InstallMode::Copy;
        let why = match survey::at_path(path) {
            Ok(AtPath::Link(found)) if found == wanted && !is_copied => return None,
            Ok(AtPath::Other(Kind::File)) if is_copied => return None,
            Ok(AtPath::Link(found)) => format!("'{shown}' leads to '{}'", found.display()),
            Ok(AtPath::Nothing) => format!("there is nothing at '{shown}'"),
            Ok(AtPath::Other(kind)) => format!("'{shown}' is {kind}"),
            Err(error) => error.to_string(),
        };
        let not_there = if is_copied { "is not copied to its path" } else { "is not linked at its path" };
        let problem = format!("{} {not_there}: {why}", target.title);
        Some(Diagnostic::new(problem).help(format!("activate: {}", self.activation)))
    }
}

fn entry<'f>((file, owner): (&'f File<'_>, &Option<Ownership>)) -> Option<Wanted<'f>> {
    let (content, ownership) = (file.content.as_ref().ok()?, (*owner)?);
    let target = file.target;
    let (name, mode) = (&target.name, target.access.mode);
    Some(Wanted::File(Entry { name, ownership, mode, content: content.expose() }))
}

fn changes(differences: &Differences) -> Vec<String> {
    let names = |names: &BTreeSet<crate::plan::name::Name>| -> Vec<String> {
        names.iter().map(|name| name.as_str().to_owned()).collect()
    };
    let removed: Vec<String> = differences.removed.iter().map(|path| path.display().to_string()).collect();
    let mut lines: Vec<String> = [
        ("missing", names(&differences.added)),
        ("other content or access", names(&differences.modified)),
        ("not asked for", removed),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!("{what}: {}", enumerate(&names)))
    .collect();
    if differences.directories {
        lines.push("a directory has other permissions, or another owner, than it should".to_owned());
    }
    lines
}

/// `user 'alice'`
fn account(error: &AccountError) -> String {
    match error {
        AccountError::Account { database, name, .. } => format!("{database} '{name}'"),
        AccountError::KeysGroup { .. } => String::new(),
    }
}

/// The first few titles, and how many more.
fn listed(titles: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = titles.iter().take(SHOWN).copied().collect();
    match titles.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn plain(error: &FileError) -> Diagnostic {
    Diagnostic::new(error.to_string())
}
