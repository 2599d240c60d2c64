//! Owns the sandboxes: that of an activation, from where everything is read and the store is open, in which the program
//! can change the places that it is there to change, and no others, whatever a path or a race makes of it; and that of what
//! reads text of others, in which nothing at all can be opened.
//!
//! The kernel's Landlock holds them, for a thread and those that it starts. No program is run in them: where one may be
//! needed, as `systemctl` to tell units, a thread goes in and the one that was there before stays outside. Threads share
//! their memory, so this holds against tricks with paths and mistakes of ours, and not against who runs code of their own.
//!
//! Where the kernel knows no Landlock, or too old a one, or anything else is in the way, there is no sandbox, and the
//! activation goes on: nothing that works without may fail with it.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::thread;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags,
};
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;

use super::accounts::current_user;
use super::file::{FileError, words};
use super::private::private_name;
use super::store::Store;
use super::workers;
use crate::secret::wipe_stack;

/// What making and replacing links takes. Each is made in a directory beside its place, and moved from there.
const LINKS: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{MakeDir | MakeSym | RemoveDir | RemoveFile | Refer});
/// What making, comparing and replacing files takes, where links may be as well.
const FILES: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    MakeDir | MakeSym | MakeReg | RemoveDir | RemoveFile | Refer | ReadFile | WriteFile | Truncate
});
const OTHERS_WRITE: u32 = 0o022;
/// What is in it can be removed by its owner alone.
const STICKY: u32 = 0o1000;
/// As the kernel's limit for one path.
const SYMLINKS_FOLLOWED: u32 = 40;

/// What an activation still needs.
pub struct Needs<'n> {
    pub store: &'n Store,
    /// Directories in which links are made, replaced or removed. Those that are missing are made.
    pub links: Vec<PathBuf>,
    /// Directories in which files are.
    pub files: Vec<PathBuf>,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum NoSandbox {
    #[error(transparent)]
    Landlock(#[from] RulesetError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("no thread can go into it: {}", words(.0))]
    Thread(std::io::Error),
}

/// A sandbox that threads can enter.
pub struct Sandbox(RulesetCreated);

impl Sandbox {
    /// The sandbox of an activation.
    ///
    /// # Errors
    /// When there is none.
    pub fn for_activation(needs: &Needs<'_>) -> Result<Self, NoSandbox> {
        let mut ruleset = ruleset()?;
        let store = PathBeneath::new(needs.store.root.as_fd(), FILES | AccessFs::ReadDir);
        ruleset = ruleset.add_rule(store)?;
        for (path, rights) in rules(needs)? {
            let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
            let opened = fcntl::open(&path, flags, Mode::empty());
            let fd = opened.map_err(|errno| FileError::io("open", &path, errno))?;
            ruleset = ruleset.add_rule(PathBeneath::new(fd, rights))?;
        }
        Ok(Self(ruleset))
    }

    /// The sandbox in which nothing can be opened: what is open already can be read there.
    ///
    /// # Errors
    /// When there is none.
    pub fn for_reading() -> Result<Self, NoSandbox> {
        Ok(Self(ruleset()?))
    }

    /// Takes in this thread, and all that it starts from here on. There is no way out.
    ///
    /// # Errors
    /// When it cannot. Everything is as before, then.
    pub fn enter(&self) -> Result<(), NoSandbox> {
        self.0.try_clone().map_err(NoSandbox::Thread)?.restrict_self()?;
        Ok(())
    }

    /// As [`enter`](Self::enter). Where that fails, this goes on without a sandbox.
    pub fn enter_if_possible(&self) {
        self.enter().unwrap_or_else(|error| NoSandbox::tell(&error));
    }

    /// Does `work` in a thread inside, while this one waits outside.
    pub fn hold<R: Send>(&self, mut work: impl FnMut() -> R + Send) -> R {
        let done = thread::scope(|scope| {
            let inside = || {
                self.enter_if_possible();
                let done = work();
                wipe_stack();
                done
            };
            let thread = workers::thread().spawn_scoped(scope, inside);
            let thread = thread.map_err(|error| NoSandbox::Thread(error).tell()).ok()?;
            Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        done.unwrap_or_else(work)
    }
}

impl NoSandbox {
    /// Says that the activation goes on without.
    pub fn tell(&self) {
        tracing::debug!("there is no sandbox: {self}");
    }
}

/// What may be done where.
fn rules(needs: &Needs<'_>) -> Result<BTreeMap<PathBuf, BitFlags<AccessFs>>, FileError> {
    let mut rules: BTreeMap<PathBuf, BitFlags<AccessFs>> = BTreeMap::new();
    // Names of files may be read everywhere: a way to a place is walked step by step.
    let root = (PathBuf::from("/"), AccessFs::ReadDir.into());
    let places = [(&needs.links, LINKS), (&needs.files, FILES)];
    rules.extend([root]);
    for (directories, rights) in places {
        for directory in directories {
            let reached = reached(directory)?;
            for path in with_leftovers(&reached)?.into_iter().chain([reached]) {
                *rules.entry(path).or_default() |= rights;
            }
        }
    }
    Ok(rules)
}

fn ruleset() -> Result<RulesetCreated, RulesetError> {
    // A kernel without the second version forbids all moving from directory to directory.
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V2))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::Truncate)?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()
}

/// The directory in which the walk to `directory` can end up doing something: itself; or that in which the missing ones
/// are to be made; or, for root, the first in which others could exchange what comes next. What cannot be looked at now
/// may be on the way a moment later.
fn reached(directory: &Path) -> Result<PathBuf, FileError> {
    let user = current_user().uid;
    let mut steps: VecDeque<OsString> = names(directory).collect();
    let mut here = PathBuf::from("/");
    let mut symlinks = 0;
    while let Some(name) = steps.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let (Some(above), Some(found)) = (look(&here)?, look(&next)?) else { break };
        if user == 0 && may_exchange(&above, &found) {
            break;
        }
        if found.is_dir() {
            here = next;
        } else if found.is_symlink() && symlinks < SYMLINKS_FOLLOWED {
            let target = fs::read_link(&next).map_err(|error| FileError::io("read link", &next, error))?;
            symlinks += 1;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            steps = names(&target).chain(steps).collect();
        } else {
            break;
        }
    }
    Ok(here)
}

/// What stands there, if anything does.
fn look(path: &Path) -> Result<Option<Metadata>, FileError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(FileError::io("look at", path, error)),
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Whether others than root can put something else in the place of `found`, which stands in the directory `above`.
fn may_exchange(above: &Metadata, found: &Metadata) -> bool {
    let is_sticky = above.mode() & STICKY != 0 && found.uid() == 0;
    above.uid() != 0 || (above.mode() & OTHERS_WRITE != 0 && !is_sticky)
}

/// The directories on the way to `directory` in which a killed run left something to be removed.
fn with_leftovers(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut left = Vec::new();
    for path in directory.ancestors() {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        if look(&parent.join(private_name(name)))?.is_some() {
            left.push(parent.to_owned());
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn where_a_walk_ends_is_found_through_what_is_missing_and_through_symlinks_that_can_be_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("shared/d")).unwrap();
        fs::set_permissions(root.join("shared"), Permissions::from_mode(0o777)).unwrap();
        fs::write(root.join("file"), "").unwrap();
        symlink("a/b", root.join("relative")).unwrap();
        symlink(root.join("a/none"), root.join("dangling")).unwrap();
        symlink("../a", root.join("shared/planted")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let is_root = current_user().uid == 0;
        for (directory, expected) in [
            ("a/b", "a/b"),
            ("a/b/c/d", "a/b"),
            ("relative/x", "a/b"),
            ("relative/../x", "a"),
            ("dangling", "a"),
            ("dangling/x", "a"),
            ("file/x", ""),
            ("loop/x", ""),
            ("shared/d/x", if is_root { "shared" } else { "shared/d" }),
            ("shared/planted", if is_root { "shared" } else { "a" }),
        ] {
            let expected: PathBuf = root.join(expected).components().collect();
            assert_eq!(reached(&root.join(directory)).unwrap(), expected, "{directory}");
        }
    }
}
