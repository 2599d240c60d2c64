//! Owns what stands outside of the store: links and copies at the paths that secrets ask for, and their going away when
//! nobody asks for them any more.
//!
//! What is to be made is remembered first, so that a run that is killed leaves nothing unknown. Only what is remembered
//! is removed, and only if what stands there still is what was put there. The directories that were made for it stay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::copy::{self, FileCopy};
use super::file::{FileError, Stamp};
use super::link::{self, Link, Unmade};
use super::remembered::{Entry, List, ListError};
use super::walk::{OffLimits, PathError, Trust, insist};

/// What is to stand at a path.
#[derive(Clone)]
pub enum Wanted<'a> {
    Link(Link),
    Copy(FileCopy<'a>),
    /// Whatever stands there: there is nothing better.
    AsBefore(PathBuf),
}

/// Where it is remembered, and on whose behalf everything is done.
#[derive(Clone, Copy)]
pub struct Memory<'m> {
    /// The directory of the lists; none where a user has no home.
    pub directory: Option<&'m Path>,
    /// Of the store whose secrets these are.
    pub mount_point: &'m Path,
    /// Leads to the live generation, and nothing else may stand there.
    pub symlink: &'m Path,
    pub trust: Trust,
}

/// What did not go well. Everything was tried.
#[derive(Debug, Default)]
pub struct Shortcomings {
    pub failures: Vec<PathError>,
    pub warnings: Vec<Warning>,
}

/// What the user should know, although everything is in place.
#[derive(Debug, thiserror::Error)]
pub enum Warning {
    #[error(
        "it is not known which links and copies were made before, and those that are not asked for any more stay: {0}"
    )]
    Forgotten(ListError),
    #[error("what is at the paths of secrets will stay there when it is not asked for any more: {0}")]
    NotRemembered(ListError),
    #[error("'{}' is not asked for any more, and stays: it is not the file that was put there", .0.display())]
    Changed(PathBuf),
    #[error("what was put at '{}' is not asked for any more, and is not looked for: {error}", path.display())]
    Elsewhere { path: PathBuf, error: PathError },
}

/// Something that was put outside of the store, and that nobody asks for any more.
#[derive(Debug)]
pub struct Abandoned {
    pub path: PathBuf,
    /// Where the link leads; none of a copy.
    pub target: Option<PathBuf>,
    /// What [`place_all`] would do about it.
    pub next: Result<Unmade, PathError>,
}

/// What stands at other paths than are `wanted` and was put there by earlier runs. Changes nothing.
///
/// # Errors
/// Why that is not known.
pub fn abandoned(wanted: &BTreeSet<&Path>, memory: &Memory<'_>) -> Result<Vec<Abandoned>, ListError> {
    let Some(directory) = memory.directory else { return Ok(Vec::new()) };
    let entries = List::look(directory, memory.mount_point, memory.trust)?;
    let found = entries.into_iter().filter(|entry| !wanted.contains(entry.path())).map(|entry| match entry {
        Entry::Link { path, target } => {
            let next = link::look(&path, &target, memory.trust);
            Abandoned { path, target: Some(target), next }
        }
        Entry::Copy { path, modified } => {
            let next = copy::look(&path, modified, memory.trust);
            Abandoned { path, target: None, next }
        }
    });
    let mut found: Vec<Abandoned> =
        found.filter(|one| !matches!(one.next, Ok(Unmade::Gone | Unmade::Foreign))).collect();
    // Of a path where a run was killed more than one thing is remembered.
    let removed = |one: &Abandoned| matches!(one.next, Ok(Unmade::Removed)).then(|| one.path.clone());
    let removed: BTreeSet<PathBuf> = found.iter().filter_map(removed).collect();
    found.retain(|one| !(matches!(one.next, Ok(Unmade::Changed)) && removed.contains(&one.path)));
    Ok(found)
}

/// Makes everything that is wanted, and removes what was made before and is not.
#[must_use]
pub fn place_all(wanted: &[Wanted<'_>], memory: &Memory<'_>) -> Shortcomings {
    let mut done = Shortcomings::default();
    let trust = memory.trust;
    let mut list = memory.load(wanted, &mut done.warnings);
    let before = list.as_ref().map(|list| list.entries().clone()).unwrap_or_default();
    let stamp = Stamp::now();
    let off_limits = memory.off_limits().map_err(|error| done.failures.push(error.into())).ok();
    let off_limits = off_limits.as_ref();

    let (mut links, mut copies) = (Vec::new(), Vec::new());
    let mut after: BTreeSet<Entry> = BTreeSet::new();
    for one in wanted {
        match (one, off_limits) {
            (Wanted::Link(link), Some(limits)) => links.push((link, limits)),
            (Wanted::Copy(copy), Some(limits)) => copies.push(Copying::new(copy, &before, trust, limits)),
            // Where nothing is known to be off limits, anything could be: all stays as it is.
            (Wanted::AsBefore(_), _) | (_, None) => after.extend(at(&before, one.path())),
        }
    }
    let paths: BTreeSet<&Path> = wanted.iter().map(Wanted::path).collect();
    after.extend(links.iter().map(|(link, _)| entry_of(link)));
    after.extend(copies.iter().map(|copying| copying.entry(stamp)));

    let both: BTreeSet<Entry> = before.union(&after).cloned().collect();
    if let Some(error) = list.as_mut().and_then(|list| list.replace(&both).err()) {
        done.warnings.push(Warning::NotRemembered(error));
        list = None;
    }
    // Before anything is made: a link may stand where there is to be a directory now.
    let stale = before.iter().filter(|entry| !paths.contains(entry.path()));
    after.extend(done.remove_all(stale, trust));
    for (link, limits) in links {
        // Below the link to the live generation one may be wanted, as there: beside the secrets, under a name that is none's.
        let outside = (!link.path.starts_with(memory.symlink)).then_some(limits);
        if let Err(error) = insist(|| link::link(link, trust, outside), PathError::is_collision) {
            if error.is_off_limits() {
                after.remove(&entry_of(link));
            } else {
                after.extend(at(&before, &link.path));
            }
            done.failures.push(error);
        }
    }
    for copying in &copies {
        let entry = copying.entry(stamp);
        match insist(|| copying.make(list.is_some(), stamp, trust), PathError::is_collision) {
            Ok(made) if made == entry => {}
            // Not every file system keeps time so exactly.
            Ok(made) => {
                after.remove(&entry);
                after.insert(made);
            }
            Err(error) => {
                after.remove(&entry);
                // A run that was killed may have remembered what it was about to be refused.
                if !error.is_off_limits() {
                    after.extend(at(&before, &copying.copy.path));
                }
                done.failures.push(error);
            }
        }
    }
    if let Some(error) = list.and_then(|mut list| list.replace(&after).err()) {
        done.warnings.push(Warning::NotRemembered(error));
    }
    done
}

/// Where something was placed before. Empty where the list is not one to be believed, which [`place_all`] tells.
///
/// # Errors
/// When that cannot be found out now; it may be a moment later.
pub fn placed_before(memory: &Memory<'_>) -> Result<Vec<PathBuf>, PathError> {
    let Some(directory) = memory.directory else { return Ok(Vec::new()) };
    match List::load(directory, memory.mount_point, memory.trust) {
        (_, Some(ListError::Path(error))) => Err(error),
        (list, _) => Ok(list.iter().flat_map(List::entries).map(|entry| entry.path().to_owned()).collect()),
    }
}

/// What is remembered of the path.
fn at(before: &BTreeSet<Entry>, path: &Path) -> impl Iterator<Item = Entry> {
    let first_link = Entry::Link { path: path.to_owned(), target: PathBuf::new() };
    let first_copy = Entry::Copy { path: path.to_owned(), modified: Stamp::FIRST };
    let from = |first| before.range(first..).take_while(move |entry| entry.path() == path);
    from(first_link).chain(from(first_copy)).cloned()
}

fn entry_of(link: &Link) -> Entry {
    Entry::Link { path: link.path.clone(), target: link.target.clone() }
}

impl Shortcomings {
    /// Removes what is not wanted any more; says what is to be tried again.
    fn remove_all<'e>(&mut self, stale: impl Iterator<Item = &'e Entry>, trust: Trust) -> BTreeSet<Entry> {
        let mut again = BTreeSet::new();
        let (mut removed, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for entry in stale {
            let unmade = match entry {
                Entry::Link { path, target } => link::unlink(path, target, trust),
                Entry::Copy { path, modified } => copy::remove(path, *modified, trust),
            };
            let path = entry.path();
            match unmade {
                Ok(Unmade::Removed) => {
                    removed.insert(path);
                }
                Ok(Unmade::Changed) => {
                    changed.insert(path);
                }
                Ok(Unmade::Gone | Unmade::Foreign) => {}
                Err(error) if error.is_elsewhere() => {
                    self.warnings.push(Warning::Elsewhere { path: path.to_owned(), error });
                }
                Err(error) => {
                    self.failures.push(error);
                    again.insert(entry.clone());
                }
            }
        }
        // Of a path where a run was killed more than one thing is remembered.
        self.warnings.extend(changed.difference(&removed).map(|&path| Warning::Changed(path.to_owned())));
        again
    }
}

/// A copy that is wanted, and what stands at its path.
struct Copying<'c> {
    copy: &'c FileCopy<'c>,
    standing: Standing,
    off_limits: &'c OffLimits<'c>,
}

enum Standing {
    /// The copy, as it is remembered.
    Known(Stamp),
    /// The same file, which is not remembered: it is another store's, or the list was lost.
    Same(Stamp),
    Other,
}

impl<'c> Copying<'c> {
    fn new(
        copy: &'c FileCopy<'c>,
        before: &BTreeSet<Entry>,
        trust: Trust,
        off_limits: &'c OffLimits<'c>,
    ) -> Self {
        let standing = match copy.find(trust, off_limits) {
            Ok(Some(modified)) if before.contains(&copy_of(copy, modified)) => Standing::Known(modified),
            Ok(Some(modified)) => Standing::Same(modified),
            // Making it will tell why it could not be looked at.
            Ok(None) | Err(_) => Standing::Other,
        };
        Self { copy, standing, off_limits }
    }

    /// What to remember if it is made at `stamp`.
    fn entry(&self, stamp: Stamp) -> Entry {
        match self.standing {
            Standing::Known(modified) => copy_of(self.copy, modified),
            Standing::Same(_) | Standing::Other => copy_of(self.copy, stamp),
        }
    }

    /// What is to be remembered now. The same file is made again to be told from another store's, unless that would be
    /// forgotten, and it would be made again in every run.
    ///
    /// It is looked at once more: it may have stood at another path, too, from which it was removed.
    fn make(&self, is_remembered: bool, stamp: Stamp, trust: Trust) -> Result<Entry, PathError> {
        let off_limits = self.off_limits;
        let stands = |modified| self.copy.find(trust, off_limits).is_ok_and(|found| found == Some(modified));
        let modified = match self.standing {
            Standing::Known(modified) if stands(modified) => modified,
            Standing::Same(modified) if !is_remembered && stands(modified) => modified,
            Standing::Known(_) | Standing::Same(_) | Standing::Other => {
                self.copy.make(stamp, trust, off_limits)?
            }
        };
        Ok(copy_of(self.copy, modified))
    }
}

fn copy_of(copy: &FileCopy<'_>, modified: Stamp) -> Entry {
    Entry::Copy { path: copy.path.clone(), modified }
}

impl Wanted<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Link(link) => &link.path,
            Self::Copy(copy) => &copy.path,
            Self::AsBefore(path) => path,
        }
    }
}

impl Memory<'_> {
    /// What links and copies may not be put into, by whatever name.
    fn off_limits(&self) -> Result<OffLimits<'_>, FileError> {
        OffLimits::of(self.mount_point, self.symlink)
    }

    /// The list, if there is a place for it.
    fn load(&self, wanted: &[Wanted<'_>], warnings: &mut Vec<Warning>) -> Option<List> {
        let Some(directory) = self.directory else {
            if !wanted.is_empty() {
                warnings.push(Warning::NotRemembered(ListError::NoDirectory));
            }
            return None;
        };
        let (list, error) = List::load(directory, self.mount_point, self.trust);
        warnings.extend(error.map(Warning::Forgotten));
        list
    }
}
