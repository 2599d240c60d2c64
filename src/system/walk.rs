//! Owns the way to a path that may lead through directories of other users: to the paths that secrets ask for,
//! and to the link that leads to the live generation.
//!
//! Root walks it step by step: a symlink is followed only where none but root could have put it. What is made in a
//! directory of someone else belongs to them from its first moment there.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::libc;
use nix::sys::stat::{self, FileStat, Mode};
use nix::unistd::{self, UnlinkatFlags};

use super::accounts::current_user;
use super::directory::{Directory, owner_of};
use super::file::{Cause, FileError, Kind};
use super::mount;
use super::private::{Private, remove_stale};

/// Of directories made for a link or a copy to lie in.
const PARENT_MODE: u32 = 0o755;
/// For a link or a copy.
pub(super) const PARENTS: Missing = Missing::Created { last: PARENT_MODE, others: PARENT_MODE };
/// The kernel's own limit for one path.
const SYMLINKS_FOLLOWED: u32 = 40;

/// Whose directories are trusted on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Root's alone: for a program that runs as root.
    RootOnly,
    /// Everyone's: for a user's program, which gains nothing by being misled.
    Anyone,
}

impl Trust {
    /// Of whoever runs this program. Root is misled by others in user mode as well.
    pub fn of_current_user() -> Self {
        if current_user().uid == 0 { Self::RootOnly } else { Self::Anyone }
    }
}

/// Why nothing could be done at a path.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot {action} '{}': a directory stands there that is not empty", path.display())]
    DirectoryInTheWay { action: &'static str, path: PathBuf },
    #[error(
        "cannot {action} '{}': '{}' is a symlink in a directory that others than root can write",
        path.display(), symlink.display()
    )]
    UntrustedSymlink { action: &'static str, path: PathBuf, symlink: PathBuf },
    #[error("cannot {action} '{}': it has '..' below a directory that others than root can write", path.display())]
    UntrustedParent { action: &'static str, path: PathBuf },
    #[error("cannot {action} '{}': it leads into '{}', and has to lie outside of it", path.display(), store.display())]
    IntoStore { action: &'static str, path: PathBuf, store: PathBuf },
    #[error("cannot {action} '{}': that is the place of '{}', which leads to secrets", path.display(), symlink.display())]
    LiveLink { action: &'static str, path: PathBuf, symlink: PathBuf },
    #[error("cannot {action} '{}': it is not an absolute path that ends in a name", path.display())]
    NotAPath { action: &'static str, path: PathBuf },
}

/// What is to be done at a path, for messages, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Errand<'p> {
    pub action: &'static str,
    pub path: &'p Path,
    pub trust: Trust,
    /// What the way may not lead to.
    pub off_limits: Option<&'p OffLimits<'p>>,
}

/// The stores, as the kernel knows them: whatever their paths are called, nothing is put into one that way, and the link
/// to a live generation is not replaced.
pub struct OffLimits<'s>(Vec<Limits<'s>>);

/// One of the stores.
struct Limits<'s> {
    mount_point: &'s Path,
    /// None where there is no such directory.
    root: Option<Identity>,
    /// Of a file system that nothing but the store is on: a part of it is known wherever it is mounted.
    device: Option<libc::dev_t>,
    symlink: &'s Path,
    /// Of the directory that the link to the live generation lies in.
    beside: Option<Identity>,
}

/// The stores of the module: mount points, and what leads to the live generations.
const STORES: [(&str, &str); 2] =
    [("/run/secrets.d", "/run/secrets"), ("/run/secrets-for-users.d", "/run/secrets-for-users")];

/// The number of a file system, and of a directory on it.
type Identity = (libc::dev_t, libc::ino_t);

/// The directory that a path lies in, and the path's name there.
pub(super) struct Place<'p> {
    pub parent: Directory,
    pub name: &'p OsStr,
    /// Nobody but root could have changed the way to it, or what stands there.
    pub trusted: bool,
    errand: Errand<'p>,
}

/// What to do about directories that do not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// With these permissions, the one that the path lies in and those on the way to it.
    Created {
        last: u32,
        others: u32,
    },
    Left,
}

impl<'s> OffLimits<'s> {
    /// Of the store at `mount_point`, to whose live generation `symlink` leads, and of those that the module has on every
    /// machine: what one manifest put into the store of another would replace a secret of it, or go with its generation.
    ///
    /// # Errors
    /// When it cannot be found out what is there: without that, nothing would be off limits.
    pub fn of(mount_point: &'s Path, symlink: &'s Path) -> Result<Self, FileError> {
        let others =
            STORES.iter().map(|(mount_point, symlink)| (Path::new(*mount_point), Path::new(*symlink)));
        let others = others.filter(|(other, _)| *other != mount_point);
        std::iter::once((mount_point, symlink))
            .chain(others)
            .map(|(at, link)| Limits::of(at, link))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl<'s> Limits<'s> {
    fn of(mount_point: &'s Path, symlink: &'s Path) -> Result<Self, FileError> {
        let beside = symlink.parent().map(find).transpose()?.flatten();
        let root = find(mount_point)?;
        let device = if root.is_some() { device_of_store(mount_point)? } else { None };
        Ok(Self { mount_point, root, device, symlink, beside })
    }

    fn is_root(&self, found: &FileStat) -> bool {
        self.root == Some(identity(found))
    }
}

impl<'p> Errand<'p> {
    /// The place, cleared of what a killed run left beside it; none when its directory is missing and is to stay so.
    pub fn go(self, missing: Missing) -> Result<Option<Place<'p>>, PathError> {
        self.walk(missing, true)
    }

    /// The place as it is: nothing is cleared or made. None when its directory is missing.
    pub fn look(self) -> Result<Option<Place<'p>>, PathError> {
        self.walk(Missing::Left, false)
    }

    fn walk(self, missing: Missing, clears: bool) -> Result<Option<Place<'p>>, PathError> {
        let Self { action, path, trust, .. } = self;
        let (true, Some(parent), Some(name)) = (path.is_absolute(), path.parent(), path.file_name()) else {
            return Err(PathError::NotAPath { action, path: path.to_owned() });
        };
        let here = Directory::root()?;
        let found = here.stat()?;
        let steps = VecDeque::new();
        let mut walk =
            Walk { errand: self, here, found, steps, symlinks: 0, way_is_roots: true, entered: None, clears };
        walk.go_on(parent);
        while let Some(step) = walk.steps.pop_front() {
            if !walk.step(&step, missing)? {
                return Ok(None);
            }
        }
        walk.check_limits(Some(name))?;
        let trusted = walk.is_trusted() || trust == Trust::Anyone;
        let Walk { here: parent, .. } = walk;
        if clears {
            cleared(&parent, name, missing)?;
        }
        Ok(Some(Place { parent, name, trusted, errand: self }))
    }
}

impl Place<'_> {
    /// Puts what was made ready in place, over a file, a link or an empty directory that stands there.
    pub fn put(&self, private: Private<'_>) -> Result<(), PathError> {
        match private.place() {
            Err(Errno::EISDIR) => {
                self.make_room()?;
                private.place()
            }
            placed => placed,
        }
        .map_err(|errno| FileError::io(self.errand.action, self.errand.path, errno))?;
        // It is empty now; that it could not be removed would be no reason to call this a failure.
        drop(private);
        Ok(())
    }

    /// Removes an empty directory; there is no knowing what one with something in it is good for.
    fn make_room(&self) -> Result<(), PathError> {
        let Errand { action, path, .. } = self.errand;
        match unistd::unlinkat(&self.parent, self.name, UnlinkatFlags::RemoveDir) {
            Ok(()) => Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                Err(PathError::DirectoryInTheWay { action, path: path.to_owned() })
            }
            Err(errno) => Err(self.parent.failed("remove directory", self.name, errno).into()),
        }
    }

    /// Removes the file or link that stands there.
    pub fn remove(&self) -> Result<(), FileError> {
        unistd::unlinkat(&self.parent, self.name, UnlinkatFlags::NoRemoveDir)
            .map_err(|errno| self.parent.failed("remove", self.name, errno))
    }
}

/// A walk down a path, one component at a time, in which nothing is followed unseen.
struct Walk<'p> {
    errand: Errand<'p>,
    here: Directory,
    /// What `here` was when it was entered.
    found: FileStat,
    steps: VecDeque<OsString>,
    symlinks: u32,
    /// Nobody but root could have changed the way to `here`. What is in it may be another matter.
    way_is_roots: bool,
    /// The mount point of the store that is off limits, if `here` was reached through its root.
    entered: Option<&'p Path>,
    /// Whether to clear away what a killed run left.
    clears: bool,
}

impl<'p> Walk<'p> {
    /// Puts the components of `path` before the steps that are left.
    fn go_on(&mut self, path: &Path) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.steps.push_front(name.to_owned()),
                Component::ParentDir => self.steps.push_front("..".into()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    /// Says whether there was something to step on.
    fn step(&mut self, name: &OsStr, missing: Missing) -> Result<bool, PathError> {
        if name == ".." && !self.is_trusted() && self.errand.trust == Trust::RootOnly {
            let Errand { action, path, .. } = self.errand;
            return Err(PathError::UntrustedParent { action, path: path.to_owned() });
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match fcntl::openat(&self.here, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => {
                self.check_limits(None)?;
                let Missing::Created { last, others } = missing else {
                    if self.clears {
                        cleared(&self.here, name, missing)?;
                    }
                    return Ok(false);
                };
                self.create(name, if self.steps.is_empty() { last } else { others })?;
                return Ok(true);
            }
            Err(errno) => return Err(self.here.failed("open", name, errno).into()),
        };
        let found = stat::fstat(&fd).map_err(|errno| self.here.failed("look at", name, errno))?;
        let at = self.here.path().join(name);
        match Kind::of(found.st_mode) {
            Kind::Directory => {
                // A run may have been killed right after it made this directory. What is not ours is let be: it hinders
                // nothing.
                if self.clears
                    && let Err(error) = remove_stale(&self.here, name)
                {
                    // In the sandbox, what another run is only just making cannot be taken for left behind.
                    if error.errno() == Some(libc::EACCES) {
                        tracing::debug!("{error}");
                    } else {
                        tracing::warn!("{error}");
                    }
                }
                let leaves_store = name == ".." && self.root_of_store().is_some();
                self.enter(Directory::at(fd, at), &found);
                if leaves_store {
                    self.entered = self.root_of_store();
                }
            }
            Kind::Symlink => {
                self.check_symlink(&found, &at)?;
                let target =
                    fcntl::readlinkat(&fd, "").map_err(|errno| FileError::io("read link", &at, errno))?;
                self.follow(Path::new(&target), &at)?;
            }
            other => {
                let cause = Cause::WrongKind(other, Kind::Directory);
                return Err(FileError { action: "enter", path: at, cause }.into());
            }
        }
        Ok(true)
    }

    fn enter(&mut self, directory: Directory, found: &FileStat) {
        self.way_is_roots &= only_root_could_have_put(found, &self.found);
        self.here = directory;
        self.found = *found;
        self.entered = self.root_of_store().or(self.entered);
    }

    fn limits(&self) -> impl Iterator<Item = &'p Limits<'p>> {
        self.errand.off_limits.iter().flat_map(|limits| &limits.0)
    }

    /// The mount point of the store that `here` is the root of.
    fn root_of_store(&self) -> Option<&'p Path> {
        self.limits().find(|limits| limits.is_root(&self.found)).map(|limits| limits.mount_point)
    }

    /// The mount point of the store that `here` lies in.
    fn store(&self) -> Option<&'p Path> {
        let is_on = |limits: &&Limits<'_>| limits.device == Some(self.found.st_dev);
        self.entered.or_else(|| self.limits().find(is_on).map(|limits| limits.mount_point))
    }

    /// Whether something may be made in `here`; at the end of the way, under that name.
    fn check_limits(&self, name: Option<&OsStr>) -> Result<(), PathError> {
        let Errand { action, path, .. } = self.errand;
        let path = path.to_owned();
        if let Some(store) = self.store() {
            return Err(PathError::IntoStore { action, path, store: store.to_owned() });
        }
        let here = identity(&self.found);
        let is_link = |limits: &&Limits<'_>| {
            limits.beside == Some(here) && name.is_some() && name == limits.symlink.file_name()
        };
        if let Some(Limits { symlink, .. }) = self.limits().find(is_link) {
            return Err(PathError::LiveLink { action, path, symlink: (*symlink).to_owned() });
        }
        Ok(())
    }

    fn follow(&mut self, target: &Path, at: &Path) -> Result<(), PathError> {
        self.symlinks += 1;
        if self.symlinks > SYMLINKS_FOLLOWED {
            return Err(FileError::io("follow link", at, Errno::ELOOP).into());
        }
        if target.is_absolute() {
            self.here = Directory::root()?;
            self.found = self.here.stat()?;
            self.way_is_roots = true;
            self.entered = None;
        }
        self.go_on(target);
        Ok(())
    }

    /// Nobody but root could have changed the way to `here`, or what is in it.
    fn is_trusted(&self) -> bool {
        self.way_is_roots && only_root_writes(&self.found)
    }

    fn check_symlink(&self, link: &FileStat, at: &Path) -> Result<(), PathError> {
        // Where somebody can exchange a directory on the way, or mount over one, its owner and mode say nothing.
        let is_roots = self.way_is_roots && only_root_could_have_put(link, &self.here.stat()?);
        if self.errand.trust == Trust::Anyone || is_roots {
            return Ok(());
        }
        let Errand { action, path, .. } = self.errand;
        Err(PathError::UntrustedSymlink { action, path: path.to_owned(), symlink: at.to_owned() })
    }

    /// Makes a directory that belongs to the owner of the one it lies in.
    fn create(&mut self, name: &OsStr, permissions: u32) -> Result<(), PathError> {
        let owner = match self.errand.trust {
            Trust::RootOnly => owner_of(&self.here.stat()?),
            Trust::Anyone => current_user(),
        };
        let at = self.here.path().join(name);
        let private = Private::new(&self.here, name)?;
        let made = private.directory(permissions, owner)?.called(at);
        private.place().map_err(|errno| self.here.failed("create directory", name, errno))?;
        private.remove()?;
        let found = made.stat()?;
        self.enter(made, &found);
        Ok(())
    }
}

/// Clears away what a killed run left beside the place. What is not ours hinders only what is to be made there: where
/// something is removed, it must not keep that from being done, for ever.
fn cleared(parent: &Directory, name: &OsStr, missing: Missing) -> Result<(), FileError> {
    match remove_stale(parent, name) {
        Err(error) if missing == Missing::Left => {
            tracing::warn!("{error}");
            Ok(())
        }
        cleared => cleared,
    }
}

/// Tries again what failed as it does when a run of another store makes the same directories at the same moment: each
/// takes what the other has not finished for left behind, and clears it away. No lock is common to both that nobody else
/// could hold.
pub(super) fn insist<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_collision: impl Fn(&E) -> bool,
) -> Result<T, E> {
    const TRIES: usize = 8;
    for _ in 1..TRIES {
        match attempt() {
            Err(error) if is_collision(&error) => {}
            done => return done,
        }
    }
    attempt()
}

/// In a sticky directory others can put things of their own, and neither remove nor rename root's.
fn only_root_could_have_put(thing: &FileStat, holder: &FileStat) -> bool {
    let sticky = holder.st_mode & libc::S_ISVTX != 0;
    only_root_writes(holder) || (holder.st_uid == 0 && sticky && thing.st_uid == 0)
}

/// What is at the path. What is not there is not arrived at; what cannot be looked at may be.
fn find(path: &Path) -> Result<Option<Identity>, FileError> {
    match stat::stat(path) {
        Ok(found) => Ok(Some(identity(&found))),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(FileError::io("look at", path, errno)),
    }
}

/// The number of the file system that the store at `mount_point` is on, if that is for the store alone: a ramfs that is
/// mounted there. A tmpfs may be mounted in more than one place, for other things.
fn device_of_store(mount_point: &Path) -> Result<Option<libc::dev_t>, FileError> {
    let root = match Directory::open_to_walk(mount_point) {
        Ok(root) => root,
        // Gone since it was found, or no directory.
        Err(error) if error.is_not_found() || error.errno() == Some(libc::ENOTDIR) => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_alone = mount::memory(&root)? == Some("ramfs") && mount::is_mount(&root)?;
    Ok(if is_alone { Some(root.stat()?.st_dev) } else { None })
}

fn identity(found: &FileStat) -> Identity {
    (found.st_dev, found.st_ino)
}

fn only_root_writes(directory: &FileStat) -> bool {
    directory.st_uid == 0 && directory.st_mode & 0o022 == 0
}

impl PathError {
    /// The path, or the directory on the way to it, that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(error) => &error.path,
            Self::DirectoryInTheWay { path, .. }
            | Self::UntrustedSymlink { path, .. }
            | Self::UntrustedParent { path, .. }
            | Self::IntoStore { path, .. }
            | Self::LiveLink { path, .. }
            | Self::NotAPath { path, .. } => path,
        }
    }

    /// It may come of what a run of another store does at the same moment; see [`insist`].
    pub(super) fn is_collision(&self) -> bool {
        let Self::File(error) = self else { return false };
        let collisions = [Errno::ENOENT, Errno::EEXIST, Errno::ENOTEMPTY];
        collisions.iter().any(|errno| error.errno() == Some(*errno as i32))
    }

    /// Nothing was ever put at the path: it is off limits.
    pub(super) fn is_off_limits(&self) -> bool {
        matches!(self, Self::IntoStore { .. } | Self::LiveLink { .. })
    }

    /// What is at the path cannot be what was put there: others have changed the way to it.
    pub(super) fn is_elsewhere(&self) -> bool {
        match self {
            Self::File(error) => {
                let kind = matches!(error.cause, Cause::WrongKind(..));
                kind || [Errno::ELOOP, Errno::ENOTDIR]
                    .iter()
                    .any(|errno| error.errno() == Some(*errno as i32))
            }
            Self::DirectoryInTheWay { .. } | Self::IntoStore { .. } | Self::LiveLink { .. } => false,
            Self::UntrustedSymlink { .. } | Self::UntrustedParent { .. } | Self::NotAPath { .. } => true,
        }
    }

    /// The one thing to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::DirectoryInTheWay { path, .. } => {
                Some(format!("move '{}' away, or give the secret another path", path.display()))
            }
            Self::UntrustedSymlink { symlink, .. } => Some(format!(
                "use a path that leads where '{}' does without going through it",
                symlink.display()
            )),
            Self::IntoStore { store, .. } => {
                Some(format!("give the secret a path that leads outside of '{}'", store.display()))
            }
            Self::LiveLink { .. } => Some("give the secret another path".into()),
            Self::UntrustedParent { .. } => Some("use a path without '..'".into()),
            Self::NotAPath { .. } | Self::File(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_cannot_be_found_out_are_an_error_that_names_the_path_and_no_lack_of_limits() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("store")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let of = |store: &str, link: &str| {
            OffLimits::of(&root.join(store), &root.join(link)).map(|OffLimits(limits)| {
                assert_eq!(limits.len(), 1 + STORES.len());
                (limits[0].root.is_some(), limits[0].beside.is_some())
            })
        };
        assert_eq!(of("store", "secrets").unwrap(), (true, true));
        assert_eq!(of("none", "none/secrets").unwrap(), (false, false));
        assert_eq!(of("file/store", "file/none/secrets").unwrap(), (false, false));
        for (store, link, named) in
            [("loop/store", "secrets", "loop/store"), ("store", "loop/secrets", "loop")]
        {
            let error = of(store, link).unwrap_err();
            assert_eq!((error.errno(), &error.path), (Some(libc::ELOOP), &root.join(named)));
        }
    }
}
