//! Looks at what an activation leaves on a machine, for the tools that tell about it. It only reads, and never the
//! content of a secret.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl;
use nix::sys::statvfs;
use nix::unistd::{Gid, Group, Uid, User};

use super::directory::{Directory, PERMISSIONS, owner_of};
use super::file::{FileError, Kind};
use super::live::LiveGeneration;
use super::mount;
use crate::plan::access::Ownership;

/// The place where generations lie, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSurvey {
    /// `ramfs` or `tmpfs`; none when it is something else.
    pub memory: Option<&'static str>,
    /// A mount of its own, not a directory of something larger.
    pub is_mount: bool,
    /// Of nodev, nosuid and noexec those that are set.
    pub flags: Vec<&'static str>,
    pub missing_flags: Vec<&'static str>,
    pub read_only: bool,
    /// Bytes that still fit; none when there is no limit.
    pub available: Option<u64>,
}

/// One file of a generation, without its size: the length of a password is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Below the generation.
    pub name: PathBuf,
    pub mode: u32,
    pub ownership: Ownership,
}

/// What stands at the path of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPath {
    Nothing,
    Link(PathBuf),
    Other(Kind),
}

/// None when nothing is at `mount_point`.
///
/// # Errors
/// When it cannot be looked at.
pub fn store(mount_point: &Path) -> Result<Option<StoreSurvey>, FileError> {
    let root = match Directory::open(mount_point) {
        Ok(root) => root,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let memory = mount::memory(&root)?;
    let missing_flags = mount::missing_flags(&root)?;
    let size = statvfs::fstatvfs(&root).map_err(|errno| FileError::io("look at", mount_point, errno))?;
    // The width of these fields depends on the machine.
    #[allow(clippy::useless_conversion)]
    let (blocks, free, unit) =
        (u64::from(size.blocks()), u64::from(size.blocks_available()), u64::from(size.fragment_size()));
    Ok(Some(StoreSurvey {
        memory,
        is_mount: mount::is_mount(&root)?,
        flags: ["nodev", "nosuid", "noexec"]
            .into_iter()
            .filter(|flag| !missing_flags.contains(flag))
            .collect(),
        missing_flags,
        read_only: size.flags().contains(statvfs::FsFlags::ST_RDONLY),
        // ramfs has no size, and says so with zeros.
        available: (blocks > 0).then(|| free.saturating_mul(unit)),
    }))
}

impl LiveGeneration {
    /// Every file in it, by name.
    ///
    /// # Errors
    /// When a directory of it cannot be listed.
    pub fn files(&self) -> Result<Vec<Installed>, FileError> {
        let mut files = Vec::new();
        collect(self.directory(), Path::new(""), &mut files)?;
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    /// When it was made: the last change of its directory.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn since(&self) -> Result<SystemTime, FileError> {
        let found = self.directory().stat()?;
        let seconds = u64::try_from(found.st_mtime).unwrap_or_default();
        let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or_default();
        Ok(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
    }
}

fn collect(directory: &Directory, path: &Path, files: &mut Vec<Installed>) -> Result<(), FileError> {
    for name in directory.names()? {
        let Some(found) = directory.stat_of(&name)? else { continue };
        let inner = path.join(&name);
        match Kind::of(found.st_mode) {
            Kind::Directory => collect(&directory.child(&name)?, &inner, files)?,
            Kind::File => files.push(Installed {
                name: inner,
                mode: found.st_mode & PERMISSIONS,
                ownership: owner_of(&found),
            }),
            _ => {}
        }
    }
    Ok(())
}

/// What stands at `path`.
///
/// # Errors
/// When that cannot be found out.
pub fn at_path(path: &Path) -> Result<AtPath, FileError> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(AtPath::Nothing),
        Err(error) => Err(FileError::io("look at", path, error)),
        Ok(found) if found.is_symlink() => fcntl::readlink(path)
            .map(|target| AtPath::Link(target.into()))
            .map_err(|errno| FileError::io("read link", path, errno)),
        Ok(found) => Ok(AtPath::Other(Kind::of(found.mode()))),
    }
}

/// The links in `directory` that lead below `store` to nothing, with where they lead. A directory that cannot be
/// listed has none to tell.
#[must_use]
pub fn dangling_into(directory: &Path, store: &Path) -> Vec<(PathBuf, PathBuf)> {
    let names = Directory::open(directory).and_then(|open| open.names()).unwrap_or_default();
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let path = directory.join(name);
            let Ok(AtPath::Link(target)) = at_path(&path) else { return None };
            let dangles = target.starts_with(store) && matches!(at_path(&target), Ok(AtPath::Nothing));
            dangles.then_some((path, target))
        })
        .collect();
    found.sort();
    found
}

/// The name of a user, or its number where it has none.
#[must_use]
pub fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The name of a group, or its number where it has none.
#[must_use]
pub fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

/// Whether this process may look everywhere.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
