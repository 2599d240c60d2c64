//! Owns the reading of files, and the one error of everything that touches a path.
//!
//! A read is bounded, never waits, and takes regular files only: a FIFO or a device named in a manifest would
//! otherwise hold up the boot for ever. The bytes go straight into a buffer that is wiped.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::stat::FileStat;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::secret::SecretBytes;

/// What was tried, on which path, and why it did not work.
///
/// The message is the whole sentence, cause included, so `source` is empty: a printer that follows sources would
/// say the cause twice.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} '{}': {cause}", path.display())]
pub struct FileError {
    /// What was tried, as a verb that fits between "cannot" and the path.
    pub action: &'static str,
    pub path: PathBuf,
    pub cause: Cause,
}

/// Why something on a path did not work.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The kernel's answer.
    #[error("{}", words(.0))]
    Io(io::Error),
    /// It is there, but is not what it has to be.
    #[error("it is {0}, not {1}")]
    WrongKind(Kind, Kind),
    #[error("it has {size} bytes, more than the {limit} that are read at most")]
    TooLarge { size: u64, limit: u64 },
    /// Its length was not the same at the end of the read as at the start.
    #[error("it changed while it was read")]
    Changed,
}

/// An I/O error as part of a sentence: without a capital and without the number that says the same again.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharacterDevice,
    BlockDevice,
}

/// When a file was last changed: seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp(i64, u32);

impl Stamp {
    /// None is before it.
    pub(super) const FIRST: Self = Self(i64::MIN, 0);

    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
    }

    pub(super) fn of(found: &FileStat) -> Self {
        Self(found.st_mtime, u32::try_from(found.st_mtime_nsec).unwrap_or_default())
    }
}

impl From<Stamp> for SystemTime {
    fn from(Stamp(seconds, nanoseconds): Stamp) -> Self {
        let since = Duration::new(u64::try_from(seconds).unwrap_or_default(), nanoseconds);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }
}

/// The bytes of the regular file at `path`, symlinks followed.
///
/// # Errors
/// When it cannot be opened or read, is not a regular file, is larger than `limit` bytes, or changes its length
/// meanwhile. [`FileError::is_not_found`] tells the absent file apart.
pub fn read_regular(path: &Path, limit: u64) -> Result<SecretBytes, FileError> {
    Opened::at(path)?.read(limit)
}

/// What is open for reading, and need not be a regular file. Who reads it needs no way to its path.
pub struct Opened<'p> {
    file: File,
    path: &'p Path,
}

impl<'p> Opened<'p> {
    /// # Errors
    /// When it cannot be opened.
    pub fn at(path: &'p Path) -> Result<Self, FileError> {
        Ok(Self { file: open_at_once(path)?, path })
    }

    /// Its bytes, once.
    ///
    /// # Errors
    /// As those of [`read_regular`], but for opening.
    pub fn read(&self, limit: u64) -> Result<SecretBytes, FileError> {
        let metadata = self.file.metadata().map_err(|error| FileError::io("read", self.path, error))?;
        read_open(&self.file, &metadata, limit).map_err(|cause| FileError {
            action: "read",
            path: self.path.to_owned(),
            cause,
        })
    }

    /// Its bytes after they were [read](Self::read).
    ///
    /// # Errors
    /// As those of [`read`](Self::read).
    pub fn read_again(&self, limit: u64) -> Result<SecretBytes, FileError> {
        (&self.file).rewind().map_err(|error| FileError::io("read", self.path, error))?;
        self.read(limit)
    }
}

/// Opens for reading without waiting for a FIFO's writer or a terminal's line, and without becoming its terminal.
fn open_at_once(path: &Path) -> Result<File, FileError> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    opened.map_err(|error| {
        // A socket cannot be opened at all, and "no such device or address" would puzzle.
        let kind = fs::metadata(path).ok().map(|found| Kind::of(found.mode()));
        match kind {
            Some(kind) if kind != Kind::File && error.raw_os_error() == Some(libc::ENXIO) => {
                FileError { action: "open", path: path.to_owned(), cause: Cause::WrongKind(kind, Kind::File) }
            }
            _ => FileError::io("open", path, error),
        }
    })
}

/// The content of a file that is open at its start.
pub(super) fn read_open(mut file: &File, metadata: &Metadata, limit: u64) -> Result<SecretBytes, Cause> {
    let kind = Kind::of(metadata.mode());
    if kind != Kind::File {
        return Err(Cause::WrongKind(kind, Kind::File));
    }
    let size = metadata.len();
    if size > limit {
        return Err(Cause::TooLarge { size, limit });
    }
    let mut content = zeroed(size)?;
    file.read_exact(content.expose_mut()).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Cause::Changed,
        _ => Cause::Io(error),
    })?;
    // One byte more than it had is enough to know that it grew; that byte is content, too.
    let mut beyond = [0; 1];
    let grew = file.read(&mut beyond);
    beyond.zeroize();
    match grew {
        Ok(0) => Ok(content),
        Ok(_) => Err(Cause::Changed),
        Err(error) => Err(Cause::Io(error)),
    }
}

/// A buffer of `size` zero bytes, allocated once: growing it would leave copies of a secret on the heap. A machine
/// that has not so much memory gets an error, not an abort.
fn zeroed(size: u64) -> Result<SecretBytes, Cause> {
    let out_of_memory = || Cause::Io(io::ErrorKind::OutOfMemory.into());
    let size = usize::try_from(size).map_err(|_| out_of_memory())?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(size).map_err(|_| out_of_memory())?;
    buffer.resize(size, 0);
    Ok(SecretBytes::new(buffer))
}

impl FileError {
    /// `error` is what the kernel answered: an [`io::Error`], or an `Errno`.
    pub fn io(action: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        Self { action, path: path.to_owned(), cause: Cause::Io(error.into()) }
    }

    /// There is nothing at the path, or a component of it does not exist.
    pub fn is_not_found(&self) -> bool {
        self.errno() == Some(libc::ENOENT)
    }

    /// The number of the kernel's answer, if it was the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match &self.cause {
            Cause::Io(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl Kind {
    /// From the type bits of a `st_mode`.
    pub(crate) fn of(st_mode: u32) -> Self {
        match st_mode & libc::S_IFMT {
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::Symlink,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFCHR => Self::CharacterDevice,
            libc::S_IFBLK => Self::BlockDevice,
            _ => Self::File,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symlink",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::CharacterDevice => "a character device",
            Self::BlockDevice => "a block device",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn message(path: &Path, limit: u64) -> String {
        match read_regular(path, limit) {
            Ok(_) => panic!("'{}' was read", path.display()),
            Err(error) => {
                let path = path.display().to_string();
                error.to_string().replace(&path, "PATH")
            }
        }
    }

    #[test]
    fn the_kernels_words_are_part_of_our_sentence() {
        let error = read_regular(Path::new("/nonexistent"), 1).err().unwrap();
        assert_eq!(error.to_string(), "cannot open '/nonexistent': no such file or directory");
    }

    #[test]
    fn a_file_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read_regular(&path, 5).unwrap().expose(), b"12345");
        assert_eq!(
            message(&path, 4),
            "cannot read 'PATH': it has 5 bytes, more than the 4 that are read at most"
        );
        fs::write(&path, b"").unwrap();
        assert!(read_regular(&path, 0).unwrap().is_empty());
    }

    #[test]
    fn a_missing_file_is_told_apart_from_an_unreadable_one() {
        let dir = tempfile::tempdir().unwrap();
        let missing = read_regular(&dir.path().join("none"), 1).err().unwrap();
        assert!(missing.is_not_found());
        fs::write(dir.path().join("f"), b"").unwrap();
        let below_a_file = read_regular(&dir.path().join("f/g"), 1).err().unwrap();
        assert!(!below_a_file.is_not_found());
        assert_eq!(below_a_file.errno(), Some(libc::ENOTDIR));
    }

    #[test]
    fn what_is_not_a_file_is_named_and_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(message(dir.path(), 9), "cannot read 'PATH': it is a directory, not a regular file");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(message(&fifo, 9), "cannot read 'PATH': it is a FIFO, not a regular file");
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(message(&socket, 9), "cannot open 'PATH': it is a socket, not a regular file");
        assert_eq!(
            message(Path::new("/dev/zero"), 9),
            "cannot read 'PATH': it is a character device, not a regular file"
        );
    }

    #[test]
    fn a_file_whose_length_is_not_what_the_kernel_said_is_refused() {
        // Files of procfs say that they are empty, and then have content: the same as one that grows.
        assert_eq!(
            message(Path::new("/proc/self/status"), 9),
            "cannot read 'PATH': it changed while it was read"
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"12345").unwrap();
        let before = fs::metadata(&path).unwrap();
        fs::write(&path, b"1234").unwrap();
        let shrunk = read_open(&File::open(&path).unwrap(), &before, 9).err().unwrap();
        assert!(matches!(shrunk, Cause::Changed));
    }

    #[test]
    fn a_size_that_no_machine_has_is_an_error_and_not_an_abort() {
        assert!(
            matches!(zeroed(u64::MAX), Err(Cause::Io(error)) if error.kind() == io::ErrorKind::OutOfMemory)
        );
    }
}
