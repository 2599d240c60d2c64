//! Owns an open directory, and everything that is done to the names in it.
//!
//! Names are given relative to the descriptor and a symlink is never followed, so what was checked once cannot be
//! exchanged for something else. The path is kept for messages only.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, FileStat, Mode};
use nix::unistd::{self, Gid, Uid, UnlinkatFlags};

use super::file::{Cause, FileError, Kind};
use crate::plan::access::Ownership;

/// Permission bits of a `st_mode`, with set-id and sticky.
pub(super) const PERMISSIONS: u32 = 0o7777;

/// A directory that stays the same one whatever happens to its path.
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens to read and change; symlinks on the way are followed.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = fcntl::open(path, flags, Mode::empty());
        Ok(Self::at(opened.map_err(|errno| FileError::io("open directory", path, errno))?, path.to_owned()))
    }

    /// Opens to look and to walk on only, for which nobody has to be let in; symlinks on the way are followed.
    pub fn open_to_walk(path: &Path) -> Result<Self, FileError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = fcntl::open(path, flags, Mode::empty());
        Ok(Self::at(opened.map_err(|errno| FileError::io("look at", path, errno))?, path.to_owned()))
    }

    /// The root of the file tree, to walk down from.
    pub fn root() -> Result<Self, FileError> {
        Self::open(Path::new("/"))
    }

    /// An open directory and what it is called in messages.
    pub fn at(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// The same directory under another path in messages.
    pub fn called(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// Opens a directory in this one.
    pub fn child(&self, name: &OsStr) -> Result<Self, FileError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = fcntl::openat(&self.fd, name, flags, Mode::empty());
        Ok(Self::at(
            opened.map_err(|errno| self.failed("open directory", name, errno))?,
            self.path.join(name),
        ))
    }

    /// Makes a directory in this one, with exactly this owner and these permissions, or leaves nothing.
    pub fn make(&self, name: &OsStr, mode: u32, owner: Ownership) -> Result<Self, FileError> {
        stat::mkdirat(&self.fd, name, Mode::S_IRWXU)
            .map_err(|errno| self.failed("create directory", name, errno))?;
        let directory = self.child(name).and_then(|new| new.set_access(mode, owner).map(|()| new));
        if directory.is_err() {
            // The first failure is the one to tell.
            unistd::unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir).ok();
        }
        directory
    }

    /// Gives the directory exactly this owner and these permissions.
    pub fn set_access(&self, mode: u32, owner: Ownership) -> Result<(), FileError> {
        let now = self.stat()?;
        if owner != owner_of(&now) {
            unistd::fchown(&self.fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
                .map_err(|errno| FileError::io("change the owner of", &self.path, errno))?;
        }
        if mode != now.st_mode & PERMISSIONS {
            stat::fchmod(&self.fd, Mode::from_bits_truncate(mode))
                .map_err(|errno| FileError::io("change the permissions of", &self.path, errno))?;
        }
        Ok(())
    }

    /// Writes a file that did not exist. It has its owner and permissions before its content, so there is no moment in
    /// which someone could open it who may not; without an owner it belongs to its maker. Left behind on failure.
    pub fn write(
        &self,
        name: &OsStr,
        mode: u32,
        owner: Option<Ownership>,
        content: &[u8],
    ) -> Result<File, FileError> {
        let new = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = fcntl::openat(&self.fd, name, new, Mode::empty())
            .map_err(|errno| self.failed("create", name, errno))?;
        if let Some(Ownership { uid, gid }) = owner {
            unistd::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|errno| self.failed("change the owner of", name, errno))?;
        }
        // After the owner, whose change may take permission bits away.
        stat::fchmod(&fd, Mode::from_bits_truncate(mode))
            .map_err(|errno| self.failed("change the permissions of", name, errno))?;
        let mut file = File::from(fd);
        file.write_all(content).map_err(|error| self.failed("write", name, error))?;
        Ok(file)
    }

    /// Makes the names in it last through a power cut.
    pub fn sync(&self) -> Result<(), FileError> {
        let failed = |errno| FileError::io("sync", &self.path, errno);
        // A descriptor that only names the directory will not do.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = fcntl::openat(&self.fd, ".", flags, Mode::empty()).map_err(failed)?;
        match unistd::fsync(&fd) {
            // Not every file system has something to do there.
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    pub fn stat(&self) -> Result<FileStat, FileError> {
        stat::fstat(&self.fd).map_err(|errno| FileError::io("look at", &self.path, errno))
    }

    /// What stands at `name`, itself if it is a symlink; none when nothing does.
    pub fn stat_of(&self, name: &OsStr) -> Result<Option<FileStat>, FileError> {
        match stat::fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.failed("look at", name, errno)),
        }
    }

    /// The names in it, in the kernel's order.
    pub fn names(&self) -> Result<Vec<OsString>, FileError> {
        let failed = |errno| FileError::io("list", &self.path, errno);
        // A descriptor of its own: the position in the listing belongs to the open file.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut listing = Dir::openat(&self.fd, c".", flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        for entry in listing.iter() {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_owned();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(&name).to_owned());
            }
        }
        Ok(names)
    }

    /// Removes what stands at `name` with all that is in it; nothing there is fine. Everything is tried, the first
    /// failure told.
    pub fn remove_tree(&self, name: &OsStr) -> Result<(), FileError> {
        match unistd::unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EISDIR) => {}
            Err(errno) => return Err(self.failed("remove", name, errno)),
        }
        let directory = self.child(name)?;
        let mut result = Ok(());
        for inner in directory.names()? {
            result = result.and(directory.remove_tree(&inner));
        }
        result?;
        self.remove_directory(name)
    }

    /// Removes the empty directory at `name`.
    pub fn remove_directory(&self, name: &OsStr) -> Result<(), FileError> {
        unistd::unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
            .map_err(|errno| self.failed("remove directory", name, errno))
    }

    /// The error of something that was tried on a name in this directory.
    pub fn failed(&self, action: &'static str, name: &OsStr, error: impl Into<io::Error>) -> FileError {
        FileError::io(action, &self.path.join(name), error)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Creates `path` and the directories it lies in, as far as they are missing, with exactly these permissions.
pub(super) fn create_all(path: &Path, mode: u32) -> Result<(), FileError> {
    let mut missing = Vec::new();
    for directory in path.ancestors().filter(|directory| !directory.as_os_str().is_empty()) {
        match fs::metadata(directory) {
            Ok(found) if found.is_dir() => break,
            Ok(found) => {
                let found = Kind::of(std::os::unix::fs::MetadataExt::mode(&found));
                let cause = Cause::WrongKind(found, Kind::Directory);
                return Err(FileError { action: "use", path: directory.to_owned(), cause });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(directory),
            Err(error) => return Err(FileError::io("look at", directory, error)),
        }
    }
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(directory) {
            // The umask has taken bits away.
            Ok(()) => fs::set_permissions(directory, Permissions::from_mode(mode))
                .map_err(|error| FileError::io("change the permissions of", directory, error))?,
            // Another run was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::io("create directory", directory, error)),
        }
    }
    Ok(())
}

pub(super) fn owner_of(found: &FileStat) -> Ownership {
    Ownership { uid: found.st_uid, gid: found.st_gid }
}
