//! Owns the memory file system that the generations lie on.
//!
//! It promises that no secret is written before the place for it was seen, through an open descriptor, to be memory,
//! and a mount of its own to be free of devices, set-id bits and programs. Where mounting is not permitted, as in many
//! containers, it takes the next best memory and warns; a disk it refuses.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::stat;
use nix::sys::statfs;
use nix::sys::statvfs::FsFlags;

use super::directory::Directory;
use super::file::FileError;

/// `RAMFS_MAGIC` of the kernel's `linux/magic.h`, which the libc crate does not have.
const RAMFS_MAGIC: u32 = 0x8584_58f6;
/// `TMPFS_MAGIC` of the same file.
const TMPFS_MAGIC: u32 = 0x0102_1994;
/// Root may do everything, the keys group may list, everyone may pass through to a file that lets them.
pub(super) const DIRECTORY_MODE: u32 = 0o751;
/// What a place for secrets has no use for.
const FLAGS: MsFlags = MsFlags::MS_NODEV.union(MsFlags::MS_NOSUID).union(MsFlags::MS_NOEXEC);

/// What the generations are to lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory that is never swapped out and has no limit.
    Ramfs,
    /// Memory with a limit; not swapped out where the kernel knows `noswap` (6.4 and later).
    Tmpfs,
    /// Whatever the directory lies on already: only root can mount.
    Existing,
}

/// Something that root should know, and that is no reason to give up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("'{}' is a tmpfs without 'noswap': secrets may reach the swap device", .0.display())]
    Swappable(PathBuf),
    #[error("mounting is not permitted here: secrets go into the directory '{}', which lies in memory", .0.display())]
    NotMounted(PathBuf),
    #[error("'{}' is a {found} already and stays one until it is unmounted", path.display())]
    OtherMemory { path: PathBuf, found: &'static str },
    #[error("'{}' lies neither on ramfs nor on tmpfs: secrets may reach a disk", .0.display())]
    NotMemory(PathBuf),
}

/// Why there is no place for secrets.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "cannot mount {wanted} on '{}': {errno}; and the directory itself lies on a file system of type {found:#x}, not in memory",
        path.display()
    )]
    NotPermitted { path: PathBuf, wanted: &'static str, errno: Errno, found: u32 },
    #[error("cannot use '{}': it is mounted without {missing}, and that cannot be changed: {errno}", path.display())]
    Flags { path: PathBuf, missing: String, errno: Errno },
    #[error("cannot use '{}': after mounting it is still not what was mounted", .0.display())]
    NotAsMounted(PathBuf),
}

/// What was found at the mount point.
pub(super) enum Place {
    /// It can take secrets, when [`Memory::check`] agrees.
    Ready(Memory),
    /// Something was mounted: the path now leads to another directory, which has to be opened.
    Mounted,
}

/// What [`Memory::check`] is to find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// A mount of its own, with the flags.
    Mount,
    /// A directory in memory; its flags are those of a larger file system.
    Directory,
    /// No promise: the user was warned.
    Any,
}

/// Looks at the directory that is open at the mount point, and mounts `wanted` on it unless it is memory already.
/// `once_mounted` says that an earlier call did, so that a mount which never shows is not repeated.
pub(super) fn prepare(
    root: &Directory,
    wanted: Backing,
    once_mounted: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Place, MountError> {
    let path = root.path();
    let found = magic(root)?;
    let found_name = memory_name(found);
    if wanted == Backing::Existing {
        if found_name.is_none() {
            warnings.push(Warning::NotMemory(path.to_owned()));
        }
        return Ok(Place::Ready(Memory::Any));
    }
    if let (Some(found), true) = (found_name, is_mount(root)?) {
        // Mounting the wanted one over it would hide the live generation until the switch, and for good if there is
        // none.
        if found != wanted.name() && !once_mounted {
            warnings.push(Warning::OtherMemory { path: path.to_owned(), found });
        }
        return Ok(Place::Ready(Memory::Mount));
    }
    if once_mounted {
        return Err(MountError::NotAsMounted(path.to_owned()));
    }
    match attach(path, wanted, warnings) {
        Ok(()) => Ok(Place::Mounted),
        Err(errno) if !is_refusal(errno) => Err(FileError::io("mount on", path, errno).into()),
        Err(_) if found_name.is_some() => {
            warnings.push(Warning::NotMounted(path.to_owned()));
            Ok(Place::Ready(Memory::Directory))
        }
        Err(errno) => {
            Err(MountError::NotPermitted { path: path.to_owned(), wanted: wanted.name(), errno, found })
        }
    }
}

/// Mounts the best that the kernel permits, `wanted` or weaker.
fn attach(path: &Path, wanted: Backing, warnings: &mut Vec<Warning>) -> nix::Result<()> {
    let mount =
        |kind: &str, options: &str| nix::mount::mount(Some("none"), path, Some(kind), FLAGS, Some(options));
    if wanted == Backing::Ramfs {
        match mount("ramfs", "mode=0751") {
            Err(errno) if is_refusal(errno) => {}
            answer => return answer,
        }
    }
    match mount("tmpfs", "mode=0751,noswap") {
        // Kernels before 6.4 do not know the option, and later ones do not let a container use it.
        Err(errno) if errno == Errno::EINVAL || is_refusal(errno) => {}
        answer => return answer,
    }
    mount("tmpfs", "mode=0751")?;
    warnings.push(Warning::Swappable(path.to_owned()));
    Ok(())
}

/// The kernel, or a container's guard, does not let us: not the same as a mount that failed.
fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::EPERM | Errno::EACCES | Errno::ENODEV | Errno::ENOSYS)
}

impl Memory {
    /// The last look before the first byte is written, at the open directory. Flags that are missing are added.
    pub fn check(self, root: &Directory) -> Result<(), MountError> {
        if self == Self::Any {
            return Ok(());
        }
        if memory_name(magic(root)?).is_none() {
            return Err(MountError::NotAsMounted(root.path().to_owned()));
        }
        if self == Self::Directory {
            return Ok(());
        }
        let missing = missing_flags(root)?;
        if missing.is_empty() {
            return Ok(());
        }
        let flags =
            |errno| MountError::Flags { path: root.path().to_owned(), missing: missing.join(","), errno };
        let keep_read_only =
            if flags_of(root)?.contains(FsFlags::ST_RDONLY) { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        let change = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | FLAGS | keep_read_only;
        nix::mount::mount(None::<&str>, root.path(), None::<&str>, change, None::<&str>).map_err(flags)?;
        if missing_flags(root)?.is_empty() { Ok(()) } else { Err(flags(Errno::EINVAL)) }
    }
}

impl Backing {
    fn name(self) -> &'static str {
        match self {
            Self::Ramfs => "ramfs",
            Self::Tmpfs => "tmpfs",
            Self::Existing => "nothing",
        }
    }
}

impl MountError {
    /// The one thing to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotPermitted { path, .. } => Some(format!(
                "let the container mount, or give it a tmpfs at '{}' or above, as `--tmpfs` of its manager does",
                path.display()
            )),
            Self::Flags { path, missing, .. } => {
                Some(format!("run `mount -o remount,{missing} {}` where that is permitted", path.display()))
            }
            Self::File(_) | Self::NotAsMounted(_) => None,
        }
    }
}

/// `/run` is a tmpfs itself, so the type of the file system does not tell whether this directory is mounted.
pub(super) fn is_mount(root: &Directory) -> Result<bool, FileError> {
    let here = root.stat()?;
    let above = stat::fstatat(root, "..", nix::fcntl::AtFlags::empty())
        .map_err(|errno| FileError::io("look above", root.path(), errno))?;
    Ok(here.st_dev != above.st_dev)
}

/// The kind of memory that the directory lies on, if it is memory.
pub(super) fn memory(root: &Directory) -> Result<Option<&'static str>, FileError> {
    magic(root).map(memory_name)
}

fn memory_name(magic: u32) -> Option<&'static str> {
    match magic {
        RAMFS_MAGIC => Some("ramfs"),
        TMPFS_MAGIC => Some("tmpfs"),
        _ => None,
    }
}

/// Type of the file system: 32 bits, in a field whose width and sign depend on the machine.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "keeps the 32 bits that count")]
fn magic(root: &Directory) -> Result<u32, FileError> {
    let found = statfs::fstatfs(root).map_err(|errno| FileError::io("look at", root.path(), errno))?;
    Ok(found.filesystem_type().0 as u32)
}

fn flags_of(root: &Directory) -> Result<FsFlags, FileError> {
    let found = statfs::fstatfs(root).map_err(|errno| FileError::io("look at", root.path(), errno))?;
    Ok(found.flags())
}

pub(super) fn missing_flags(root: &Directory) -> Result<Vec<&'static str>, FileError> {
    let set = flags_of(root)?;
    let wanted =
        [(FsFlags::ST_NODEV, "nodev"), (FsFlags::ST_NOSUID, "nosuid"), (FsFlags::ST_NOEXEC, "noexec")];
    Ok(wanted.into_iter().filter(|(flag, _)| !set.contains(*flag)).map(|(_, name)| name).collect())
}
