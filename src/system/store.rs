//! Owns the store: the locked, checked directory in memory under which the generations lie.
//!
//! Whoever holds a [`Store`] is alone on the mount point and may write; a dry run never makes one and reads through
//! [`LiveGeneration::find`]. Everything below the mount point is reached from the descriptor that was locked and
//! checked, so nothing that happens to the path can redirect a secret.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::accounts::current_user;
use super::directory::{Directory, create_all};
use super::file::FileError;
use super::generation::{StagedGeneration, Wanted};
use super::live::{self, LiveGeneration};
use super::lock::{self, Lock, LockError, Patience};
use super::mount::{self, Backing, DIRECTORY_MODE, Memory, MountError, Place, Warning};
use super::private::remove_stale;
use super::walk::{Errand, PathError, Trust};
use crate::plan::access::Ownership;

/// Sole access to the generations of one mount point, until dropped.
pub struct Store {
    pub(super) root: Directory,
    /// Owner of the root and of every directory below it.
    pub(super) directories: Ownership,
    /// Owner and group that new files have by themselves.
    pub(super) maker: Ownership,
    _locks: Vec<Lock>,
}

/// Sole access to a mount point where nothing is live and nothing is to be, until dropped: it is as it is, mounted or not,
/// and only what killed runs left goes.
pub struct Vacant(Store);

impl Vacant {
    /// Waits for other runs on the mount point. It is created, for want of something else to lock, and stays: whoever
    /// waits for it would find another one otherwise.
    ///
    /// # Errors
    /// When one of these fails, or another run takes longer than [`lock::LIMIT`].
    pub fn open(mount_point: &Path, waiting: &mut dyn FnMut()) -> Result<Self, StoreError> {
        create_all(mount_point, DIRECTORY_MODE)?;
        let (root, lock) = lock::lock(mount_point, &mut Patience::new(lock::LIMIT, waiting))?;
        let maker = current_user();
        Ok(Self(Store { root, directories: maker, maker, _locks: vec![lock] }))
    }

    /// As [`Store::remove_leftovers`].
    pub fn remove_leftovers(&self, symlink: &Path) -> Vec<PathError> {
        self.0.remove_leftovers(symlink)
    }
}

/// Why there is no store to write to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Store {
    /// Creates the mount point, waits for other runs on it, mounts memory on it, checks that, and gives it its owner
    /// and permissions. `waiting` is called once if another run has to be waited for.
    ///
    /// # Errors
    /// When one of these fails, or another run takes longer than [`lock::LIMIT`]. Nothing was written, then.
    pub fn open(
        mount_point: &Path,
        backing: Backing,
        directories: Ownership,
        waiting: &mut dyn FnMut(),
    ) -> Result<(Self, Vec<Warning>), StoreError> {
        create_all(mount_point, DIRECTORY_MODE)?;
        let mut patience = Patience::new(lock::LIMIT, waiting);
        let mut locks = Vec::new();
        let mut warnings = Vec::new();
        let (root, memory) = loop {
            let (root, lock) = lock::lock(mount_point, &mut patience)?;
            // The lock on the directory below a mount is kept: a run that opened it earlier still waits there.
            let mounted_before = !locks.is_empty();
            locks.push(lock);
            if let Place::Ready(memory) = mount::prepare(&root, backing, mounted_before, &mut warnings)? {
                break (root, memory);
            }
        };
        memory.check(&root)?;
        if memory != Memory::Any {
            root.set_access(DIRECTORY_MODE, directories)?;
        }
        Ok((Self { root, directories, maker: current_user(), _locks: locks }, warnings))
    }

    /// The generation that `symlink` points at; none when it is absent, dangles or leads elsewhere.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn live(&self, symlink: &Path) -> Result<Option<LiveGeneration>, FileError> {
        LiveGeneration::below(&self.root, symlink)
    }

    /// Removes what no run should find: a generation after the one `symlink` names, which a killed run, or a dry run of
    /// sops-install-secrets, left unfinished; what a killed switch left beside `symlink`; and private keys that
    /// sops-install-secrets left in the store. Everything is tried; the failures are returned.
    pub fn remove_leftovers(&self, symlink: &Path) -> Vec<PathError> {
        let mut failures = Vec::from_iter(remove_stale_beside(symlink).err());
        match (self.next_number(symlink), self.root.names()) {
            (Ok(next), Ok(names)) => {
                let leftovers =
                    names.iter().filter(|name| live::parse_number(name) == Some(next) || is_left_key(name));
                let failed = leftovers.filter_map(|name| self.root.remove_tree(name).err());
                failures.extend(failed.map(PathError::from));
            }
            (next, names) => failures.extend(next.err().into_iter().chain(names.err()).map(PathError::from)),
        }
        failures
    }

    /// Writes a complete generation, to follow the one that `symlink` names; nothing points at it yet. What is to be as
    /// before comes from `live`.
    ///
    /// # Errors
    /// When one file cannot be written exactly as asked, or kept. Nothing of the generation is left, then.
    pub fn stage(
        &self,
        symlink: &Path,
        wanted: &[Wanted<'_>],
        live: Option<&LiveGeneration>,
    ) -> Result<StagedGeneration<'_>, FileError> {
        StagedGeneration::write(self, self.next_number(symlink)?, wanted, live)
    }

    /// Removes generations that are at least `keep` older than the live one; with `keep` 0 none. The live one and
    /// what is not a generation stay. Everything is tried; the failures are returned.
    pub fn prune(&self, live: &LiveGeneration, keep: u64) -> Vec<FileError> {
        if keep == 0 {
            return Vec::new();
        }
        let names = match self.root.names() {
            Ok(names) => names,
            Err(error) => return vec![error],
        };
        let old = names.iter().filter(|name| {
            live::parse_number(name).is_some_and(|number| {
                number != live.number()
                    && number.checked_add(keep).is_some_and(|until| until <= live.number())
            })
        });
        old.filter_map(|name| self.root.remove_tree(name).err()).collect()
    }

    /// The number after the one that `symlink` names, even if that generation is gone; 1 when it names none.
    fn next_number(&self, symlink: &Path) -> Result<u64, FileError> {
        let current = live::number(&self.root, symlink)?;
        Ok(current.and_then(|number| number.checked_add(1)).unwrap_or(1))
    }
}

fn remove_stale_beside(symlink: &Path) -> Result<(), PathError> {
    let trust = Trust::of_current_user();
    let errand = Errand { action: "clear up beside", path: symlink, trust, off_limits: None };
    match errand.look()? {
        Some(place) => Ok(remove_stale(&place.parent, place.name)?),
        None => Ok(()),
    }
}

/// `age-keys.txt`, and the directories `gpg` and digits of killed runs, hold the host's private keys.
fn is_left_key(name: &OsStr) -> bool {
    let number = name.as_bytes().strip_prefix(b"gpg");
    name == "age-keys.txt"
        || number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

impl StoreError {
    /// The one thing to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Mount(error) => error.help(),
            Self::Lock(error) => error.help(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::access::Mode;
    use crate::plan::name::Name;
    use crate::system::generation::Entry;
    use crate::system::live::Differences;
    use crate::system::private::Private;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;

    /// A store of the user that runs the tests, in a directory that stands for the machine.
    struct Machine {
        dir: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn symlink(&self) -> PathBuf {
            self.path("secrets")
        }

        fn store(&self) -> Store {
            let mount_point = self.path("secrets.d");
            let nobody_else = &mut || panic!("nobody else is here");
            Store::open(&mount_point, Backing::Existing, current_user(), nobody_else).unwrap().0
        }

        fn activate(&self, store: &Store, secrets: &[(&str, &str)]) -> LiveGeneration {
            let names = names_of(secrets);
            let staged = store.stage(&self.symlink(), &entries(&names, secrets), None).unwrap();
            let switched = staged.switch(&self.symlink()).unwrap();
            assert!(switched.left_behind.is_none());
            switched.live
        }

        fn listing(&self, path: &str) -> Vec<String> {
            let entries = fs::read_dir(self.path(path)).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn names_of(secrets: &[(&str, &str)]) -> Vec<Name> {
        secrets.iter().map(|(name, _)| Name::new(name).unwrap()).collect()
    }

    fn entries<'a>(names: &'a [Name], secrets: &'a [(&str, &str)]) -> Vec<Wanted<'a>> {
        let file = |name, content| Entry { name, ownership: current_user(), mode: Mode(0o440), content };
        let wanted = |name, content| Wanted::File(file(name, content));
        names.iter().zip(secrets).map(|(name, (_, content))| wanted(name, content.as_bytes())).collect()
    }

    fn differences(live: &LiveGeneration, secrets: &[(&str, &str)]) -> Differences {
        let names = names_of(secrets);
        live.differences(&entries(&names, secrets), Some(current_user())).unwrap()
    }

    #[test]
    fn a_generation_has_the_files_as_asked_and_the_link_leads_to_it() {
        let machine = Machine::new();
        let live = machine.activate(
            &machine.store(),
            &[("z", "1"), ("a/b/c", "2"), ("a/b/d", "3"), ("a-b", "4"), ("a/e", "")],
        );
        assert_eq!(live.number(), 1);
        assert_eq!(fs::read_link(machine.symlink()).unwrap(), machine.path("secrets.d/1"));
        for (path, content) in [("z", "1"), ("a/b/c", "2"), ("a/b/d", "3"), ("a-b", "4"), ("a/e", "")] {
            let path = machine.symlink().join(path);
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o440);
        }
        for path in ["", "a", "a/b"] {
            assert_eq!(fs::metadata(machine.symlink().join(path)).unwrap().mode() & 0o7777, 0o751);
        }
        assert_eq!(machine.listing(""), ["secrets", "secrets.d"]);
    }

    #[test]
    fn a_generation_that_is_not_switched_to_or_cannot_be_written_leaves_nothing() {
        let machine = Machine::new();
        let store = machine.store();
        machine.activate(&store, &[("a", "1")]);
        let secrets = [("a", "2"), ("a/b", "a file cannot be a directory, too")];
        let names = names_of(&secrets);
        let refused = store.stage(&machine.symlink(), &entries(&names, &secrets), None).err().unwrap();
        assert_eq!(refused.errno(), Some(nix::libc::EEXIST));
        assert_eq!(machine.listing("secrets.d"), ["1"]);
        let staged = store.stage(&machine.symlink(), &[], None).unwrap();
        assert_eq!(
            (staged.number(), machine.listing("secrets.d")),
            (2, vec!["1".to_owned(), "2".to_owned()])
        );
        drop(staged);
        assert_eq!(machine.listing("secrets.d"), ["1"]);
        let unusable = machine.path("secrets.d/1/a/secrets");
        assert!(store.stage(&machine.symlink(), &[], None).unwrap().switch(&unusable).is_err());
        assert_eq!(machine.listing("secrets.d"), ["1"]);
        assert_eq!(fs::read_to_string(machine.symlink().join("a")).unwrap(), "1");
    }

    #[test]
    fn a_directory_or_file_at_the_place_of_the_link_is_replaced() {
        let machine = Machine::new();
        let store = machine.store();
        fs::create_dir_all(machine.symlink().join("deep/er")).unwrap();
        machine.activate(&store, &[("a", "1")]);
        assert_eq!(fs::read_to_string(machine.symlink().join("a")).unwrap(), "1");
        assert_eq!(machine.listing(""), ["secrets", "secrets.d"]);
        fs::remove_file(machine.symlink()).unwrap();
        fs::write(machine.symlink(), "a file").unwrap();
        machine.activate(&store, &[("a", "2")]);
        assert_eq!(fs::read_to_string(machine.symlink().join("a")).unwrap(), "2");
        assert_eq!(machine.listing(""), ["secrets", "secrets.d"]);
    }

    #[test]
    fn only_a_generation_that_exists_below_this_mount_point_is_live() {
        let machine = Machine::new();
        let store = machine.store();
        let number = || store.live(&machine.symlink()).unwrap().map(|live| live.number());
        let leads_to = |target: &Path| {
            fs::remove_file(machine.symlink()).ok();
            symlink(target, machine.symlink()).unwrap();
        };
        assert_eq!(number(), None, "no link");
        fs::create_dir(machine.path("secrets.d/7")).unwrap();
        fs::create_dir(machine.path("secrets.d/07")).unwrap();
        fs::create_dir_all(machine.path("other.d/7")).unwrap();
        leads_to(&machine.path("secrets.d/7"));
        assert_eq!(number(), Some(7));
        leads_to(Path::new("secrets.d/7"));
        assert_eq!(number(), Some(7), "relative");
        for other in ["secrets.d/07", "secrets.d", "secrets.d/8", "other.d/7", "none.d/7"] {
            leads_to(&machine.path(other));
            assert_eq!(number(), None, "{other}");
        }
        let found = LiveGeneration::find(&machine.path("none.d"), &machine.symlink());
        assert!(found.unwrap().is_none(), "no mount point");
    }

    #[test]
    fn numbers_go_on_from_the_link_even_when_it_dangles() {
        let machine = Machine::new();
        symlink(machine.path("secrets.d/41"), machine.symlink()).unwrap();
        assert_eq!(machine.activate(&machine.store(), &[]).number(), 42);
        fs::remove_file(machine.symlink()).unwrap();
        symlink(machine.path("secrets.d").join(u64::MAX.to_string()), machine.symlink()).unwrap();
        assert_eq!(machine.activate(&machine.store(), &[]).number(), 1);
    }

    #[test]
    fn pruning_takes_the_generations_that_are_too_old_and_nothing_else() {
        let machine = Machine::new();
        let store = machine.store();
        for name in ["0", "1", "8", "9", "11", "007", "x1", "-3"] {
            fs::create_dir(machine.path("secrets.d").join(name)).unwrap();
            fs::write(machine.path("secrets.d").join(name).join("file"), "").unwrap();
        }
        symlink(machine.path("secrets.d/9"), machine.symlink()).unwrap();
        let live = machine.activate(&store, &[]);
        let prune = |keep| {
            assert!(store.prune(&live, keep).is_empty());
            machine.listing("secrets.d")
        };
        assert_eq!(prune(0), ["-3", "0", "007", "1", "10", "11", "8", "9", "x1"]);
        assert_eq!(prune(u64::MAX), ["-3", "0", "007", "1", "10", "11", "8", "9", "x1"]);
        assert_eq!(prune(2), ["-3", "007", "10", "11", "9", "x1"]);
        assert_eq!(prune(1), ["-3", "007", "10", "11", "x1"]);
        let kept = LiveGeneration::find(&machine.path("secrets.d"), &machine.symlink()).unwrap();
        assert_eq!(kept.unwrap().number(), 10);
    }

    #[test]
    fn private_keys_and_half_a_generation_are_removed() {
        let machine = Machine::new();
        let store = machine.store();
        machine.activate(&store, &[("a", "1")]);
        fs::write(machine.path("secrets.d/age-keys.txt"), "AGE-SECRET-KEY-1").unwrap();
        for name in ["gpg1234", "2", "3", "gpg", "gpg1a"] {
            fs::create_dir_all(machine.path("secrets.d").join(name)).unwrap();
        }
        fs::write(machine.path("secrets.d/gpg1234/secring.gpg"), "").unwrap();
        assert!(store.remove_leftovers(&machine.symlink()).is_empty());
        assert_eq!(machine.listing("secrets.d"), ["1", "3", "gpg", "gpg1a"]);
    }

    #[test]
    fn what_a_killed_switch_left_beside_the_link_is_removed_or_told_wherever_the_link_is_to_lie() {
        let machine = Machine::new();
        let store = machine.store();
        machine.activate(&store, &[("a", "1")]);
        let beside = Directory::open(machine.dir.path()).unwrap();
        std::mem::forget(Private::new(&beside, OsStr::new("secrets")).unwrap());
        assert_eq!(machine.listing("").len(), 3);
        assert!(store.remove_leftovers(&machine.symlink()).is_empty());
        assert_eq!(machine.listing(""), ["secrets", "secrets.d"]);
        let failures = store.remove_leftovers(&machine.path("secrets.d/1/a/secrets"));
        assert_eq!(failures.len(), 2, "below a file: {failures:?}");
        assert!(store.remove_leftovers(&machine.path("none/secrets")).is_empty(), "no directory yet");
    }

    #[test]
    fn an_error_of_the_store_helps_as_its_cause_does() {
        let busy = || LockError::Busy { path: "/run/secrets.d".into(), waited: lock::LIMIT };
        assert_eq!(StoreError::Lock(busy()).help(), busy().help());
        assert!(busy().help().is_some());
        let refused = FileError::io("open directory", Path::new("/run"), nix::errno::Errno::EIO);
        assert_eq!(StoreError::File(refused).help(), None);
    }

    /// As a user who may do nothing that permissions forbid.
    fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> T {
        // Of the thread alone, which ends with it.
        let inside = || {
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            act()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    #[test]
    fn what_cannot_be_looked_at_is_an_error_and_not_taken_for_absent() {
        let machine = Machine::new();
        let store = machine.store();
        let live = machine.activate(&store, &[("a/b", "1")]);
        let chmod = |path: &str, mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(machine.path(path), mode).unwrap();
        };
        chmod("", 0o755);
        chmod("secrets.d/1", 0o755);
        let name = Name::new("a/b").unwrap();
        let looks = |there: bool| {
            assert_eq!(
                as_nobody(|| store.live(&machine.symlink()).map(|live| live.is_some())).ok(),
                there.then_some(true)
            );
        };
        looks(true);
        assert_eq!(as_nobody(|| live.owner(&name)).unwrap(), Some(current_user()));
        chmod("secrets.d/1/a", 0);
        assert!(as_nobody(|| live.owner(&name)).is_err());
        chmod("secrets.d/1", 0);
        looks(false);
        chmod("secrets.d/1", 0o755);
        chmod("secrets.d/1/a", 0o755);
        let on_a_file = LiveGeneration::find(&machine.path("secrets.d/1/a/b"), &machine.symlink());
        assert!(on_a_file.is_err());
    }

    #[test]
    fn an_installed_file_is_read_with_its_access_as_it_is() {
        let machine = Machine::new();
        let live = machine.activate(&machine.store(), &[("a/b", "the value")]);
        let read = |name| live.read(&Name::new(name).unwrap()).unwrap();
        let found = read("a/b").unwrap();
        assert_eq!(found.content.expose(), b"the value");
        assert_eq!((found.ownership, found.mode), (current_user(), Mode(0o440)));
        assert!(read("a").is_none() && read("c").is_none());
    }

    #[test]
    fn the_same_secrets_do_not_differ() {
        let machine = Machine::new();
        let secrets = [("a", "1"), ("rendered/b", "2"), ("empty", "")];
        let live = machine.activate(&machine.store(), &secrets);
        assert!(differences(&live, &secrets).is_empty());
        symlink("a", machine.symlink().join("own-path")).unwrap();
        assert!(differences(&live, &secrets).is_empty(), "a link in the generation is no secret");
    }

    #[test]
    fn what_is_to_be_as_before_is_the_very_same_file_with_whatever_access_it_has_and_never_differs() {
        let machine = Machine::new();
        let store = machine.store();
        let first = machine.activate(&store, &[("a", "1"), ("deep/er/b", "2"), ("c", "3")]);
        let (a, b, c, none) =
            (machine.symlink().join("a"), machine.symlink().join("deep/er/b"), "c", "no/ne");
        fs::set_permissions(&a, std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
        let inodes =
            || [&a, &b].map(|path| fs::metadata(path).map(|found| (found.ino(), found.mode())).unwrap());
        let before = inodes();
        let names = ["a", "deep/er/b", none].map(|name| Name::new(name).unwrap());
        let mut wanted: Vec<Wanted> = names.iter().map(Wanted::AsBefore).collect();
        let found = first.differences(&wanted, Some(current_user())).unwrap();
        assert_eq!(found, Differences { removed: [c.into()].into(), ..Differences::default() });
        let c = Name::new(c).unwrap();
        let entry = Entry { name: &c, ownership: current_user(), mode: Mode(0o440), content: b"4" };
        wanted.push(Wanted::File(entry));
        let staged = store.stage(&machine.symlink(), &wanted, Some(&first)).unwrap();
        let second = staged.switch(&machine.symlink()).unwrap().live;
        assert!(store.prune(&second, 1).is_empty());
        assert_eq!(machine.listing("secrets.d"), ["2"]);
        assert_eq!(machine.listing("secrets"), ["a", "c", "deep"]);
        assert_eq!(inodes(), before);
        assert!(second.differences(&wanted, Some(current_user())).unwrap().is_empty());
        let held = names.each_ref().map(|name| second.owner(name).unwrap());
        assert_eq!(held, [Some(current_user()), Some(current_user()), None]);
    }

    #[test]
    fn what_is_no_file_is_not_kept_and_nothing_on_the_way_to_one_is_followed() {
        let machine = Machine::new();
        let store = machine.store();
        let live = machine.activate(&store, &[("a", "1"), ("d/b", "2")]);
        let inside = machine.path("secrets.d/1");
        symlink("a", inside.join("link")).unwrap();
        symlink("d", inside.join("way")).unwrap();
        nix::unistd::mkfifo(&inside.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let names = ["link", "way/b", "fifo", "d", "a/below"].map(|name| Name::new(name).unwrap());
        let wanted: Vec<Wanted> = names.iter().map(Wanted::AsBefore).collect();
        for name in &names {
            assert_eq!(live.owner(name).unwrap(), None, "{name:?}");
        }
        let found = live.differences(&wanted, Some(current_user())).unwrap();
        assert_eq!(found.removed, ["a", "d/b", "fifo", "link"].map(PathBuf::from).into());
        let staged = store.stage(&machine.symlink(), &wanted, Some(&live)).unwrap();
        assert_eq!(machine.listing("secrets.d/2"), [""; 0]);
        drop(staged);
        assert_eq!(fs::read_to_string(inside.join("d/b")).unwrap(), "2", "the live file has its name still");
    }

    #[test]
    fn what_was_added_modified_and_removed_is_told_by_name() {
        let machine = Machine::new();
        let large = "x".repeat(200_000);
        let other = large.replace("xx", "xy");
        let live = machine.activate(
            &machine.store(),
            &[
                ("same", &large),
                ("content", &large),
                ("size", "1"),
                ("gone/deep", ""),
                ("was-directory/x", ""),
            ],
        );
        let found = differences(
            &live,
            &[("same", &large), ("content", &other), ("size", "12"), ("new/deep", ""), ("was-directory", "")],
        );
        let names = |names: &[&str]| names.iter().map(|name| Name::new(name).unwrap()).collect();
        assert_eq!(found.added, names(&["new/deep", "was-directory"]));
        assert_eq!(found.modified, names(&["content", "size"]));
        assert_eq!(found.removed, ["gone/deep".into(), "was-directory/x".into()].into());
        assert!(!found.directories);
    }

    #[test]
    fn other_permissions_of_a_file_or_directory_are_a_difference() {
        let machine = Machine::new();
        let secrets = [("a", "1"), ("b/c", "2")];
        let live = machine.activate(&machine.store(), &secrets);
        let chmod = |path: &str, mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(machine.symlink().join(path), mode).unwrap();
        };
        chmod("a", 0o444);
        assert_eq!(differences(&live, &secrets).modified, names_of(&[("a", "")]).into_iter().collect());
        chmod("a", 0o440);
        chmod("b", 0o755);
        let found = differences(&live, &secrets);
        assert!(found.directories && found.modified.is_empty() && !found.is_empty());
    }

    #[test]
    fn another_owner_is_a_difference_unless_owners_are_not_known() {
        let machine = Machine::new();
        let live = machine.activate(&machine.store(), &[("a", "1")]);
        let names = names_of(&[("a", "")]);
        let other = Ownership { uid: current_user().uid, gid: 4_000_000 };
        let entry =
            Wanted::File(Entry { name: &names[0], ownership: other, mode: Mode(0o440), content: b"1" });
        let found = live.differences(&[entry], Some(current_user())).unwrap();
        assert_eq!(found.modified.len(), 1);
        assert!(live.differences(&[entry], None).unwrap().is_empty());
    }

    #[test]
    fn a_directory_on_a_disk_is_told() {
        let disk = tempfile::tempdir().unwrap();
        let nobody_else = &mut || panic!("nobody else is here");
        let (_, warnings) =
            Store::open(&disk.path().join("secrets.d"), Backing::Existing, current_user(), nobody_else)
                .unwrap();
        let memory =
            nix::sys::statfs::statfs(disk.path()).unwrap().filesystem_type() == nix::sys::statfs::TMPFS_MAGIC;
        assert_eq!(warnings.is_empty(), memory, "{warnings:?}");
    }
}
