//! Owns the links from a secret's own path to the secret in the store.
//!
//! Such a path may lead through directories of other users, and root walks it step by step: a symlink is followed
//! only where none but root could have put it. What is made in a directory of someone else belongs to them from its
//! first moment there.

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
use super::private::{Private, remove_stale};
use crate::plan::access::Ownership;

/// Of directories made for a link to lie in.
const PARENT_MODE: u32 = 0o755;
/// The kernel's own limit for one path.
const SYMLINKS_FOLLOWED: u32 = 40;

/// A link that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is to stand.
    pub path: PathBuf,
    /// The secret below the store's symlink, so that the link stays right from generation to generation.
    pub target: PathBuf,
    /// Owner of the link itself: the secret's. Ignored with [`Trust::Anyone`].
    pub ownership: Ownership,
}

/// Whose directories are trusted on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Root's alone: for a program that runs as root.
    RootOnly,
    /// Everyone's: for a user's program, which gains nothing by being misled.
    Anyone,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Linked {
    Made,
    Unchanged,
}

/// Why a secret is not at its own path.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot link '{}': a directory stands there that is not empty", .0.display())]
    DirectoryInTheWay(PathBuf),
    #[error(
        "cannot link '{}': '{}' is a symlink in a directory that others than root can write",
        path.display(), symlink.display()
    )]
    UntrustedSymlink { path: PathBuf, symlink: PathBuf },
    #[error("cannot link '{}': it has '..' below a directory that others than root can write", .0.display())]
    UntrustedParent(PathBuf),
    #[error("cannot link '{}': it is not an absolute path that ends in a name", .0.display())]
    NotAPath(PathBuf),
}

/// Makes every link; all are tried, the failures returned.
pub fn link_all<'l>(links: impl IntoIterator<Item = &'l Link>, trust: Trust) -> Vec<LinkError> {
    links.into_iter().filter_map(|wanted| link(wanted, trust).err()).collect()
}

/// Makes one link, over a file, a link or an empty directory that stands there, with the directories it is to lie in.
///
/// # Errors
/// When a step of the path is not to be trusted, a directory with something in it stands there, or the system refuses.
pub fn link(wanted: &Link, trust: Trust) -> Result<Linked, LinkError> {
    let Some((parent, name)) = open_parent(&wanted.path, trust, Missing::Created)? else {
        return Err(LinkError::NotAPath(wanted.path.clone()));
    };
    remove_stale(&parent, name)?;
    let found = parent.stat_of(name)?;
    // Only root can give a link away.
    let owner = (trust == Trust::RootOnly).then_some(wanted.ownership);
    let is_owner = found.is_some_and(|found| owner.is_none_or(|owner| owner == owner_of(&found)));
    if is_owner && points_at(&parent, name, &wanted.target) {
        return Ok(Linked::Unchanged);
    }
    let private = Private::new(&parent, name)?;
    private.link(&wanted.target, owner)?;
    match private.place() {
        Err(Errno::EISDIR) => {
            make_room(&parent, name, &wanted.path)?;
            private.place()
        }
        placed => placed,
    }
    .map_err(|errno| FileError::io("link", &wanted.path, errno))?;
    private.remove()?;
    Ok(Linked::Made)
}

/// Removes the link at `path` if it leads to `target` or below. Says whether it did.
///
/// # Errors
/// When a step of the path is not to be trusted or the system refuses.
pub fn unlink(path: &Path, target: &Path, trust: Trust) -> Result<bool, LinkError> {
    let Some((parent, name)) = open_parent(path, trust, Missing::Left)? else { return Ok(false) };
    remove_stale(&parent, name)?;
    match fcntl::readlinkat(&parent, name) {
        Ok(found) if Path::new(&found).starts_with(target) => {}
        Ok(_) | Err(Errno::ENOENT | Errno::EINVAL) => return Ok(false),
        Err(errno) => return Err(parent.failed("read link", name, errno).into()),
    }
    unistd::unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)
        .map_err(|errno| parent.failed("remove link", name, errno))?;
    Ok(true)
}

fn points_at(parent: &Directory, name: &OsStr, target: &Path) -> bool {
    fcntl::readlinkat(parent, name).is_ok_and(|found| Path::new(&found) == target)
}

/// Removes an empty directory; there is no knowing what one with something in it is good for.
fn make_room(parent: &Directory, name: &OsStr, path: &Path) -> Result<(), LinkError> {
    match unistd::unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Ok(()) => Ok(()),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Err(LinkError::DirectoryInTheWay(path.to_owned())),
        Err(errno) => Err(parent.failed("remove directory", name, errno).into()),
    }
}

/// What to do about directories that do not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Created,
    Left,
}

/// The directory that `path` lies in, and its name there; none when that directory is missing and is to stay so.
fn open_parent(
    path: &Path,
    trust: Trust,
    missing: Missing,
) -> Result<Option<(Directory, &OsStr)>, LinkError> {
    let (true, Some(parent), Some(name)) = (path.is_absolute(), path.parent(), path.file_name()) else {
        return Err(LinkError::NotAPath(path.to_owned()));
    };
    let mut walk =
        Walk { path, trust, here: Directory::root()?, steps: VecDeque::new(), symlinks: 0, trusted: true };
    walk.go_on(parent);
    while let Some(step) = walk.steps.pop_front() {
        if !walk.step(&step, missing)? {
            return Ok(None);
        }
    }
    Ok(Some((walk.here, name)))
}

/// A walk down a path, one component at a time, in which nothing is followed unseen.
struct Walk<'p> {
    path: &'p Path,
    trust: Trust,
    here: Directory,
    steps: VecDeque<OsString>,
    symlinks: u32,
    /// Nobody but root could have changed the way to `here`.
    trusted: bool,
}

impl Walk<'_> {
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
    fn step(&mut self, name: &OsStr, missing: Missing) -> Result<bool, LinkError> {
        if name == ".." && !self.trusted && self.trust == Trust::RootOnly {
            return Err(LinkError::UntrustedParent(self.path.to_owned()));
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match fcntl::openat(&self.here, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) if missing == Missing::Left => return Ok(false),
            Err(Errno::ENOENT) => {
                self.create(name)?;
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
                if let Err(error) = remove_stale(&self.here, name) {
                    tracing::debug!("{error}");
                }
                self.enter(Directory::at(fd, at), &found);
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
        self.trusted &= only_root_writes(found);
        self.here = directory;
    }

    fn follow(&mut self, target: &Path, at: &Path) -> Result<(), LinkError> {
        self.symlinks += 1;
        if self.symlinks > SYMLINKS_FOLLOWED {
            return Err(FileError::io("follow link", at, Errno::ELOOP).into());
        }
        if target.is_absolute() {
            self.here = Directory::root()?;
            self.trusted = true;
        }
        self.go_on(target);
        Ok(())
    }

    fn check_symlink(&self, link: &FileStat, at: &Path) -> Result<(), LinkError> {
        let holder = self.here.stat()?;
        let sticky = holder.st_mode & libc::S_ISVTX != 0 && holder.st_uid == 0 && link.st_uid == 0;
        if self.trust == Trust::Anyone || only_root_writes(&holder) || sticky {
            return Ok(());
        }
        Err(LinkError::UntrustedSymlink { path: self.path.to_owned(), symlink: at.to_owned() })
    }

    /// Makes a directory that belongs to the owner of the one it lies in.
    fn create(&mut self, name: &OsStr) -> Result<(), LinkError> {
        let owner = match self.trust {
            Trust::RootOnly => owner_of(&self.here.stat()?),
            Trust::Anyone => current_user(),
        };
        let at = self.here.path().join(name);
        let private = Private::new(&self.here, name)?;
        let made = private.directory(PARENT_MODE, owner)?.called(at);
        private.place().map_err(|errno| self.here.failed("create directory", name, errno))?;
        private.remove()?;
        let found = made.stat()?;
        self.enter(made, &found);
        Ok(())
    }
}

fn only_root_writes(directory: &FileStat) -> bool {
    directory.st_uid == 0 && directory.st_mode & 0o022 == 0
}

impl LinkError {
    /// The link, or the directory or symlink on the way to it, that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(error) => &error.path,
            Self::DirectoryInTheWay(path)
            | Self::UntrustedSymlink { path, .. }
            | Self::UntrustedParent(path)
            | Self::NotAPath(path) => path,
        }
    }

    /// The one thing to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::DirectoryInTheWay(path) => {
                Some(format!("move '{}' away, or give the secret another path", path.display()))
            }
            Self::UntrustedSymlink { symlink, .. } => Some(format!(
                "give the secret a path that leads where '{}' does without going through it",
                symlink.display()
            )),
            Self::UntrustedParent(_) => Some("give the secret a path without '..'".into()),
            Self::NotAPath(_) | Self::File(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A directory that stands for the machine, and a link wanted in it.
    fn wanted(dir: &tempfile::TempDir, path: &str) -> Link {
        // The directory for temporary files may itself be reached through a symlink.
        let root = dir.path().canonicalize().unwrap();
        Link { path: root.join(path), target: root.join("secrets/a"), ownership: current_user() }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_is_made_with_its_directories_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "etc/app/key");
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Made);
        assert_eq!(fs::read_link(&wanted.path).unwrap(), wanted.target);
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Unchanged);
        assert_eq!(names(&dir.path().join("etc")), ["app"]);
        assert_eq!(names(&dir.path().join("etc/app")), ["key"]);
    }

    #[test]
    fn a_file_another_link_and_an_empty_directory_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "key");
        let replaced = |wanted: &Link| {
            assert_eq!(link(wanted, Trust::Anyone).unwrap(), Linked::Made);
            assert_eq!(fs::read_link(&wanted.path).unwrap(), wanted.target);
            fs::remove_file(&wanted.path).unwrap();
        };
        fs::write(&wanted.path, "old").unwrap();
        replaced(&wanted);
        symlink("elsewhere", &wanted.path).unwrap();
        replaced(&wanted);
        fs::create_dir(&wanted.path).unwrap();
        replaced(&wanted);
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "key");
        fs::create_dir(&wanted.path).unwrap();
        fs::write(wanted.path.join("precious"), "").unwrap();
        let refused = link(&wanted, Trust::Anyone).unwrap_err();
        assert!(matches!(refused, LinkError::DirectoryInTheWay(_)));
        assert!(refused.help().is_some());
        assert_eq!(names(&wanted.path), ["precious"]);
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn a_failed_link_does_not_keep_the_others_from_being_made() {
        let dir = tempfile::tempdir().unwrap();
        let (first, last) = (wanted(&dir, "file/key"), wanted(&dir, "key"));
        fs::write(dir.path().join("file"), "").unwrap();
        let failed = link_all([&first, &last], Trust::Anyone);
        assert_eq!(failed.len(), 1);
        assert!(
            failed[0].to_string().ends_with("/file': it is a regular file, not a directory"),
            "{}",
            failed[0]
        );
        assert_eq!(fs::read_link(&last.path).unwrap(), last.target);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "key");
        let stale = || {
            let stale = dir.path().join(".key.sops-activate");
            fs::create_dir(&stale).unwrap();
            fs::set_permissions(&stale, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            symlink("half made", stale.join("new")).unwrap();
        };
        stale();
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Made);
        assert_eq!(names(dir.path()), ["key"]);
        stale();
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Unchanged);
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn what_a_run_left_that_was_killed_after_making_a_directory_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "app/key");
        fs::create_dir(dir.path().join("app")).unwrap();
        let stale = dir.path().join(".app.sops-activate");
        fs::create_dir(&stale).unwrap();
        // Anybody may enter that one, so it is not ours.
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Made);
        assert_eq!(names(dir.path()), [".app.sops-activate", "app"]);
        fs::set_permissions(&stale, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Unchanged);
        assert_eq!(names(dir.path()), ["app"]);
    }

    #[test]
    fn a_user_may_have_symlinks_on_the_way_but_no_circle() {
        let dir = tempfile::tempdir().unwrap();
        let through = wanted(&dir, "config/key");
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("x/../real", dir.path().join("config")).unwrap();
        fs::create_dir(dir.path().join("x")).unwrap();
        assert_eq!(link(&through, Trust::Anyone).unwrap(), Linked::Made);
        assert_eq!(names(&dir.path().join("real")), ["key"]);
        symlink("circle", dir.path().join("circle")).unwrap();
        let error = link(&wanted(&dir, "circle/key"), Trust::Anyone).unwrap_err();
        assert!(matches!(&error, LinkError::File(error) if error.errno() == Some(libc::ELOOP)), "{error}");
    }

    #[test]
    fn only_a_link_into_the_store_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "etc/key");
        let store = dir.path().canonicalize().unwrap().join("secrets");
        assert!(
            !unlink(&wanted.path, &store, Trust::Anyone).unwrap(),
            "there is nothing, not even a directory"
        );
        assert_eq!(names(dir.path()), [""; 0]);
        assert_eq!(link(&wanted, Trust::Anyone).unwrap(), Linked::Made);
        assert!(!unlink(&wanted.path, Path::new("/elsewhere"), Trust::Anyone).unwrap());
        assert!(unlink(&wanted.path, &store, Trust::Anyone).unwrap());
        fs::write(&wanted.path, "").unwrap();
        assert!(!unlink(&wanted.path, &store, Trust::Anyone).unwrap());
        assert_eq!(names(&dir.path().join("etc")), ["key"]);
    }

    #[test]
    fn a_path_that_does_not_end_in_a_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["relative/key", "/", "/etc/.."] {
            let wanted = Link { path: path.into(), ..wanted(&dir, "") };
            assert!(matches!(link(&wanted, Trust::Anyone), Err(LinkError::NotAPath(_))), "{path}");
        }
    }
}
