//! Owns what stands outside of the store: links and copies at the paths that secrets ask for, and their going away when
//! nobody asks for them any more.
//!
//! What is to be made is remembered first, so that a run that is killed leaves nothing unknown. Only what is remembered
//! is removed, and only if what stands there still is what was put there. The directories that were made for it stay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::copy::{self, FileCopy};
use super::file::Stamp;
use super::link::{self, Link, Unmade};
use super::remembered::{Entry, List, ListError};
use super::walk::{PathError, Trust};

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

/// Makes everything that is wanted, and removes what was made before and is not.
#[must_use]
pub fn place_all(wanted: &[Wanted<'_>], memory: &Memory<'_>) -> Shortcomings {
    let mut done = Shortcomings::default();
    let trust = memory.trust;
    let mut list = memory.load(wanted, &mut done.warnings);
    let before = list.as_ref().map(|list| list.entries().clone()).unwrap_or_default();
    let stamp = Stamp::now();

    let links: Vec<&Link> = wanted.iter().filter_map(Wanted::link).collect();
    let copies: Vec<Copying> =
        wanted.iter().filter_map(|wanted| Some(Copying::new(wanted.copy()?, &before, trust))).collect();
    let paths: BTreeSet<&Path> = wanted.iter().map(Wanted::path).collect();
    let kept = wanted.iter().filter(|wanted| matches!(wanted, Wanted::AsBefore(_))).map(Wanted::path);
    let mut after: BTreeSet<Entry> = kept.flat_map(|path| at(&before, path)).collect();
    after.extend(links.iter().map(|link| entry_of(link)));
    after.extend(copies.iter().map(|copying| copying.entry(stamp)));

    let both: BTreeSet<Entry> = before.union(&after).cloned().collect();
    if let Some(error) = list.as_mut().and_then(|list| list.replace(&both).err()) {
        done.warnings.push(Warning::NotRemembered(error));
        list = None;
    }
    // Before anything is made: a link may stand where there is to be a directory now.
    let stale = before.iter().filter(|entry| !paths.contains(entry.path()));
    after.extend(done.remove_all(stale, trust));
    for link in links {
        if let Err(error) = link::link(link, trust) {
            after.extend(at(&before, &link.path));
            done.failures.push(error);
        }
    }
    for copying in &copies {
        let entry = copying.entry(stamp);
        match copying.make(list.is_some(), stamp, trust) {
            Ok(made) if made == entry => {}
            // Not every file system keeps time so exactly.
            Ok(made) => {
                after.remove(&entry);
                after.insert(made);
            }
            Err(error) => {
                after.remove(&entry);
                after.extend(at(&before, &copying.copy.path));
                done.failures.push(error);
            }
        }
    }
    if let Some(error) = list.and_then(|mut list| list.replace(&after).err()) {
        done.warnings.push(Warning::NotRemembered(error));
    }
    done
}

/// Where something was placed before. Empty where that cannot be found out, which [`place_all`] tells.
#[must_use]
pub fn placed_before(memory: &Memory<'_>) -> Vec<PathBuf> {
    let list =
        memory.directory.and_then(|directory| List::load(directory, memory.mount_point, memory.trust).0);
    list.iter().flat_map(List::entries).map(|entry| entry.path().to_owned()).collect()
}

/// What is remembered of the path.
fn at(before: &BTreeSet<Entry>, path: &Path) -> impl Iterator<Item = Entry> {
    before.iter().filter(move |entry| entry.path() == path).cloned()
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
}

enum Standing {
    /// The copy, as it is remembered.
    Known(Stamp),
    /// The same file, which is not remembered: it is another store's, or the list was lost.
    Same(Stamp),
    Other,
}

impl<'c> Copying<'c> {
    fn new(copy: &'c FileCopy<'c>, before: &BTreeSet<Entry>, trust: Trust) -> Self {
        let standing = match copy.find(trust) {
            Ok(Some(modified)) if before.contains(&copy_of(copy, modified)) => Standing::Known(modified),
            Ok(Some(modified)) => Standing::Same(modified),
            // Making it will tell why it could not be looked at.
            Ok(None) | Err(_) => Standing::Other,
        };
        Self { copy, standing }
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
    fn make(&self, is_remembered: bool, stamp: Stamp, trust: Trust) -> Result<Entry, PathError> {
        let modified = match self.standing {
            Standing::Known(modified) => modified,
            Standing::Same(modified) if !is_remembered => modified,
            Standing::Same(_) | Standing::Other => self.copy.make(stamp, trust)?,
        };
        Ok(copy_of(self.copy, modified))
    }
}

fn copy_of(copy: &FileCopy<'_>, modified: Stamp) -> Entry {
    Entry::Copy { path: copy.path.clone(), modified }
}

impl<'a> Wanted<'a> {
    fn path(&self) -> &Path {
        match self {
            Self::Link(link) => &link.path,
            Self::Copy(copy) => &copy.path,
            Self::AsBefore(path) => path,
        }
    }

    fn link(&self) -> Option<&Link> {
        if let Self::Link(link) = self { Some(link) } else { None }
    }

    fn copy(&self) -> Option<&FileCopy<'a>> {
        if let Self::Copy(copy) = self { Some(copy) } else { None }
    }
}

impl Memory<'_> {
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
