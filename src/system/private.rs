//! Owns the directory in which a link, file or directory is made ready before one rename puts it in place.
//!
//! It stands beside the final place, so that the rename stays within one file system, and only its maker can enter
//! it: in a directory of some other user, that user could exchange a half-made link between two of our calls and have
//! root change the owner of a file of their choice. A killed run leaves it behind; the next one for the same name
//! removes it first.

use std::ffi::{OsStr, OsString};
use std::fs::FileTimes;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags};
use nix::sys::stat::{self, FileStat, Mode};
use nix::unistd::{self, Gid, Uid};

use super::accounts::current_user;
use super::directory::{Directory, owner_of};
use super::file::{FileError, Stamp};
use crate::plan::access::Ownership;

/// Permissions that keep everyone but the maker out.
const PRIVATE: Mode = Mode::S_IRWXU;
/// The permissions of everyone else.
const OTHERS: u32 = 0o077;
/// What is made ready.
const NEW: &str = "new";
/// What stood in its place, if that was a directory.
const OLD: &str = "old";
/// A name is 255 bytes at most; this leaves room for what is put around it.
const NAME_KEPT: usize = 200;

/// A directory beside `name` that nobody else can enter; gone when dropped.
pub(super) struct Private<'p> {
    parent: &'p Directory,
    name: &'p OsStr,
    own_name: OsString,
    inside: Directory,
}

impl<'p> Private<'p> {
    /// Makes the directory in `parent`, for something that is to be put in place at `name`.
    pub fn new(parent: &'p Directory, name: &'p OsStr) -> Result<Self, FileError> {
        let own_name = private_name(name);
        let create = || stat::mkdirat(parent, own_name.as_os_str(), PRIVATE);
        match create() {
            Err(Errno::EEXIST) => {
                remove_stale(parent, name)?;
                create()
            }
            created => created,
        }
        .map_err(|errno| parent.failed("create directory", &own_name, errno))?;
        let opened = parent.child(&own_name).and_then(|inside| check_ours(&inside).map(|()| inside));
        let inside = opened.inspect_err(|_| {
            // Ours is empty, and what is not empty stays. The first failure is the one to tell.
            parent.remove_directory(&own_name).ok();
        })?;
        Ok(Self { parent, name, own_name, inside })
    }

    /// Makes a link to `target`; without an owner it belongs to its maker.
    pub fn link(&self, target: &Path, owner: Option<Ownership>) -> Result<(), FileError> {
        unistd::symlinkat(target, &self.inside, NEW)
            .map_err(|errno| self.parent.failed("link", self.name, errno))?;
        let Some(owner) = owner else { return Ok(()) };
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        unistd::fchownat(&self.inside, NEW, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|errno| self.parent.failed("change the owner of the link", self.name, errno))
    }

    /// Makes a file that outlasts a power cut once it is in place, as last changed at `modified`; without an owner it
    /// belongs to its maker.
    pub fn file(
        &self,
        content: &[u8],
        mode: u32,
        owner: Option<Ownership>,
        modified: Option<Stamp>,
    ) -> Result<FileStat, FileError> {
        let failed = |action, errno| self.parent.failed(action, self.name, errno);
        let file = self.inside.write(OsStr::new(NEW), mode, owner, content)?;
        if let Some(modified) = modified {
            let times = FileTimes::new().set_modified(modified.into());
            file.set_times(times).map_err(|error| self.parent.failed("date", self.name, error))?;
        }
        unistd::fsync(&file).map_err(|errno| failed("write", errno))?;
        let found = stat::fstat(&file).map_err(|errno| failed("look at", errno))?;
        // Some file systems tell only now that there was no room.
        unistd::close(file).map_err(|errno| failed("write", errno))?;
        Ok(found)
    }

    /// Makes a directory. Its path in messages is the one it will have.
    pub fn directory(&self, mode: u32, owner: Ownership) -> Result<Directory, FileError> {
        self.inside.make(OsStr::new(NEW), mode, owner)
    }

    /// Puts what was made in place, over a file or link that stands there.
    pub fn place(&self) -> nix::Result<()> {
        fcntl::renameat(&self.inside, NEW, self.parent, self.name)
    }

    /// Puts what was made in place of a directory. That directory goes when `self` does.
    pub fn place_over_directory(&self) -> nix::Result<()> {
        match exchange(&self.inside, NEW, self.parent, self.name) {
            // Not every file system can do it. Then there is nothing at the place between the two calls.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                fcntl::renameat(self.parent, self.name, &self.inside, OLD)?;
                self.place().inspect_err(|_| {
                    // Better the old directory than nothing; the first failure is the one to tell.
                    fcntl::renameat(&self.inside, OLD, self.parent, self.name).ok();
                })
            }
            exchanged => exchanged,
        }
    }

    /// Removes the directory and whatever is left in it, as dropping does, but tells a failure.
    pub fn remove(self) -> Result<(), FileError> {
        let removed = self.clear();
        // What failed once is not tried again.
        std::mem::forget(self);
        removed
    }

    fn clear(&self) -> Result<(), FileError> {
        clear(&self.inside)?;
        // A run of another store may have taken it for a stale one, and removed it or made its own in its place.
        let (ours, now) = (self.inside.stat()?, self.parent.stat_of(&self.own_name)?);
        match now {
            Some(now) if (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino) => {
                absent_is_fine(self.parent.remove_directory(&self.own_name))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Private<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!("{error}");
        }
    }
}

/// Removes what a killed run left beside `name`, if there is anything.
pub(super) fn remove_stale(parent: &Directory, name: &OsStr) -> Result<(), FileError> {
    let own_name = private_name(name);
    if parent.stat_of(&own_name)?.is_none() {
        return Ok(());
    }
    let stale = match parent.child(&own_name) {
        // Not so stale: the run that made it has just removed it.
        Err(error) if error.is_not_found() => return Ok(()),
        opened => opened?,
    };
    check_ours(&stale)?;
    clear(&stale)?;
    absent_is_fine(parent.remove_directory(&own_name))
}

fn absent_is_fine(removed: Result<(), FileError>) -> Result<(), FileError> {
    removed.or_else(|error| if error.is_not_found() { Ok(()) } else { Err(error) })
}

fn clear(inside: &Directory) -> Result<(), FileError> {
    inside.remove_tree(OsStr::new(NEW)).and(inside.remove_tree(OsStr::new(OLD)))
}

/// In a directory of someone else, what is opened need not be what was made: that is not ours to fill or to empty.
fn check_ours(directory: &Directory) -> Result<(), FileError> {
    let found = directory.stat()?;
    if owner_of(&found).uid == current_user().uid && found.st_mode & OTHERS == 0 {
        return Ok(());
    }
    Err(FileError::io("use", directory.path(), Errno::EEXIST))
}

/// Always the same for a name, so that a stale one is found; different for names that differ in their first 200 bytes,
/// so that two runs can work in one directory.
pub(super) fn private_name(name: &OsStr) -> OsString {
    let kept = name.as_bytes().get(..NAME_KEPT).unwrap_or(name.as_bytes());
    let mut private = OsString::from(".");
    private.push(OsStr::from_bytes(kept));
    private.push(".sops-activate");
    private
}

#[cfg(target_env = "gnu")]
fn exchange(old: &Directory, old_name: &str, new: &Directory, new_name: &OsStr) -> nix::Result<()> {
    fcntl::renameat2(old, old_name, new, new_name, fcntl::RenameFlags::RENAME_EXCHANGE)
}

/// nix has the call for glibc only.
#[cfg(not(target_env = "gnu"))]
fn exchange(_: &Directory, _: &str, _: &Directory, _: &OsStr) -> nix::Result<()> {
    Err(Errno::ENOSYS)
}
