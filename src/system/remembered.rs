//! Owns the list of what was put outside of the store, by which it is found again when nobody asks for it any more.
//!
//! There is one for each store, outside of it, so that it outlasts a reboot where its directory does. It holds paths and
//! moments, nothing of a secret. It is written when it changes and only then, in one rename, and is believed only where
//! nobody but root, or the user whose it is, could have written it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{self, Mode};
use serde::{Deserialize, Serialize};

use super::accounts::current_user;
use super::directory::owner_of;
use super::file::{FileError, Stamp, read_open};
use super::private::Private;
use super::walk::{Errand, Missing, PathError, Place, Trust, insist};

/// Of the list; nobody else needs it.
const MODE: u32 = 0o600;
/// Below `/var/lib`, which may be missing as well.
const OF_THE_SYSTEM: Missing = Missing::Created { last: 0o700, others: 0o755 };
/// As the XDG specification wants it.
const OF_A_USER: Missing = Missing::Created { last: 0o700, others: 0o700 };
/// Ten thousand links need about two million bytes.
const LIMIT: u64 = 256 << 20;
const VERSION: u32 = 1;

/// Something that was put outside of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Entry {
    Link { path: PathBuf, target: PathBuf },
    Copy { path: PathBuf, modified: Stamp },
}

impl Entry {
    pub fn path(&self) -> &Path {
        match self {
            Self::Link { path, .. } | Self::Copy { path, .. } => path,
        }
    }
}

/// Why nothing is known of earlier runs, or later ones will know nothing of this one.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("others than root can write the directories that lead to '{}'", .0.display())]
    Untrusted(PathBuf),
    #[error("others than {} could have written '{}'", owner(*trust), path.display())]
    NotOurs { path: PathBuf, trust: Trust },
    #[error("'{}' is damaged: line {line}, column {column}", path.display())]
    Malformed { path: PathBuf, line: usize, column: usize },
    #[error("'{}' was written by another version of this program", .0.display())]
    OtherVersion(PathBuf),
    #[error("there is no directory for the list: neither XDG_STATE_HOME nor HOME is set")]
    NoDirectory,
}

fn owner(trust: Trust) -> &'static str {
    match trust {
        Trust::RootOnly => "root",
        Trust::Anyone => "you",
    }
}

/// The list as it is on the disk.
pub(super) struct List {
    path: PathBuf,
    trust: Trust,
    entries: BTreeSet<Entry>,
    /// It is there, but not as [`Self::entries`] says.
    is_broken: bool,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    placed: BTreeSet<Entry>,
}

impl List {
    /// The list of the store at `mount_point`, and what is wrong with it; empty then, or where there is none. None where
    /// there cannot be one.
    pub fn load(directory: &Path, mount_point: &Path, trust: Trust) -> (Option<Self>, Option<ListError>) {
        let empty = Self::empty(directory, mount_point, trust);
        let place = empty.errand("read").go(Missing::Left);
        match place.map_err(ListError::from).and_then(|place| empty.read(place)) {
            Ok(entries) => (Some(Self { entries, ..empty }), None),
            Err(ListError::Path(error)) => (None, Some(error.into())),
            // What a newer program remembers is not ours to lose: after a roll-back it is needed again.
            Err(error @ (ListError::Untrusted(_) | ListError::OtherVersion(_))) => (None, Some(error)),
            Err(error) => (Some(Self { is_broken: true, ..empty }), Some(error)),
        }
    }

    /// What the list holds, for one who changes nothing: not even what a killed run left beside it is cleared away.
    pub fn look(directory: &Path, mount_point: &Path, trust: Trust) -> Result<BTreeSet<Entry>, ListError> {
        let list = Self::empty(directory, mount_point, trust);
        let place = list.errand("read").look()?;
        list.read(place)
    }

    fn empty(directory: &Path, mount_point: &Path, trust: Trust) -> Self {
        let path = directory.join(file_name(mount_point));
        Self { path, trust, entries: BTreeSet::new(), is_broken: false }
    }

    pub fn entries(&self) -> &BTreeSet<Entry> {
        &self.entries
    }

    fn read(&self, place: Option<Place<'_>>) -> Result<BTreeSet<Entry>, ListError> {
        let Some(place) = place else { return Ok(BTreeSet::new()) };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = match fcntl::openat(&place.parent, place.name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(BTreeSet::new()),
            Err(errno) => return Err(self.failed("read", errno)),
        };
        let found = stat::fstat(&fd).map_err(|errno| self.failed("look at", errno))?;
        let is_ours = owner_of(&found).uid == current_user().uid && found.st_mode & 0o022 == 0;
        self.check_trusted(&place)?;
        if !is_ours {
            return Err(ListError::NotOurs { path: self.path.clone(), trust: self.trust });
        }
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|error| FileError::io("look at", &self.path, error));
        let text = metadata.and_then(|metadata| {
            read_open(&file, &metadata, LIMIT).map_err(|cause| FileError {
                action: "read",
                path: self.path.clone(),
                cause,
            })
        });
        let text = text.map_err(PathError::from)?;
        let malformed = |error: serde_json::Error| ListError::Malformed {
            path: self.path.clone(),
            line: error.line(),
            column: error.column(),
        };
        // The rest of another version may be of another shape.
        let Head { version } = serde_json::from_slice(text.expose()).map_err(malformed)?;
        if version != VERSION {
            return Err(ListError::OtherVersion(self.path.clone()));
        }
        let content: Content = serde_json::from_slice(text.expose()).map_err(malformed)?;
        Ok(content.placed)
    }

    /// Makes the list hold `entries`; what holds nothing is removed. Writes nothing if it is like that already.
    pub fn replace(&mut self, entries: &BTreeSet<Entry>) -> Result<(), ListError> {
        if !self.is_broken && *entries == self.entries {
            return Ok(());
        }
        insist(
            || self.write(entries),
            |error| matches!(error, ListError::Path(error) if error.is_collision()),
        )?;
        self.entries.clone_from(entries);
        self.is_broken = false;
        Ok(())
    }

    fn write(&self, entries: &BTreeSet<Entry>) -> Result<(), ListError> {
        let missing = if self.trust == Trust::Anyone { OF_A_USER } else { OF_THE_SYSTEM };
        let Some(place) = self.errand("write").go(missing)? else {
            return Err(self.failed("write", Errno::ENOENT));
        };
        self.check_trusted(&place)?;
        if entries.is_empty() {
            place.remove().map_err(PathError::from)?;
        } else {
            let content = Content { version: VERSION, placed: entries.clone() };
            let text = serde_json::to_string_pretty(&content)
                .map_err(|error| self.failed("write", std::io::Error::from(error)))?;
            let private = Private::new(&place.parent, place.name).map_err(PathError::from)?;
            private.file((text + "\n").as_bytes(), MODE, None, None).map_err(PathError::from)?;
            place.put(private)?;
        }
        Ok(place.parent.sync().map_err(PathError::from)?)
    }

    fn check_trusted(&self, place: &Place<'_>) -> Result<(), ListError> {
        if place.trusted { Ok(()) } else { Err(ListError::Untrusted(self.path.clone())) }
    }

    fn errand(&self, action: &'static str) -> Errand<'_> {
        Errand { action, path: &self.path, trust: self.trust, off_limits: None }
    }

    fn failed(&self, action: &'static str, error: impl Into<std::io::Error>) -> ListError {
        PathError::from(FileError::io(action, &self.path, error)).into()
    }
}

fn file_name(mount_point: &Path) -> OsString {
    let mut name = name_of(mount_point);
    name.push(".json");
    name
}

/// `run-secrets.d` for `/run/secrets.d`. Different mount points have different names: as in systemd's names of mounts,
/// what could be mistaken for a separator is written in another way.
pub(super) fn name_of(mount_point: &Path) -> OsString {
    let mut name = Vec::new();
    for component in mount_point.components().skip(1) {
        if !name.is_empty() {
            name.push(b'-');
        }
        for byte in component.as_os_str().as_bytes() {
            match byte {
                b'-' | b'\\' => name.extend(format!("\\x{byte:02x}").bytes()),
                byte => name.push(*byte),
            }
        }
    }
    OsString::from_vec(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    fn link(path: &str) -> Entry {
        Entry::Link { path: path.into(), target: "/run/secrets/a".into() }
    }

    #[test]
    fn a_list_is_what_was_written_into_it_and_is_not_written_twice() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap().join("state/ours");
        let load = || List::load(&state, Path::new("/run/secrets.d"), Trust::Anyone);
        let (list, error) = load();
        let mut list = list.unwrap();
        assert!(error.is_none() && list.entries().is_empty());
        list.replace(&BTreeSet::new()).unwrap();
        assert!(!state.exists(), "nothing is remembered");
        let copy = Entry::Copy { path: "/c".into(), modified: Stamp::now() };
        let entries: BTreeSet<Entry> = [link("/b"), copy, link("/a")].into();
        list.replace(&entries).unwrap();
        let path = state.join("run-secrets.d.json");
        let before = fs::metadata(&path).unwrap();
        assert_eq!(before.mode() & 0o7777, 0o600);
        list.replace(&entries).unwrap();
        let (list, error) = load();
        let mut list = list.unwrap();
        assert!(error.is_none());
        assert_eq!(*list.entries(), entries);
        list.replace(&entries).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino());
        list.replace(&BTreeSet::new()).unwrap();
        assert!(fs::read_dir(&state).unwrap().next().is_none());
    }

    #[test]
    fn different_mount_points_have_different_lists() {
        for (mount_point, name) in [
            ("/run/secrets.d", "run-secrets.d.json"),
            ("/run/secrets-for-users.d", "run-secrets\\x2dfor\\x2dusers.d.json"),
            ("/run-secrets.d", "run\\x2dsecrets.d.json"),
            ("/run\\x2dsecrets.d", "run\\x5cx2dsecrets.d.json"),
        ] {
            assert_eq!(file_name(Path::new(mount_point)), name);
        }
    }
}
