//! What stands outside of the store: links and copies come, stay, and go when nobody asks for them any more, and nothing
//! else is ever touched.

use serde_json::{Value, json};

use crate::server::{API_KEY, Answer, Machine, USER, answer, manifest, placeholder, secret, template, with};

const LIST: &str = "/var/lib/sops-activate/run-secrets.d.json";

/// What a reboot leaves: `/etc` and `/var`.
const REBOOT: &str = "umount /run/secrets.d; rm -rf /run/*";

/// A secret with a path of its own.
fn at(name: &str, path: &str) -> Value {
    with(secret(name, "api_key"), json!({"path": path}))
}

fn copied(name: &str, path: &str) -> Value {
    with(at(name, path), json!({"installMode": "copy"}))
}

fn one(secret: Value) -> Value {
    manifest(&[secret], &[])
}

fn without_links() -> Value {
    one(secret("a", "api_key"))
}

impl Machine {
    /// What lies at the path; nothing is an empty text.
    fn look(&self, path: &str) -> String {
        self.shell(&format!(
            "test -e {path} -o -h {path} && find {path} -maxdepth 0 \
             \\( -type l -printf '-> %l %U:%G' -o -printf '%y%m %U:%G' \\); test -h {path} -o ! -f {path} || {{ echo; cat {path}; }}"
        ))
    }

    /// Runs it, and expects that it succeeds and says this on standard error.
    fn warns(&self, manifest: &Value, warning: &str) {
        assert_eq!(
            self.run(manifest),
            Answer::said("", &format!("sops-install-secrets: warning: {warning}\n"))
        );
    }
}

#[test]
fn a_link_goes_when_its_secret_or_its_path_does() {
    let Some(machine) = Machine::new() else { return };
    let path = "/etc/app/key";
    let linked = |name: &str, path: &str| (format!("-> /run/secrets/{name} 0:0"), path.to_owned());
    let rendered = with(template("t", &placeholder("a")), json!({"path": path}));
    for (before, after, there) in [
        (one(at("a", path)), without_links(), vec![]),
        (one(at("a", path)), one(secret("b", "api_key")), vec![]),
        (one(at("a", path)), manifest(&[], &[]), vec![]),
        (one(at("a", path)), one(at("a", "/etc/app/other")), vec![linked("a", "/etc/app/other")]),
        (one(at("a", path)), one(at("b", path)), vec![linked("b", path)]),
        // A directory takes the place of the link, and the other way.
        (one(at("a", "/etc/app")), one(at("a", path)), vec![linked("a", path)]),
        (one(at("a", path)), one(at("a", "/etc/app")), vec![linked("a", "/etc/app")]),
        (manifest(&[secret("a", "api_key")], &[rendered]), without_links(), vec![]),
        // It is the same place by another way, and stays.
        (one(at("a", "/run/app/key")), one(at("a", "/var/run/app/key")), vec![linked("a", "/run/app/key")]),
    ] {
        machine.shell("test -h /var/run || { rm -rf /var/run; ln -s /run /var/run; }");
        machine.activate(&before);
        machine.activate(&after);
        for (seen, path) in &there {
            assert_eq!(&machine.look(path), seen, "{after}");
        }
        let found = machine.shell("find /etc/app /run/app -type l 2> /dev/null");
        let expected: Vec<&str> = there.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(found, expected.join("\n"), "{after}");
        machine.activate(&without_links());
        assert_eq!(machine.shell("find /etc/app /run/app -type l 2> /dev/null"), "", "{after}");
        assert_eq!(machine.look(LIST), "", "what holds nothing is not kept");
        machine.shell("rm -rf /etc/app /run/app");
    }
}

#[test]
fn a_link_goes_after_a_reboot_and_the_directories_made_for_it_stay() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /var/home && chown 1501:1500 /var/home");
    machine.activate(&manifest(
        &[at("a", "/etc/app/key"), at("b", "/var/home/config/key"), at("c", "/run/app/key")],
        &[],
    ));
    machine.shell(REBOOT);
    machine.activate(&one(at("b", "/var/home/config/other")));
    assert_eq!(
        machine.tree("/etc/app /var/home"),
        "/etc/app d755 0:0\n/var/home d755 1501:1500\n/var/home/config d755 1501:1500\n\
         /var/home/config/other -> /run/secrets/b 0:0"
    );
    assert_eq!(machine.shell(&format!("stat -c '%a %u:%g' {LIST}")), "600 0:0");
    let remembered: Value = serde_json::from_str(&machine.shell(&format!("cat {LIST}"))).unwrap();
    let link = json!({"link": {"path": "/var/home/config/other", "target": "/run/secrets/b"}});
    assert_eq!(remembered, json!({"version": 1, "placed": [link]}));
}

#[test]
fn what_others_put_at_the_path_is_not_touched() {
    let Some(machine) = Machine::new() else { return };
    for foreign in [
        "echo precious > key",
        "mkdir key",
        "mkdir key; echo precious > key/file",
        "ln -s /etc/passwd key",
        "ln -s /run/secrets/b key",
        "ln -s /run/secrets/./a key",
        "mkfifo key",
        "cd ..; rm -r app; echo precious > app",
        "cd ..; mv app real; ln -s real app; ln -s /run/secrets/b real/key",
    ] {
        machine.activate(&one(at("a", "/etc/app/key")));
        machine.shell(&format!("cd /etc/app; rm key; {foreign}"));
        let look = "find /etc/app /etc/real -printf '%p %y%m %U:%G %i %s %T@ %C@ %l\\n' 2> /dev/null | sort";
        let before = machine.shell(look);
        let ran = machine.run(&without_links());
        assert_eq!(ran.code, Some(0), "{foreign}: {ran:?}");
        assert_eq!(machine.shell(look), before, "{foreign}");
        assert_eq!(machine.look(LIST), "", "{foreign}: it is forgotten");
        machine.activate(&without_links());
        machine.shell("rm -rf /etc/app /etc/real");
    }
}

#[test]
fn where_others_changed_the_way_the_link_is_not_looked_for_and_that_is_told_once() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /var/home /var/victim && chown 1501:1500 /var/home");
    machine.activate(&one(at("a", "/var/home/config/key")));
    machine.shell(
        "mv /var/home/config /var/home/moved; ln -s /run/secrets/a /var/victim/key; \
         ln -s /var/victim /var/home/config; chown -h 1501:1500 /var/home/config",
    );
    machine.warns(
        &without_links(),
        "what was put at '/var/home/config/key' is not asked for any more, and is not looked for: cannot remove \
         '/var/home/config/key': '/var/home/config' is a symlink in a directory that others than root can write",
    );
    assert_eq!(machine.look("/var/victim/key"), "-> /run/secrets/a 0:0");
    machine.activate(&without_links());
}

#[test]
fn a_user_who_exchanges_directories_while_root_works_never_redirects_it() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(
        "mkdir -p /var/home/d /var/victim; ln -s /run/secrets/a /var/victim/link; echo precious > /var/victim/copy
         ln -s /var/victim /var/home/l; chown -R -h 1501:1500 /var/home",
    );
    let wanted = manifest(&[at("a", "/var/home/d/link"), copied("b", "/var/home/d/copy")], &[]);
    machine.write("/mnt/with.json", wanted.to_string());
    machine.write("/mnt/without.json", without_links().to_string());
    let victim = "find /var/victim -printf '%p %y%m %U:%G %i %s %T@ %C@ %l\\n' | sort";
    let before = machine.shell(victim);
    let said = machine.shell(
        "setpriv --reuid 1501 --regid 1500 --clear-groups -- sh -c '
            cd /var/home; while :; do mv -T d x; mv -T l d; mv -T d l; mv -T x d; done' 2> /dev/null &
         swapper=$!
         done=0 refused=0
         for run in $(seq 60); do
             for name in with without; do
                 if /mnt/bin/sops-activate /mnt/$name.json > /mnt/said 2>&1 && ! grep -q symlink /mnt/said; then
                     done=$((done + 1))
                 elif grep -q -e 'is a symlink in a directory' -e 'no such file' -e 'file exists' -e 'not a directory' \
                     -e 'not empty' -e 'too many levels' /mnt/said; then
                     refused=$((refused + 1))
                 else
                     cat /mnt/said
                 fi
             done
         done
         kill $swapper
         wait $swapper 2> /dev/null
         echo $done $refused",
    );
    assert_eq!(machine.shell(victim), before);
    let counts: Vec<u32> = said.split(' ').map(|count| count.parse().expect(&said)).collect();
    eprintln!("{} runs done, {} refused", counts[0], counts[1]);
    assert!(counts[0] > 0 && counts[1] > 0, "the race was on: {said}");
}

#[test]
fn a_second_run_makes_no_call_that_could_change_anything() {
    let Some(machine) = Machine::new() else { return };
    if machine.shell("command -v strace").is_empty() {
        eprintln!("skipped: no strace");
        return;
    }
    let wanted = manifest(&[at("a", "/etc/app/key"), copied("b", "/etc/app/copy")], &[]);
    machine.activate(&wanted);
    let before = machine.snapshot();
    let log = machine.shell("strace -f -qq -o /dev/stdout /mnt/bin/sops-activate /mnt/manifest.json");
    assert_eq!(machine.snapshot(), before);
    let changes = |line: &&str| {
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap();
        let writes = ["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"].iter().any(|flag| call.contains(flag));
        let changing = [
            "mkdir",
            "rename",
            "unlink",
            "symlink",
            "link",
            "chown",
            "chmod",
            "fchown",
            "fchmod",
            "write",
            "pwrite",
            "utimens",
            "fsync",
            "truncate",
            "ftruncate",
            "mount",
            "umount",
            "rmdir",
            "mknod",
        ];
        changing.iter().any(|start| name.starts_with(start)) || (name == "openat" && writes)
    };
    assert!(log.contains(LIST.rsplit('/').next().unwrap()), "the list is read:\n{log}");
    assert_eq!(log.lines().filter(changes).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn where_nothing_can_be_remembered_links_and_copies_are_made_with_one_warning() {
    let wanted = manifest(&[at("a", "/etc/app/key"), copied("b", "/etc/app/copy")], &[]);
    let start = "what is at the paths of secrets will stay there when it is not asked for any more: ";
    let untrusted = "it is not known which links and copies were made before, and those that are not asked for any more \
                     stay: ";
    for (hinder, warning) in [
        (
            "mount -t tmpfs -o ro none /var/lib",
            format!(
                "{start}cannot create directory '/var/lib/.sops-activate.sops-activate': read-only file system"
            ),
        ),
        (
            "mount -t tmpfs -o ro none /var",
            format!("{start}cannot create directory '/var/.lib.sops-activate': read-only file system"),
        ),
        (
            "mount -t tmpfs -o mode=0755 none /var; touch /var/lib",
            format!("{untrusted}cannot enter '/var/lib': it is a regular file, not a directory"),
        ),
        (
            "mount -t tmpfs -o mode=0775 none /var/lib",
            format!("{start}others than root can write the directories that lead to '{LIST}'"),
        ),
        (
            "mount -t tmpfs -o mode=0755 none /var/lib; mkdir /var/lib/sops-activate; chown 1501 /var/lib/sops-activate; \
             echo '{}' > /var/lib/sops-activate/run-secrets.d.json",
            format!("{untrusted}others than root can write the directories that lead to '{LIST}'"),
        ),
        (
            "mount -t tmpfs -o mode=0755 none /var/lib; mkdir -p /var/lib/sops-activate/run-secrets.d.json",
            format!("{untrusted}cannot read '{LIST}': it is a directory, not a regular file"),
        ),
    ] {
        let Some(machine) = Machine::new() else { return };
        machine.shell(hinder);
        machine.warns(&wanted, &warning);
        assert_eq!(machine.look("/etc/app/key"), "-> /run/secrets/a 0:0");
        assert_eq!(machine.look("/etc/app/copy"), format!("f400 0:0\n{API_KEY}"));
        let look = "find /run /etc/app /var/lib -printf '%p %y%m %U:%G %i %s %T@ %C@ %l\\n' | sort";
        let before = machine.shell(look);
        machine.warns(&wanted, &warning);
        assert_eq!(machine.shell(look), before, "{hinder}");
        // Nothing is known to be removed, and nothing is to be remembered.
        let ran = machine.run(&without_links());
        assert_eq!((ran.code, ran.stderr.contains(start)), (Some(0), false), "{hinder}: {ran:?}");
        assert_eq!(machine.look("/etc/app/key"), "-> /run/secrets/a 0:0");
    }
}

#[test]
fn a_list_that_is_lost_costs_nothing_but_the_removal() {
    let Some(machine) = Machine::new() else { return };
    let wanted = manifest(&[at("a", "/etc/app/key"), copied("b", "/etc/app/copy")], &[]);
    machine.activate(&wanted);
    // As where only some directories outlast a reboot.
    machine.shell(&format!("{REBOOT}; rm -r /var/lib/sops-activate"));
    machine.activate(&wanted);
    assert_eq!(machine.look("/etc/app/copy"), format!("f400 0:0\n{API_KEY}"));
    machine.activate(&without_links());
    assert_eq!(machine.shell("ls -A /etc/app"), "", "what was asked for since is known again");
    machine.activate(&wanted);
    machine.shell("rm -r /var/lib/sops-activate");
    machine.activate(&without_links());
    assert_eq!(machine.shell("ls -A /etc/app"), "copy\nkey");
}

#[test]
fn a_list_that_cannot_be_believed_removes_nothing_is_told_and_is_written_anew() {
    let Some(machine) = Machine::new() else { return };
    let start = "it is not known which links and copies were made before, and those that are not asked for any more stay: ";
    for (damage, why) in [
        ("printf '' >", format!("'{LIST}' is damaged: line 1, column 0")),
        ("printf '{\\n\"version\": 1' >", format!("'{LIST}' is damaged: line 2, column 12")),
        ("printf '\\377\\001' >", format!("'{LIST}' is damaged: line 1, column 1")),
        ("chown 1501", format!("others than root could have written '{LIST}'")),
        ("chmod 0620", format!("others than root could have written '{LIST}'")),
    ] {
        machine.activate(&one(at("a", "/etc/app/key")));
        machine.shell(&format!("{damage} {LIST}"));
        machine.warns(&one(at("b", "/etc/app/other")), &format!("{start}{why}"));
        assert_eq!(machine.look("/etc/app/key"), "-> /run/secrets/a 0:0", "{damage}");
        machine.activate(&without_links());
        assert_eq!(machine.shell("ls -A /etc/app"), "key", "{damage}: the new list is believed");
    }
}

#[test]
fn the_list_of_another_version_is_told_and_left_to_it() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&one(at("a", "/etc/app/key")));
    for list in [r#"{"version": 9, "placed": []}"#, r#"{"version": 2, "things": {"/etc/app/key": 1}}"#] {
        machine.write(LIST, list);
        let ran = machine.run(&one(at("b", "/etc/app/other")));
        let why = format!("'{LIST}' was written by another version of this program");
        assert_eq!(ran.code, Some(0));
        assert!(ran.stderr.contains(&why), "{}", ran.stderr);
        assert_eq!(machine.look("/etc/app/other"), "-> /run/secrets/b 0:0");
        assert_eq!(machine.look("/etc/app/key"), "-> /run/secrets/a 0:0");
        assert_eq!(machine.shell(&format!("cat {LIST}")), list);
    }
}

#[test]
fn the_two_units_do_not_disturb_one_another() {
    let Some(machine) = Machine::new() else { return };
    let for_users = |secrets: &[Value]| {
        with(
            manifest(secrets, &[]),
            json!({"secretsMountPoint": "/run/secrets-for-users.d", "symlinkPath": "/run/secrets-for-users"}),
        )
    };
    let early = |install| with(install, json!({"path": "/etc/app/early"}));
    let nothing = for_users(&[at("early", "/run/secrets-for-users/early")]);
    machine.activate(&for_users(&[early(at("early", ""))]));
    machine.activate(&one(at("a", "/etc/app/key")));
    assert_eq!(
        machine.shell("cd /var/lib/sops-activate && ls *.json"),
        "run-secrets.d.json\nrun-secrets\\x2dfor\\x2dusers.d.json"
    );
    let both = machine.tree("/etc/app");
    machine.activate(&for_users(&[early(at("early", ""))]));
    machine.activate(&one(at("a", "/etc/app/key")));
    assert_eq!(machine.tree("/etc/app"), both);
    machine.activate(&without_links());
    assert_eq!(machine.shell("ls -A /etc/app"), "early");
    machine.activate(&nothing);
    assert_eq!(machine.shell("ls -A /etc/app"), "");
    // A path goes from one unit to the other, as a link and as a copy.
    for kind in [at, copied] {
        let path = "/etc/app/key";
        machine.activate(&one(kind("a", path)));
        machine.activate(&for_users(&[kind("a", path)]));
        let taken = machine.look(path);
        let ran = machine.run(&without_links());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(machine.look(path), taken);
        assert!(!taken.is_empty());
        machine.activate(&nothing);
        assert_eq!(machine.look(path), "");
    }
}

#[test]
fn one_that_cannot_be_made_keeps_no_other_away_and_what_stood_there_stays() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&manifest(&[at("a", "/etc/app/a"), copied("b", "/etc/app/b"), at("c", "/etc/c")], &[]));
    machine.shell("mkdir -p /etc/full/x /etc/also/x");
    // A link becomes a copy, and a copy a link, where nothing new can be made.
    machine.shell("mount --bind /etc/app /etc/app && mount -o remount,bind,ro /etc/app");
    let wanted = manifest(
        &[
            copied("a", "/etc/app/a"),
            at("b", "/etc/app/b"),
            at("d", "/etc/full"),
            copied("e", "/etc/also"),
            at("f", "/etc/f"),
            copied("g", "/etc/g"),
        ],
        &[],
    );
    let ran = machine.run(&wanted);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    for expected in [
        "error: cannot create directory '/etc/app/.a.sops-activate': read-only file system\n",
        "error: cannot create directory '/etc/app/.b.sops-activate': read-only file system\n",
        "error: cannot link '/etc/full': a directory stands there that is not empty\n  secret 'd' is in place all the same, \
         at '/run/secrets/d'\nhelp: move '/etc/full' away, or give the secret another path\n",
        "error: cannot write '/etc/also': a directory stands there that is not empty\n  secret 'e' is in place all the same, \
         at '/run/secrets/e'\nhelp: move '/etc/also' away, or give the secret another path\n",
    ] {
        assert!(ran.stderr.contains(expected), "no '{expected}' in {}", ran.stderr);
    }
    assert_eq!(machine.look("/etc/f"), "-> /run/secrets/f 0:0");
    assert_eq!(machine.look("/etc/g"), format!("f400 0:0\n{API_KEY}"));
    assert_eq!(machine.look("/etc/c"), "");
    assert_eq!(machine.shell("ls -A /etc/full /etc/also"), "/etc/also:\nx\n\n/etc/full:\nx");
    // What stands there still is remembered, and failing again changes nothing.
    let remembered = machine.shell(&format!("cat {LIST}"));
    assert_eq!(machine.run(&wanted), ran);
    assert_eq!(machine.shell(&format!("cat {LIST}")), remembered);
    // Removing can fail, too, and is tried again.
    let ran = machine.run(&without_links());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("error: cannot remove '/etc/app/a': read-only file system\n"), "{ran:?}");
    machine.shell("umount /etc/app");
    machine.activate(&without_links());
    assert_eq!(machine.shell("ls -A /etc/app"), "");
}

#[test]
fn a_copy_is_a_file_with_the_bytes_owner_and_mode_whatever_the_umask() {
    for umask in ["000", "077"] {
        let Some(machine) = Machine::new() else { return };
        machine.shell("mkdir /var/home && chown 1501:1500 /var/home");
        let in_home = with(
            copied("a", "/var/home/config/key"),
            json!({"owner": "alice", "group": "app", "mode": "0640"}),
        );
        let rendered = with(
            template("t", &format!("key={}", placeholder("a"))),
            json!({"path": "/etc/app/conf", "installMode": "copy", "mode": "0444"}),
        );
        machine.write("/mnt/manifest.json", manifest(&[in_home], &[rendered]).to_string());
        let ran = answer(
            &mut machine.command(&format!("umask {umask}; exec sops-install-secrets /mnt/manifest.json")),
        );
        assert_eq!(ran, Answer::silent());
        assert_eq!(
            machine.tree("/etc/app /var/home"),
            "/etc/app d755 0:0\n/etc/app/conf f444 0:0\n/var/home d755 1501:1500\n\
             /var/home/config d755 1501:1500\n/var/home/config/key f640 1501:1502"
        );
        assert_eq!(machine.shell("cat /var/home/config/key"), API_KEY);
        assert_eq!(machine.shell("cat /etc/app/conf"), format!("key={API_KEY}"));
        let remembered = machine.shell(&format!("cat {LIST}"));
        assert!(!remembered.contains(API_KEY), "{remembered}");
    }
}

#[test]
fn a_copy_is_written_anew_when_it_is_not_as_wanted_and_only_then() {
    let Some(machine) = Machine::new() else { return };
    let path = "/etc/app/key";
    let wanted = |fields: Value| one(with(copied("a", path), fields));
    let state = || machine.shell(&format!("stat -c '%i %y %z %a %u:%g' {path}; cat {path}"));
    machine.activate(&wanted(json!({})));
    let made = state();
    machine.activate(&wanted(json!({})));
    assert_eq!(state(), made);
    for (fields, access, value) in [
        (json!({"key": "database/user"}), "f400 0:0", USER),
        (json!({"mode": "0440"}), "f440 0:0", API_KEY),
        (json!({"owner": "alice"}), "f400 1501:0", API_KEY),
        (json!({"group": "app"}), "f400 0:1502", API_KEY),
    ] {
        machine.activate(&wanted(fields.clone()));
        assert_eq!(machine.look(path), format!("{access}\n{value}"), "{fields}");
    }
    for tamper in [
        "printf x >> key",
        "printf xxxx-7f3b9c2e51 > key",
        "chmod 0644 key",
        "chown 5:5 key",
        "rm key",
        "rm key; mkdir key",
        "rm key; ln -s /etc/passwd key",
        "rm key; mkfifo key",
        "ln -sfn /run/secrets/a key",
    ] {
        machine.activate(&wanted(json!({})));
        machine.shell(&format!("cd /etc/app; {tamper}"));
        machine.activate(&wanted(json!({})));
        assert_eq!(machine.look(path), format!("f400 0:0\n{API_KEY}"), "{tamper}");
        assert_eq!(machine.shell("ls -A /etc/app"), "key");
    }
    assert_eq!(machine.shell("head -c 4 /etc/passwd"), "root");
}

#[test]
fn a_copy_goes_when_nobody_asks_for_it_also_after_a_reboot() {
    let Some(machine) = Machine::new() else { return };
    let path = "/etc/app/key";
    for reboot in ["", REBOOT] {
        for after in [without_links(), one(secret("b", "api_key")), one(copied("a", "/etc/app/other"))] {
            machine.activate(&one(copied("a", path)));
            machine.shell(reboot);
            machine.activate(&after);
            assert_eq!(machine.look(path), "", "{after}");
        }
    }
    // Who made it readable for another program did not make another file of it.
    machine.activate(&one(copied("a", path)));
    machine.shell(&format!("chmod 0644 {path}; chown 1501:1502 {path}"));
    machine.activate(&without_links());
    assert_eq!(machine.look(path), "");
}

/// As the modules run it when nothing is declared any more.
#[test]
fn a_manifest_without_secrets_clears_away_the_last_ones_and_the_list_also_after_a_reboot() {
    let Some(machine) = Machine::new() else { return };
    let nothing = manifest(&[], &[]);
    let clears = |there: &str, after: &str| {
        machine.activate(&manifest(&[at("a", "/etc/app/link"), copied("b", "/etc/app/copy")], &[]));
        assert_ne!(machine.look(LIST), "", "what the unit is conditioned on");
        machine.shell(after);
        for _ in 0..2 {
            machine.activate(&nothing);
            assert_eq!(machine.shell("find /etc/app ! -type d"), "", "{after}");
            assert_eq!(machine.look(LIST), "", "{after}");
            let seen = machine.shell(
                "readlink /run/secrets; find /run/secrets.d/ ! -type d; ls -A /run/secrets.d; grep -c ' /run/secrets' /proc/mounts",
            );
            assert_eq!(seen, there, "{after}");
        }
    };
    clears("/run/secrets.d/2\n2\n1", "");
    // Nothing is live, and nothing is made: no store, and no link to it. The directory is what was locked.
    clears("0", REBOOT);
    clears("/run/elsewhere\n0", &format!("{REBOOT}; ln -s /run/elsewhere /run/secrets"));
    machine.shell("rm /run/secrets");
    // What a first run left that was killed before it was live.
    machine.activate(&without_links());
    machine.shell("rm /run/secrets");
    machine.activate(&nothing);
    assert_eq!(machine.shell("ls -A /run; ls -A /run/secrets.d"), "secrets.d");
}

#[test]
fn the_first_secret_after_the_last_ones_were_cleared_away_is_a_first_activation() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir -p /run/nixos");
    machine.activate(&one(at("a", "/etc/app/key")));
    machine.shell(&format!("{REBOOT}; mkdir /run/nixos"));
    machine.activate(&manifest(&[], &[]));
    machine.activate(&one(with(secret("a", "api_key"), json!({"restartUnits": ["x.service"]}))));
    assert_eq!(machine.shell("ls -A /run/nixos; readlink /run/secrets"), "/run/secrets.d/1");
}

#[test]
fn a_copy_that_was_changed_stays_and_that_is_told_once() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&one(copied("a", "/etc/app/key")));
    machine.shell("echo more >> /etc/app/key");
    machine.warns(
        &without_links(),
        "'/etc/app/key' is not asked for any more, and stays: it is not the file that was put there",
    );
    assert_eq!(machine.look("/etc/app/key"), format!("f400 0:0\n{API_KEY}more"));
    machine.activate(&without_links());
}

#[test]
fn a_link_becomes_a_copy_and_a_copy_a_link_and_either_goes() {
    let Some(machine) = Machine::new() else { return };
    let path = "/etc/app/key";
    let (link, copy) = ("-> /run/secrets/a 0:0".to_owned(), format!("f400 0:0\n{API_KEY}"));
    for (wanted, seen) in [
        (one(at("a", path)), link.as_str()),
        (one(copied("a", path)), &copy),
        (one(at("a", path)), &link),
        (without_links(), ""),
        (one(copied("a", path)), &copy),
        (without_links(), ""),
    ] {
        machine.activate(&wanted);
        assert_eq!(machine.look(path), seen);
    }
}

#[test]
fn a_copy_goes_through_no_symlink_and_no_directory_that_a_user_planted() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(
        "mkdir -p /var/home /var/victim; ln -s /var/victim /var/home/config; mkdir -m 0777 /var/home/.key.sops-activate
         chown -R -h 1501:1500 /var/home",
    );
    let ran =
        machine.run(&manifest(&[copied("a", "/var/home/config/key"), copied("b", "/var/home/key")], &[]));
    assert_eq!(ran.code, Some(1));
    for expected in [
        "error: cannot write '/var/home/config/key': '/var/home/config' is a symlink in a directory that others than root \
         can write\n",
        "help: use a path that leads where '/var/home/config' does without going through it\n",
        "error: cannot use '/var/home/.key.sops-activate': file exists\n",
    ] {
        assert!(ran.stderr.contains(expected), "no '{expected}' in {}", ran.stderr);
    }
    assert_eq!(
        machine.shell("ls -A /var/victim /var/home/.key.sops-activate"),
        "/var/home/.key.sops-activate:\n\n/var/victim:"
    );
}

#[test]
fn what_a_user_plants_beside_a_link_cannot_keep_it_from_being_removed() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir -p /var/home; chown 1501:1500 /var/home");
    machine.activate(&one(at("a", "/var/home/key")));
    machine.shell("mkdir /var/home/.key.sops-activate; chown 1501:1500 /var/home/.key.sops-activate");
    let ran = machine.run(&one(secret("a", "api_key")));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("warning: cannot use '/var/home/.key.sops-activate'"), "{}", ran.stderr);
    assert_eq!(machine.shell("ls -A /var/home"), ".key.sops-activate");
    machine.activate(&one(secret("a", "api_key")));
}

#[test]
fn root_in_user_mode_is_not_misled_by_others() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(
        "mkdir -p /var/home /var/victim /run/user/0; ln -s /var/victim /var/home/config; chown -h 1501:1500 /var/home /var/home/config",
    );
    let user_mode =
        json!({"userMode": true, "secretsMountPoint": "%r/secrets.d", "symlinkPath": "%r/secrets"});
    for wanted in [at("a", "/var/home/config/key"), copied("a", "/var/home/config/key")] {
        machine.write("/mnt/manifest.json", with(one(wanted), user_mode.clone()).to_string());
        let ran =
            answer(machine.command("sops-activate /mnt/manifest.json").env("XDG_RUNTIME_DIR", "/run/user/0"));
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr.contains("'/var/home/config' is a symlink in a directory that others"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(machine.shell("ls -A /var/victim"), "");
}

#[test]
fn the_link_to_the_live_generation_goes_through_no_symlink_that_a_user_planted() {
    let Some(machine) = Machine::new() else { return };
    let symlink = "/var/home/d/secrets";
    let wanted = |key: &str| {
        let secret = with(secret("a", key), json!({"path": format!("{symlink}/a")}));
        with(one(secret), json!({"symlinkPath": symlink}))
    };
    machine.shell(
        "mkdir -p /var/home /var/victim/.secrets.sops-activate; chmod 0700 /var/victim/.secrets.sops-activate
         echo precious > /var/victim/.secrets.sops-activate/new
         ln -s /var/victim /var/home/d; chown -h 1501:1500 /var/home /var/home/d",
    );
    let victim = machine.tree("/var/victim");
    let refused = |action: &str| {
        format!(
            "sops-install-secrets: error: cannot {action} '{symlink}': '/var/home/d' is a symlink in a directory that \
             others than root can write\n\
             help: use a path that leads where '/var/home/d' does without going through it\n"
        )
    };
    let ran = machine.run(&wanted("api_key"));
    let stderr = refused("clear up beside") + &refused("switch");
    assert_eq!(ran, Answer { code: Some(1), stdout: String::new(), stderr });
    assert_eq!(machine.tree("/var/victim"), victim);
    assert_eq!(machine.shell("ls -A /run/secrets.d"), "", "nothing was installed");
    // A directory of their own will do, and is made for them.
    machine.shell("rm /var/home/d");
    machine.activate(&wanted("api_key"));
    assert_eq!(
        machine.tree("/var/home"),
        format!("/var/home d755 1501:1500\n/var/home/d d755 1501:1500\n{symlink} -> /run/secrets.d/1 0:0")
    );
    machine.shell("mv /var/home/d /var/home/e; ln -s e /var/home/d; chown -h 1501:1500 /var/home/d");
    let look =
        "find /run /var/home /var/victim /var/lib/sops-activate -printf '%p %y%m %U:%G %i %C@ %l\n' | sort";
    let before = machine.shell(look);
    let ran = machine.run(&wanted("api_key"));
    assert_eq!(ran, Answer { code: Some(1), stdout: String::new(), stderr: refused("clear up beside") });
    assert_eq!(machine.shell(look), before);
    let ran = machine.run(&wanted("database/password"));
    assert!(ran.code == Some(1) && ran.stderr.contains(&refused("switch")), "{ran:?}");
    assert_eq!(machine.shell("ls -A /run/secrets.d; cat /run/secrets.d/1/a"), format!("1\n{API_KEY}"));
    assert_eq!(machine.tree("/var/victim"), victim);
}

#[test]
fn a_copy_without_a_path_of_its_own_is_a_problem_of_the_manifest() {
    let Some(machine) = Machine::new() else { return };
    for (fields, problem) in [
        (json!({"installMode": "copy"}), "'installMode' is \"copy\", and it has no path of its own"),
        (
            json!({"installMode": "copy", "path": "/run/secrets/b"}),
            "'installMode' is \"copy\", and it has no path of its own",
        ),
        (
            json!({"installMode": "copy", "path": "/run/secrets.d/b"}),
            "'installMode' is \"copy\", and it has no path of its own",
        ),
        (json!({"installMode": "hardlink"}), "unknown 'installMode' 'hardlink'"),
        (json!({"installMode": 1}), "'installMode' is a number, not a string"),
    ] {
        machine.write("/mnt/manifest.json", one(with(secret("a", "api_key"), fields)).to_string());
        for mode in ["off", "manifest"] {
            let ran =
                answer(&mut machine.command(&format!("sops-activate -check-mode={mode} /mnt/manifest.json")));
            assert_eq!(ran.code, Some(1));
            assert!(ran.stderr.contains(&format!("secret 'a': {problem}\n")), "{ran:?}");
        }
        assert_eq!(machine.tree("/run"), "/run d755 0:0");
    }
}

#[test]
fn a_dry_run_neither_makes_nor_removes_nor_remembers_anything() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&manifest(&[at("a", "/etc/app/key"), copied("b", "/etc/app/copy")], &[]));
    machine.write("/mnt/dry.json", one(at("c", "/etc/app/new")).to_string());
    let before = machine.snapshot();
    let ran = answer(&mut machine.command("NIXOS_ACTION=dry-activate sops-activate /mnt/dry.json"));
    assert_eq!(ran, Answer::silent());
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_secret_that_fails_keeps_its_link_as_long_as_its_value_and_its_copy_in_any_case() {
    let Some(machine) = Machine::new() else { return };
    let wanted = |key: &str| {
        let with_key = |secret| with(secret, json!({"key": key}));
        let failing = [with_key(at("b", "/etc/app/link")), with_key(copied("c", "/etc/app/copy"))];
        manifest(&[vec![secret("a", "api_key")], failing.into()].concat(), &[])
    };
    machine.activate(&wanted("api_key"));
    let look = || machine.shell(&format!("find /etc/app {LIST} -printf '%p %i %T@ %l\\n'"));
    let before = look();
    assert_eq!(machine.run(&wanted("none")).code, Some(1));
    assert_eq!(look(), before, "kept");
    machine.shell("rm /etc/app/copy");
    assert_eq!(machine.run(&wanted("none")).code, Some(1));
    assert_eq!(machine.look("/etc/app/copy"), format!("f400 0:0\n{API_KEY}"), "copied from what is kept");
    machine.shell(REBOOT);
    assert_eq!(machine.run(&wanted("none")).code, Some(1));
    assert_eq!(machine.shell("ls -A /etc/app"), "copy", "a link would lead nowhere");
    assert_eq!(machine.look("/etc/app/copy"), format!("f400 0:0\n{API_KEY}"));
    machine.activate(&wanted("database/user"));
    assert_eq!(machine.look("/etc/app/link"), "-> /run/secrets/b 0:0");
    assert_eq!(machine.look("/etc/app/copy"), format!("f400 0:0\n{USER}"));
    assert_eq!(machine.run(&wanted("none")).code, Some(1));
    machine.activate(&without_links());
    assert_eq!(machine.shell("ls -A /etc/app"), "");
}

#[test]
fn where_no_secret_can_be_installed_nothing_is_removed() {
    let Some(machine) = Machine::new() else { return };
    let wanted = manifest(&[at("a", "/etc/app/link"), copied("b", "/etc/app/copy")], &[]);
    machine.activate(&wanted);
    machine.shell(&format!("{REBOOT}; mount -t tmpfs -o ro none /mnt/fixtures"));
    assert_eq!(machine.run(&wanted).code, Some(1));
    assert_eq!(machine.shell("ls -A /etc/app"), "copy\nlink");
    machine.shell("umount /mnt/fixtures");
    machine.activate(&without_links());
    assert_eq!(machine.shell("ls -A /etc/app"), "");
}

#[test]
fn the_doctor_knows_a_copy_from_what_stands_in_its_way() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&one(copied("a", "/etc/app/key")));
    let says = || machine.shell("/mnt/bin/sops-activate doctor /mnt/manifest.json | grep ' its path: '");
    assert_eq!(says(), "");
    let problem = "secret 'a' is not copied to its path: ";
    for (tamper, why) in [
        ("ln -sf /run/secrets/a /etc/app/key", "'/etc/app/key' leads to '/run/secrets/a'"),
        ("rm /etc/app/key", "there is nothing at '/etc/app/key'"),
    ] {
        machine.shell(tamper);
        assert!(says().ends_with(&format!("{problem}{why}")), "{}", says());
    }
}

/// `/var/run` is another name of `/run`.
fn with_var_run(machine: &Machine) {
    machine.shell("test -h /var/run || { rm -rf /var/run; ln -s /run /var/run; }");
}

#[test]
fn a_copy_stays_when_it_is_asked_for_by_another_name_of_its_path() {
    let Some(machine) = Machine::new() else { return };
    with_var_run(&machine);
    let by = |path: &str| one(copied("a", path));
    machine.activate(&by("/var/run/app/key"));
    machine.activate(&by("/run/app/key"));
    assert_eq!(machine.look("/run/app/key"), format!("f400 0:0\n{API_KEY}"));
    machine.activate(&by("/var/run/app/key"));
    // The list cannot be written.
    let state = "/var/lib/sops-activate";
    machine.shell(&format!("mount --bind {state} {state} && mount -o remount,bind,ro {state}"));
    let ran = machine.run(&by("/run/app/key"));
    assert!(ran.code == Some(0) && ran.stderr.contains("read-only file system"), "{ran:?}");
    assert_eq!(machine.look("/run/app/key"), format!("f400 0:0\n{API_KEY}"));
}

#[test]
fn what_would_lie_in_the_store_by_another_name_is_refused() {
    let Some(machine) = Machine::new() else { return };
    with_var_run(&machine);
    machine.activate(&without_links());
    // Neither leads anywhere yet, and both would be made.
    machine.shell("ln -s /run/secrets.d/new /var/dangling; ln -s secrets.d/7/deep /run/relative");
    let before = machine.shell("find /run -printf '%p %C@\n'");
    for path in [
        "/var/run/secrets/a",
        "/var/run/secrets/b",
        "/var/run/secrets.d/1/a",
        "/var/run/secrets.d/1/b/c",
        "/var/run/secrets.d/b",
        "/var/dangling/b",
        "/var/dangling/b/c",
        "/var/run/relative/b",
    ] {
        for (secret, action) in [(at("a", path), "link"), (copied("a", path), "write")] {
            let error = refused_in_store(action, path);
            assert_eq!(machine.run(&one(secret)), error);
            assert_eq!(machine.shell("find /run -printf '%p %C@\n'"), before, "{path}");
            assert_eq!(machine.look(LIST), "", "{path}: nothing is remembered of it");
        }
    }
    assert_eq!(machine.shell("cat /run/secrets/a"), API_KEY);
}

#[test]
fn a_link_into_a_generation_by_its_number_is_refused() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&without_links());
    let before = machine.shell("find /run -printf '%p %C@\n'");
    for path in ["/run/secrets.d/1/a", "/run/secrets.d/1/b", "/run/secrets.d/b", "/run/secrets.d/7/b"] {
        assert_eq!(machine.run(&one(at("a", path))), refused_in_store("link", path));
        assert_eq!(machine.shell("find /run -printf '%p %C@\n'"), before, "{path}");
    }
}

#[test]
fn what_a_killed_run_remembered_of_a_path_that_it_was_to_be_refused_is_forgotten() {
    let Some(machine) = Machine::new() else { return };
    with_var_run(&machine);
    let path = "/var/run/secrets.d/b";
    for (before, now, action) in [
        (at("a", "/etc/app/key"), at("a", path), "link"),
        (copied("a", "/etc/app/key"), copied("a", path), "write"),
    ] {
        machine.activate(&one(before));
        let list = machine.shell(&format!("cat {LIST}")).replace("/etc/app/key", path);
        assert!(list.contains(path));
        machine.write(LIST, list);
        assert_eq!(machine.run(&one(now)), refused_in_store(action, path));
        assert_eq!(machine.look(LIST), "");
    }
}

/// The manifest whose secrets are there before the users are.
fn for_users(secret: Value) -> Value {
    let store =
        json!({"secretsMountPoint": "/run/secrets-for-users.d", "symlinkPath": "/run/secrets-for-users"});
    with(one(secret), store)
}

#[test]
fn nothing_is_put_into_the_store_of_the_other_manifest() {
    let Some(machine) = Machine::new() else { return };
    with_var_run(&machine);
    let others = for_users(at("u", "/run/secrets-for-users/u"));
    machine.activate(&others);
    machine.activate(&without_links());
    let look = "find /run -printf '%p %C@ %l\n'";
    let before = machine.shell(look);
    let refused = |action: &str, path: &str, why: &str, help: &str, place: &str| {
        let stderr = format!(
            "sops-install-secrets: error: cannot {action} '{path}': {why}\n  \
             secret 'a' is in place all the same, at '{place}/a'\nhelp: {help}\n"
        );
        Answer { code: Some(1), stdout: String::new(), stderr }
    };
    for (path, is_link) in [
        ("/run/secrets-for-users/u", false),
        ("/run/secrets-for-users/new/b", false),
        ("/run/secrets-for-users.d/1/u", false),
        ("/var/run/secrets-for-users.d/b", false),
        ("/run/secrets-for-users", true),
    ] {
        for (secret, action) in [(at("a", path), "link"), (copied("a", path), "write")] {
            let answer = if is_link {
                let why = "that is the place of '/run/secrets-for-users', which leads to secrets";
                refused(action, path, why, "give the secret another path", "/run/secrets")
            } else {
                let why = "it leads into '/run/secrets-for-users.d', and has to lie outside of it";
                let help = "give the secret a path that leads outside of '/run/secrets-for-users.d'";
                refused(action, path, why, help, "/run/secrets")
            };
            assert_eq!(machine.run(&one(secret)), answer);
            assert_eq!(machine.shell(look), before, "{path}");
        }
    }
    assert_eq!(machine.run(&others), Answer::said("", ""), "nothing of it has changed");
    // And the other way; a new generation is made, as the secret is another.
    let ran = machine.run(&for_users(at("a", "/run/secrets/a")));
    let why = "it leads into '/run/secrets.d', and has to lie outside of it";
    let help = "give the secret a path that leads outside of '/run/secrets.d'";
    assert_eq!(ran.stderr, refused("link", "/run/secrets/a", why, help, "/run/secrets-for-users").stderr);
    assert_eq!(
        machine.shell("stat -c %F /run/secrets/a; cat /run/secrets/a"),
        format!("regular file\n{API_KEY}")
    );
}

#[test]
fn nothing_is_put_into_a_part_of_a_store_that_is_mounted_elsewhere() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&for_users(at("u", "/run/secrets-for-users/u")));
    machine.activate(&without_links());
    machine.shell("mkdir /etc/part /etc/others /etc/ram; mount -t ramfs none /etc/ram");
    machine.shell(
        "mount --bind /run/secrets.d/1 /etc/part; mount --bind /run/secrets-for-users.d/1 /etc/others",
    );
    let before = machine.shell("find /run /etc/part -printf '%p %C@\n'");
    for (path, store) in [
        ("/etc/part/b", "/run/secrets.d"),
        ("/etc/part/b/c", "/run/secrets.d"),
        ("/etc/others/b", "/run/secrets-for-users.d"),
    ] {
        for (secret, action) in [(at("a", path), "link"), (copied("a", path), "write")] {
            let ran = machine.run(&one(secret));
            let why =
                format!("cannot {action} '{path}': it leads into '{store}', and has to lie outside of it");
            assert!(ran.code == Some(1) && ran.stderr.contains(&why), "{ran:?}");
            assert_eq!(machine.shell("find /run /etc/part -printf '%p %C@\n'"), before, "{path}");
        }
    }
    machine.activate(&one(at("a", "/etc/ram/key")));
    assert_eq!(machine.look("/etc/ram/key"), "-> /run/secrets/a 0:0", "another ramfs is nobody's store");
}

/// That nothing is put at `path`.
fn refused_in_store(action: &str, path: &str) -> Answer {
    let stderr = format!(
        "sops-install-secrets: error: cannot {action} '{path}': it leads into '/run/secrets.d', and has to lie outside of it\n  \
         secret 'a' is in place all the same, at '/run/secrets/a'\n\
         help: give the secret a path that leads outside of '/run/secrets.d'\n"
    );
    Answer { code: Some(1), stdout: String::new(), stderr }
}

#[test]
fn the_link_to_the_secrets_is_replaced_under_no_name() {
    let Some(machine) = Machine::new() else { return };
    with_var_run(&machine);
    machine.activate(&without_links());
    let before = machine.shell("find /run -printf '%p %C@\n'");
    let path = "/var/run/secrets";
    for (secret, action) in [(at("a", path), "link"), (copied("a", path), "write")] {
        let ran = machine.run(&one(secret));
        let error = format!(
            "sops-install-secrets: error: cannot {action} '{path}': that is the place of '/run/secrets', which leads to secrets\n  \
             secret 'a' is in place all the same, at '/run/secrets/a'\n\
             help: give the secret another path\n"
        );
        assert_eq!(ran, Answer { code: Some(1), stdout: String::new(), stderr: error });
        assert_eq!(machine.shell("find /run -printf '%p %C@\n'"), before);
    }
}
