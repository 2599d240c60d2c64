//! Owns the writing of one generation, from an empty directory to the rename that makes it live.
//!
//! A generation is complete before anything points at it, and gone again if it does not get that far.
//!
//! A file that stays as it was is the same file in both generations, by a hard link: its bytes come into nobody's memory
//! and onto no other page, it needs no room where there may be none, and whatever access it has, it keeps. Nothing
//! writes into an installed file, so that two names for one do no harm, and pruning takes away names. A store whose
//! file system has no hard links (ramfs and tmpfs have) cannot keep files; there the activation fails.

use std::ffi::OsStr;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd;

use super::directory::Directory;
use super::file::FileError;
use super::live::LiveGeneration;
use super::mount::DIRECTORY_MODE;
use super::private::Private;
use super::store::Store;
use super::walk::{Errand, PARENTS, PathError, Place, Trust, insist};
use crate::plan::access::{self, Ownership};
use crate::plan::name::Name;

/// One file of a generation.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a Name,
    pub ownership: Ownership,
    pub mode: access::Mode,
    pub content: &'a [u8],
}

/// What a generation is to have at a name.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// This file.
    File(Entry<'a>),
    /// The very file that the live generation has there, if it has one.
    AsBefore(&'a Name),
}

impl<'a> Wanted<'a> {
    #[must_use]
    pub fn name(&self) -> &'a Name {
        match self {
            Self::File(entry) => entry.name,
            Self::AsBefore(name) => name,
        }
    }
}

/// A complete generation that nothing points at. Dropping it removes it.
pub struct StagedGeneration<'s> {
    unfinished: Unfinished<'s>,
    directory: Directory,
}

/// The live generation after a switch, and what the switch could not clear away.
pub struct Switched {
    pub live: LiveGeneration,
    /// Why a directory that stood at the place of the symlink could not be removed from beside it.
    pub left_behind: Option<FileError>,
}

impl<'s> StagedGeneration<'s> {
    /// `live` is where the files come from that stay as they were.
    pub(super) fn write(
        store: &'s Store,
        number: u64,
        wanted: &[Wanted<'_>],
        live: Option<&LiveGeneration>,
    ) -> Result<Self, FileError> {
        let name = number.to_string();
        store.root.remove_tree(OsStr::new(&name))?;
        // From here on a failure removes the directory.
        let unfinished = Unfinished { store, number };
        let directory = store.root.make(OsStr::new(&name), DIRECTORY_MODE, store.directories)?;
        let staged = Self { unfinished, directory };
        staged.fill(wanted, live)?;
        Ok(staged)
    }

    pub fn number(&self) -> u64 {
        self.unfinished.number
    }

    /// Makes the generation live: `symlink` points at it after one rename, whatever stood there before. Directories
    /// that `symlink` is to lie in are created. Root goes through no symlink that others could have put on the way.
    ///
    /// # Errors
    /// When `symlink` could not be changed. It is as it was, and the generation is gone.
    pub fn switch(self, symlink: &Path) -> Result<Switched, PathError> {
        let trust = Trust::of_current_user();
        let errand = Errand { action: "switch", path: symlink, trust, off_limits: None };
        let Some(Place { parent, name, .. }) = insist(|| errand.go(PARENTS), PathError::is_collision)? else {
            return Err(FileError::io("switch", symlink, Errno::ENOENT).into());
        };
        let private = Private::new(&parent, name)?;
        private.link(self.directory.path(), None)?;
        match private.place() {
            Err(Errno::EISDIR) => private.place_over_directory(),
            placed => placed,
        }
        .map_err(|errno| FileError::io("switch", symlink, errno))?;
        let left_behind = private.remove().err();
        let Self { unfinished, directory } = self;
        let live = LiveGeneration::new(unfinished.number, directory);
        unfinished.finish();
        Ok(Switched { live, left_behind })
    }

    /// Writes in the order of names, so that a directory is made and opened once for all its files.
    fn fill(&self, wanted: &[Wanted<'_>], live: Option<&LiveGeneration>) -> Result<(), FileError> {
        let store = self.unfinished.store;
        let mut sorted: Vec<&Wanted<'_>> = wanted.iter().collect();
        sorted.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        let mut open: Vec<(&str, Directory)> = Vec::new();
        for wanted in sorted {
            let before = match (wanted, live) {
                (Wanted::AsBefore(name), Some(live)) => live.holder(name)?,
                _ => None,
            };
            if before.is_none() && matches!(wanted, Wanted::AsBefore(_)) {
                continue;
            }
            let parents: Vec<&str> = wanted.name().parents().collect();
            let still_open =
                open.iter().zip(&parents).take_while(|((path, _), parent)| path == *parent).count();
            open.truncate(still_open);
            for parent in parents.into_iter().skip(still_open) {
                let above = open.last().map_or(&self.directory, |(_, directory)| directory);
                let made = above.make(last_component(parent), DIRECTORY_MODE, store.directories)?;
                open.push((parent, made));
            }
            let inside = open.last().map_or(&self.directory, |(_, directory)| directory);
            match (wanted, before) {
                (Wanted::File(entry), _) => write_file(inside, entry, store.maker)?,
                (Wanted::AsBefore(name), Some(before)) => keep_file(&before, inside, name)?,
                (Wanted::AsBefore(_), None) => {}
            }
        }
        Ok(())
    }
}

/// Writes a file that did not exist; `maker` is the owner it has by itself.
fn write_file(inside: &Directory, entry: &Entry<'_>, maker: Ownership) -> Result<(), FileError> {
    let name = last_component(entry.name.as_str());
    let owner = (entry.ownership != maker).then_some(entry.ownership);
    let file = inside.write(name, entry.mode.0, owner, entry.content)?;
    // Some file systems tell only now that there was no room.
    unistd::close(file).map_err(|errno| inside.failed("write", name, errno))
}

/// Puts the file that has its name in `before` into `inside`, too. Symlinks are not followed.
fn keep_file(before: &Directory, inside: &Directory, name: &Name) -> Result<(), FileError> {
    let name = last_component(name.as_str());
    unistd::linkat(before, name, inside, name, AtFlags::empty())
        .map_err(|errno| before.failed("keep", name, errno))
}

pub(super) fn last_component(path: &str) -> &OsStr {
    OsStr::new(path.rsplit('/').next().unwrap_or(path))
}

/// Removes the directory of a generation that was not finished.
struct Unfinished<'s> {
    store: &'s Store,
    number: u64,
}

impl Unfinished<'_> {
    /// The generation is live: nothing is to be removed.
    fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.store.root.remove_tree(OsStr::new(&self.number.to_string())) {
            tracing::warn!("{error}: what is left there holds secrets");
        }
    }
}
