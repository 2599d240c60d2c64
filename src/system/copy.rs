//! Owns copies of secrets: real files at a secret's own path, for programs that refuse a link.
//!
//! A copy is complete, with its owner and permissions, before it is in place, and replaces what stood there in one
//! rename. It is known again by the moment of its last change, which is set by us: a digest would tell of the secret,
//! and the number of an inode is known only when the file is there, too late to be remembered.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;

use super::directory::{PERMISSIONS, owner_of};
use super::file::{FileError, Kind, Stamp, read_open};
use super::link::Unmade;
use super::private::Private;
use super::walk::{Errand, Missing, OffLimits, PARENTS, PathError, Place, Trust};
use crate::plan::access::{self, Ownership};

/// A copy that is wanted.
#[derive(Clone)]
pub struct FileCopy<'a> {
    /// Where it is to stand.
    pub path: PathBuf,
    pub content: &'a [u8],
    /// Ignored with [`Trust::Anyone`].
    pub ownership: Ownership,
    pub mode: access::Mode,
}

impl FileCopy<'_> {
    /// When the file that stands there was last changed, if it has these bytes, permissions and owner.
    pub(super) fn find(&self, trust: Trust, off_limits: &OffLimits<'_>) -> Result<Option<Stamp>, PathError> {
        let Some(place) = self.errand(trust, off_limits).go(Missing::Left)? else { return Ok(None) };
        let Some(found) = place.parent.stat_of(place.name)? else { return Ok(None) };
        let is_owner = self.owner(trust).is_none_or(|owner| owner == owner_of(&found));
        let is_ours =
            is_owner && Kind::of(found.st_mode) == Kind::File && found.st_mode & PERMISSIONS == self.mode.0;
        let size = u64::try_from(self.content.len()).unwrap_or(u64::MAX);
        if !is_ours || u64::try_from(found.st_size) != Ok(size) {
            return Ok(None);
        }
        // It may be another one by now; one that cannot be read is replaced.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let Ok(fd) = fcntl::openat(&place.parent, place.name, flags, Mode::empty()) else { return Ok(None) };
        let file = File::from(fd);
        let same = file
            .metadata()
            .is_ok_and(|open| read_open(&file, &open, size).is_ok_and(|read| read.expose() == self.content));
        Ok(same.then(|| Stamp::of(&found)))
    }

    /// Puts it in place, over a file, a link or an empty directory that stands there, with the directories it is to lie
    /// in. The stamp is what the file system made of `stamp`.
    ///
    /// A copy inside of the store would be a file of a generation that no secret asks for. The plan refuses paths that are
    /// below it by their names; this, those that lead there all the same.
    pub(super) fn make(
        &self,
        stamp: Stamp,
        trust: Trust,
        off_limits: &OffLimits<'_>,
    ) -> Result<Stamp, PathError> {
        let errand = self.errand(trust, off_limits);
        let Some(place) = errand.go(PARENTS)? else {
            return Err(FileError::io(errand.action, &self.path, Errno::ENOENT).into());
        };
        let private = Private::new(&place.parent, place.name)?;
        let made = private.file(self.content, self.mode.0, self.owner(trust), Some(stamp))?;
        place.put(private)?;
        Ok(Stamp::of(&made))
    }

    fn errand<'e>(&'e self, trust: Trust, off_limits: &'e OffLimits<'e>) -> Errand<'e> {
        Errand { action: "write", path: &self.path, trust, off_limits: Some(off_limits) }
    }

    /// Only root can give a file away.
    fn owner(&self, trust: Trust) -> Option<Ownership> {
        (trust == Trust::RootOnly).then_some(self.ownership)
    }
}

/// Removes the file at `path` if it was last changed at `stamp`.
///
/// As with [`super::link::unlink`], who may write the directory loses at most what they put there.
pub(super) fn remove(path: &Path, stamp: Stamp, trust: Trust) -> Result<Unmade, PathError> {
    let errand = Errand { action: "remove", path, trust, off_limits: None };
    let Some(place) = errand.go(Missing::Left)? else { return Ok(Unmade::Gone) };
    let unmade = judge(&place, stamp)?;
    if unmade == Unmade::Removed {
        place.remove()?;
    }
    Ok(unmade)
}

/// What [`remove`] would do. Changes nothing.
pub(super) fn look(path: &Path, stamp: Stamp, trust: Trust) -> Result<Unmade, PathError> {
    let errand = Errand { action: "look at", path, trust, off_limits: None };
    let Some(place) = errand.look()? else { return Ok(Unmade::Gone) };
    Ok(judge(&place, stamp)?)
}

fn judge(place: &Place<'_>, stamp: Stamp) -> Result<Unmade, FileError> {
    Ok(match place.parent.stat_of(place.name)? {
        None => Unmade::Gone,
        Some(found) if Kind::of(found.st_mode) != Kind::File => Unmade::Foreign,
        Some(found) if Stamp::of(&found) != stamp => Unmade::Changed,
        Some(_) => Unmade::Removed,
    })
}
