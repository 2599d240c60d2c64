//! Owns the lock that keeps two runs on one mount point apart.
//!
//! The directory itself is locked, so no lock file appears among the secrets, and nobody can hold the lock who cannot
//! read the directory. Mounting puts another directory at the path: whoever waited for the old one starts again. The
//! two units of a machine have two mount points, and so never wait for one another.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat;

use super::directory::Directory;
use super::file::FileError;

/// How long a run waits for another one: longer than any activation takes, shorter than systemd's patience.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two tries. A blocking call could not be given a limit.
const PAUSE: Duration = Duration::from_millis(50);

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot lock '{}': another run has held it for {} s", path.display(), waited.as_secs())]
    Busy { path: PathBuf, waited: Duration },
}

/// How long to wait, and whom to tell. One for a whole run, however often it has to lock.
pub(super) struct Patience<'w> {
    limit: Duration,
    started: Option<Instant>,
    waiting: &'w mut dyn FnMut(),
}

/// Held until dropped.
pub(super) struct Lock {
    held: Option<Flock<OwnedFd>>,
    /// For messages only.
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(Err((lock, errno))) = self.held.take().map(Flock::unlock) {
            // Dropping it would try again and panic. The lock ends with the process.
            std::mem::forget(lock);
            tracing::warn!("{}", FileError::io("unlock", &self.path, errno));
        }
    }
}

impl<'w> Patience<'w> {
    /// `waiting` is called once, when it turns out that another run has the lock.
    pub fn new(limit: Duration, waiting: &'w mut dyn FnMut()) -> Self {
        Self { limit, started: None, waiting }
    }

    /// Waits a moment, unless the limit is reached.
    fn pause(&mut self, path: &Path) -> Result<(), LockError> {
        let started = *self.started.get_or_insert_with(|| {
            (self.waiting)();
            Instant::now()
        });
        if started.elapsed() >= self.limit {
            return Err(LockError::Busy { path: path.to_owned(), waited: self.limit });
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}

/// Opens the directory at `path` and locks it: the one that is there when the lock is had.
pub(super) fn lock(path: &Path, patience: &mut Patience<'_>) -> Result<(Directory, Lock), LockError> {
    loop {
        let directory = Directory::open(path)?;
        let lock = lock_open(&directory, patience)?;
        let now = stat::stat(path).map_err(|errno| FileError::io("look at", path, errno))?;
        let locked = directory.stat()?;
        if (now.st_dev, now.st_ino) == (locked.st_dev, locked.st_ino) {
            return Ok((directory, lock));
        }
    }
}

fn lock_open(directory: &Directory, patience: &mut Patience<'_>) -> Result<Lock, LockError> {
    let failed = |error: std::io::Error| FileError::io("lock", directory.path(), error);
    let mut fd = directory.as_fd().try_clone_to_owned().map_err(failed)?;
    loop {
        match Flock::lock(fd, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Lock { held: Some(lock), path: directory.path().to_owned() }),
            Err((same, Errno::EWOULDBLOCK)) => {
                patience.pause(directory.path())?;
                fd = same;
            }
            Err((same, Errno::EINTR)) => fd = same,
            Err((_, errno)) => return Err(failed(errno.into()).into()),
        }
    }
}

impl LockError {
    /// The one thing to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => {
                Some("wait until the other activation has ended, or stop it, and activate again".into())
            }
            Self::File(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc;

    /// The lock, and how often it was told that another run has it.
    fn try_for(path: &Path, limit: Duration) -> (Result<Lock, LockError>, u32) {
        let mut told = 0;
        let mut waiting = || told += 1;
        let locked = lock(path, &mut Patience::new(limit, &mut waiting)).map(|(_, lock)| lock);
        (locked, told)
    }

    #[test]
    fn a_held_lock_is_waited_for_told_once_and_given_up_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let (held, told) = try_for(dir.path(), Duration::ZERO);
        assert!(held.is_ok());
        assert_eq!(told, 0);
        let (refused, told) = try_for(dir.path(), Duration::from_millis(120));
        let message = format!("cannot lock '{}': another run has held it for 0 s", dir.path().display());
        assert_eq!(refused.err().unwrap().to_string(), message);
        assert_eq!(told, 1);
        drop(held);
        assert!(try_for(dir.path(), Duration::ZERO).0.is_ok());
    }

    #[test]
    fn who_waits_gets_the_lock_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let (held, _) = try_for(dir.path(), Duration::ZERO);
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut waiting = || tell.send(()).unwrap();
                lock(dir.path(), &mut Patience::new(LIMIT, &mut waiting)).map(drop)
            });
            told.recv().unwrap();
            drop(held);
            assert!(waiter.join().unwrap().is_ok());
        });
    }

    #[test]
    fn another_directory_at_the_path_is_another_lock_and_the_waiter_takes_that_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        fs::create_dir(&path).unwrap();
        let (held, _) = try_for(&path, Duration::ZERO);
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut waiting = || tell.send(()).unwrap();
                lock(&path, &mut Patience::new(LIMIT, &mut waiting)).map(|(directory, _)| directory.stat())
            });
            told.recv().unwrap();
            fs::rename(&path, dir.path().join("away")).unwrap();
            fs::create_dir(&path).unwrap();
            drop(held);
            let locked = waiter.join().unwrap().unwrap().unwrap();
            assert_eq!(locked.st_ino, stat::stat(&path).unwrap().st_ino);
        });
    }

    #[test]
    fn two_directories_do_not_block_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("secrets.d"), dir.path().join("secrets-for-users.d"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        let (_held, _) = try_for(&one, Duration::ZERO);
        assert!(try_for(&other, Duration::ZERO).0.is_ok());
    }
}
