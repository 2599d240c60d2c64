//! Owns the view of the live generation: which one it is, and in what it differs from what is wanted. It only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{self, FileStat, Mode};

use super::directory::{Directory, PERMISSIONS, owner_of};
use super::file::{FileError, Kind, read_open};
use super::generation::{Entry, Wanted, last_component};
use super::mount::DIRECTORY_MODE;
use crate::plan::access::{self, Ownership};
use crate::plan::name::Name;
use crate::secret::SecretBytes;

/// Bytes of an installed file that are in memory at a time.
const CHUNK: usize = 64 * 1024;
/// No symlink is followed, and no FIFO waited for.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// The generation that the symlink points at.
pub struct LiveGeneration {
    number: u64,
    directory: Directory,
}

/// A file of the live generation.
pub struct Installed {
    pub content: SecretBytes,
    pub ownership: Ownership,
    pub mode: access::Mode,
}

/// In what the live generation differs from what is wanted; names in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub added: BTreeSet<Name>,
    /// Other bytes, permissions or owner; or it could not be read to compare.
    pub modified: BTreeSet<Name>,
    /// Paths of files that are not wanted, below the generation.
    pub removed: BTreeSet<PathBuf>,
    /// A directory has other permissions, or another owner, than it should.
    pub directories: bool,
}

impl LiveGeneration {
    /// The generation below `mount_point` that `symlink` points at; none when there is no such directory, or the link
    /// is absent, dangles or leads elsewhere. Needs no [`super::store::Store`] and changes nothing, for dry runs.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn find(mount_point: &Path, symlink: &Path) -> Result<Option<Self>, FileError> {
        match Directory::open(mount_point) {
            Ok(root) => Self::below(&root, symlink),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn below(root: &Directory, symlink: &Path) -> Result<Option<Self>, FileError> {
        let Some(number) = number(root, symlink)? else { return Ok(None) };
        match root.child(OsStr::new(&number.to_string())) {
            Ok(directory) => Ok(Some(Self::new(number, directory))),
            Err(error) if is_no_directory(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn new(number: u64, directory: Directory) -> Self {
        Self { number, directory }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The owner of the file at `name`; none when there is nothing, or something else than a file.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn owner(&self, name: &Name) -> Result<Option<Ownership>, FileError> {
        Ok(self.find_file(name)?.map(|(_, found)| owner_of(&found)))
    }

    /// The file at `name`; none when there is nothing, or something else than a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &Name) -> Result<Option<Installed>, FileError> {
        let Some((holder, _)) = self.find_file(name)? else { return Ok(None) };
        let name = last_component(name.as_str());
        let failed = |errno| holder.failed("read", name, errno);
        let fd = fcntl::openat(&holder, name, READ, Mode::empty()).map_err(failed)?;
        let found = stat::fstat(&fd).map_err(failed)?;
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|error| holder.failed("read", name, error))?;
        let content = read_open(&file, &metadata, metadata.len()).map_err(|cause| FileError {
            action: "read",
            path: holder.path().join(name),
            cause,
        })?;
        let mode = access::Mode(found.st_mode & PERMISSIONS);
        Ok(Some(Installed { content, ownership: owner_of(&found), mode }))
    }

    /// The directory that holds the file at `name`, if there is one. Nothing on the way is followed.
    pub(super) fn holder(&self, name: &Name) -> Result<Option<Directory>, FileError> {
        Ok(self.find_file(name)?.map(|(holder, _)| holder))
    }

    fn find_file(&self, name: &Name) -> Result<Option<(Directory, FileStat)>, FileError> {
        let path = self.directory.path().to_owned();
        let mut holder = self.directory.child(OsStr::new("."))?.called(path);
        for parent in name.parents() {
            holder = match holder.child(last_component(parent)) {
                Ok(inner) => inner,
                Err(error) if is_no_directory(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        let found = holder.stat_of(last_component(name.as_str()))?;
        Ok(found.filter(|found| Kind::of(found.st_mode) == Kind::File).map(|found| (holder, found)))
    }

    /// Compares with `wanted`, which is to be all there is. A file that is to be as before never differs. `directories` is the owner that directories should have;
    /// with none, no owners are compared, neither of directories nor of files: a dry run does not look them up.
    ///
    /// Symlinks in the generation are passed over: a secret's own path may lie in it.
    ///
    /// # Errors
    /// When a directory of the generation cannot be listed. A file that cannot be read counts as modified.
    pub fn differences(
        &self,
        wanted: &[Wanted<'_>],
        directories: Option<Ownership>,
    ) -> Result<Differences, FileError> {
        let mut wanted: BTreeMap<&OsStr, &Wanted<'_>> =
            wanted.iter().map(|wanted| (OsStr::new(wanted.name().as_str()), wanted)).collect();
        let mut comparison = Comparison {
            wanted: &mut wanted,
            directories,
            found: Differences::default(),
            chunk: SecretBytes::new(vec![0; CHUNK]),
        };
        comparison.walk(&self.directory, &OsString::new())?;
        let mut found = comparison.found;
        found.added.extend(wanted.values().filter_map(|wanted| new_name(wanted)));
        Ok(found)
    }
}

impl Differences {
    /// Nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty() && !self.directories
    }
}

/// A walk through the generation.
struct Comparison<'w, 'e> {
    /// What was not met yet.
    wanted: &'w mut BTreeMap<&'e OsStr, &'e Wanted<'e>>,
    directories: Option<Ownership>,
    found: Differences,
    chunk: SecretBytes,
}

impl Comparison<'_, '_> {
    /// `path` is that of `directory` below the generation.
    fn walk(&mut self, directory: &Directory, path: &OsStr) -> Result<(), FileError> {
        let here = directory.stat()?;
        let other_owner = self.directories.is_some_and(|wanted| wanted != owner_of(&here));
        self.found.directories |= other_owner || here.st_mode & PERMISSIONS != DIRECTORY_MODE;
        for name in directory.names()? {
            let mut inner = path.to_owned();
            if !inner.is_empty() {
                inner.push("/");
            }
            inner.push(&name);
            let kind = directory.stat_of(&name)?.map(|found| Kind::of(found.st_mode));
            match (kind, self.wanted.remove(inner.as_os_str())) {
                // A directory where a file is wanted: that file is new, and what lies in the directory is not wanted.
                (Some(Kind::Directory), wanted) => {
                    self.found.added.extend(wanted.and_then(new_name));
                    self.walk(&directory.child(&name)?, &inner)?;
                }
                (_, Some(Wanted::File(entry))) => {
                    if !self.is_same(directory, &name, entry) {
                        self.found.modified.insert(entry.name.clone());
                    }
                }
                (Some(Kind::File), Some(Wanted::AsBefore(_))) | (None | Some(Kind::Symlink), None) => {}
                // What is not a file cannot be kept.
                (_, Some(Wanted::AsBefore(_))) | (Some(_), None) => {
                    self.found.removed.insert(inner.into());
                }
            }
        }
        Ok(())
    }

    fn is_same(&mut self, directory: &Directory, name: &OsStr, entry: &Entry<'_>) -> bool {
        let Ok(fd) = fcntl::openat(directory, name, READ, Mode::empty()) else { return false };
        let Ok(found) = stat::fstat(&fd) else { return false };
        self.has_access(&found, entry)
            && has_size(&found, entry.content)
            && self.has_content(File::from(fd), entry.content)
    }

    fn has_access(&self, found: &FileStat, entry: &Entry<'_>) -> bool {
        let is_file = Kind::of(found.st_mode) == Kind::File;
        let is_owner = self.directories.is_none() || owner_of(found) == entry.ownership;
        is_file && is_owner && found.st_mode & PERMISSIONS == entry.mode.0
    }

    /// A failed read is a difference.
    fn has_content(&mut self, mut file: File, mut content: &[u8]) -> bool {
        loop {
            let read = match file.read(self.chunk.expose_mut()) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            if read == 0 {
                return content.is_empty();
            }
            let installed = self.chunk.expose().get(..read);
            match content.split_at_checked(read) {
                Some((same, rest)) if installed == Some(same) => content = rest,
                _ => return false,
            }
        }
    }
}

/// The name of a file that is not there yet; what was not there before does not come.
fn new_name(wanted: &Wanted<'_>) -> Option<Name> {
    match wanted {
        Wanted::File(entry) => Some(entry.name.clone()),
        Wanted::AsBefore(_) => None,
    }
}

fn has_size(found: &FileStat, content: &[u8]) -> bool {
    u64::try_from(found.st_size).is_ok_and(|size| usize::try_from(size) == Ok(content.len()))
}

/// The number that `symlink` names in the directory `root`, whether such a generation exists or not; none when it is
/// no symlink or leads elsewhere.
pub(super) fn number(root: &Directory, symlink: &Path) -> Result<Option<u64>, FileError> {
    let target = match fcntl::readlink(symlink) {
        Ok(target) => PathBuf::from(target),
        // Not there, or something else than a symlink is.
        Err(Errno::ENOENT | Errno::EINVAL) => return Ok(None),
        Err(errno) => return Err(FileError::io("read link", symlink, errno)),
    };
    let Some(number) = target.file_name().and_then(parse_number) else { return Ok(None) };
    let beside = symlink.parent().unwrap_or(Path::new("/"));
    let Some(above) = target.parent() else { return Ok(None) };
    // By identity: the mount point may have more than one path, as below `/var/run`.
    let leads_to = match stat::stat(&beside.join(above)) {
        Ok(found) => found,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        Err(errno) => return Err(FileError::io("follow link", symlink, errno)),
    };
    let root = root.stat()?;
    Ok(((root.st_dev, root.st_ino) == (leads_to.st_dev, leads_to.st_ino)).then_some(number))
}

/// The number of a generation's directory; none when the name is not exactly how a number is written.
pub(super) fn parse_number(name: &OsStr) -> Option<u64> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn is_no_directory(error: &FileError) -> bool {
    let absent = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP];
    error.errno().is_some_and(|errno| absent.iter().any(|absent| *absent as i32 == errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_difference_of_any_kind_is_one() {
        let name = || Name::new("a").unwrap();
        let none = Differences::default;
        assert!(none().is_empty());
        for one in [
            Differences { added: [name()].into(), ..none() },
            Differences { modified: [name()].into(), ..none() },
            Differences { removed: ["a".into()].into(), ..none() },
            Differences { directories: true, ..none() },
        ] {
            assert!(!one.is_empty(), "{one:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_differs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let unreadable = || File::options().write(true).open(file.path()).unwrap();
        let mut comparison = Comparison {
            wanted: &mut BTreeMap::new(),
            directories: None,
            found: Differences::default(),
            chunk: SecretBytes::new(vec![0; CHUNK]),
        };
        assert!(comparison.has_content(file.reopen().unwrap(), b""));
        assert!(!comparison.has_content(unreadable(), b""));
    }
}
