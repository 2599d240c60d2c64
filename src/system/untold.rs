//! Owns the notes of units that are still to be told: when a run is killed between the switch and the telling, the next
//! one finds its notes and tells in its place.
//!
//! A note lies in the store, beside the generations: there nobody but root can write, or the user whose store it is, and
//! there it goes with the secrets that it is about. It holds names of units, and nothing of a secret.
//!
//! It is of one generation, and written before that one is live. So it counts if that one or a later one is live; the note
//! of one that never was is removed unread, for what it announces has not happened. The units of the machine and those of
//! users have a note each, because they are told at different times.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;

use super::directory::Directory;
use super::file::{FileError, read_open};
use super::live::{LiveGeneration, parse_number};
use super::store::Store;
use crate::changes::Units;

/// What the name of a note starts with. sops-install-secrets passes over everything that is not a number.
const PREFIX: &str = ".untold-";
const USERS: &str = "users-";
const MODE: u32 = 0o600;
/// Ten thousand units, each with the longest name that there can be, need half of it.
const LIMIT: u64 = 8 << 20;

/// Whose units they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Audience {
    Machine,
    Users,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    generation: u64,
    audience: Audience,
}

/// Why it is not known which units a run before this one has not told, or will not be known after this one.
#[derive(Debug, thiserror::Error)]
pub enum UntoldError {
    #[error("a run that was killed has not told all units, and it is not known which: {0}")]
    Unreadable(FileError),
    #[error(
        "a run that was killed has not told all units, and it is not known which: '{}' is damaged: line {line}, column {column}",
        path.display()
    )]
    Damaged { path: PathBuf, line: usize, column: usize },
    #[error("some units may be restarted for nothing: {0}")]
    NotRemoved(FileError),
    #[error("if this run is killed now, some units are not told of what changed: {0}")]
    NotWritten(FileError),
}

/// The units that this run is to tell, and the notes of them.
pub struct Untold {
    root: Directory,
    notes: BTreeSet<Note>,
    units: Units,
}

impl Store {
    /// What runs before this one have not told, and what is wrong with their notes. Notes of generations that never were
    /// live go. `live` is the one that is live now; without one there is nothing to tell of.
    ///
    /// # Errors
    /// When the notes cannot be looked for.
    pub fn untold(&self, live: Option<&LiveGeneration>) -> Result<(Untold, Vec<UntoldError>), FileError> {
        let root = self.root.child(OsStr::new("."))?.called(self.root.path().to_owned());
        let mut untold = Untold { root, notes: BTreeSet::new(), units: Units::default() };
        let live = live.map(LiveGeneration::number);
        let mut problems = Vec::new();
        for note in notes_in(&untold.root)? {
            if live.is_none_or(|live| note.generation > live) {
                let removed = untold.root.remove_tree(&note.file_name());
                problems.extend(removed.err().map(UntoldError::NotRemoved));
                continue;
            }
            match note.read(&untold.root) {
                Ok(Some(units)) => untold.units.add(&units),
                Ok(None) => continue,
                Err(error) => problems.push(error),
            }
            // Also if it is damaged: it is to go with the others, or it would be told of for ever.
            untold.notes.insert(note);
        }
        Ok((untold, problems))
    }
}

impl Untold {
    /// The units that runs before have not told of the live generation below `mount_point`, and what is wrong with their
    /// notes. It changes nothing, for dry runs.
    #[must_use]
    pub fn before(mount_point: &Path, live: &LiveGeneration) -> (Units, Vec<UntoldError>) {
        let (mut units, mut problems) = (Units::default(), Vec::new());
        let found = Directory::open(mount_point).and_then(|root| notes_in(&root).map(|notes| (root, notes)));
        let (root, notes) = match found {
            Ok(found) => found,
            Err(error) => return (units, vec![UntoldError::Unreadable(error)]),
        };
        for note in notes.iter().filter(|note| note.generation <= live.number()) {
            match note.read(&root) {
                Ok(read) => read.iter().for_each(|read| units.add(read)),
                Err(error) => problems.push(error),
            }
        }
        (units, problems)
    }

    /// All units that are to be told.
    #[must_use]
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// Adds the units that are to be told when `generation` is live, and notes them down.
    ///
    /// # Errors
    /// When they cannot be noted down. They are to be told all the same.
    pub fn add(&mut self, generation: u64, units: &Units) -> Result<(), UntoldError> {
        self.units.add(units);
        let machine = Units { restart_user: Vec::new(), ..units.clone() };
        let users = Units { restart_user: units.restart_user.clone(), ..Units::default() };
        for (audience, units) in [(Audience::Machine, machine), (Audience::Users, users)] {
            if !units.is_empty() {
                let note = Note { generation, audience };
                self.notes.insert(note);
                note.write(&self.root, &units).map_err(UntoldError::NotWritten)?;
            }
        }
        Ok(())
    }

    /// Takes back what was [added](Self::add) for a generation that did not become live.
    pub fn take_back(&mut self, generation: u64) {
        for audience in [Audience::Machine, Audience::Users] {
            let note = Note { generation, audience };
            if self.notes.remove(&note) {
                // It counts for nothing, and the next run removes it.
                self.root.remove_tree(&note.file_name()).ok();
            }
        }
    }

    /// Removes the notes of the machine's units: they were told. Everything is tried; the failures are returned.
    pub fn machine_told(&mut self) -> Vec<FileError> {
        self.told(Audience::Machine)
    }

    /// Removes the notes of the units of users. Needs no lock: a generation's notes are written before it is live, so
    /// nobody writes these any more.
    pub fn users_told(&mut self) -> Vec<FileError> {
        self.told(Audience::Users)
    }

    fn told(&mut self, audience: Audience) -> Vec<FileError> {
        let told: Vec<Note> = self.notes.iter().filter(|note| note.audience == audience).copied().collect();
        self.notes.retain(|note| note.audience != audience);
        told.iter().filter_map(|note| self.root.remove_tree(&note.file_name()).err()).collect()
    }
}

impl Note {
    /// `.untold-7`, or `.untold-users-7`
    fn file_name(self) -> OsString {
        let users = if self.audience == Audience::Users { USERS } else { "" };
        format!("{PREFIX}{users}{}", self.generation).into()
    }

    fn of_name(name: &OsStr) -> Option<Self> {
        let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        let (audience, number) = match rest.strip_prefix(USERS.as_bytes()) {
            Some(number) => (Audience::Users, number),
            None => (Audience::Machine, rest),
        };
        Some(Self { generation: parse_number(OsStr::from_bytes(number))?, audience })
    }

    /// None when it is gone: a run that tells the units of users has no lock, and they were told since it was found.
    fn read(self, root: &Directory) -> Result<Option<Units>, UntoldError> {
        let name = self.file_name();
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let unreadable = |error| UntoldError::Unreadable(error);
        let fd = match fcntl::openat(root, name.as_os_str(), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(unreadable(root.failed("read", &name, errno))),
        };
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|error| unreadable(root.failed("look at", &name, error)))?;
        let path = root.path().join(&name);
        let text = read_open(&file, &metadata, LIMIT)
            .map_err(|cause| unreadable(FileError { action: "read", path: path.clone(), cause }))?;
        serde_json::from_slice(text.expose()).map(Some).map_err(|error| UntoldError::Damaged {
            path,
            line: error.line(),
            column: error.column(),
        })
    }

    /// Not in one step: nobody reads it before its generation is live.
    fn write(self, root: &Directory, units: &Units) -> Result<(), FileError> {
        let name = self.file_name();
        let text = serde_json::to_vec(units).map_err(|error| root.failed("write", &name, error))?;
        root.remove_tree(&name)?;
        root.write(&name, MODE, None, &text).map(drop)
    }
}

fn notes_in(root: &Directory) -> Result<BTreeSet<Note>, FileError> {
    Ok(root.names()?.iter().filter_map(|name| Note::of_name(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_goes_before_it_is_read_was_told_and_one_that_cannot_be_read_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = Directory::open(dir.path()).unwrap();
        let note = Note { generation: 1, audience: Audience::Users };
        assert!(note.read(&root).unwrap().is_none());
        std::fs::create_dir(dir.path().join(note.file_name())).unwrap();
        assert!(matches!(note.read(&root), Err(UntoldError::Unreadable(_))));
    }
}
