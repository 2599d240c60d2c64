//! The store, its generations and the links, on real file systems and as real root.
//!
//! The steps under test run in a second process of this test binary inside the namespace: [`step`], which is told what
//! to do through the environment and answers on standard output.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use sops_activate::manifest::KnownAccounts;
use sops_activate::plan::access::{Access, Account, Mode, Ownership};
use sops_activate::plan::name::Name;
use sops_activate::system::accounts::Accounts;
use sops_activate::system::generation::{Entry, Wanted};
use sops_activate::system::link::{self, Link};
use sops_activate::system::mount::Backing;
use sops_activate::system::store::Store;
use sops_activate::system::walk::Trust;

use crate::namespace::Namespace;

/// Group of the store's directories.
const KEYS: u32 = 96;

/// What a second process is to do.
#[derive(Serialize, Deserialize)]
enum Step {
    Activate(Activation),
    ResolveGroup(String),
}

/// One activation.
#[derive(Clone, Serialize, Deserialize)]
struct Activation {
    mount_point: String,
    symlink: String,
    tmpfs: bool,
    keep: u64,
    secrets: Vec<Secret>,
    /// Says "locked" and waits for a line on standard input before it goes on.
    pause: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    name: String,
    uid: u32,
    gid: u32,
    mode: u32,
    content: String,
    path: Option<String>,
}

fn secret(name: &str, content: &str) -> Secret {
    Secret { name: name.into(), uid: 1234, gid: 5678, mode: 0o440, content: content.into(), path: None }
}

impl Step {
    /// The command that does it inside.
    fn command(&self, inside: &Namespace, umask: &str) -> Command {
        let mut command = inside.command("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "store::step", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env("SOPS_ACTIVATE_TEST_STEP", serde_json::to_string(self).unwrap());
        command
    }

    /// Does it, and gives what it said.
    fn run(&self, inside: &Namespace, umask: &str) -> String {
        let output = self.command(inside, umask).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        said(&String::from_utf8(output.stdout).unwrap())
    }
}

impl Activation {
    fn of(secrets: &[Secret]) -> Self {
        Self {
            mount_point: "/run/secrets.d".into(),
            symlink: "/run/secrets".into(),
            tmpfs: false,
            keep: 1,
            secrets: secrets.to_vec(),
            pause: false,
        }
    }

    fn command(&self, inside: &Namespace, umask: &str) -> Command {
        Step::Activate(self.clone()).command(inside, umask)
    }

    fn run(&self, inside: &Namespace) -> String {
        self.run_with_umask(inside, "022")
    }

    fn run_with_umask(&self, inside: &Namespace, umask: &str) -> String {
        Step::Activate(self.clone()).run(inside, umask)
    }
}

/// The lines of a step among those of the test harness.
fn said(stdout: &str) -> String {
    stdout.lines().filter_map(|line| line.strip_prefix("@ ")).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "a step of the other tests, which start it inside a namespace"]
fn step() {
    #[expect(clippy::disallowed_methods, reason = "a test binary takes no arguments of its own")]
    let step: Step = serde_json::from_str(&std::env::var("SOPS_ACTIVATE_TEST_STEP").unwrap()).unwrap();
    let answer = match step {
        Step::Activate(activation) => activate(&activation),
        Step::ResolveGroup(name) => resolve_group(name),
    }
    .unwrap_or_else(|error| format!("error: {error}"));
    for line in answer.lines() {
        tell(line);
    }
}

/// On a line of its own: the test harness has left one unfinished.
fn tell(line: &str) {
    print!("\n@ {line}\n");
    std::io::stdout().flush().unwrap();
}

fn resolve_group(name: String) -> Result<String, String> {
    let access = Access { mode: Mode(0o440), owner: Account::Id(0), group: Account::Named(name) };
    let resolved = Accounts::system(&KnownAccounts::default()).resolve(&access);
    resolved.map(|ownership| ownership.gid.to_string()).map_err(|error| error.to_string())
}

fn activate(activation: &Activation) -> Result<String, String> {
    let mut said = String::new();
    let (mount_point, symlink) = (Path::new(&activation.mount_point), Path::new(&activation.symlink));
    let backing = if activation.tmpfs { Backing::Tmpfs } else { Backing::Ramfs };
    let directories = Ownership { uid: 0, gid: KEYS };
    let waiting = &mut || tell("waiting");
    let (store, warnings) =
        Store::open(mount_point, backing, directories, waiting).map_err(|error| error.to_string())?;
    for warning in warnings {
        writeln!(said, "warning: {warning}").unwrap();
    }
    if activation.pause {
        tell("locked");
        std::io::stdin().read_exact(&mut [0]).unwrap();
    }
    let names: Vec<Name> = activation.secrets.iter().map(|secret| Name::new(&secret.name).unwrap()).collect();
    let owner = |secret: &Secret| Ownership { uid: secret.uid, gid: secret.gid };
    let entries: Vec<Wanted<'_>> = names
        .iter()
        .zip(&activation.secrets)
        .map(|(name, secret)| {
            Wanted::File(Entry {
                name,
                ownership: owner(secret),
                mode: Mode(secret.mode),
                content: secret.content.as_bytes(),
            })
        })
        .collect();
    let mut failed: Vec<String> = store.remove_leftovers(symlink).iter().map(ToString::to_string).collect();
    let live = store.live(symlink).map_err(|error| error.to_string())?;
    let unchanged = match &live {
        Some(live) => {
            live.differences(&entries, Some(directories)).map_err(|error| error.to_string())?.is_empty()
        }
        None => false,
    };
    let live = match live {
        Some(live) if unchanged => {
            writeln!(said, "unchanged {}", live.number()).unwrap();
            live
        }
        _ => {
            let staged = store.stage(symlink, &entries, live.as_ref()).map_err(|error| error.to_string())?;
            let switched = staged.switch(symlink).map_err(|error| error.to_string())?;
            writeln!(said, "switched to {}", switched.live.number()).unwrap();
            failed.extend(switched.left_behind.map(|error| error.to_string()));
            switched.live
        }
    };
    let links: Vec<Link> = activation
        .secrets
        .iter()
        .filter_map(|secret| {
            let path = secret.path.as_ref()?.into();
            Some(Link { path, target: symlink.join(&secret.name), ownership: owner(secret) })
        })
        .collect();
    let linked = links.iter().filter_map(|wanted| link::link(wanted, Trust::RootOnly, None).err());
    failed.extend(linked.map(|error| error.to_string()));
    failed.extend(store.prune(&live, activation.keep).iter().map(ToString::to_string));
    for error in failed {
        writeln!(said, "error: {error}").unwrap();
    }
    Ok(said.trim_end().to_owned())
}

/// The mount options of the store, and what `stat` says about it.
const MOUNT: &str = "grep ' /run/secrets.d ' /proc/mounts | cut -d' ' -f3,4; stat -c %u:%g:%a /run/secrets.d";
const ACCESS: &str = "cd /run/secrets/ && find . -printf '%p %U:%G:%m\\n' | sort";

#[test]
fn the_store_is_a_ramfs_with_its_flags_and_access_is_exact_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let Some(inside) = Namespace::new() else { return };
        let mut open = secret("nested/deep/er", "two\n");
        (open.uid, open.gid, open.mode) = (0, 0, 0o666);
        let activation = Activation::of(&[secret("a", "one"), open]);
        assert_eq!(activation.run_with_umask(&inside, umask), "switched to 1");
        assert_eq!(inside.shell(MOUNT), "ramfs rw,nosuid,nodev,noexec,relatime,mode=751\n0:96:751");
        assert_eq!(
            inside.shell(ACCESS),
            ". 0:96:751\n./a 1234:5678:440\n./nested 0:96:751\n./nested/deep 0:96:751\n./nested/deep/er 0:0:666"
        );
        assert_eq!(inside.shell("cat /run/secrets/a /run/secrets/nested/deep/er"), "onetwo");
        assert_eq!(inside.shell("readlink /run/secrets; ls -A /run"), "/run/secrets.d/1\nsecrets\nsecrets.d");
    }
}

#[test]
fn with_tmpfs_the_type_of_run_is_not_mistaken_for_a_mount() {
    let Some(inside) = Namespace::new() else { return };
    let mut activation = Activation::of(&[secret("a", "one")]);
    activation.tmpfs = true;
    let first = activation.run(&inside);
    let options = inside.shell(MOUNT);
    assert!(options.starts_with("tmpfs rw,nosuid,nodev,noexec,relatime,"), "{options}");
    assert!(options.ends_with("0:96:751"), "{options}");
    if options.contains("noswap") {
        assert_eq!(first, "switched to 1");
    } else {
        let warning =
            "warning: '/run/secrets.d' is a tmpfs without 'noswap': secrets may reach the swap device";
        assert_eq!(first, format!("{warning}\nswitched to 1"));
    }
    assert_eq!(activation.run(&inside), "unchanged 1");
    assert_eq!(inside.shell("grep -c ' /run/secrets.d ' /proc/mounts"), "1");
}

#[test]
fn a_second_run_changes_nothing_and_a_third_with_another_value_prunes_the_first_generation() {
    let Some(inside) = Namespace::new() else { return };
    let mut linked = secret("a", "one");
    linked.path = Some("/etc/app/key".into());
    let activation = Activation::of(&[linked.clone()]);
    assert_eq!(activation.run(&inside), "switched to 1");
    let inodes = "stat -L -c %i /run/secrets/a; stat -c %i /run/secrets /etc/app/key";
    let before = inside.shell(inodes);
    assert_eq!(activation.run(&inside), "unchanged 1");
    assert_eq!(inside.shell(inodes), before);
    linked.content = "two".into();
    assert_eq!(Activation::of(&[linked]).run(&inside), "switched to 2");
    assert_eq!(
        inside.shell("cat /etc/app/key; echo; ls /run/secrets.d; ls -A /run"),
        "two\n2\nsecrets\nsecrets.d"
    );
    assert_eq!(inside.shell("grep -c ' /run/secrets.d ' /proc/mounts"), "1");
}

#[test]
fn another_owner_or_mode_alone_makes_a_new_generation() {
    let Some(inside) = Namespace::new() else { return };
    assert_eq!(Activation::of(&[secret("a", "one")]).run(&inside), "switched to 1");
    let owned = Secret { uid: 4321, ..secret("a", "one") };
    assert_eq!(Activation::of(std::slice::from_ref(&owned)).run(&inside), "switched to 2");
    let closed = Secret { mode: 0o400, ..owned };
    assert_eq!(Activation::of(&[closed]).run(&inside), "switched to 3");
    assert_eq!(inside.shell("stat -c %u:%g:%a /run/secrets/a"), "4321:5678:400");
}

#[test]
fn missing_flags_of_a_mount_are_added_and_its_owner_and_mode_corrected() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell(
        "mkdir /run/secrets.d && mount -t ramfs -o mode=0777 none /run/secrets.d && chown 7:7 /run/secrets.d",
    );
    assert_eq!(Activation::of(&[secret("a", "one")]).run(&inside), "switched to 1");
    let options = inside.shell(MOUNT);
    assert!(options.starts_with("ramfs rw,nosuid,nodev,noexec,relatime"), "{options}");
    assert!(options.ends_with("0:96:751"), "{options}");
}

#[test]
fn memory_that_is_mounted_already_is_kept_so_that_the_live_generation_stays() {
    let Some(inside) = Namespace::new() else { return };
    let mut activation = Activation::of(&[secret("a", "one")]);
    assert_eq!(activation.run(&inside), "switched to 1");
    activation.tmpfs = true;
    let warning = "warning: '/run/secrets.d' is a ramfs already and stays one until it is unmounted";
    assert_eq!(activation.run(&inside), format!("{warning}\nunchanged 1"));
}

#[test]
fn a_disk_below_the_mount_point_is_mounted_over() {
    let Some(inside) = Namespace::new() else { return };
    let mut activation = Activation::of(&[secret("a", "one")]);
    activation.mount_point = "/var/lib/secrets.d".into();
    assert_eq!(activation.run(&inside), "switched to 1");
    assert_eq!(inside.shell("stat -f -c %T /run/secrets/"), "ramfs");
}

/// Runs inside without the right to mount, as in many containers.
fn without_mounting(activation: &Activation, inside: &Namespace) -> String {
    let step = activation.command(inside, "022");
    let mut command = Command::new(step.get_program());
    let mut arguments = step.get_args();
    // "nsenter --mount=… --", and then the program to be run with less rights.
    command.args(arguments.by_ref().take(2));
    command.args(["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--"]);
    command.args(arguments);
    command.envs(step.get_envs().filter_map(|(name, value)| Some((name, value?))));
    said(&String::from_utf8(command.output().unwrap().stdout).unwrap())
}

#[test]
fn without_the_right_to_mount_memory_is_used_with_a_warning_and_a_disk_refused() {
    let Some(inside) = Namespace::new() else { return };
    let mut activation = Activation::of(&[secret("a", "one")]);
    let warning = "warning: mounting is not permitted here: secrets go into the directory '/run/secrets.d', which lies in memory";
    assert_eq!(without_mounting(&activation, &inside), format!("{warning}\nswitched to 1"));
    assert_eq!(inside.shell(ACCESS), ". 0:96:751\n./a 1234:5678:440");
    activation.mount_point = "/var/lib/secrets.d".into();
    let refused = without_mounting(&activation, &inside);
    let start = "error: cannot mount ramfs on '/var/lib/secrets.d': EPERM: Operation not permitted; and the directory itself lies";
    assert!(refused.starts_with(start), "{refused}");
    assert_eq!(inside.shell("ls -A /var/lib/secrets.d; readlink /run/secrets"), "/run/secrets.d/1");
}

#[test]
fn a_directory_at_the_place_of_the_link_is_replaced() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell("mkdir -p /run/secrets/old && touch /run/secrets/old/file");
    assert_eq!(Activation::of(&[secret("a", "one")]).run(&inside), "switched to 1");
    assert_eq!(inside.shell("cat /run/secrets/a; echo; ls -A /run"), "one\nsecrets\nsecrets.d");
}

#[test]
fn keys_that_the_original_left_in_the_store_are_removed_even_if_nothing_changes() {
    let Some(inside) = Namespace::new() else { return };
    let activation = Activation::of(&[secret("a", "one")]);
    assert_eq!(activation.run(&inside), "switched to 1");
    inside.shell(
        "cd /run/secrets.d && echo KEY > age-keys.txt && mkdir gpg12 2 && echo KEY > gpg12/secring.gpg",
    );
    assert_eq!(activation.run(&inside), "unchanged 1");
    assert_eq!(inside.shell("ls -A /run/secrets.d"), "1");
}

#[test]
fn a_link_and_its_directories_belong_to_whom_they_should() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell("mkdir -m 2775 /var/home && chown 1000:100 /var/home && echo old > /var/home/file");
    let linked = |name: &str, path: &str| Secret { path: Some(path.into()), ..secret(name, name) };
    let activation = Activation::of(&[
        linked("a", "/var/home/config/app/key"),
        linked("b", "/etc/app/key"),
        linked("c", "/var/home/file"),
    ]);
    assert_eq!(activation.run_with_umask(&inside, "077"), "switched to 1");
    let paths =
        "/var/home/config /var/home/config/app /var/home/config/app/key /etc/app /etc/app/key /var/home/file";
    assert_eq!(
        inside.shell(&format!(
            "stat -c %u:%g:%a {paths}; cat $(ls -d {paths} | grep -v config$ | grep -v app$)"
        )),
        "1000:100:755\n1000:100:755\n1234:5678:777\n0:0:755\n1234:5678:777\n1234:5678:777\nbac"
    );
    assert_eq!(
        inside.shell("ls -A /var/home /var/home/config"),
        "/var/home:\nconfig\nfile\n\n/var/home/config:\napp"
    );
    let inode = inside.shell("stat -c %i /var/home/config/app/key");
    assert_eq!(activation.run(&inside), "unchanged 1");
    assert_eq!(inside.shell("stat -c %i /var/home/config/app/key"), inode);
    inside.shell("chown -h 0:0 /var/home/config/app/key");
    assert_eq!(activation.run(&inside), "unchanged 1");
    assert_eq!(inside.shell("stat -c %u:%g /var/home/config/app/key"), "1234:5678");
}

#[test]
fn a_symlink_that_a_user_could_have_planted_is_not_followed() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell(
        "mkdir /var/home /var/group /var/shared /var/victim && chown 1000:100 /var/home && chmod 0775 /var/group && \
         chmod 1777 /var/shared && for dir in home group shared; do ln -s /var/victim /var/$dir/config; done && \
         chown -h 1000:100 /var/shared/config",
    );
    for dir in ["home", "group", "shared"] {
        let planted = Secret { path: Some(format!("/var/{dir}/config/key")), ..secret("a", "one") };
        let said = Activation::of(&[planted]).run(&inside);
        let error = format!(
            "error: cannot link '/var/{dir}/config/key': '/var/{dir}/config' is a symlink in a directory that others than root can write"
        );
        assert!(said.ends_with(&error), "{said}");
    }
    assert_eq!(inside.shell("ls -A /var/victim"), "");
}

#[test]
fn a_symlink_of_root_below_a_directory_of_a_user_is_not_followed() {
    let Some(inside) = Namespace::new() else { return };
    // The user could have mounted or moved there whatever says that it is root's.
    inside.shell(
        "mkdir -p /var/home/roots /var/home/sticky /var/victim && chmod 1777 /var/home/sticky && \
         for dir in roots sticky; do ln -s /var/victim /var/home/$dir/config; done && chown 1000:100 /var/home",
    );
    for dir in ["roots", "sticky"] {
        let planted = Secret { path: Some(format!("/var/home/{dir}/config/key")), ..secret("a", "one") };
        let said = Activation::of(&[planted]).run(&inside);
        assert!(said.contains("is a symlink in a directory that others than root can write"), "{said}");
    }
    assert_eq!(inside.shell("ls -A /var/victim"), "");
}

#[test]
fn a_symlink_that_only_root_can_have_made_is_followed() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell(
        "mkdir /var/real /var/shared && chmod 1777 /var/shared && ln -s ../var/real /var/one && \
         ln -s /var/real /var/shared/two",
    );
    let linked = |name: &str, path: &str| Secret { path: Some(path.into()), ..secret(name, name) };
    let activation = Activation::of(&[linked("a", "/var/one/a"), linked("b", "/var/shared/two/b")]);
    assert_eq!(activation.run(&inside), "switched to 1");
    assert_eq!(inside.shell("cat /var/real/a /var/real/b"), "ab");
}

#[test]
fn a_planted_private_directory_is_neither_used_nor_emptied() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell(
        "mkdir -p /var/home/.key.sops-activate/new && chown -R 1000:100 /var/home && touch /var/home/.key.sops-activate/new/x",
    );
    let linked = Secret { path: Some("/var/home/key".into()), ..secret("a", "one") };
    let said = Activation::of(&[linked]).run(&inside);
    assert_eq!(said, "switched to 1\nerror: cannot use '/var/home/.key.sops-activate': file exists");
    assert_eq!(inside.shell("find /var/home | sort | tail -n 1"), "/var/home/.key.sops-activate/new/x");
}

#[test]
fn the_second_run_on_a_mount_point_waits_for_the_first_and_another_mount_point_does_not() {
    let Some(inside) = Namespace::new() else { return };
    let mut first = Activation::of(&[secret("a", "one")]);
    first.pause = true;
    let start = |activation: &Activation| {
        let mut command = activation.command(&inside, "022");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines.map(Result::unwrap).filter_map(|line| line.strip_prefix("@ ").map(str::to_owned)))
    };
    let (mut one, mut one_says) = start(&first);
    assert_eq!(one_says.next().unwrap(), "locked");
    let (mut two, mut two_says) = start(&Activation::of(&[secret("a", "two")]));
    assert_eq!(two_says.next().unwrap(), "waiting");
    let mut other = Activation::of(&[secret("a", "one")]);
    (other.mount_point, other.symlink) = ("/run/secrets-for-users.d".into(), "/run/secrets-for-users".into());
    assert_eq!(other.run(&inside), "switched to 1");
    one.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(one_says.next().unwrap(), "switched to 1");
    assert_eq!(two_says.next().unwrap(), "switched to 2");
    assert!(one.wait().unwrap().success() && two.wait().unwrap().success());
    assert_eq!(inside.shell("cat /run/secrets/a; ls /run/secrets.d"), "two2");
}

#[test]
fn a_full_file_system_leaves_the_live_generation_and_no_half_one() {
    let Some(inside) = Namespace::new() else { return };
    inside.shell(
        "mkdir /run/secrets.d && mount -t tmpfs -o size=64k,mode=0751,nodev,nosuid,noexec none /run/secrets.d",
    );
    let mut activation = Activation::of(&[secret("a", "one")]);
    activation.tmpfs = true;
    assert_eq!(activation.run(&inside), "switched to 1");
    activation.secrets.push(secret("b", &"x".repeat(20_000)));
    activation.secrets.push(secret("c", &"x".repeat(60_000)));
    assert_eq!(activation.run(&inside), "error: cannot write '/run/secrets.d/2/c': no space left on device");
    assert_eq!(
        inside.shell("ls -A /run/secrets.d; cat /run/secrets/a; readlink /run/secrets"),
        "1\none/run/secrets.d/1"
    );
    activation.secrets.pop();
    assert_eq!(activation.run(&inside), "switched to 2");
}

#[test]
fn a_group_with_more_members_than_fit_into_a_mebibyte_is_found() {
    let Some(inside) = Namespace::new() else { return };
    let write = "{ printf 'crowd:x:4321:'; seq -s , -f member-with-a-name-%g 1 60000; } >> /etc/group; \
                 tail -n 1 /etc/group | wc -c";
    assert!(inside.shell(write).parse::<u32>().unwrap() > 1 << 20);
    assert_eq!(Step::ResolveGroup("crowd".into()).run(&inside, "022"), "4321");
    let unknown = "error: cannot find group 'clan': it does not exist on this machine";
    assert_eq!(Step::ResolveGroup("clan".into()).run(&inside, "022"), unknown);
}

#[test]
fn a_run_killed_at_any_system_call_leaves_a_whole_generation_and_the_next_run_repairs_the_rest() {
    let Some(inside) = Namespace::new() else { return };
    if inside.shell("command -v strace").is_empty() {
        eprintln!("skipped: no strace");
        return;
    }
    drop(inside);
    let linked = |content: &str| Secret { path: Some("/etc/app/key".into()), ..secret("a", content) };
    let new = Activation::of(&[linked("new"), secret("b/c", "new")]);
    let (mut before, mut after) = (0, 0);
    for call in
        ["mkdirat", "openat", "fchown", "fchmod", "write", "symlinkat", "renameat", "unlinkat", "fchownat"]
    {
        for nth in 1.. {
            let inside = Namespace::new().unwrap();
            assert_eq!(Activation::of(&[linked("old")]).run(&inside), "switched to 1");
            let step = new.command(&inside, "022");
            let mut killed = inside.command("strace");
            killed.args(["-f", "-qqq", "-o", "/dev/null", "-e"]);
            killed.arg(format!("inject={call}:signal=KILL:when={nth}"));
            killed.args(step.get_args().skip(2));
            killed.envs(step.get_envs().filter_map(|(name, value)| Some((name, value?))));
            if killed.output().unwrap().status.success() {
                break;
            }
            let seen = inside.shell("cat /run/secrets/a /etc/app/key");
            match seen.as_str() {
                "oldold" => before += 1,
                "newnew" => after += 1,
                neither => panic!("{call} {nth}: {neither}"),
            }
            let repaired = new.run(&inside);
            assert!(
                ["switched to 2", "unchanged 2"].contains(&repaired.as_str()),
                "{call} {nth}: {repaired}"
            );
            let left = "cat /run/secrets/a /etc/app/key /run/secrets/b/c; ls -A /run /run/secrets.d /etc/app | tr '\\n' ' '";
            assert_eq!(
                inside.shell(left),
                "newnewnew/etc/app: key  /run: secrets secrets.d  /run/secrets.d: 2",
                "{call} {nth}"
            );
        }
    }
    assert!(
        before > 20 && after > 5,
        "killed only {before} times before the switch and {after} times after it"
    );
}
