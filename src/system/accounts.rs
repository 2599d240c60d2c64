//! Owns the lookup of users and groups: from the names in the manifest to the numbers the kernel is told.
//!
//! A name that does not exist is told apart from a lookup that failed, because the first is the manifest's fault and
//! the second the machine's. Every name is asked for once in a run: a thousand secrets of one owner would otherwise
//! be a thousand questions to a directory server.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{self, Group, User};

use super::file::read_regular;
use crate::diagnostic::{in_nix, nearest};
use crate::manifest::KnownAccounts;
use crate::plan::access::{Access, Account, Ownership};

/// Groups that own the directories of the store, in order of preference: members may list names, not read secrets.
const KEYS_GROUPS: [&str; 2] = ["keys", "nogroup"];

const LOCAL_USERS: &str = "/etc/passwd";
const LOCAL_GROUPS: &str = "/etc/group";
/// Bytes of such a file at most: one of a hundred thousand members has two million.
const LOCAL_LIMIT: u64 = 64 << 20;

/// Maximum number of unknown names that get a suggestion, and of names that each is compared with: nobody would read more,
/// and the boot waits for this.
const SUGGESTIONS: usize = 50;
const COMPARED: usize = 10_000;

/// Who answers for the names in the manifest.
pub enum Accounts {
    /// The user and group databases of this machine.
    System(Box<SystemAccounts>),
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
    /// Candidates for suggestions, in addition to the names in local files.
    known: KnownAccounts,
    local_users: OnceCell<Vec<String>>,
    local_groups: OnceCell<Vec<String>>,
    suggestions: Suggestions,
}

/// The accounts of the configuration, for the build: it has names, but no IDs.
pub struct DeclaredAccounts<'p> {
    known: &'p KnownAccounts,
    users: HashSet<&'p str>,
    groups: HashSet<&'p str>,
    suggestions: Suggestions,
}

/// The nearest existing name to each unknown one.
#[derive(Default)]
struct Suggestions(RefCell<HashMap<(Database, String), Option<String>>>);

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
    #[error("the configuration does not declare it")]
    Undeclared,
    #[error("the lookup failed: {0}")]
    Failed(Errno),
}

/// An owner or group that this machine does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("cannot find {database} '{name}': {reason}")]
    Account {
        database: Database,
        name: String,
        reason: Reason,
        /// The name that may have been meant.
        near: Option<String>,
    },
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

    /// The help line. `option` is the option of the secret or template, if there is only one.
    pub fn help(&self, option: Option<&str>) -> String {
        let (database, name, reason, near) = match self {
            Self::Account { database, name, reason, near } => {
                (*database, name.as_str(), reason, near.as_deref())
            }
            Self::KeysGroup { .. } => return "create the group `keys` (NixOS has it)".to_owned(),
        };
        let (by_name, by_number, accounts) = match database {
            Database::Users => ("owner", "uid", "users"),
            Database::Groups => ("group", "gid", "groups"),
        };
        let elsewhere = match reason {
            Reason::Failed(_) => {
                return format!("see why the {database} database does not answer, then activate again");
            }
            Reason::Unknown => String::new(),
            Reason::Undeclared => {
                format!(", or add it to `sops.external.{accounts}` if it comes from elsewhere")
            }
        };
        let field = |field| option.map_or_else(|| format!("`{field}`"), |option| format!("{option}.{field}"));
        let wrong = field(by_name);
        if name.is_empty() {
            return format!("set {wrong} to the name of a {database}, or remove it");
        }
        // The highest means "leave it as it is" to the kernel.
        if let Some(number) = name.parse::<u32>().ok().filter(|number| *number != u32::MAX) {
            return format!(
                "for the {database} with this number, set {} = {number} in place of {wrong}",
                field(by_number)
            );
        }
        match near {
            Some(near) => format!(
                "did you mean '{near}'? set {wrong} = {}, or declare '{name}' in `users.{accounts}`{elsewhere}",
                in_nix(near)
            ),
            None => format!("correct {wrong}, or declare '{name}' in `users.{accounts}`{elsewhere}"),
        }
    }
}

impl Accounts {
    /// `known` has candidates for the suggestion after a name that is not found.
    pub fn system(known: &KnownAccounts) -> Self {
        Self::System(Box::new(SystemAccounts { known: known.clone(), ..SystemAccounts::default() }))
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
                let local = read_regular(Path::new(LOCAL_GROUPS), LOCAL_LIMIT).unwrap_or_default();
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
                near: if reason == Reason::Unknown { self.near(database, name) } else { None },
            }),
        }
    }

    fn near(&self, database: Database, name: &str) -> Option<String> {
        let (path, local, known) = match database {
            Database::Users => (LOCAL_USERS, &self.local_users, &self.known.users),
            Database::Groups => (LOCAL_GROUPS, &self.local_groups, &self.known.groups),
        };
        // Without the file, there are merely fewer suggestions.
        let local = local.get_or_init(|| {
            local_names(read_regular(Path::new(path), LOCAL_LIMIT).unwrap_or_default().expose())
        });
        let names = local.iter().chain(known.iter().flatten()).map(String::as_str);
        self.suggestions.near(database, name, names)
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

impl<'p> DeclaredAccounts<'p> {
    pub fn new(known: &'p KnownAccounts) -> Self {
        let set = |names: &'p Option<Vec<String>>| names.iter().flatten().map(String::as_str).collect();
        Self {
            known,
            users: set(&known.users),
            groups: set(&known.groups),
            suggestions: Suggestions::default(),
        }
    }

    /// The wanted accounts that are not declared; none if not all names are known. IDs need no declaration.
    pub fn undeclared(&self, access: &Access) -> Vec<AccountError> {
        let asked = [
            (Database::Users, &access.owner, &self.known.users, &self.users),
            (Database::Groups, &access.group, &self.known.groups, &self.groups),
        ];
        let undeclared = asked.into_iter().filter_map(|(database, account, known, declared)| {
            let (Account::Named(name), Some(known)) = (account, known) else { return None };
            if name == "root" || declared.contains(name.as_str()) {
                return None;
            }
            let names = ["root"].into_iter().chain(known.iter().map(String::as_str));
            let near = self.suggestions.near(database, name, names);
            Some(AccountError::Account { database, name: name.clone(), reason: Reason::Undeclared, near })
        });
        undeclared.collect()
    }
}

impl Suggestions {
    fn near<'n>(
        &self,
        database: Database,
        name: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Option<String> {
        let mut found = self.0.borrow_mut();
        let key = (database, name.to_owned());
        if !found.contains_key(&key) && found.len() >= SUGGESTIONS {
            return None;
        }
        // A declared name may still be absent from the machine.
        let others = names.take(COMPARED).filter(|other| *other != name);
        found.entry(key).or_insert_with(|| nearest(name, others).map(ToOwned::to_owned)).clone()
    }
}

/// The names in a passwd(5) or group(5) file, only from well-formed lines.
fn local_names(text: &[u8]) -> Vec<String> {
    let name = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = std::str::from_utf8(fields.next()?).ok()?;
        std::str::from_utf8(fields.nth(1)?).ok()?.parse::<u32>().ok()?;
        Some(name.to_owned())
    };
    text.split(|byte| *byte == b'\n').filter_map(name).take(COMPARED).collect()
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
        let accounts = Accounts::system(&KnownAccounts::default());
        let root = accounts.resolve(&access(named("root"), named("root")));
        assert_eq!(root, Ok(Ownership { uid: 0, gid: 0 }));
        let nobody_has_these = accounts.resolve(&access(Account::Id(4_000_001), Account::Id(4_000_002)));
        assert_eq!(nobody_has_these, Ok(Ownership { uid: 4_000_001, gid: 4_000_002 }));
    }

    #[test]
    fn an_unknown_name_is_named_with_its_database_each_time_it_is_asked_for() {
        let accounts = Accounts::system(&KnownAccounts::default());
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

    fn account_error(database: Database, name: &str, reason: Reason, near: Option<&str>) -> AccountError {
        AccountError::Account { database, name: name.to_owned(), reason, near: near.map(ToOwned::to_owned) }
    }

    #[test]
    fn the_help_names_what_to_change_and_nothing_of_the_other_database() {
        let help =
            |database, name, reason, near, option| account_error(database, name, reason, near).help(option);
        let (users, groups) = (Database::Users, Database::Groups);
        let (secret, template) = (Some("sops.secrets.\"a\""), Some("sops.templates.\"a\""));
        for (found, expected) in [
            (
                help(users, "posgres", Reason::Unknown, Some("postgres"), secret),
                "did you mean 'postgres'? set sops.secrets.\"a\".owner = \"postgres\", or declare 'posgres' in `users.users`",
            ),
            (
                help(groups, "posgres", Reason::Unknown, None, template),
                "correct sops.templates.\"a\".group, or declare 'posgres' in `users.groups`",
            ),
            (
                help(users, "posgres", Reason::Unknown, None, None),
                "correct `owner`, or declare 'posgres' in `users.users`",
            ),
            (
                help(groups, "posgres", Reason::Undeclared, None, secret),
                "correct sops.secrets.\"a\".group, or declare 'posgres' in `users.groups`, or add it to `sops.external.groups` if it comes from elsewhere",
            ),
            // What Nix would take for something else than the name.
            (
                help(users, "a", Reason::Unknown, Some("${b}\"\\"), None),
                r#"did you mean '${b}"\'? set `owner` = "\${b}\"\\", or declare 'a' in `users.users`"#,
            ),
            // Numbers are not names, and no name cannot be declared.
            (
                help(users, "1000", Reason::Unknown, Some("100"), secret),
                "for the user with this number, set sops.secrets.\"a\".uid = 1000 in place of sops.secrets.\"a\".owner",
            ),
            (
                help(groups, "", Reason::Undeclared, None, secret),
                "set sops.secrets.\"a\".group to the name of a group, or remove it",
            ),
            (
                help(groups, "app", Reason::Failed(Errno::EIO), None, secret),
                "see why the group database does not answer, then activate again",
            ),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn names_are_only_taken_from_lines_of_accounts() {
        let text = b"root:x:0:0::/root:/bin/sh\nSECRET\nSECRET:x\n+::::::\n+@net:x::\nSECRET:x:y:\n\nn\xff:x:1:\nalice:x:7:";
        assert_eq!(local_names(text), ["root", "alice"]);
        let many = "alice:x:7:\n".repeat(COMPARED + 5);
        assert_eq!(local_names(many.as_bytes()).len(), COMPARED);
    }

    #[test]
    fn a_suggestion_is_of_the_same_database_and_never_the_name_itself() {
        let known = KnownAccounts {
            users: Some(vec!["postgres".to_owned(), "posgres".to_owned()]),
            groups: Some(vec!["postgrey".to_owned()]),
        };
        let accounts = SystemAccounts { known, ..SystemAccounts::default() };
        accounts.local_users.set(vec!["grafana".to_owned()]).unwrap();
        accounts.local_groups.set(vec!["grafanas".to_owned()]).unwrap();
        assert_eq!(accounts.near(Database::Users, "posgres").as_deref(), Some("postgres"));
        assert_eq!(accounts.near(Database::Groups, "posgrey").as_deref(), Some("postgrey"));
        assert_eq!(accounts.near(Database::Users, "garfana").as_deref(), Some("grafana"));
        assert_eq!(accounts.near(Database::Groups, "grafana").as_deref(), Some("grafanas"));
        assert_eq!(accounts.near(Database::Users, "something-else"), None);
    }

    #[test]
    fn only_the_first_unknown_names_are_compared_with_others_and_each_once() {
        let suggestions = Suggestions::default();
        for index in 0..SUGGESTIONS {
            let near =
                suggestions.near(Database::Users, &format!("service-{index}"), ["service"].into_iter());
            assert_eq!(near.as_deref(), Some("service"));
        }
        assert_eq!(suggestions.near(Database::Users, "servce", ["service"].into_iter()), None);
        let again = suggestions.near(Database::Users, "service-1", std::iter::empty());
        assert_eq!(again.as_deref(), Some("service"));
        let suggestions = Suggestions::default();
        let late = std::iter::repeat_n("x", COMPARED).chain(["names"]);
        assert_eq!(suggestions.near(Database::Users, "name", late), None);
    }

    #[test]
    fn undeclared_are_names_alone_and_only_where_all_are_known() {
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        let known = KnownAccounts { users: names(&["postgres"]), groups: names(&["postgrey"]) };
        let undeclared = |known: &KnownAccounts, owner, group| {
            DeclaredAccounts::new(known).undeclared(&access(owner, group))
        };
        let both = || (named("posgres"), named("posgres"));
        assert_eq!(
            undeclared(&known, both().0, both().1),
            [
                account_error(Database::Users, "posgres", Reason::Undeclared, Some("postgres")),
                account_error(Database::Groups, "posgres", Reason::Undeclared, Some("postgrey")),
            ]
        );
        assert_eq!(undeclared(&known, named("postgres"), named("root")), []);
        assert_eq!(undeclared(&known, Account::Id(7), Account::Id(7)), []);
        let rot = undeclared(&known, named("rot"), named("root"));
        assert_eq!(rot, [account_error(Database::Users, "rot", Reason::Undeclared, Some("root"))]);
        let only_users = KnownAccounts { groups: None, ..known };
        assert_eq!(undeclared(&only_users, named("postgres"), both().1), []);
        assert_eq!(undeclared(&KnownAccounts::default(), both().0, both().1), []);
        assert_eq!(
            undeclared(&KnownAccounts { users: names(&[]), groups: None }, both().0, both().1).len(),
            1
        );
    }

    #[test]
    fn a_user_and_a_group_of_one_name_are_not_confused() {
        let accounts = SystemAccounts::default();
        accounts.answers.borrow_mut().insert((Database::Users, "both".to_owned()), Ok(1));
        accounts.answers.borrow_mut().insert((Database::Groups, "both".to_owned()), Ok(2));
        let resolved = Accounts::System(Box::new(accounts)).resolve(&access(named("both"), named("both")));
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
