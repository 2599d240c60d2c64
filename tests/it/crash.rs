//! Runs that are killed at every system call that changes something, and runs to which the kernel says no: the live generation is a whole one
//! all the time, and the next run leaves the machine as if nothing had happened.
//!
//! Both are done by strace, which counts the calls of each name in each thread. The threads of these runs do one thing after
//! the other, so nearly all counts are the same in every run.

mod found;
mod matrix;

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::server::{API_KEY, Machine, USER, manifest, placeholder, secret, template, with};

/// Three secrets, one of them nested, a template, and links and a copy in directories that do not exist; `key` says with
/// which values.
fn wanted(key: &str) -> Value {
    let linked =
        with(secret("a", key), json!({"path": "/etc/app/config/key", "owner": "alice", "group": "app"}));
    let rendered = with(template("t", &placeholder("a")), json!({"path": "/var/home/config/t", "uid": 1501}));
    let copied = with(secret("d", key), json!({"path": "/etc/app/copy", "installMode": "copy"}));
    manifest(&[linked, secret("b/c", key), copied], &[rendered])
}

/// The same with other values, a link that will not be asked for any more, and the copy at another place.
fn wanted_before(key: &str) -> Value {
    let mut wanted = wanted(key);
    wanted["secrets"][1]["path"] = "/etc/app/old".into();
    wanted["secrets"][2]["path"] = "/var/home/copy".into();
    wanted
}

/// What the machine is like after a run, with `@` for the number of the generation, OLD and NEW for what stands there
/// only before or only after a run that changes values, and COPY for what is in the copy.
const TREE: &str = "/etc/app d755 0:0
/etc/app/config d755 0:0
/etc/app/config/key -> /run/secrets/a 1501:1502
NEW/etc/app/copy f400 0:0
OLD/etc/app/old -> /run/secrets/b/c 0:0
/run d755 0:0
/run/secrets -> /run/secrets.d/@ 0:0
/run/secrets.d d751 0:96
/run/secrets.d/@ d751 0:96
/run/secrets.d/@/a f400 1501:1502
/run/secrets.d/@/b d751 0:96
/run/secrets.d/@/b/c f400 0:0
/run/secrets.d/@/d f400 0:0
/run/secrets.d/@/rendered d751 0:96
/run/secrets.d/@/rendered/t f400 1501:0
/var/home d755 1501:1500
/var/home/config d755 1501:1500
/var/home/config/t -> /run/secrets/rendered/t 1501:0
OLD/var/home/copy f400 0:0
/var/lib/sops-activate d700 0:0
/var/lib/sops-activate/run-secrets.d.json f600 0:0
none /run/secrets.d ramfs rw,nosuid,nodev,noexec,relatime,mode=751 0 0
remembered /etc/app/config/key
OLDremembered /etc/app/old
remembered /var/home/config/t
NEWremembered /etc/app/copy
OLDremembered /var/home/copy
copies COPY";

/// Everything that a run can leave behind; `/etc` and `/var` are looked at as far as they are not the real ones.
const LOOK: &str = "{ find /run /etc/app /var/home /var/lib/sops-activate -type l -printf '%p -> %l %U:%G\n' -o -printf '%p %y%m %U:%G\n'
    find /etc /var /var/lib -maxdepth 1 -name '.*.sops-activate'; } 2> /mnt/errors | grep -v /made-by- | LC_ALL=C sort; grep ' /run/secrets' /proc/mounts
    sed -n 's/.*\"path\": \"\\(.*\\)\",/remembered \\1/p' /var/lib/sops-activate/*.json 2> /mnt/errors
    echo \"copies $(cat /etc/app/copy /var/home/copy 2> /mnt/errors)\"";

/// The values of the live generation.
const VALUES: &str = "cat /run/secrets/a /run/secrets/b/c /run/secrets/rendered/t";

/// Calls that change nothing and cannot fail in a way that matters: dying before one of them is dying before the next
/// other one.
const HARMLESS: [&str; 43] = [
    "access",
    "arch_prctl",
    "brk",
    "clone3",
    "connect",
    "execve",
    "exit",
    "exit_group",
    "faccessat2",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getdents64",
    "getegid",
    "geteuid",
    "getrandom",
    "gettid",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "lseek",
    "madvise",
    "mlockall",
    "mmap",
    "mprotect",
    "munmap",
    "newfstatat",
    "poll",
    "prctl",
    "pread64",
    "prlimit64",
    "read",
    "readlink",
    "readlinkat",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "set_robust_list",
    "sigaltstack",
    "socket",
    "statx",
];

/// The case that a run is in when something happens to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Nothing was ever activated.
    First,
    /// The values of the live generation change.
    Second,
    /// The same, but `b/c` fails, and is to stay as it was.
    Partial,
}

impl Run {
    fn manifest(self) -> &'static str {
        if self == Self::Partial { "/mnt/partial.json" } else { "/mnt/new.json" }
    }

    /// The values that are live after it.
    fn new_values(self) -> String {
        if self == Self::Partial { format!("{USER}{API_KEY}{USER}") } else { USER.repeat(3) }
    }

    /// What a run says to which nothing happens.
    fn told(self) -> &'static str {
        match self {
            Self::First | Self::Second => "",
            Self::Partial => PARTIAL,
        }
    }
}

const PARTIAL: &str = "sops-activate: error: secret 'b/c': cannot be taken from '/mnt/fixtures/sample/secrets.yaml': the key 'none' cannot be found
  keys at the top level: 'api_key', 'database'
help: set sops.secrets.\"b/c\".key to one of them, or add the key with `sops edit`
sops-activate: error: 1 of 4 secrets and templates failed
  secret 'b/c'   kept as it was   cannot be taken from '/mnt/fixtures/sample/secrets.yaml': the key 'none' cannot be found";

/// A system call of a run.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    /// Which of this name, from 1.
    nth: usize,
    text: String,
}

impl Call {
    fn changes(&self) -> bool {
        let only_reads = self.name == "openat" && !self.text.contains("O_CREAT");
        !only_reads && self.name != "close" && !HARMLESS.contains(&self.name.as_str())
    }
}

impl Machine {
    /// A machine on which something can be done to a run; none with the reason printed.
    fn with_strace() -> Option<Self> {
        let machine = Self::new()?;
        if machine.shell("command -v strace").is_empty() {
            eprintln!("skipped: no strace");
            return None;
        }
        machine.write("/mnt/old.json", wanted_before("api_key").to_string());
        machine.write("/mnt/new.json", wanted("database/user").to_string());
        let mut partial = wanted("database/user");
        partial["secrets"][1]["key"] = "none".into();
        machine.write("/mnt/partial.json", partial.to_string());
        machine.shell("mkdir /var/home && chown 1501:1500 /var/home");
        Some(machine)
    }

    /// Makes the machine what it is before a run.
    fn reset(run: Run) -> String {
        let clear = "umount /run/secrets.d 2> /dev/null; rm -rf /run/* /run/.[!.]* /etc/app /etc/.app* /var/home/* /var/home/.[!.]* /var/lib/sops-activate /var/lib/.sops-activate*";
        match run {
            Run::First => clear.to_owned(),
            Run::Second | Run::Partial => format!("{clear}; /mnt/bin/sops-activate /mnt/old.json"),
        }
    }

    /// The calls of a run from the one that opens the manifest on.
    fn calls(&self, run: Run) -> Vec<Call> {
        self.calls_after(&Self::reset(run), run.manifest())
    }

    fn calls_after(&self, script: &str, manifest: &str) -> Vec<Call> {
        let log = self.shell(&format!(
            "{{ {script}; strace -f --detach-on=execve -y -qq -o /mnt/log /mnt/bin/sops-activate {manifest}; }} > /mnt/said 2>&1; cat /mnt/log"
        ));
        // What `systemctl` is started by is none of the program's threads.
        let threads = || log.lines().filter_map(|line| line.split_once(' '));
        let first = threads().next().map(|(thread, _)| thread);
        let starts: HashSet<&str> = threads()
            .filter(|(thread, text)| Some(*thread) != first && text.contains("execve("))
            .map(|(thread, _)| thread)
            .collect();
        let (mut counts, mut known) = (HashMap::new(), HashSet::new());
        let calls = threads().filter(|(thread, _)| !starts.contains(thread)).filter_map(|(thread, text)| {
            let (name, _) = text.trim_start().split_once('(').filter(|_| !text.contains(" resumed>"))?;
            let nth = counts.entry((thread, name)).and_modify(|count| *count += 1).or_insert(1);
            // It would happen to the first of several threads that make so many.
            let is_new = known.insert((name, *nth));
            is_new.then(|| Call { name: name.to_owned(), nth: *nth, text: text.trim_start().to_owned() })
        });
        let named = format!("{manifest}\"");
        let ours: Vec<Call> = calls.skip_while(|call| !call.text.contains(&named)).collect();
        // The first is the execution of the program.
        ours.into_iter().skip(1).skip_while(|call| !call.text.contains(&named)).collect()
    }

    /// What is there after something was done to a run, and after the next run, which is to succeed silently.
    fn do_to(&self, run: Run, call: &Call, what: &str) -> (String, String, String, String) {
        let (name, nth) = (&call.name, call.nth);
        let script = format!(
            "{reset}
             strace -qqq -f --detach-on=execve -o /dev/null -e inject={name}:{what}:when={nth} /mnt/bin/sops-activate {manifest} > /mnt/said 2>&1
             echo \"$? $(cat /mnt/said)\"
             echo @@; {VALUES} 2>&1; echo; {LOOK}
             echo @@; /mnt/bin/sops-activate {manifest} 2>&1
             echo @@; {VALUES} 2>&1; echo; {LOOK}",
            reset = Self::reset(run),
            manifest = run.manifest(),
        );
        let said = self.shell(&script);
        let parts: Vec<&str> = said.split("@@\n").map(str::trim).collect();
        let [ended, after, healing, healed] = parts[..] else { panic!("{call:?}: {said}") };
        (ended.into(), after.into(), healing.into(), healed.into())
    }
}

/// What is to be seen after a run, when `values` are live in the generation `number`.
fn whole(values: &str, number: u32) -> String {
    seen(values, number, ["NEW", "OLD"], USER)
}

/// What is to be seen before a run that changes values.
fn whole_before() -> String {
    seen(&API_KEY.repeat(3), 1, ["OLD", "NEW"], API_KEY)
}

fn seen(values: &str, number: u32, [there, gone]: [&str; 2], copy: &str) -> String {
    let lines = TREE.lines().filter(|line| !line.starts_with(gone));
    let tree: Vec<&str> = lines.map(|line| line.strip_prefix(there).unwrap_or(line)).collect();
    format!("{values}\n{}", tree.join("\n").replace('@', &number.to_string()).replace("COPY", copy))
}

/// Whether no copy is half a one. For a moment there may be two of them, the new one and the old one.
fn copies_are_whole(after: &str) -> bool {
    let copies = after.lines().find_map(|line| line.strip_prefix("copies")).unwrap().trim();
    ["", API_KEY, USER].contains(&copies) || copies == format!("{USER}{API_KEY}")
}

/// Whether the live generation is a whole one, or there is none yet; says which.
fn live(run: Run, after: &str) -> Option<&'static str> {
    let values = after.lines().next().unwrap_or_default();
    let linked = after.lines().find_map(|line| line.strip_prefix("/run/secrets -> /run/secrets.d/"));
    match (run, linked) {
        (Run::First, None) if values.contains("No such file") => Some("none"),
        (Run::First, Some("1 0:0")) | (Run::Second | Run::Partial, Some("2 0:0"))
            if values == run.new_values() =>
        {
            Some("new")
        }
        (Run::Second | Run::Partial, Some("1 0:0")) if values == API_KEY.repeat(3) => Some("old"),
        _ => None,
    }
}

fn number(run: Run) -> u32 {
    if run == Run::First { 1 } else { 2 }
}

fn killed_everywhere(run: Run) {
    let Some(machine) = Machine::with_strace() else { return };
    let calls = machine.calls(run);
    let (mut before, mut after) = (0, 0);
    for call in calls.iter().filter(|call| call.changes()) {
        let (ended, seen, healing, healed) = machine.do_to(run, call, "signal=KILL");
        assert!(ended.starts_with("137"), "not killed at {call:?}: {ended}");
        match live(run, &seen) {
            Some("new") => after += 1,
            Some(_) => before += 1,
            None => panic!("killed at {call:?}:\n{seen}"),
        }
        assert!(copies_are_whole(&seen), "killed at {call:?}:\n{seen}");
        assert_eq!(healing, run.told(), "after {call:?}");
        assert_eq!(healed, whole(&run.new_values(), number(run)), "after {call:?}");
    }
    eprintln!("killed {before} times before the switch and {after} times after it");
    assert!(
        before > 20 && after > 10,
        "killed only {before} times before the switch and {after} times after it"
    );
}

#[test]
fn a_first_run_killed_at_any_call_leaves_nothing_or_all_and_the_next_one_heals() {
    killed_everywhere(Run::First);
}

#[test]
fn a_run_of_which_one_secret_fails_killed_at_any_call_leaves_the_old_or_the_new_and_the_next_one_heals() {
    killed_everywhere(Run::Partial);
}

#[test]
fn a_run_that_changes_secrets_killed_at_any_call_leaves_the_old_or_the_new_and_the_next_one_heals() {
    killed_everywhere(Run::Second);
}

/// Which errors the kernel gives, in turn: one to each call, and two to those that change something.
const ERRORS: [&str; 5] = ["EIO", "ENOSPC", "EPERM", "ENOMEM", "EMFILE"];

/// Calls of the C library and of the runtime, or that cannot fail.
const NOT_REFUSED: [&str; 12] = [
    "brk",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getrandom",
    "mmap",
    "munmap",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "socket",
];

fn asks_for_group(call: &Call) -> bool {
    call.text.contains("/etc/group") || call.text.contains("/etc/nsswitch.conf")
}

fn refused_everywhere(run: Run) {
    let Some(machine) = Machine::with_strace() else { return };
    let (mut told, mut survived) = (0, 0);
    for call in machine.calls(run) {
        // Where the group `keys` cannot be looked up, another one is a right answer, too.
        if NOT_REFUSED.contains(&call.name.as_str()) || asks_for_group(&call) {
            continue;
        }
        let errors = ERRORS.iter().cycle().skip(call.nth).take(1 + usize::from(call.changes()));
        for error in errors {
            // Mounting that is not permitted has an answer of its own.
            if call.name == "mount" && *error == "EPERM" {
                continue;
            }
            let (ended, seen, healing, healed) = machine.do_to(run, &call, &format!("error={error}"));
            let at = format!("{error} at {call:?}: {ended}\n{seen}");
            let live = live(run, &seen);
            if let Some(message) = ended.strip_prefix("1 ") {
                told += 1;
                // What the run survives is a warning, before what failed anyway.
                let warned = run == Run::Partial && message.starts_with("sops-activate: warning: ");
                assert!(warned || message.starts_with("sops-activate: error: "), "{at}");
                assert!(
                    ["'/", "user 'alice'", "group 'app'"].iter().any(|name| message.contains(name)),
                    "nothing is named: {at}"
                );
            } else {
                survived += 1;
                assert!(ended.starts_with('0'), "{at}");
                assert_eq!(live, Some("new"), "{at}");
            }
            let mut number = number(run);
            match live {
                // Where every secret has failed, links and the copy are where they are asked for now.
                Some("old") if ended.contains("4 of 4 secrets and templates failed") => {
                    let moved = self::seen(&API_KEY.repeat(3), 1, ["NEW", "OLD"], API_KEY);
                    assert_eq!(seen, moved, "not moved as it was: {at}");
                }
                Some("old") => assert_eq!(seen, whole_before(), "not as it was: {at}"),
                Some("none") => {
                    assert!(!seen.contains("secrets.d/1") && !seen.contains("sops-activate"), "{at}");
                }
                Some(_) => {}
                // Whose secret `a` is could not be found out: that one is as before, or for root only.
                None if ended.contains("secret 'a'") => {
                    let values = seen.lines().next().unwrap();
                    let parts = values.replace(API_KEY, "").replace(USER, "");
                    assert!(parts.is_empty() || parts.contains("No such file"), "{at}");
                    number += 1;
                }
                None => panic!("no whole generation is live: {at}"),
            }
            assert!(!ended.contains("panicked") && !ended.contains(API_KEY), "{at}");
            assert!(copies_are_whole(&seen), "{at}");
            assert_eq!(healing, run.told(), "after {at}");
            assert_eq!(healed, whole(&run.new_values(), number), "after {at}");
        }
    }
    eprintln!("{told} errors told, {survived} survived");
    assert!(told > 20, "only {told} errors were told");
}

#[test]
fn a_first_run_to_which_the_kernel_says_no_tells_it_and_the_next_one_heals() {
    refused_everywhere(Run::First);
}

#[test]
fn a_run_that_changes_secrets_to_which_the_kernel_says_no_tells_it_and_the_next_one_heals() {
    refused_everywhere(Run::Second);
}

#[test]
fn a_run_of_which_one_secret_fails_to_which_the_kernel_says_no_tells_it_and_the_next_one_heals() {
    refused_everywhere(Run::Partial);
}

/// Also when a secret fails again and again.
#[test]
fn a_second_run_makes_no_call_that_changes_anything_but_locks_and_what_it_says() {
    let Some(machine) = Machine::with_strace() else { return };
    for run in [Run::First, Run::Second, Run::Partial] {
        let twice = format!("{}; /mnt/bin/sops-activate {}", Machine::reset(run), run.manifest());
        let calls = machine.calls_after(&twice, run.manifest());
        let may =
            |call: &&Call| call.name == "flock" || call.name == "umask" || call.text.starts_with("write(2<");
        let changing: Vec<&Call> =
            calls.iter().filter(|call| call.changes()).filter(|call| !may(call)).collect();
        assert!(calls.len() > 50 && changing.is_empty(), "of {}: {changing:?}", calls.len());
        let said = calls.iter().any(|call| call.text.starts_with("write(2<"));
        assert_eq!(said, run == Run::Partial, "only what fails is told");
        assert!(calls.iter().any(|call| call.name == "flock"));
        let live = format!("/run/secrets.d/{0}\n{0}", number(run));
        assert_eq!(machine.shell("readlink /run/secrets; ls /run/secrets.d"), live);
    }
}

/// Else it could say of the generation of one run that another one made it.
#[test]
fn who_made_a_generation_is_written_down_while_no_other_run_can_make_one() {
    let Some(machine) = Machine::with_strace() else { return };
    let calls = machine.calls(Run::Second);
    let is_record = |call: &Call| call.name.starts_with("rename") && call.text.contains("made-by-");
    let written = calls.iter().position(is_record).unwrap();
    assert!(written < calls.iter().position(|call| call.text.contains("LOCK_UN")).unwrap());
}

#[test]
fn what_cannot_be_cleared_away_is_told_beside_what_failed() {
    let Some(machine) = Machine::with_strace() else { return };
    // The private key that sops-install-secrets leaves, a permission that cannot be set, and removals that fail: the
    // first, of the key, and the third, of the new generation; the second finds nothing there anyway.
    let said = machine.shell(&format!(
        "{reset}; echo key > /run/secrets.d/age-keys.txt
         strace -qqq -o /dev/null -e inject=fchmod:error=EIO:when=3+ -e inject=unlinkat:error=EIO:when=1+2 \
             /mnt/bin/sops-activate /mnt/new.json 2>&1; echo $?",
        reset = Machine::reset(Run::Second),
    ));
    for expected in
        ["age-keys.txt': input/output error", "what is left there holds secrets", "change the permissions of"]
    {
        assert!(said.contains(expected), "no '{expected}' in:\n{said}");
    }
    assert!(said.ends_with("\n1"), "{said}");
}

#[test]
fn a_crash_leaves_no_core_file() {
    let Some(machine) = Machine::with_strace() else { return };
    let said = machine.shell(&format!(
        "{reset}; strace -qqq -e trace=prctl,openat /mnt/bin/sops-activate /mnt/new.json 2>&1 | grep -n -e DUMPABLE -e new.json",
        reset = Machine::reset(Run::First),
    ));
    let [guard, manifest] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(guard.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE"), "{said}");
    assert!(manifest.contains("new.json"), "the guard comes before anything is read: {said}");
}

/// Runs as a unit, and writes down who is told and when: during the run that is killed (1), the next one (2), and the
/// one after that (3). Who is told by a run that was killed goes on for a moment; a pipe ends when nobody has it any more.
const TELLING: &str = "export PATH=/mnt/bin:$PATH SOPS_RESTART_UNITS_VIA_SYSTEMCTL=1
    run_as() { which=$1; shift; echo $which > /mnt/which; { \"$@\" > /mnt/said-$which 2>&1; } 9>&1 | cat; }";

/// What the machine is told of when the secret of [`units`] changes.
const TOLD: [&str; 3] = [
    "--no-block try-restart restart.service",
    "--no-block try-reload-or-restart reload.service",
    "--user --no-block try-restart -- user.service",
];

/// A secret that units use: those of the machine, and those of users.
fn used(key: &str) -> Value {
    let units = json!({"restartUnits": ["restart"], "reloadUnits": ["reload"], "restartUserUnits": ["user"]});
    manifest(&[with(secret("a", key), units), secret("b", key)], &[])
}

impl Machine {
    /// Writes the manifests of [`used`]; returns what makes the machine what it is before the secret changes.
    fn with_units(&self) -> String {
        self.write("/mnt/bin/systemctl", "#!/bin/sh\necho $(cat /mnt/which): $* >> /mnt/calls\n");
        self.shell("chmod +x /mnt/bin/systemctl");
        self.write("/mnt/old.json", used("api_key").to_string());
        self.write("/mnt/new.json", used("database/user").to_string());
        format!(
            "{TELLING}; umount /run/secrets.d 2> /dev/null; rm -rf /run/secrets* /run/.secrets*; > /mnt/calls
             run_as 0 /mnt/bin/sops-activate /mnt/old.json"
        )
    }
}

#[test]
fn units_that_a_killed_run_has_not_told_are_told_by_the_next_one_and_by_no_other() {
    let Some(machine) = Machine::with_strace() else { return };
    let _socket = machine.user_manager(0);
    let reset = machine.with_units();
    let calls = machine.calls_after(&reset, "/mnt/new.json");
    let (mut before, mut untold, mut twice) = (0, 0, 0);
    for call in calls.iter().filter(|call| call.changes()) {
        let said = machine.shell(&format!(
            "{reset}
             run_as 1 strace -qqq -f --detach-on=execve -o /dev/null -e inject={name}:signal=KILL:when={nth} /mnt/bin/sops-activate /mnt/new.json
             readlink /run/secrets; ls -A /run/secrets.d | grep untold | tr '\\n' ' '; echo @@
             run_as 2 /mnt/bin/sops-activate /mnt/new.json
             run_as 3 /mnt/bin/sops-activate /mnt/new.json
             readlink /run/secrets; ls -A /run/secrets.d; echo @@; cat /mnt/said-0 /mnt/said-2 /mnt/said-3; echo @@; cat /mnt/calls",
            name = call.name,
            nth = call.nth,
        ));
        let at = format!("killed at {call:?}:\n{said}");
        let [killed, healed, complaints, told] = said.split("@@").map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{at}")
        };
        assert_eq!(healed, "/run/secrets.d/2\n2", "no note is left when all is told: {at}");
        assert_eq!(complaints, "", "{at}");
        let told_by = |run: u32| -> Vec<&str> {
            told.lines().filter_map(|line| line.strip_prefix(&format!("{run}: "))).collect()
        };
        assert_eq!(told_by(0).len() + told_by(3).len(), 0, "{at}");
        let (first, second) = (told_by(1), told_by(2));
        if killed.starts_with("/run/secrets.d/1") {
            before += 1;
            assert_eq!((first, second), (vec![], TOLD.to_vec()), "{at}");
            continue;
        }
        for unit in TOLD {
            let users = if unit.starts_with("--user") { ".untold-users-2" } else { ".untold-2" };
            let is_noted = killed.split_whitespace().any(|name| name == users);
            assert_eq!(second.contains(&unit), is_noted, "{unit}: {at}");
            assert!(first.contains(&unit) || is_noted, "{unit}: {at}");
            untold += usize::from(!first.contains(&unit));
            twice += usize::from(first.contains(&unit) && is_noted);
        }
    }
    eprintln!(
        "killed {before} times before the switch; then {untold} units were not told, and {twice} told twice"
    );
    assert!(before > 10 && untold > 10, "{before}, {untold}");
}

#[test]
fn a_note_of_units_that_the_kernel_refuses_keeps_no_secret_and_no_unit_waiting() {
    let Some(machine) = Machine::with_strace() else { return };
    let _socket = machine.user_manager(0);
    let reset = machine.with_units();
    let calls = machine.calls_after(&reset, "/mnt/new.json");
    let of_notes: Vec<&Call> =
        calls.iter().filter(|call| call.changes() && call.text.contains(".untold-")).collect();
    for call in &of_notes {
        let said = machine.shell(&format!(
            "{reset}
             run_as 1 strace -qqq -f --detach-on=execve -o /dev/null -e inject={name}:error=EIO:when={nth} /mnt/bin/sops-activate /mnt/new.json
             readlink /run/secrets; cat /mnt/said-1; echo @@; cat /mnt/calls; run_as 2 /mnt/bin/sops-activate /mnt/new.json
             echo @@; ls -A /run/secrets.d; cat /mnt/said-2",
            name = call.name,
            nth = call.nth,
        ));
        let at = format!("EIO at {call:?}:\n{said}");
        let [ended, told, healed] = said.split("@@").map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{at}")
        };
        assert!(ended.starts_with("/run/secrets.d/2\nsops-activate: "), "{at}");
        assert!(ended.contains("untold-") && ended.ends_with("': input/output error"), "{at}");
        assert_eq!(told, TOLD.map(|unit| format!("1: {unit}")).join("\n"), "{at}");
        assert_eq!(healed, "2", "{at}");
    }
    // Notes are removed by threads of their own, in which the counts are those of other calls above.
    assert!(of_notes.len() > 5, "{of_notes:?}");
}
