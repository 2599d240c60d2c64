//! Owns the lookup of users and groups: from the names in the manifest to the numbers the kernel is told.
//!
//! A name that does not exist is told apart from a lookup that failed, because the first is the manifest's fault and
//! the second the machine's. Every name is asked for once in a run: a thousand secrets of one owner would otherwise
//! be a thousand questions to a directory server.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{self, Group, User};

use super::file::read_regular;
use crate::plan::access::{Access, Account, Ownership};

/// Groups that own the directories of the store, in order of preference: members may list names, not read secrets.
const KEYS_GROUPS: [&str; 2] = ["keys", "nogroup"];

const LOCAL_GROUPS: &str = "/etc/group";
/// Bytes of the file of local groups at most: one of a hundred thousand members has two million.
const LOCAL_GROUPS_LIMIT: u64 = 64 << 20;

/// Who answers for the names in the manifest.
pub enum Accounts {
    /// The user and group databases of this machine.
    System(SystemAccounts),
    /// Nobody is asked: everything belongs to root, whatever the manifest says. For machines whose users do not exist
    /// yet.
    RootOnly,
    /// Nobody is asked: everything belongs to the user that runs this program. Only root may give files away.
    CurrentUser,
}

/// The machine's databases, with what they answered so far.
#[derive(Default)]
pub struct SystemAccounts {
    answers: RefCell<HashMap<(Database, String), Result<u32, Reason>>>,
}

/// Which database was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Database {
    Users,
    Groups,
}

/// Why a name has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it does not exist on this machine")]
    Unknown,
    #[error("the lookup failed: {0}")]
    Failed(Errno),
}

/// An owner or group that this machine does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("cannot find {database} '{name}': {reason}")]
    Account { database: Database, name: String, reason: Reason },
    #[error(
        "cannot find a group for the secrets directory: group '{first}': {first_reason}; group '{second}': {second_reason}"
    )]
    KeysGroup { first: &'static str, first_reason: Reason, second: &'static str, second_reason: Reason },
}

impl AccountError {
    /// The databases answered, and do not have it.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Account { reason: Reason::Unknown, .. })
    }

    /// The one thing to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Account { reason: Reason::Unknown, .. } => {
                "declare it in `users.users` or `users.groups`, or correct the secret's `owner` or `group`; with `neededForUsers`, only root can own a secret"
            }
            Self::Account { reason: Reason::Failed(_), .. } => {
                "see why the user database does not answer, then activate again"
            }
            Self::KeysGroup { .. } => "create the group `keys` (NixOS has it)",
        }
    }
}

impl Accounts {
    pub fn system() -> Self {
        Self::System(SystemAccounts::default())
    }

    /// Numeric owner and group of a secret.
    ///
    /// # Errors
    /// When a name in it has no number on this machine.
    pub fn resolve(&self, access: &Access) -> Result<Ownership, AccountError> {
        match self {
            Self::System(accounts) => Ok(Ownership {
                uid: accounts.number(Database::Users, &access.owner)?,
                gid: accounts.number(Database::Groups, &access.group)?,
            }),
            Self::RootOnly => Ok(Ownership { uid: 0, gid: 0 }),
            Self::CurrentUser => Ok(current_user()),
        }
    }

    /// Owner of the store's directories: root and the group `keys`, else root and `nogroup`.
    ///
    /// # Errors
    /// When neither group has a number on this machine.
    pub fn directories(&self) -> Result<Ownership, AccountError> {
        match self {
            Self::System(accounts) => {
                // Unreadable is empty: then the name services are asked, which read it as well.
                let local = read_regular(Path::new(LOCAL_GROUPS), LOCAL_GROUPS_LIMIT).unwrap_or_default();
                Ok(Ownership { uid: 0, gid: accounts.keys_group(local.expose())? })
            }
            Self::RootOnly => Ok(Ownership { uid: 0, gid: 0 }),
            Self::CurrentUser => Ok(current_user()),
        }
    }
}

/// Owner and group of every file that this process makes.
pub(crate) fn current_user() -> Ownership {
    Ownership { uid: unistd::geteuid().as_raw(), gid: unistd::getegid().as_raw() }
}

impl SystemAccounts {
    fn number(&self, database: Database, account: &Account) -> Result<u32, AccountError> {
        match account {
            Account::Id(id) => Ok(*id),
            Account::Named(name) => self.lookup(database, name).map_err(|reason| AccountError::Account {
                database,
                name: name.clone(),
                reason,
            }),
        }
    }

    /// `local` is the text of the local groups. Both groups are local wherever they exist; to ask for one that does not
    /// exist would go on to every name service, which this early in a boot may not answer.
    fn keys_group(&self, local: &[u8]) -> Result<u32, AccountError> {
        if let Some(gid) = KEYS_GROUPS.iter().find_map(|name| local_group(local, name)) {
            return Ok(gid);
        }
        let [first, second] = KEYS_GROUPS;
        let first_reason = match self.lookup(Database::Groups, first) {
            Ok(gid) => return Ok(gid),
            Err(reason) => reason,
        };
        self.lookup(Database::Groups, second).map_err(|second_reason| AccountError::KeysGroup {
            first,
            first_reason,
            second,
            second_reason,
        })
    }

    fn lookup(&self, database: Database, name: &str) -> Result<u32, Reason> {
        // Root is 0 on every Linux; nobody needs to be asked.
        if name == "root" {
            return Ok(0);
        }
        let key = (database, name.to_owned());
        if let Some(answer) = self.answers.borrow().get(&key) {
            return *answer;
        }
        let answer = ask(database, name);
        self.answers.borrow_mut().insert(key, answer);
        answer
    }
}

/// The number of a group in the text of group(5).
fn local_group(text: &[u8], name: &str) -> Option<u32> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let found = fields.next()? == name.as_bytes();
        let gid = std::str::from_utf8(fields.nth(1)?).ok()?;
        if found { gid.parse().ok() } else { None }
    })
}

fn ask(database: Database, name: &str) -> Result<u32, Reason> {
    let answer = match database {
        Database::Users => User::from_name(name).map(|user| user.map(|user| user.uid.as_raw())),
        Database::Groups => Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw())),
    };
    match answer {
        Ok(number) => number.ok_or(Reason::Unknown),
        // The C library reports some absent names, and an absent database, as these instead of as no result.
        Err(Errno::ENOENT | Errno::ESRCH) => Err(Reason::Unknown),
        // nix gives up at an entry of 1 MiB, which a group with some 60,000 members reaches; so does every search that
        // passes that entry, also for a name that does not exist.
        Err(Errno::ERANGE) => ask_for_large_entry(database, name).ok_or(Reason::Unknown),
        Err(errno) => Err(Reason::Failed(errno)),
    }
}

/// Asks without a limit on the size of an entry; a failed lookup looks like an absent name.
fn ask_for_large_entry(database: Database, name: &str) -> Option<u32> {
    match database {
        Database::Users => users::get_user_by_name(name).map(|user| user.uid()),
        Database::Groups => users::get_group_by_name(name).map(|group| group.gid()),
    }
}

impl std::fmt::Display for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Users => "user",
            Self::Groups => "group",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::access::Mode;

    fn access(owner: Account, group: Account) -> Access {
        Access { mode: Mode(0o400), owner, group }
    }

    fn named(name: &str) -> Account {
        Account::Named(name.to_owned())
    }

    #[test]
    fn local_groups_are_found_by_their_whole_name() {
        let text = b"root:x:0:\nmykeys:x:7:\n\nkeys:x:96:alice,bob\nnogroup:x:65534:";
        assert_eq!(local_group(text, "keys"), Some(96));
        assert_eq!(local_group(text, "nogroup"), Some(65534));
        assert_eq!(local_group(b"keys\nkeys:x\nkeys:x:\nkeys:x:-1:", "keys"), None);
        assert_eq!(local_group(b"keys:x:abc:\nkeys:x:5:", "keys"), Some(5));
    }

    #[test]
    fn names_become_numbers_and_numbers_stay_as_they_are() {
        let accounts = Accounts::system();
        let root = accounts.resolve(&access(named("root"), named("root")));
        assert_eq!(root, Ok(Ownership { uid: 0, gid: 0 }));
        let nobody_has_these = accounts.resolve(&access(Account::Id(4_000_001), Account::Id(4_000_002)));
        assert_eq!(nobody_has_these, Ok(Ownership { uid: 4_000_001, gid: 4_000_002 }));
    }

    #[test]
    fn an_unknown_name_is_named_with_its_database_each_time_it_is_asked_for() {
        let accounts = Accounts::system();
        let unknown_user = access(named("no-such-user"), named("root"));
        let unknown_group = access(named("root"), named("no-such-group"));
        for _ in 0..2 {
            assert_eq!(
                accounts.resolve(&unknown_user).unwrap_err().to_string(),
                "cannot find user 'no-such-user': it does not exist on this machine"
            );
            assert_eq!(
                accounts.resolve(&unknown_group).unwrap_err().to_string(),
                "cannot find group 'no-such-group': it does not exist on this machine"
            );
        }
    }

    #[test]
    fn a_user_and_a_group_of_one_name_are_not_confused() {
        let accounts = SystemAccounts::default();
        accounts.answers.borrow_mut().insert((Database::Users, "both".to_owned()), Ok(1));
        accounts.answers.borrow_mut().insert((Database::Groups, "both".to_owned()), Ok(2));
        let resolved = Accounts::System(accounts).resolve(&access(named("both"), named("both")));
        assert_eq!(resolved, Ok(Ownership { uid: 1, gid: 2 }));
    }

    #[test]
    fn without_lookup_names_and_numbers_are_ignored() {
        let wanted = access(named("no-such-user"), Account::Id(7));
        assert_eq!(Accounts::RootOnly.resolve(&wanted), Ok(Ownership { uid: 0, gid: 0 }));
        assert_eq!(Accounts::RootOnly.directories(), Ok(Ownership { uid: 0, gid: 0 }));
        assert_eq!(Accounts::CurrentUser.resolve(&wanted), Ok(current_user()));
    }

    #[test]
    fn the_group_of_the_store_is_keys_else_nogroup_else_an_error_that_names_both() {
        let knowing = |keys, nogroup| {
            let accounts = SystemAccounts::default();
            accounts.answers.borrow_mut().insert((Database::Groups, "keys".to_owned()), keys);
            accounts.answers.borrow_mut().insert((Database::Groups, "nogroup".to_owned()), nogroup);
            move |local: &str| accounts.keys_group(local.as_bytes())
        };
        assert_eq!(knowing(Ok(96), Ok(65534))(""), Ok(96));
        assert_eq!(knowing(Err(Reason::Unknown), Ok(65534))(""), Ok(65534));
        assert_eq!(knowing(Ok(96), Ok(65534))("nogroup:x:7:\nkeys:x:8:"), Ok(8));
        assert_eq!(knowing(Ok(96), Ok(65534))("nogroup:x:7:"), Ok(7));
        assert_eq!(
            knowing(Err(Reason::Failed(Errno::EIO)), Err(Reason::Unknown))("").unwrap_err().to_string(),
            "cannot find a group for the secrets directory: group 'keys': the lookup failed: EIO: I/O error; \
             group 'nogroup': it does not exist on this machine"
        );
    }
}
